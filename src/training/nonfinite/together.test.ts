/** @file Values that are not finite in one of several processes: which one owns them, and its part of the batch. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { serialize } from 'node:v8';
import { expect, it, onTestFinished } from 'vitest';
import { disposeState, makeState, noiseBatch } from '../../../test/support/noise_batch.js';
import { twin } from '../../../test/support/processes.js';
import { temporaryFolder } from '../../../test/support/temporary_files.js';
import { tinyConfig } from '../../../test/support/tiny_config.js';
import type { Communicator } from '../../distributed/communicator.js';
import { GradientSum } from '../../distributed/gradient_sum.js';
import { HostReducer } from '../../distributed/host_reducer.js';
import { trainStep } from '../step.js';
import { NonFiniteError } from './nonfinite.js';
import { batchOfOwner } from './owner.js';
import { readBatch, saveBatch } from './saved_batch.js';

const CFG = tinyConfig();

/** Does a step of process 0, and returns its error. */
async function failure(communicator: Communicator, batch = noiseBatch(CFG, [1, 2])): Promise<NonFiniteError> {
  const state = makeState(CFG);
  onTestFinished(() => disposeState(state));
  const lengths = [...state.model.namedParameters()]
    .filter(([, { requiresGrad }]) => requiresGrad)
    .map(([, { size }]) => size);
  const sum = new GradientSum({ reducer: new HostReducer(communicator), lengths, bucketBytes: 1 });
  const error = await trainStep(state, batch, {
    processes: { communicator, forNorms: communicator, sum },
  }).catch((reason) => reason);
  expect(error).toBeInstanceOf(NonFiniteError);
  return error;
}

it('names no clip if the gradients of each process are finite and their sum is not', async () => {
  const error = await failure(twin(Number.POSITIVE_INFINITY));
  expect(error.details).toMatchObject({ what: 'gradients', owner: null, clips: [] });
  expect(error.message).toMatch(
    /are not finite \(.*\), although those of each process are: their sum overflowed\. /,
  );
});

it('names the process of a loss that is not finite', async () => {
  const batch = noiseBatch(CFG, [1, 2]);
  batch.video[0] = Number.NaN;
  const error = await failure(twin(), batch);
  expect(error.details.owner).toEqual({ rank: 0, host: hostname() });
  expect(error.message).toContain(` for video0 at second 900 (process 0 on ${hostname()}). `);
});

it('gives process 0 the batch of the owner, with its place in the whole batch, and saves it', async () => {
  const whole = { boxCounts: Int32Array.of(1, 0, 2, 3), places: [1, 3] };
  const batch = { ...noiseBatch(CFG, [0, 3]), whole };
  const { details } = await failure(twin(Number.NaN));
  const gathering = { ...twin(), gather: async () => [new Uint8Array(), serialize(batch)] };
  const own = noiseBatch(CFG, [1, 2], 7);
  expect(await batchOfOwner(details, own, gathering)).toBeNull();
  const owner = { rank: 1, host: 'other' };
  const received = await batchOfOwner({ ...details, owner }, own, gathering);
  expect(received).toEqual(batch);
  const folder = temporaryFolder();
  const facts = { iteration: 2, seed: 3, microBatchSize: 1, first: 1, terms: new Map(), parameters: [] };
  const path = await saveBatch(folder, { batch, ...facts });
  expect(path).toBe(join(folder, 'nonfinite_0000002.pth'));
  expect(readBatch(path).batch).toEqual(batch);
});
