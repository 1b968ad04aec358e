/** @file Recognises that a GPU had no memory for a buffer, which ONNX Runtime reports only as an invalid buffer in a later call. */
import { DTYPE_BYTES, sizeOf } from '../../formats/host_tensor.js';
import { byteSize } from '../../util/text.js';
import type { OnnxGraph } from './model_format.js';
import { inferResults, infoOfConstant, type OnnxInfo } from './shapes.js';

/** Returns a sentence about the missing memory, or null if the error is about something else. */
export function gpuShortage({ message }: Error, graph: () => OnnxGraph): string | null {
  if (/Too many storage buffers in shader/.test(message))
    return `tensors of ${byteSize(largestBytes(graph()))} are more than this GPU can bind at a time: ${message}`;
  if (!/\[Invalid Buffer[^\]]*\] is invalid/.test(message)) return null;
  const op = /BindGroupDescriptor "+(\w+)"+/.exec(message)?.[1];
  const bytes = largestBytes(graph(), op);
  return `the GPU has no memory left: a buffer of up to ${byteSize(bytes)} could not be allocated${op ? ` for ${op}` : ''}`;
}

/** Bytes of the largest operand or result of the nodes with an operator, or of all nodes. */
function largestBytes({ nodes, inputs, constants }: OnnxGraph, op?: string): number {
  const infos = new Map<string, OnnxInfo>(inputs.map(({ name, shape, type }) => [name, { shape, type }]));
  for (const constant of constants) infos.set(constant.name, infoOfConstant(constant));
  let [ofOp, ofAll] = [0, 0];
  for (const node of nodes) {
    const operands = node.inputs.map((name) => infos.get(name) as OnnxInfo);
    const results = inferResults(node, operands);
    for (const [i, info] of results.entries()) infos.set(node.outputs[i], info);
    const bytes = Math.max(
      ...[...operands, ...results].map(({ shape, type }) => sizeOf(shape) * DTYPE_BYTES[type]),
    );
    ofAll = Math.max(ofAll, bytes);
    if (node.op === op) ofOp = Math.max(ofOp, bytes);
  }
  return ofOp || ofAll;
}
