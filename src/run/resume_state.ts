/**
 * @file What a checkpoint notes beside PyTorch's parts, so that the run goes on exactly: key `stmixer`.
 *
 * Every random choice is a function of the seed and of a number (of the pass over the data, the clip's place in the
 * order, the iteration), so the seed is the state of all random streams. The order of the current pass stands in the file
 * all the same: it would survive a change of how orders are made.
 */

import type { BatchLoader } from '../data/loading/loader.js';
import type { SamplerPosition, TrainSampler } from '../data/loading/sampler.js';
import { CheckpointError } from '../errors.js';
import { elementsOf, type HostTensor, isHostTensor } from '../formats/host_tensor.js';
import { asCount, asDict, asNumber } from '../formats/python/dict.js';
import type { PyValue } from '../formats/python/values.js';
import { crc32 } from '../formats/zip/crc32.js';

/** Of the form below; files of another one are not understood. */
const VERSION = 1;

export interface RunState {
  /** Iterations done. */
  readonly iteration: number;
  readonly seed: number;
  /** Iterations up to this one that were skipped for values that are not finite. */
  readonly nonFiniteInARow: number;
  readonly position: SamplerPosition;
  /** Of the clips and their batches: see dataIdentity. */
  readonly data: number;
}

/**
 * A number that tells training data apart: the clips with their groups, in order, and the size of a batch. An order of
 * clips means something with the same data only.
 */
export function dataIdentity({ dataset, sampler }: BatchLoader<TrainSampler>): number {
  const { keyFrames, videos } = dataset;
  const clips = keyFrames.map(
    ({ videoIndex, second }, i) => `${videos[videoIndex].name} ${second} ${sampler.groups[i]}\n`,
  );
  return crc32(Buffer.from(`${sampler.batchSize}\n${clips.join('')}`));
}

export function packRunState({ iteration, seed, nonFiniteInARow, position, data }: RunState): PyValue {
  const { pass, batch, order } = position;
  return {
    version: VERSION,
    iteration,
    seed,
    nonfinite_in_a_row: nonFiniteInARow,
    data,
    sampler: { pass, batch, order: int32Tensor(order) },
  };
}

/**
 * The state in a checkpoint of `iteration`; null where it has none, or one of another iteration, which PyTorch has
 * carried along. Says in `note` what is wrong with it.
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
    const saved = asCount(fields.get('iteration'), 'stmixer.iteration');
    if (saved !== iteration) {
      return {
        state: null,
        note: `is of iteration ${saved}, the checkpoint of ${iteration ?? 'none'}: another trainer has carried it along`,
      };
    }
    const sampler = asDict(fields.get('sampler') ?? null, 'stmixer.sampler');
    const position = {
      pass: asCount(sampler.get('pass'), 'stmixer.sampler.pass'),
      batch: asCount(sampler.get('batch'), 'stmixer.sampler.batch'),
      order: orderOf(sampler.get('order')),
    };
    const state = {
      iteration: saved,
      seed: asNumber(fields.get('seed'), 'stmixer.seed'),
      nonFiniteInARow: asCount(fields.get('nonfinite_in_a_row'), 'stmixer.nonfinite_in_a_row'),
      position,
      data: asCount(fields.get('data'), 'stmixer.data'),
    };
    return { state, note: null };
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    return { state: null, note: `cannot be understood (${error.message})` };
  }
}

function int32Tensor(data: Int32Array): HostTensor {
  const bytes = () => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { dtype: 'int32', shape: [data.length], bytes };
}

/** Throws CheckpointError where it is not an order of all clips. */
function orderOf(value: PyValue | undefined): Int32Array {
  const isOrder = isHostTensor(value) && value.dtype === 'int32' && value.shape.length === 1;
  const order = isOrder ? (elementsOf(value) as Int32Array) : null;
  const seen = new Uint8Array(order?.length ?? 0);
  for (const index of order ?? []) if (index >= 0 && index < seen.length) seen[index] = 1;
  if (!order || seen.includes(0)) {
    throw new CheckpointError('stmixer.sampler.order: expected every clip once');
  }
  return order;
}
