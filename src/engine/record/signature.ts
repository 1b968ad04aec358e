/** @file Recorded kernels whose inputs, attributes and results follow from a signature. */
import type { TensorInfo } from '@tensorflow/tfjs';
import type { InputsOf, InputTable, KernelSignature, ResultsOf } from '../kernel_contract.js';
import type { GraphNode } from '../lazy/compiler.js';
import type { KernelResult, RecordedKernel } from './kernel.js';

/** What a kernel with a signature records. */
export interface SignatureRecording<S extends KernelSignature> {
  results(inputs: InputsOf<S, TensorInfo>, attributes: S['attributes']): Readonly<ResultsOf<S, KernelResult>>;
  readonly stream?: number;
}

export type SignatureKernel<S extends KernelSignature> = RecordedKernel<
  InputsOf<S, TensorInfo>,
  S['attributes']
>;

/**
 * Makes a kernel with a signature. The order of `inputs` is the order of the operands in the graph. The attributes of the node
 * are those of the kernel and, if inputs are missing, their names.
 */
export function signatureKernel<S extends KernelSignature>(
  name: string,
  inputs: InputTable<S>,
  { results, stream }: SignatureRecording<S>,
): SignatureKernel<S> {
  const names = Object.keys(inputs);
  return {
    name,
    stream,
    record(given, attributes) {
      const tensors = given as Readonly<Record<string, TensorInfo | undefined>>;
      const missing = names.filter((input) => tensors[input] === undefined);
      return {
        inputs: names.flatMap((input) => tensors[input] ?? []),
        attributes: missing.length > 0 ? { ...attributes, missing } : attributes,
        outputs: results(given, attributes) as readonly KernelResult[],
      };
    },
  };
}

/** Names the operands of a node that `signatureKernel` has recorded. */
export function namedOperands<S extends KernelSignature, T>(
  inputs: InputTable<S>,
  operands: readonly T[],
  { attributes }: Pick<GraphNode, 'attributes'>,
): InputsOf<S, T> {
  const { missing } = attributes as { missing?: readonly string[] };
  const present = Object.keys(inputs).filter((input) => !missing?.includes(input));
  return Object.fromEntries(present.map((input, i) => [input, operands[i]])) as InputsOf<S, T>;
}
