/** @file Tensors that are larger than a buffer of the GPU can be are refused in a way that the end of a training explains. */
import { expect, it } from 'vitest';
import { loadOrtApi } from '../../src/engine/onnx/c_api.js';
import { OrtRuntime } from '../../src/engine/onnx/runtime.js';
import { ortLibrary } from '../../src/engine/onnx/start.js';
import { machineProbe } from '../../src/engine/probe.js';
import { allocationFailure } from '../../src/training/memory/allocation_failure.js';
import { describeOnGpu } from '../support/gpu.js';

// One process has one runtime, and here that is not the engine's.
process.env.STMIXER_TEST_ENGINE = 'cpu';
process.env.STMIXER_TEST_DEVICE = 'cpu';

const GPU = { powerPreference: 'high-performance' as const, maxBufferBytes: 2 ** 20 };
const value = (name: string, shape: number[]) => ({ name, type: 'float32' as const, shape });
const node = (op: string, inputs: string[], output: string) => ({
  ...{ name: op, op, domain: '', attributes: {} },
  inputs,
  outputs: [output],
});

function errorOf(attempt: () => unknown): unknown {
  try {
    attempt();
  } catch (error) {
    return error;
  }
  return null;
}

describeOnGpu('a tensor that is larger than a buffer of the GPU', () => {
  it('is refused with its shape, as an operand and as a temporary of a graph', () => {
    const api = loadOrtApi(ortLibrary(machineProbe()) as string);
    const runtime = new OrtRuntime(api, { threads: { threads: 1, reason: 'for a test' }, gpu: GPU });
    const graph = {
      nodes: [node('MatMul', ['i0', 'i1'], 'product'), node('MatMul', ['product', 'i0'], 'o0')],
      constants: [],
      inputs: [value('i0', [1000, 2]), value('i1', [2, 1000])],
      outputs: [value('o0', [1000, 2])],
    };
    const attempts = [
      () => runtime.allocate([1000, 1000], 'float32'),
      () => runtime.createSession(graph, [{ shape: [1000, 2], dtype: 'float32' }]),
    ];
    const what = '0.00 GiB on the GPU, a tensor [1000, 1000],';
    for (const attempt of attempts) expect(allocationFailure(errorOf(attempt))).toEqual({ what });
  });
});
