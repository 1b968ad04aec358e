/** @file Execution plans: the engine of cuDNN that computes a graph on a GPU. */
import { type Address, addressOf } from '../../../util/native/native.js';
import { type Cudnn, type CudnnHandle, type Descriptor, Descriptors } from '../api/cudnn.js';
import { ATTRIBUTE, ATTRIBUTE_TYPE, DESCRIPTOR, HEURISTICS, NUMERICAL_NOTE } from '../api/cudnn_constants.js';
import { CudaError } from '../api/error.js';
import { describeGraph } from './descriptors.js';
import { type OperationGraph, sizeOf, TYPE_BYTES } from './graph.js';
import type { CachedPlan, PlanCache } from './plan_cache.js';

/** The GPU that plans are for: the one of a handle, or one that is only described. Plans of the latter cannot run. */
export interface CudnnDevice {
  readonly name: string;
  readonly computeCapability: readonly [major: number, minor: number];
  readonly target: { readonly handle: CudnnHandle } | { readonly description: string };
}

export interface PlanContext {
  readonly cudnn: Cudnn;
  readonly device: CudnnDevice;
  /** Whether plans must give the same bits in each run. */
  readonly isDeterministic: boolean;
  /** Whether products of float32 tensors may be rounded to TF32. */
  readonly allowsTf32: boolean;
  /** Where plans are kept from one process to the next; by default nowhere. */
  readonly cache?: PlanCache;
  /** Is told why an engine, or all of them, were refused. */
  readonly explain?: (reason: string) => void;
}

/** A tensor of a plan, and where it begins in a tensor of the caller. */
export interface PlanArgument {
  readonly id: number;
  readonly name: string;
  /** In bytes. */
  readonly offset: number;
}

/** By default, plans with a larger workspace are refused. */
export const MAX_WORKSPACE_BYTES = 2 ** 28;
/** Engines to look at in each list of proposals. */
const MAX_ENGINES = 64;
const SCRATCH_ALIGNMENT = 256;

const NOTE_NAMES = Object.entries(NUMERICAL_NOTE);

interface Scratch {
  readonly id: number;
  readonly offset: number;
}

/** A plan that can run any number of times. */
export class CudnnPlan {
  readonly arguments: readonly PlanArgument[];
  /** Bytes that the plan overwrites while it runs. */
  readonly workspaceBytes: number;
  /** Whether each run gives the same bits. */
  readonly isDeterministic: boolean;
  readonly #scratch: readonly Scratch[];
  /** Addresses of numbers on the host, by ids. */
  readonly #scalars: ReadonlyMap<number, Float32Array>;

  constructor(
    private readonly descriptors: Descriptors,
    private readonly plan: Descriptor,
    graph: OperationGraph,
    /** Names of cuDNN's notes on the engine's numbers. */
    readonly notes: readonly string[],
  ) {
    this.isDeterministic = !graph.accumulates && !notes.includes('NONDETERMINISTIC');
    this.arguments = graph.tensors.flatMap(({ id, place }) =>
      place.kind === 'argument' ? [{ id, name: place.name, offset: place.offset }] : [],
    );
    this.#scalars = new Map(
      graph.tensors.flatMap(({ id, place }) =>
        place.kind === 'scalar' ? [[id, hostNumber(place.value)] as const] : [],
      ),
    );
    const scratch = scratchOf(graph, plan.integer(ATTRIBUTE.EXECUTION_PLAN_WORKSPACE_SIZE));
    this.#scratch = scratch.tensors;
    this.workspaceBytes = scratch.bytes;
  }

  /** Runs the plan on the stream of `handle`, with the addresses of `arguments` and a workspace. Throws CudaError. */
  execute(
    handle: CudnnHandle,
    tensors: readonly { readonly id: number; readonly address: Address }[],
    workspace: Address,
  ): void {
    const { cudnn } = this.descriptors;
    const addresses: (readonly [number, Address])[] = [
      ...tensors.map(({ id, address }) => [id, address] as const),
      ...this.#scratch.map(({ id, offset }) => [id, workspace + offset] as const),
      ...[...this.#scalars].map(([id, value]) => [id, addressOf(value)] as const),
    ];
    const variants = new Descriptors(cudnn);
    try {
      const variant = variants
        .create(DESCRIPTOR.VARIANT_PACK)
        .setIntegers(
          ATTRIBUTE.VARIANT_PACK_UNIQUE_IDS,
          addresses.map(([id]) => id),
        )
        .setAddresses(
          ATTRIBUTE.VARIANT_PACK_DATA_POINTERS,
          addresses.map(([, address]) => address),
        )
        .setAddresses(ATTRIBUTE.VARIANT_PACK_WORKSPACE, [workspace])
        .finalize();
      cudnn.call('cudnnBackendExecute', handle, this.plan.address, variant.address);
    } finally {
      variants.release();
    }
  }

  /** The plan as text, from which `buildPlan` can make it again. */
  toJson(): string {
    return this.plan.text(ATTRIBUTE.EXECUTION_PLAN_JSON_REPRESENTATION);
  }

  release(): void {
    this.descriptors.release();
  }
}

