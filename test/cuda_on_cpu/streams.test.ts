/** @file Streams of the stand-in: work waits as on a GPU, and captures record it. */
import koffi from 'koffi';
import { beforeEach, expect, it } from 'vitest';
import {
  allocate,
  check,
  cu,
  describeStandIn,
  download,
  functionOf,
  type Handle,
  launch,
  loadModule,
  result,
  standIn,
  start,
  upload,
} from './bindings.js';

const ADD_ONE = `
extern "C" __global__ void __launch_bounds__(32) add_one(float *__restrict__ o) {
  o[threadIdx.x] += 1.0f;
}
`;

let stream: Handle;

beforeEach(() => {
  start();
  stream = result((out) => cu.cuStreamCreate(out, 1));
});

const BYTES = 16;

/** A pinned buffer of four floats. */
function pinnedFloats(): { pointer: Handle; floats: Float32Array } {
  const pointer = result((out) => cu.cuMemHostAlloc(out, BYTES, 0));
  return { pointer, floats: new Float32Array(koffi.view(pointer, BYTES)) };
}

describeStandIn('a copy', () => {
  it('from pinned memory reads it when it runs, and from other memory at once', () => {
    const { pointer, floats } = pinnedFloats();
    const pageable = Float32Array.of(1, 2, 3, 4);
    floats.set(pageable);
    const [a, b] = [allocate(BYTES), allocate(BYTES)];
    check(cu.cuMemcpyHtoDAsync_v2(a, pointer, BYTES, stream));
    check(cu.cuMemcpyHtoDAsync_v2(b, pageable, BYTES, stream));
    floats.fill(9);
    pageable.fill(9);
    expect([...download(new Float32Array(4), a)]).toEqual([9, 9, 9, 9]);
    expect([...download(new Float32Array(4), b)]).toEqual([1, 2, 3, 4]);
  });

  it('to pinned memory has not arrived before the stream is synchronized', () => {
    const { pointer, floats } = pinnedFloats();
    const a = upload(Float32Array.of(1, 2, 3, 4));
    floats.fill(0);
    check(cu.cuMemcpyDtoHAsync_v2(pointer, a, BYTES, stream));
    expect([...floats]).toEqual([0, 0, 0, 0]);
    check(cu.cuStreamSynchronize(stream));
    expect([...floats]).toEqual([1, 2, 3, 4]);
  });

  it('runs at once with a queue of no length, and at last when the queue is full', () => {
    for (const [length, copies] of [
      ['0', 1],
      ['3', 4],
    ] as const) {
      start({ CUDA_ON_CPU_QUEUE: length });
      const { pointer, floats } = pinnedFloats();
      const a = allocate(BYTES);
      check(cu.cuMemsetD32Async(a, 0, 4, null));
      check(cu.cuCtxSynchronize());
      floats.fill(5);
      for (let i = 0; i < copies; i++) check(cu.cuMemcpyDtoHAsync_v2(pointer, a, BYTES, null));
      expect(floats[0]).toBe(0);
    }
  });

  it('must stay inside its pinned buffer', () => {
    const { pointer } = pinnedFloats();
    expect(cu.cuMemcpyHtoDAsync_v2(allocate(100), pointer, 17, stream)).toBe(1);
    expect(standIn.lastProblem()).toMatch(/go beyond their pinned buffer/);
    check(cu.cuMemFreeHost(pointer));
    expect(cu.cuMemFreeHost(pointer)).toBe(1);
  });
});

describeStandIn('an event', () => {
  it('is not ready at the first query, and time passes between two', () => {
    const [first, second] = [0, 1].map(() => result((out) => cu.cuEventCreate(out, 0)));
    expect(cu.cuEventQuery(first)).toBe(0);
    check(cu.cuEventRecord(first, stream));
    check(cu.cuMemsetD8Async(allocate(BYTES), 0, BYTES, stream));
    check(cu.cuEventRecord(second, stream));
    expect(cu.cuEventElapsedTime([0], first, second)).toBe(600);
    expect([cu.cuEventQuery(second), cu.cuEventQuery(second)]).toEqual([600, 0]);
    expect(cu.cuEventQuery(first)).toBe(0);
    expect(result<number>((out) => cu.cuEventElapsedTime(out, first, second))).toBeGreaterThanOrEqual(0);
  });

  it('needs timing to measure time', () => {
    const events = [0, 2].map((flags) => result((out) => cu.cuEventCreate(out, flags)));
    for (const event of events) check(cu.cuEventRecord(event, stream));
    check(cu.cuStreamSynchronize(stream));
    expect(cu.cuEventElapsedTime([0], ...events)).toBe(400);
  });
});

