/** @file Copies the state of a training from process 0 to the others, which read no files. */
import type { PassOrder } from '../../data/loading/sampler.js';
import type { Communicator } from '../../distributed/communicator.js';
import { broadcastJson } from '../../distributed/json_values.js';
import { byteLengthOf, type DType, type HostTensor, isHostTensor } from '../../formats/host_tensor.js';
import { type PyDict, PyFloat, PyTuple, type PyValue } from '../../formats/python/values.js';
import { bytesOf } from '../../util/bytes.js';
import type { TrainingState } from '../training_state.js';
import { shareWeights } from './evaluation_team.js';

/** A Python value as JSON. Tensors follow in the order in which they occur. */
type Sent =
  | null
  | boolean
  | string
  | { readonly float: string }
  | { readonly int: string }
  | { readonly list: readonly Sent[] }
  | { readonly tuple: readonly Sent[] }
  | { readonly dict: readonly (readonly [Sent, Sent])[] }
  | { readonly dtype: DType; readonly shape: readonly number[] };

interface SentState {
  readonly iteration: number;
  readonly seed: number;
  /** The number of the data pass; null if there is no training data. */
  readonly pass: number | null;
  /** Number of clips in its order. */
  readonly clips: number;
  /** Tells the training data apart. */
  readonly data: number;
  readonly optimizer: Sent;
  readonly scheduler: Sent;
}

/** The training data of process 0, and its place in it. */
export interface DataPlace {
  readonly order: PassOrder;
  readonly identity: number;
}

/**
 * Gives all processes the state of process 0: weights, optimizer, schedule, iteration and seed. Returns its training
 * data, null if there is none. All processes must call this.
 */
export async function shareState(
  state: TrainingState,
  communicator: Communicator,
): Promise<DataPlace | null> {
  const isRoot = communicator.rank === 0;
  const own = isRoot ? packed(state) : null;
  const sent = await broadcastJson(communicator, own?.sent ?? null);
  await shareWeights(state.model.namedState(), communicator);
  const { classWeights } = state.criterion;
  await communicator.broadcast(bytesOf(classWeights), 0);
  const tensors = isRoot ? (own?.tensors ?? []) : tensorsIn(sent.optimizer);
  const received: HostTensor[] = [];
  for (const tensor of tensors) {
    const bytes = isRoot ? tensor.bytes() : new Uint8Array(byteLengthOf(tensor));
    await communicator.broadcast(bytes, 0);
    received.push({ ...tensor, bytes: () => bytes });
  }
  const order = isRoot ? (own?.order ?? new Int32Array()) : new Int32Array(sent.clips);
  await communicator.broadcast(bytesOf(order), 0);
  if (!isRoot) {
    state.optimizer.loadStateDict(unpacked(sent.optimizer, received.values()));
    state.scheduler.loadStateDict(unpacked(sent.scheduler, received.values()));
    state.iteration = sent.iteration;
    state.seed = sent.seed;
  }
  return sent.pass === null ? null : { order: { pass: sent.pass, order }, identity: sent.data };
}

function packed({ optimizer, scheduler, iteration, seed, order }: TrainingState) {
  const tensors: HostTensor[] = [];
  const position = order?.positionOf(iteration) ?? null;
  const sent: SentState = {
    iteration,
    seed,
    pass: position?.pass ?? null,
    clips: position?.order.length ?? 0,
    data: order?.identity ?? 0,
    optimizer: toJson(optimizer.stateDict(), tensors),
    scheduler: toJson(scheduler.stateDict(), tensors),
  };
  return { sent, tensors, order: position?.order };
}

function toJson(value: PyValue, tensors: HostTensor[]): Sent {
  const inner = (item: PyValue) => toJson(item, tensors);
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint') return { int: String(value) };
  if (value instanceof PyFloat) return { float: String(value.value) };
  if (value instanceof PyTuple) return { tuple: value.items.map(inner) };
  if (Array.isArray(value)) return { list: value.map(inner) };
  if (isHostTensor(value)) {
    tensors.push(value);
    return { dtype: value.dtype, shape: value.shape };
  }
  const entries: Iterable<[PyValue, PyValue]> = value instanceof Map ? value : Object.entries(value);
  return { dict: Array.from(entries, ([key, item]) => [inner(key), inner(item)] as const) };
}

function tensorsIn(sent: Sent): HostTensor[] {
  if (sent === null || typeof sent !== 'object') return [];
  if ('dtype' in sent) return [{ ...sent, bytes: () => new Uint8Array() }];
  if ('list' in sent) return sent.list.flatMap(tensorsIn);
  if ('tuple' in sent) return sent.tuple.flatMap(tensorsIn);
  return 'dict' in sent ? sent.dict.flatMap(([, value]) => tensorsIn(value)) : [];
}

function unpacked(sent: Sent, tensors: Iterator<HostTensor>): PyValue {
  const inner = (item: Sent) => unpacked(item, tensors);
  if (sent === null || typeof sent !== 'object') return sent;
  if ('int' in sent) return Number(sent.int);
  if ('float' in sent) return new PyFloat(Number(sent.float));
  if ('list' in sent) return sent.list.map(inner);
  if ('tuple' in sent) return new PyTuple(sent.tuple.map(inner));
  if ('dtype' in sent) return tensors.next().value as HostTensor;
  const dict: PyDict = new Map();
  for (const [key, value] of sent.dict) dict.set(inner(key), inner(value));
  return dict;
}