function hostNumber(value: number): Float32Array {
  const array = new Float32Array(new ArrayBuffer(4));
  array[0] = value;
  return array;
}

/** Places the scratch tensors of a graph behind the `bytes` that cuDNN needs itself. */
function scratchOf(graph: OperationGraph, bytes: number): { tensors: Scratch[]; bytes: number } {
  let end = bytes;
  const tensors: Scratch[] = [];
  for (const tensor of graph.tensors) {
    if (tensor.place.kind !== 'scratch') continue;
    const offset = Math.ceil(end / SCRATCH_ALIGNMENT) * SCRATCH_ALIGNMENT;
    tensors.push({ id: tensor.id, offset });
    end = offset + sizeOf(tensor) * TYPE_BYTES[tensor.type];
  }
  return { tensors, bytes: end };
}

/**
 * Makes a plan for a graph, from the cache or with the first engine that cuDNN proposes and that computes as `context` wants.
 * Returns null if there is none. A plan whose kernels cuDNN compiles takes about a second.
 */
export function buildPlan(
  context: PlanContext,
  graph: OperationGraph,
  maxWorkspaceBytes = MAX_WORKSPACE_BYTES,
): CudnnPlan | null {
  const { cache } = context;
  const search = () => searchPlan({ ...context, graph, maxWorkspaceBytes });
  if (!cache) return search();
  const key = keyOf(context, graph);
  const cached = cache.read(key);
  const kept = cached && restorePlan(context, graph, cached);
  if (kept) return kept;
  const plan = search();
  if (plan) cache.write(key, { plan: plan.toJson(), notes: plan.notes });
  return plan;
}

/** Everything that decides what plan is chosen. */
function keyOf({ cudnn, device, isDeterministic, allowsTf32 }: PlanContext, graph: OperationGraph): string {
  const { tensors, operations } = graph;
  const { name, computeCapability } = device;
  const { version } = cudnn;
  return JSON.stringify({
    version,
    name,
    computeCapability,
    isDeterministic,
    allowsTf32,
    tensors,
    operations,
  });
}

function restorePlan(context: PlanContext, graph: OperationGraph, cached: CachedPlan): CudnnPlan | null {
  return attempt(context, (descriptors) => {
    const plan = newPlan(context, descriptors)
      .setText(ATTRIBUTE.EXECUTION_PLAN_JSON_REPRESENTATION, cached.plan)
      .finalize();
    return new CudnnPlan(descriptors, plan, graph, cached.notes);
  });
}

/** A search for the plan of a graph. */
interface Search extends PlanContext {
  readonly graph: OperationGraph;
  readonly maxWorkspaceBytes: number;
}

function searchPlan(search: Search): CudnnPlan | null {
  return attempt(search, (descriptors) => {
    const { target } = search.device;
    const handle = 'handle' in target ? target.handle : undefined;
    const described = describeGraph(descriptors, search.graph, handle);
    for (const mode of [HEURISTICS.A, HEURISTICS.FALLBACK])
      for (const engine of ordered(search, descriptors, proposals(search, descriptors, described, mode))) {
        const plan = planOf(search, descriptors, engine);
        if (plan) return plan;
      }
    return null;
  });
}

/** An engine that cuDNN proposes, and the names of its notes on the numbers. */
interface Engine {
  readonly configuration: Descriptor;
  readonly notes: readonly string[];
}

const isBfloat16 = ({ tensors }: OperationGraph) => tensors.some(({ type }) => type === 'bfloat16');

/**
 * Engines in the order in which they are tried: as proposed, but for bfloat16 those without tensor cores last. They convert maps
 * to float32 and have a fraction of the rate.
 */
function* ordered(
  search: Search,
  descriptors: Descriptors,
  configurations: readonly Descriptor[],
): Generator<Engine> {
  const last: Engine[] = [];
  for (const configuration of configurations) {
    const notes = notesOf(search, descriptors, configuration);
    if (!notes) continue;
    if (isBfloat16(search.graph) && !notes.includes('TENSOR_CORE')) last.push({ configuration, notes });
    else yield { configuration, notes };
  }
  yield* last;
}

/** Calls `make` with new descriptors, and releases them unless it returns a plan. What cuDNN refuses is explained. */
function attempt(
  context: PlanContext,
  make: (descriptors: Descriptors) => CudnnPlan | null,
): CudnnPlan | null {
  const descriptors = new Descriptors(context.cudnn);
  let plan: CudnnPlan | null = null;
  try {
    plan = make(descriptors);
  } catch (error) {
    refuse(context, error);
  } finally {
    if (!plan) descriptors.release();
  }
  return plan;
}