describeStandIn('a stream', () => {
  it('is not ready at the first query after work', () => {
    expect(cu.cuStreamQuery(stream)).toBe(0);
    check(cu.cuMemsetD8Async(allocate(BYTES), 0, BYTES, stream));
    expect([cu.cuStreamQuery(stream), cu.cuStreamQuery(stream)]).toEqual([600, 0]);
  });

  it('shows an error of a kernel when it is synchronized', () => {
    const source = ADD_ONE.replace('o[threadIdx.x]', 'if (threadIdx.x) __syncthreads(); o[0]');
    const kernel = functionOf(loadModule(source), 'add_one');
    check(launch(kernel, { grid: [1, 1, 1], block: 32, args: [allocate(128)], stream }));
    expect(cu.cuStreamSynchronize(stream)).toBe(719);
    expect(standIn.lastProblem()).toMatch(/kernel add_one.*wait for each other/);
  });
});

describeStandIn('a capture', () => {
  it('records work without running it, and replays it in order', () => {
    const [a, b] = [upload(new Float32Array(32)), upload(new Float32Array(32))];
    const kernel = functionOf(loadModule(ADD_ONE), 'add_one');
    check(cu.cuCtxSynchronize());
    check(cu.cuStreamBeginCapture_v2(stream, 0));
    for (let i = 0; i < 2; i++) check(launch(kernel, { grid: [1, 1, 1], block: 32, args: [a], stream }));
    check(cu.cuMemcpyDtoDAsync_v2(b, a, 128, stream));
    check(cu.cuMemsetD32Async(a, 0, 16, stream));
    const graph = result((out) => cu.cuStreamEndCapture(stream, out));
    const count = [0];
    check(cu.cuGraphGetNodes(graph, null, count));
    expect(Number(count[0])).toBe(4);
    const executable = result((out) => cu.cuGraphInstantiateWithFlags(out, graph, 0));
    check(cu.cuGraphDestroy(graph));
    expect([...download(new Float32Array(32), a)]).toEqual(Array(32).fill(0));
    standIn.resetCounters();
    for (let i = 0; i < 3; i++) check(cu.cuGraphLaunch(executable, stream));
    expect([...download(new Float32Array(32), b)]).toEqual([...Array(16).fill(2), ...Array(16).fill(6)]);
    expect(standIn.counters()).toMatchObject({ graphLaunches: 3, launchesInGraphs: 6, launches: 0 });
    check(cu.cuGraphExecDestroy(executable));
    expect(cu.cuGraphExecDestroy(executable)).toBe(400);
  });

  it('keeps copies of the arguments, and checks them at each launch', () => {
    const a = upload(new Float32Array(32));
    const kernel = functionOf(loadModule(ADD_ONE), 'add_one');
    check(cu.cuStreamBeginCapture_v2(stream, 0));
    check(launch(kernel, { grid: [1, 1, 1], block: 32, args: [a], stream }));
    const graph = result((out) => cu.cuStreamEndCapture(stream, out));
    const executable = result((out) => cu.cuGraphInstantiateWithFlags(out, graph, 0));
    check(cu.cuMemFree_v2(a));
    expect(cu.cuGraphLaunch(executable, stream)).toBe(700);
    expect(standIn.lastProblem()).toMatch(/argument 0 of kernel add_one.*freed/);
  });

  const forbidden: [string, () => number][] = [
    ['cuMemAlloc', () => cu.cuMemAlloc_v2([0], 8)],
    ['cuMemFree', () => cu.cuMemFree_v2(standIn.liveAllocations()[0].address)],
    ['cuMemHostAlloc', () => cu.cuMemHostAlloc([null], 8, 0)],
    ['cuMemGetInfo', () => cu.cuMemGetInfo_v2([0], [0])],
    ['cuCtxSynchronize', () => cu.cuCtxSynchronize()],
    ['cuStreamSynchronize', () => cu.cuStreamSynchronize(stream)],
    ['cuStreamQuery', () => cu.cuStreamQuery(stream)],
    ['cuModuleLoadData', () => cu.cuModuleLoadDataEx([null], Buffer.alloc(100), 0, null, null)],
    [
      'a copy to pageable memory',
      () => cu.cuMemcpyDtoHAsync_v2(Buffer.alloc(8), standIn.liveAllocations()[0].address, 8, stream),
    ],
    [
      'work on the default stream',
      () => cu.cuMemsetD8Async(standIn.liveAllocations()[0].address, 0, 8, null),
    ],
  ];
  it.each(forbidden)('does not allow %s, and ends invalid', (_, call) => {
    const a = allocate(BYTES);
    check(cu.cuStreamBeginCapture_v2(stream, 0));
    expect(call()).toBe(900);
    expect(cu.cuMemsetD8Async(a, 0, 8, stream)).toBe(901);
    expect(cu.cuStreamEndCapture(stream, [null])).toBe(901);
    check(cu.cuMemsetD8Async(a, 0, 8, stream));
  });

  it('begins on a stream of its own, once', () => {
    expect(cu.cuStreamBeginCapture_v2(null, 0)).toBe(900);
    expect(cu.cuStreamEndCapture(stream, [null])).toBe(401);
    check(cu.cuStreamBeginCapture_v2(stream, 0));
    expect(cu.cuStreamBeginCapture_v2(stream, 0)).toBe(401);
  });
});
