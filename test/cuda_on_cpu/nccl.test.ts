/** @file The calls of NCCL, against a stand-in for it: types, order, streams, errors. */
import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { NcclError, NcclFunctions } from '../../src/distributed/nccl/functions.js';
import { NcclCommunicator } from '../../src/distributed/nccl/nccl_communicator.js';
import { NcclReducer } from '../../src/distributed/nccl/nccl_reducer.js';
import type { CudaDevice } from '../../src/engine/cuda/device/device.js';
import { CommunicationError, PeerError } from '../../src/errors.js';
import { temporaryFolder, temporaryFolderOfFile } from '../support/temporary_files.js';
import { openStandIn } from './device.js';
import { type CudaOnCpu, canBuildCudaOnCpu, loadCudaOnCpu } from './index.js';

const INTERNAL_ERROR = 3;
const REMOTE_ERROR = 6;

const standIn = canBuildCudaOnCpu() ? loadCudaOnCpu() : (null as unknown as CudaOnCpu);

describe.runIf(standIn)('NCCL (a stand-in; not run on GPUs)', () => {
  let device: CudaDevice;
  let nccl: NcclFunctions;
  let listeners: ((error: PeerError) => void)[] = [];

  beforeEach(() => {
    process.env.NCCL_ON_CPU_FOLDER = temporaryFolder();
    standIn.reset();
    device = openStandIn(standIn.folder, temporaryFolderOfFile());
    nccl = new NcclFunctions(`${standIn.folder}/libnccl.so.2`);
    listeners = [];
  });

  /** A communicator of this process alone, or one of `size` whose others never come. */
  function join(size = 1, timeoutMs = 0): Promise<NcclCommunicator> {
    const onError = (listener: (error: PeerError) => void) => listeners.push(listener);
    const group = { rank: 0, size, onError };
    return NcclCommunicator.join(nccl.uniqueId(), { nccl, group, timeoutMs });
  }

  function upload(numbers: readonly number[]) {
    const block = device.allocate(4 * numbers.length);
    device.upload(block, new Uint8Array(Float32Array.from(numbers).buffer));
    return { address: block.address, length: numbers.length, hold: () => block.hold(), block };
  }

  it('joins without blocking, with the whole id by value', async () => {
    await join();
    expect(standIn.ncclCalls()).toEqual([
      'ncclGetUniqueId',
      'ncclCommInitRankConfig rank=0 size=1 blocking=0 device=0',
    ]);
    const broken = nccl.uniqueId();
    broken[119]++;
    expect(() => nccl.join(broken, 0, 1)).toThrow(
      'NCCL: ncclCommInitRankConfig failed: invalid argument: ncclCommInitRankConfig: the unique id is not whole',
    );
  });

  it('sums the arrays of a bucket as one group of float32 in place, on a stream of its own', async () => {
    const reducer = new NcclReducer(device, await join());
    const [a, b, c] = [upload([1, 2, 3]), upload([4]), upload([5, 6])];
    const before = standIn.ncclCalls().length;
    reducer.begin([a, b]);
    reducer.begin([c]);
    await reducer.finish();
    await reducer.settle();
    const calls = standIn.ncclCalls().slice(before);
    const stream = / stream=(\S+)$/.exec(calls[1])?.[1];
    const sum = (count: number) => `ncclAllReduce count=${count} type=7 op=0 stream=${stream}`;
    expect(calls).toEqual([
      ...['ncclGroupStart', sum(3), sum(1), 'ncclGroupEnd'],
      ...['ncclGroupStart', sum(2), 'ncclGroupEnd'],
    ]);
    expect(Number(stream)).not.toBe(device.stream);
    expect([...new Float32Array((await device.download(a.block, 12)).buffer)]).toEqual([1, 2, 3]);
    await reducer.close();
    expect(standIn.ncclCalls().slice(-2)).toEqual(['ncclCommFinalize', 'ncclCommDestroy']);
  });

  it('keeps the memory of gradients until they are summed', async () => {
    const reducer = new NcclReducer(device, await join());
    const gradient = upload([1, 2]);
    reducer.begin([gradient]);
    gradient.block.release();
    expect(device.allocate(8).address).not.toBe(gradient.address);
    await reducer.finish();
    await reducer.settle();
    expect(device.allocate(8).address).toBe(gradient.address);
  });

  it.each([
    ['ncclGetUniqueId', /^NCCL: ncclGetUniqueId failed: internal error/],
    ['ncclCommInitRankConfig', /^NCCL: ncclCommInitRankConfig failed/],
    ['ncclCommGetAsyncError', /^NCCL: ncclCommGetAsyncError failed/],
  ])('tells that %s failed', async (name, message) => {
    standIn.fail(name, 1, INTERNAL_ERROR);
    const failure = (async () => await join())();
    await expect(failure).rejects.toThrow(NcclError);
    await expect(failure).rejects.toThrow(message);
  });

  it.each(['ncclGroupStart', 'ncclAllReduce', 'ncclGroupEnd'])(
    'aborts the communicator if %s fails',
    async (name) => {
      const reducer = new NcclReducer(device, await join());
      standIn.fail(name, 1, INTERNAL_ERROR);
      reducer.begin([upload([1])]);
      reducer.begin([upload([2])]);
      await expect(reducer.finish()).rejects.toThrow(new RegExp(`^NCCL: ${name} failed: internal error`));
      expect(standIn.ncclCalls().filter((call) => call === 'ncclCommAbort')).toHaveLength(1);
      await reducer.close();
      expect(standIn.ncclCalls().at(-1)).toBe('ncclCommAbort');
    },
  );

  it('aborts if NCCL finds an error while sums are under way', async () => {
    const reducer = new NcclReducer(device, await join());
    reducer.begin([upload([1])]);
    await reducer.finish();
    standIn.breakNccl(INTERNAL_ERROR);
    await expect(reducer.settle()).rejects.toThrow(/^NCCL: ncclCommGetAsyncError failed: internal error/);
    expect(standIn.ncclCalls().at(-1)).toBe('ncclCommAbort');
  });

  it('gives the error of another process as the reason for one of the network', async () => {
    const reducer = new NcclReducer(device, await join());
    reducer.begin([upload([1])]);
    await reducer.finish();
    standIn.breakNccl(REMOTE_ERROR);
    await setImmediate();
    for (const listener of listeners) listener(new PeerError('process 1: no memory', 1));
    await expect(reducer.settle()).rejects.toThrow('process 1: no memory');
  });

  it('ends with the error of another process while it waits for that', async () => {
    const joining = join(2);
    await setImmediate();
    for (const listener of listeners) listener(new PeerError('process 1: no memory', 1));
    await expect(joining).rejects.toThrow(PeerError);
    expect(standIn.ncclCalls().at(-1)).toBe('ncclCommAbort');
  });

  it('waits for processes that never come as long as it is told to', async () => {
    const failure = join(2, 50);
    await expect(failure).rejects.toThrow(CommunicationError);
    await expect(failure).rejects.toThrow(
      /^this process waited .* for the others \(sums of gradients on the GPUs/,
    );
    expect(standIn.ncclCalls().at(-1)).toBe('ncclCommAbort');
  });
});
