/** @file What a replayed step asks of the GPU: graphs are launched, and nothing is compiled, allocated or waited for. */
import { expect, it, onTestFinished } from 'vitest';
import { lazyStatistics } from '../../src/engine/lazy_hints.js';
import { smallTraining, startWith, step, steps, WARM_UP } from './training.js';

const { standIn, backend } = await startWith();
const { device } = backend;

it('launches graphs, and compiles and allocates nothing', async () => {
  const training = smallTraining();
  onTestFinished(() => training.dispose());
  await steps(training, WARM_UP);
  const { blocks, statistics } = device.region;
  const { recorded, graphs } = lazyStatistics()!;
  standIn.resetCounters();
  await step(training);
  const counters = standIn.counters();
  expect(lazyStatistics()!.recorded).toBe(recorded);
  expect(counters).toMatchObject({ compilations: 0, modulesLoaded: 0, allocations: 0, frees: 0 });
  for (const name of ['cuStreamBeginCapture_v2', 'cuGraphInstantiateWithFlags', 'cuCtxSynchronize'])
    expect(standIn.callsOf(name), name).toBe(0);
  expect(counters.graphLaunches).toBeGreaterThan(0);
  expect(counters.graphLaunches).toBeLessThanOrEqual(lazyStatistics()!.graphs - graphs);
  // Graphs have nearly all of the kernels.
  expect(counters.launchesInGraphs).toBeGreaterThan(10 * counters.launches);
  // Only events of copies are waited for.
  expect(counters.synchronizations).toBe(standIn.callsOf('cuEventSynchronize'));
  expect(counters.synchronizations).toBeLessThanOrEqual(counters.copies + 2);
  expect(device.region.blocks).toBe(blocks);
  expect(device.region.statistics).toEqual(statistics);
});

it('gives the bits of a step that launches kernels one by one', async () => {
  const train = async (isSynchronous: boolean) => {
    Object.defineProperty(device, 'isSynchronous', { value: isSynchronous });
    const training = smallTraining();
    const losses = await steps(training, WARM_UP);
    const fingerprint = training.fingerprint();
    training.dispose();
    return { losses, fingerprint };
  };
  onTestFinished(() => {
    Object.defineProperty(device, 'isSynchronous', { value: false });
  });
  const expected = await train(true);
  standIn.resetCounters();
  expect(await train(false)).toEqual(expected);
  expect(standIn.counters().graphLaunches).toBeGreaterThan(0);
});
