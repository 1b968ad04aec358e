/** @file Recognises that a GPU had no memory for a buffer, which ONNX Runtime reports only as an invalid buffer in a later call. */
import { DTYPE_BYTES, sizeOf } from '../../formats/host_tensor.js';
import { byteSize } from '../../util/text.js';
import type { OnnxGraph } from './model_format.js';
import { inferGraph } from './shapes.js';

/** Returns a sentence about the missing memory, or null if the error is about something else. */
export function gpuShortage({ message }: Error, graph: () => OnnxGraph): string | null {
  if (/Too many storage buffers in shader/.test(message))
    return `tensors of ${byteSize(largestBytes(graph()))} are more than this GPU can bind at a time: ${message}`;
  if (!/\[Invalid Buffer[^\]]*\] is invalid/.test(message)) return null;
  const op = /BindGroupDescriptor "+(\w+)"+/.exec(message)?.[1];
  const bytes = largestBytes(graph(), op);
  return `the GPU has no memory left: a buffer of up to ${byteSize(bytes)} could not be allocated${op ? ` for ${op}` : ''}`;
}

/** Returns the bytes of the largest operand or result of the nodes with operator `op`; of all nodes if there is none. */
function largestBytes(graph: OnnxGraph, op?: string): number {
  const infos = inferGraph(graph);
  const named = graph.nodes.filter((node) => node.op === op);
  const values = (named.length > 0 ? named : graph.nodes).flatMap(({ inputs, outputs }) => [
    ...inputs,
    ...outputs,
  ]);
  const bytes = values.map((name) => {
    const { shape, type } = infos.get(name)!;
    return sizeOf(shape) * DTYPE_BYTES[type];
  });
  return Math.max(...bytes);
}
