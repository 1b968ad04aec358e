/** @file The order of sums and of the engine's work, on a driver and a communicator that only note what is called. */
import { expect, it } from 'vitest';
import type { CudaDevice } from '../../engine/cuda/device/device.js';
import type { NcclCommunicator } from './nccl_communicator.js';
import { NcclReducer } from './nccl_reducer.js';

const ENGINE = 1;
const SUMS = 2;

function reducer() {
  const calls: string[] = [];
  let events = 0;
  const name = (stream: number) => (stream === ENGINE ? 'engine' : 'sums');
  const driver = {
    createStream: () => SUMS,
    createEvent: () => events++,
    recordEvent: (event: number, stream: number) => calls.push(`event ${event} on ${name(stream)}`),
    waitForEvent: (stream: number, event: number) => calls.push(`${name(stream)} waits for ${event}`),
    isEventDone: (event: number) => {
      calls.push(`is ${event} done`);
      return true;
    },
  };
  const communicator = {
    sum: async (arrays: readonly { readonly address: number }[], stream: number) => {
      calls.push(`sum of ${arrays.map(({ address }) => address)} on ${name(stream)}`);
    },
    until: async (isDone: () => boolean) => {
      isDone();
    },
  };
  const made = new NcclReducer(
    { driver, stream: ENGINE } as unknown as CudaDevice,
    communicator as unknown as NcclCommunicator,
  );
  return { calls, reducer: made };
}

const memory = (address: number, calls: string[]) => ({
  address,
  length: 4,
  hold: () => {
    calls.push(`hold ${address}`);
    return () => calls.push(`let go ${address}`);
  },
});

it('lets sums wait for the gradients, and the engine for the last sum', async () => {
  const { calls, reducer: tested } = reducer();
  tested.begin([memory(10, calls), memory(11, calls)]);
  tested.begin([memory(12, calls)]);
  // The engine goes on at once; the sums follow.
  expect(calls).toEqual(['hold 10', 'hold 11', 'event 1 on engine', 'hold 12', 'event 2 on engine']);
  calls.length = 0;
  await tested.finish();
  await tested.settle();
  expect(calls).toEqual([
    ...['sums waits for 1', 'sum of 10,11 on sums', 'sums waits for 2', 'sum of 12 on sums'],
    ...['event 0 on sums', 'engine waits for 0', 'is 0 done', 'let go 10', 'let go 11', 'let go 12'],
  ]);
});
