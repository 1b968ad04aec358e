/** @file Operators that the GPU lacks: an error in strict mode, else the CPU computes them and a warning names them. */
import { expect, it } from 'vitest';
import { loadOrtApi } from '../../src/engine/onnx/c_api.js';
import { OrtRuntime } from '../../src/engine/onnx/runtime.js';
import { ortLibrary } from '../../src/engine/onnx/start.js';
import { machineProbe } from '../../src/engine/probe.js';
import { describeOnGpu } from '../support/gpu.js';

// One process has one runtime, and here that is not the engine's.
process.env.STMIXER_TEST_ENGINE = 'cpu';
process.env.STMIXER_TEST_DEVICE = 'cpu';

const value = (name: string) => ({ name, type: 'float32' as const, shape: [3] });
/** The provider has no Sign. */
const node = {
  name: 'Sign 0 #0',
  op: 'Sign',
  domain: '',
  inputs: ['i0'],
  outputs: ['o0'],
  attributes: {},
};
const GRAPH = { nodes: [node], inputs: [value('i0')], outputs: [value('o0')], constants: [] };
const OUTPUTS = [{ shape: [3], dtype: 'float32' as const }];
const GPU = { powerPreference: 'high-performance' as const, maxBufferBytes: 2 ** 27 };

function runtime(strict: boolean, warn: (message: string) => void): OrtRuntime {
  const api = loadOrtApi(ortLibrary(machineProbe()) as string);
  return new OrtRuntime(api, { threads: { threads: 1, reason: 'for a test' }, gpu: GPU, strict, warn });
}

describeOnGpu('an operator that the GPU lacks', () => {
  it('is computed on the CPU, with a warning that names the node', () => {
    const warnings: string[] = [];
    const tolerant = runtime(false, (message) => warnings.push(message));
    const session = tolerant.createSession(GRAPH, OUTPUTS);
    const x = tolerant.allocate([3], 'float32');
    x.write(Float32Array.of(1.4, -2.6, 7));
    const [y] = tolerant.run(session, [x]);
    expect(Array.from(y.read())).toEqual([1, -1, 1]);
    expect(warnings).toEqual([expect.stringMatching(/the GPU lacks operations.*: Sign 0 #0$/)]);
    for (const tensor of [x, y]) tensor.release();
    session.release();
    expect(() => runtime(true, () => {}).createSession(GRAPH, OUTPUTS)).toThrow(/fallback to CPU EP/);
  });
});
