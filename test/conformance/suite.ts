/** @file The part of a conformance run that shares tfjs with the tests. */
import * as tf from '@tensorflow/tfjs';
import { setTestEnvs } from '@tensorflow/tfjs-core/dist/jasmine_util.js';
import { type DeviceName, type EngineName, selectEngine } from '../../src/engine/index.js';
import { OnnxBackend } from '../../src/engine/onnx/backend.js';
import { lowerGraph, OrtCompiler } from '../../src/engine/onnx/compiler.js';
import { workingMemory } from '../../src/engine/onnx/memory/working_memory.js';

/** What tfjs-core's suites add to their names. */
export const NAME_SUFFIX = ' backend {}';

/** Tests defined from now on run on the engine. Returns its description. */
export async function useEngine(engine: EngineName, device: DeviceName): Promise<string> {
  const { description } = await selectEngine({ engine, device, strict: true });
  planEveryGraph();
  setTestEnvs([{ name: 'backend', backendName: tf.getBackend(), flags: {}, isDataSync: true }]);
  return description;
}

/** Fails every test with a graph whose memory the dry run of the onnx engine cannot plan, such as one with an unknown operator. */
function planEveryGraph(): void {
  const { compile } = OrtCompiler.prototype;
  OrtCompiler.prototype.compile = function (graph) {
    const backend: unknown = tf.backend();
    if (backend instanceof OnnxBackend) workingMemory(lowerGraph(graph, backend.kernels));
    return compile.call(this, graph);
  };
}
