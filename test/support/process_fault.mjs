/**
 * @file Preloaded into the processes of a run, to cause the fault that the variable FAULT describes in the training data or steps:
 * - `pixel <second>`: a pixel of the clip at this second is not a number.
 * - `gradient <rank> <batch>`: the gradient of the loss is infinite in one process, with its batch of this number, from 1.
 * - `memory <rank> <batch>`: one process runs out of memory there.
 */
import { BatchLoader } from '../../.vitest/data/loading/loader.js';
import { OutOfMemoryError } from '../../.vitest/errors.js';
import { SetCriterion } from '../../.vitest/loss/criterion.js';

const [kind, ...numbers] = process.env.FAULT.split(' ').map((word, i) => (i === 0 ? word : Number(word)));
const { OMPI_COMM_WORLD_RANK, PMI_RANK } = process.env;
const rank = Number(OMPI_COMM_WORLD_RANK ?? PMI_RANK ?? 0);
const isHere = kind !== 'pixel' && numbers[0] === rank;
let batches = 0;

const { next } = BatchLoader.prototype;
BatchLoader.prototype.next = async function () {
  const result = await next.call(this);
  batches++;
  if (kind !== 'pixel' || result.done) return result;
  const { video, clips } = result.value;
  const bad = clips.findIndex(({ second }) => second === numbers[0]);
  if (bad >= 0) video[(bad * video.length) / clips.length] = Number.NaN;
  return result;
};

const { evaluate } = SetCriterion.prototype;
SetCriterion.prototype.evaluate = function (...args) {
  const losses = evaluate.apply(this, args);
  if (!isHere || batches !== numbers[1]) return losses;
  if (kind === 'memory')
    throw new OutOfMemoryError('the tensor [4,4] needs 1 TiB, and there is no memory for it');
  losses.gradient[0] = Number.POSITIVE_INFINITY;
  return losses;
};
