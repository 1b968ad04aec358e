/** @file The engine that the tests run on. */

const ENGINES = ['onnx', 'cpu', 'cuda', 'tensorflow'] as const;

/** STMIXER_TEST_ENGINE, `onnx` unless set. */
export const TEST_ENGINE = engineNamed(process.env.STMIXER_TEST_ENGINE ?? 'onnx');

/** STMIXER_TEST_DEVICE, `cpu` unless set; always `cuda` for the engine of this name. */
export const TEST_DEVICE = deviceOf(TEST_ENGINE);

/** Whether the engine records operations and computes them together. */
export const isRecording = TEST_ENGINE === 'onnx' || TEST_ENGINE === 'cuda';

/** The engine of tests that need one that records operations. */
export const RECORDING_ENGINE = TEST_ENGINE === 'cuda' ? 'cuda' : 'onnx';

function engineNamed(name: string): (typeof ENGINES)[number] {
  const engine = ENGINES.find((known) => known === name);
  if (!engine) throw new Error(`STMIXER_TEST_ENGINE=${name}: must be one of ${ENGINES.join(', ')}`);
  return engine;
}

function deviceOf(engine: (typeof ENGINES)[number]): 'cuda' | 'gpu' | 'cpu' {
  if (engine === 'cuda') return 'cuda';
  return process.env.STMIXER_TEST_DEVICE === 'gpu' ? 'gpu' : 'cpu';
}
