/**
 * @file What a checkpoint holds beside PyTorch's parts, under the key `stmixer`, so that the run continues exactly.
 *
 * Each random choice is a function of the seed and a number: of the data pass, of the clip in the order, or of the
 * iteration. So the seed is the state of all random streams. The order of the current data pass is saved too, in case a
 * later version makes orders in another way.
 */
import { PRECISIONS, type Precision } from '../config/schema/choices.js';
import { CheckpointError } from '../errors.js';
import { elementsOf, type HostTensor, isHostTensor } from '../formats/host_tensor.js';
import { asCount, asDict, asNumber } from '../formats/python/dict.js';
import type { PyValue } from '../formats/python/values.js';
import { bytesOf } from '../util/bytes.js';

/** The version of the format below; other versions are not read. */
const VERSION = 1;

/** Where a run is in its training data. */
export interface DataPosition {
  /** The number of the data pass. */
  readonly pass: number;
  /** The next batch of the data pass. */
  readonly batch: number;
  /** Indices of all clips in the order of this data pass. */
  readonly order: Int32Array;
}

export interface RunState {
  /** Iterations done. */
  readonly iteration: number;
  readonly seed: number;
  /** ENGINE.PRECISION. */
  readonly precision: Precision;
  /** Latest iterations in a row that were skipped because of values that are not finite. */
  readonly nonFiniteInARow: number;
  readonly position: DataPosition;
  /** The identity of the data that the position belongs to: see data/loading/data_identity.ts. */
  readonly data: number;
}

export function packRunState({
  iteration,
  seed,
  precision,
  nonFiniteInARow,
  position,
  data,
}: RunState): PyValue {
  const { pass, batch, order } = position;
  return {
    version: VERSION,
    iteration,
    seed,
    precision,
    nonfinite_in_a_row: nonFiniteInARow,
    data,
    sampler: { pass, batch, order: int32Tensor(order) },
  };
}

/**
 * The state in a checkpoint of `iteration`. Null if it has none, or one of another iteration, which PyTorch has carried
 * along. `note` says what is wrong with a state that cannot be used.
 */
export function unpackRunState(
  value: PyValue,
  iteration: number | null,
): { state: RunState | null; note: string | null } {
  if (value === null) return { state: null, note: null };
  try {
    const fields = asDict(value, 'stmixer');
    const version = asCount(fields.get('version'), 'stmixer.version');
    if (version !== VERSION) {
      return { state: null, note: `is of another version of stmixer (${version}, this one has ${VERSION})` };
    }
    const state = parseState(fields);
    if (state.iteration === iteration) return { state, note: null };
    const note = `is of iteration ${state.iteration}, the checkpoint of ${iteration ?? 'none'}: another trainer has carried it along`;
    return { state: null, note };
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    return { state: null, note: `cannot be understood (${error.message})` };
  }
}

function parseState(fields: ReturnType<typeof asDict>): RunState {
  const sampler = asDict(fields.get('sampler') ?? null, 'stmixer.sampler');
  return {
    iteration: asCount(fields.get('iteration'), 'stmixer.iteration'),
    seed: asNumber(fields.get('seed'), 'stmixer.seed'),
    precision: parsePrecision(fields.get('precision')),
    nonFiniteInARow: asCount(fields.get('nonfinite_in_a_row'), 'stmixer.nonfinite_in_a_row'),
    position: {
      pass: asCount(sampler.get('pass'), 'stmixer.sampler.pass'),
      batch: asCount(sampler.get('batch'), 'stmixer.sampler.batch'),
      order: parseOrder(sampler.get('order')),
    },
    data: asCount(fields.get('data'), 'stmixer.data'),
  };
}

/** Runs of earlier versions have none: they computed in float32. */
function parsePrecision(value: PyValue | undefined): Precision {
  if (value === undefined) return 'float32';
  const found = PRECISIONS.find((name) => name === value);
  if (found === undefined)
    throw new CheckpointError(`stmixer.precision: expected ${PRECISIONS.join(' or ')}`);
  return found;
}

function int32Tensor(data: Int32Array): HostTensor {
  return { dtype: 'int32', shape: [data.length], bytes: () => bytesOf(data) };
}

/** Throws CheckpointError if the value is not an order of all clips. */
function parseOrder(value: PyValue | undefined): Int32Array {
  const isOrder = isHostTensor(value) && value.dtype === 'int32' && value.shape.length === 1;
  const order = isOrder ? (elementsOf(value) as Int32Array) : null;
  const seen = new Uint8Array(order?.length ?? 0);
  for (const index of order ?? []) if (index >= 0 && index < seen.length) seen[index] = 1;
  if (!order || seen.includes(0)) {
    throw new CheckpointError('stmixer.sampler.order: expected every clip once');
  }
  return order;
}
