/** @file Selects the engine that the tests run on: STMIXER_TEST_ENGINE, `onnx` unless set. */
import { beforeAll, expect } from 'vitest';
import '../../scripts/typescript_threads.mjs';

/** Folders whose tests compute nothing on an engine; starting one takes a second for each file. */
const WITHOUT_ENGINE = /[\\/]src[\\/](config|data|data_tools|drawing|files|formats|media|util)[\\/]/;

beforeAll(async () => {
  if (WITHOUT_ENGINE.test(expect.getState().testPath ?? '')) return;
  const { selectEngine } = await import('../../src/engine/index.js');
  const engine = process.env.STMIXER_TEST_ENGINE ?? 'onnx';
  if (engine !== 'onnx' && engine !== 'cpu' && engine !== 'tensorflow')
    throw new Error(`STMIXER_TEST_ENGINE=${engine}: onnx, cpu or tensorflow`);
  await selectEngine({ engine, device: 'cpu' });
});