function refuse({ explain }: PlanContext, error: unknown): void {
  if (!(error instanceof CudaError)) throw error;
  explain?.(error.message);
}

/** Engines that cuDNN proposes for a graph, the fastest first. */
function proposals(
  context: PlanContext,
  descriptors: Descriptors,
  graph: Descriptor,
  mode: number,
): Descriptor[] {
  const heuristics = descriptors
    .create(DESCRIPTOR.ENGINEHEUR)
    .setDescriptors(ATTRIBUTE.ENGINEHEUR_OPERATION_GRAPH, [graph])
    .setEnumeration(ATTRIBUTE.ENGINEHEUR_MODE, ATTRIBUTE_TYPE.HEUR_MODE, mode);
  const description = describeDevice(context, descriptors);
  if (description) heuristics.setDescriptors(ATTRIBUTE.ENGINEHEUR_DEVICEPROP, [description]);
  try {
    const make = () => descriptors.create(DESCRIPTOR.ENGINECFG);
    const found = heuristics.finalize().descriptors(ATTRIBUTE.ENGINEHEUR_RESULTS, make, MAX_ENGINES);
    if (found.length === 0) context.explain?.('cuDNN proposes no engine');
    return found;
  } catch (error) {
    refuse(context, error);
    return [];
  }
}

/** The descriptor of a GPU without a handle. */
function describeDevice({ device }: PlanContext, descriptors: Descriptors): Descriptor | null {
  if ('handle' in device.target) return null;
  return descriptors
    .create(DESCRIPTOR.DEVICEPROP)
    .setText(ATTRIBUTE.DEVICEPROP_JSON_REPRESENTATION, device.target.description)
    .finalize();
}

function newPlan(context: PlanContext, descriptors: Descriptors): Descriptor {
  const plan = descriptors.create(DESCRIPTOR.EXECUTION_PLAN);
  const { target } = context.device;
  if ('handle' in target) return plan.setHandle(ATTRIBUTE.EXECUTION_PLAN_HANDLE, target.handle);
  return plan.setDescriptors(ATTRIBUTE.EXECUTION_PLAN_DEVICEPROP, [describeDevice(context, descriptors)!]);
}

/** The plan of an engine; null if it is not wanted or cuDNN refuses it. */
function planOf(
  search: Search,
  descriptors: Descriptors,
  { configuration, notes }: Engine,
): CudnnPlan | null {
  try {
    const objection = objectionTo(search, notes);
    if (objection) {
      search.explain?.(`an engine was not used because of ${objection}`);
      return null;
    }
    const descriptor = newPlan(search, descriptors)
      .setDescriptors(ATTRIBUTE.EXECUTION_PLAN_ENGINE_CONFIG, [configuration])
      .finalize();
    const plan = new CudnnPlan(descriptors, descriptor, search.graph, notes);
    if (plan.workspaceBytes <= search.maxWorkspaceBytes) return plan;
    search.explain?.(`an engine was not used because of its workspace of ${plan.workspaceBytes} bytes`);
  } catch (error) {
    refuse(search, error);
  }
  return null;
}

/** Names of cuDNN's notes on the numbers of an engine; null if cuDNN refuses to tell. */
function notesOf(context: PlanContext, descriptors: Descriptors, configuration: Descriptor): string[] | null {
  try {
    const make = () => descriptors.create(DESCRIPTOR.ENGINE);
    const [engine] = configuration.descriptors(ATTRIBUTE.ENGINECFG_ENGINE, make);
    const notes = engine.enumerations(ATTRIBUTE.ENGINE_NUMERICAL_NOTE, ATTRIBUTE_TYPE.NUMERICAL_NOTE);
    return notes.map((note) => NOTE_NAMES.find(([, value]) => value === note)?.[0] ?? `note ${note}`);
  } catch (error) {
    refuse(context, error);
    return null;
  }
}

/** The note for which an engine is not used; undefined if there is none. */
function objectionTo(search: Search, notes: readonly string[]): string | undefined {
  const unwanted = ['DOWN_CONVERT_INPUTS', 'REDUCED_PRECISION_REDUCTION'];
  if (search.isDeterministic) unwanted.push('NONDETERMINISTIC');
  // Winograd's transforms lose digits that bfloat16 does not have.
  if (isBfloat16(search.graph)) unwanted.push('WINOGRAD', 'FFT');
  // On float32, tensor cores compute in TF32.
  else if (!search.allowsTf32) unwanted.push('TENSOR_CORE');
  return notes.find((note) => unwanted.includes(note));
}
