/**
 * @file One of the processes that `npm run bench:distributed` starts. Its argument is a `Job` as JSON. Process 0 prints the result as
 * its last line.
 */
import { performance } from 'node:perf_hooks';
import { loadConfig } from '../../src/config/index.js';
import type { Batch } from '../../src/data/loading/collate.js';
import { GradientSum } from '../../src/distributed/gradient_sum.js';
import { HostReducer } from '../../src/distributed/host_reducer.js';
import { joinProcesses } from '../../src/distributed/join.js';
import { allGatherJson } from '../../src/distributed/json_values.js';
import type { ProcessGroup } from '../../src/distributed/process_group.js';
import { engineSettings, selectEngine } from '../../src/engine/index.js';
import type { StepOptions } from '../../src/training/step.js';
import type { SumTime, Variant } from '../../tools/scaling/measurements.js';
import { matMulRate } from '../machine.js';
import { randomBatch } from '../random_batch.js';
import { median } from '../statistics.js';
import { makeTrainingState, stepOf } from '../training.js';
import type {
  AllReduceJob,
  AllReduceTimes,
  DescribeJob,
  Job,
  ModelFacts,
  StepsJob,
  StepTimes,
} from './jobs.js';
import type { ProcessStep, StepTime } from './step_times.js';
import { TracedCommunicator, TracedSum } from './traced_sum.js';

const MIB = 2 ** 20;

const group = await joinProcesses();
const job = JSON.parse(process.argv[2]) as Job;
const result = await run(job);
if (group.rank === 0) console.log(JSON.stringify(result));
await group.close();

function run(what: Job): Promise<unknown> {
  if (what.kind === 'describe') return describe(what);
  return what.kind === 'all-reduce' ? allReduce(what) : steps(what);
}

/** The machine's rate, and how large the trained parameters of a model are. */
async function describe({ configFile, overrides }: DescribeJob): Promise<ModelFacts> {
  const { config } = loadConfig(configFile, [...overrides]);
  const engine = await selectEngine({ ...engineSettings(config), strict: true });
  const { model } = makeTrainingState(config);
  const trained = model.parameters().filter(({ requiresGrad }) => requiresGrad);
  return {
    engine: engine.description,
    matMulGflops: matMulRate(),
    lengths: trained.map(({ size }) => size),
    bucketMiB: config.SOLVER.BUCKET_MB,
  };
}

/** Sums gradients that are all ready at once: seconds of the slowest process by size of buckets, and of a sum of one number. */
async function allReduce({ lengths, bucketMiB, repetitions }: AllReduceJob): Promise<AllReduceTimes> {
  const communicator = new TracedCommunicator(group.communicator);
  const gradients = lengths.map((length) => new Float32Array(length));
  const sums: SumTime[] = [];
  for (const size of bucketMiB) {
    const bucketBytes = size === null ? Number.POSITIVE_INFINITY : size * MIB;
    const sum = new GradientSum({
      reducer: new HostReducer(communicator),
      lengths,
      bucketBytes,
    });
    const once = async () => {
      communicator.begin();
      for (const index of [...lengths.keys()].reverse()) sum.add(index, gradients[index]);
      await sum.finish(new Map());
    };
    const seconds = await medianTime(repetitions, once);
    sums.push({ bucketMiB: size, calls: communicator.calls, seconds });
  }
  const one = new Float32Array(1);
  const latency = await medianTime(100, () => communicator.allReduce(one, 'sum'));
  return { description: group.description ?? '', sums, latency };
}

/** Median seconds of the slowest process. The first run is not counted. */
async function medianTime(repetitions: number, once: () => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i <= repetitions; i++) {
    await group.communicator.barrier();
    const begin = performance.now();
    await once();
    const seconds = Float64Array.of((performance.now() - begin) / 1000);
    await group.communicator.allReduce(seconds, 'max');
    if (i > 0) times.push(seconds[0]);
  }
  return median(times);
}

/** Times training steps. The variants take turns, so that all of them see the same machine. */
async function steps(what: StepsJob): Promise<StepTimes> {
  const { config } = loadConfig(what.configFile, [...what.overrides]);
  await selectEngine({ ...engineSettings(config), strict: true });
  const state = makeTrainingState(config);
  state.model.train();
  const trained = state.model.parameters().filter(({ requiresGrad }) => requiresGrad);
  const communicator = new TracedCommunicator(group.communicator);
  const forNorms = group.duplicate();
  const bucketBytes = config.SOLVER.BUCKET_MB * MIB;
  const sum = new TracedSum({
    reducer: new HostReducer(communicator),
    lengths: trained.map(({ size }) => size),
    bucketBytes,
  });
  const batch = ownPart(randomBatch(config, what), group);
  const optionsOf = (variant: Variant): StepOptions => ({
    microBatchSize: batch.shape[0],
    clipGradNorm: config.SOLVER.CLIP_GRAD_NORM,
    replay: config.ENGINE.REPLAY,
    processes: variant === 'none' ? undefined : { communicator, forNorms, sum },
  });
  const times: StepTime[] = [];
  for (const variant of what.variants)
    for (let i = 0; i < what.warmup; i++) await timedStep(variant, optionsOf(variant));
  for (let i = 0; i < what.iters; i++)
    for (const variant of what.variants) times.push(await timedStep(variant, optionsOf(variant)));
  return { times, peakBytes: process.resourceUsage().maxRSS * 1024 };

  async function timedStep(variant: Variant, options: StepOptions): Promise<StepTime> {
    const step = stepOf(state, options);
    sum.begin(variant);
    communicator.begin();
    await group.communicator.barrier();
    const processor = process.cpuUsage();
    const begin = now();
    const loss = await step(batch);
    const end = now();
    const { user, system } = process.cpuUsage(processor);
    const own: ProcessStep = {
      begin,
      end,
      processor: (user + system) / 1e6,
      ...(variant === 'none' ? {} : { lossChecked: communicator.lossChecked, ...sum.trace }),
    };
    return { variant, loss, processes: await allGatherJson(group.communicator, own) };
  }
}

/** Seconds on the clock that all processes of a machine share. */
function now(): number {
  return (performance.timeOrigin + performance.now()) / 1000;
}

/** The clips of one process. */
function ownPart(batch: Batch, { rank, size }: ProcessGroup): Batch {
  const [count, ...clipShape] = batch.shape;
  const each = count / size;
  const first = rank * each;
  const clipSize = batch.video.length / count;
  return {
    video: batch.video.slice(first * clipSize, (first + each) * clipSize),
    shape: [each, ...clipShape],
    whwh: batch.whwh.slice(4 * first, 4 * (first + each)),
    boxes: batch.boxes.slice(first, first + each),
    labels: batch.labels.slice(first, first + each),
    clips: batch.clips.slice(first, first + each),
    whole: {
      boxCounts: Int32Array.from(batch.boxes, ({ length }) => length / 4),
      places: Array.from({ length: each }, (_, i) => first + i),
    },
  };
}
