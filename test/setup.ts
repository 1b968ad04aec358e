/** @file Selects the engine that the tests run on: STMIXER_TEST_ENGINE, `onnx` unless set. */
import { beforeAll } from 'vitest';
import { selectEngine } from '../src/engine/index.js';

beforeAll(async () => {
  const engine = process.env.STMIXER_TEST_ENGINE ?? 'onnx';
  if (engine !== 'onnx' && engine !== 'cpu' && engine !== 'tensorflow')
    throw new Error(`STMIXER_TEST_ENGINE=${engine}: onnx, cpu or tensorflow`);
  await selectEngine({ engine, device: 'cpu' });
});
