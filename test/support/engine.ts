/** @file The engine that the tests run on. */

const ENGINES = ['onnx', 'cpu', 'cuda', 'tensorflow'] as const;

/** STMIXER_TEST_ENGINE, `onnx` unless set. */
export const TEST_ENGINE = engineNamed(process.env.STMIXER_TEST_ENGINE ?? 'onnx');

/** STMIXER_TEST_DEVICE, `cpu` unless set. */
export const TEST_DEVICE = process.env.STMIXER_TEST_DEVICE === 'gpu' ? 'gpu' : 'cpu';

function engineNamed(name: string): (typeof ENGINES)[number] {
  const engine = ENGINES.find((known) => known === name);
  if (!engine) throw new Error(`STMIXER_TEST_ENGINE=${name}: must be one of ${ENGINES.join(', ')}`);
  return engine;
}
