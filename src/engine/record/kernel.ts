/** @file Kernels as a lazy graph records them. Each engine adds its own lowering. */
import type { NamedAttrMap, TensorInfo } from '@tensorflow/tfjs';
import type { FusedKernelName, FusedKernels, InputsOf } from '../kernel_contract.js';
import type { LazyDtype, ValueInfo } from '../lazy/value.js';
import type { HostArray } from './tensor.js';

/** A result. With a `view`, tfjs sees the elements in that shape and the graph in `shape`, without a copy. */
export interface KernelResult extends ValueInfo {
  view?: readonly number[];
}

/** An operation to be recorded. */
export interface KernelCall {
  inputs: readonly TensorInfo[];
  outputs: readonly KernelResult[];
  attributes?: object;
}

export type NamedInputs = Readonly<Record<string, TensorInfo>>;
/** Inputs of kernels that take any number of tensors: tfjs passes an array. */
export type ListInputs = readonly TensorInfo[];

/** Reads the content of a tensor, null if it has not been computed yet. */
export type ContentReader = (x: TensorInfo) => HostArray | null;

/** What a kernel records, whatever its name. */
export interface Recording<Inputs = NamedInputs, Attributes = NamedAttrMap> {
  /** Throws if the kernel does not take these operands. */
  record(inputs: Inputs, attributes: Attributes): KernelCall;
  /** Throws if operands of known content are out of range. */
  check?(inputs: Inputs, attributes: Attributes, contentOf: ContentReader): void;
}

/** A kernel that is one operation of the lazy graph. */
export interface RecordedKernel<Inputs = NamedInputs, Attributes = NamedAttrMap>
  extends Recording<Inputs, Attributes> {
  readonly name: string;
  /** Operations of different streams never share a compiled graph. */
  readonly stream?: number;
}

/** Records with a lazy graph, for composite kernels. */
export interface Recorder {
  /** Number of graphs of the serial streams that can run at the same time, one on each thread. */
  readonly lanes: number;
  record<Inputs, Attributes extends object>(
    kernel: RecordedKernel<Inputs, Attributes>,
    inputs: Inputs,
    attributes: Attributes,
  ): TensorInfo[];
  disposeData(dataId: object): boolean;
}

/** A kernel that is several operations of the lazy graph. */
export interface CompositeKernel<K extends FusedKernelName> {
  readonly name: K;
  run(
    recorder: Recorder,
    inputs: InputsOf<FusedKernels[K], TensorInfo>,
    attributes: FusedKernels[K]['attributes'],
  ): TensorInfo[];
}

/** A kernel of the contract with inputs and attributes of any type: a recorded kernel of type K, or a composite one. */
export type AnyFusedKernel<K extends RecordedKernel<never, never> = RecordedKernel<never, never>> =
  | K
  | { readonly name: string; run(recorder: Recorder, inputs: never, attributes: never): TensorInfo[] };

/** The kernels of a backend. */
export interface RecordedKernelSet {
  /** The kernels of tfjs's operations. */
  readonly tfjs: readonly RecordedKernel<never>[];
  readonly fused: readonly AnyFusedKernel[];
}

/** Kernels by name. */
export type KernelTable = Readonly<Record<string, RecordedKernel<never>>>;

/** A table of kernels with lowerings of type L. */
export type LoweredTable<Table extends KernelTable, L> = {
  readonly [Name in keyof Table]: Table[Name] & { readonly lower: L };
};

/** Makes kernels whose names are the keys of the table. */
export function named<Table extends Readonly<Record<string, Recording<never>>>>(
  table: Table,
): { readonly [Name in keyof Table]: Table[Name] & { readonly name: string } } {
  const entries = Object.entries(table).map(([name, recording]) => [name, { ...recording, name }]);
  return Object.fromEntries(entries);
}

/** Joins kernels with an engine's lowerings of them. */
export function withLowerings<Table extends KernelTable, L>(
  kernels: Table,
  lowerings: Readonly<Record<keyof Table, L>>,
): LoweredTable<Table, L> {
  const entries = Object.entries(kernels).map(([name, kernel]) => {
    return [name, { ...kernel, lower: lowerings[name] }];
  });
  return Object.fromEntries(entries);
}

/** Returns the type of a tensor. Throws for types that a lazy graph does not have. */
export function dtypeOf({ dtype }: { dtype: string }): LazyDtype {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new Error(`this engine has no tensors of type ${dtype}`);
}

/** A float32 result of a shape. */
export function floats(shape: readonly number[], view?: readonly number[]): KernelResult {
  return { shape, view, dtype: 'float32' };
}
