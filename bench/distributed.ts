/**
 * @file Measures what several processes cost on this machine: sums of the gradients, next to those of a C program; clips per second,
 * next to one process with as many threads; and how much of the sums the backward pass hides.
 *
 *   npm run bench:distributed [-- --only full,small] [--families "Open MPI,MPICH"] [--processes N] [--rounds N] [--iters N]
 *                             [--measurements FILE]
 *
 * It starts the processes itself, with each MPI launcher that is installed, one job after the other in turns. `--measurements`
 * writes what `scripts/scaling.ts` reads.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { launchers, type MpiLauncher } from '../tools/mpi/launchers.js';
import type {
  CaseMeasurement,
  Measurements,
  TrainingMeasurement,
  Variant,
} from '../tools/scaling/measurements.js';
import { CASES, type Case, WARMUP } from './cases.js';
import { describeMachine } from './describe_machine.js';
import type { ModelFacts, StepsJob } from './distributed/jobs.js';
import { type Processes, runJob, runRaw } from './distributed/launch.js';
import { type StepTime, summarize } from './distributed/step_times.js';
import {
  type FamilySums,
  overlapTable,
  pieceBytesOf,
  sumTable,
  throughputTable,
} from './distributed/tables.js';
import { seconds } from './distributed/text.js';

interface DistributedCase extends Case {
  /** SOLVER.BUCKET_MB of the sums without computation, besides that of the configuration; null puts everything into one bucket. */
  readonly bucketMiB: readonly (number | null)[];
  /** What several processes exchange in the measured steps; one process exchanges nothing. */
  readonly variants: readonly Variant[];
}

const named = (name: string) => CASES.find((what) => what.name === name) as Case;

const DISTRIBUTED_CASES: readonly DistributedCase[] = [
  {
    ...named('small'),
    iters: 10,
    rounds: 3,
    bucketMiB: [1, 5, 25, 100, null],
    variants: ['none', 'after', 'during'],
  },
  {
    ...named('full'),
    title: 'full size: 2 clips of 16×256×320, 2 boxes',
    ...{ batch: 2, height: 256, width: 320 },
    iters: 2,
    rounds: 1,
    bucketMiB: [25, null],
    variants: ['none', 'during'],
  },
];

interface Flags {
  readonly only: readonly DistributedCase[];
  readonly families: readonly MpiLauncher[];
  readonly processes: number;
  readonly rounds?: number;
  readonly iters?: number;
  readonly measurements?: string;
}

const REPETITIONS = 5;

const command = new Command('bench:distributed')
  .option(
    '--only <names>',
    `some of ${DISTRIBUTED_CASES.map(({ name }) => name).join()}`,
    chooser(DISTRIBUTED_CASES, ({ name }) => name),
    DISTRIBUTED_CASES,
  )
  .option(
    '--families <names>',
    'some of Open MPI,MPICH',
    chooser(launchers, ({ family }) => family),
    launchers,
  )
  .option('--processes <n>', '', Number, 2)
  .option('--rounds <n>', 'how many times each program runs', Number)
  .option('--iters <n>', 'timed steps of a run', Number)
  .option('--measurements <file>', 'write the figures to a file, for scripts/scaling.ts')
  .parse();
const flags = command.opts<Flags>();
if (flags.families.length === 0)
  command.error('No MPI launcher is installed: apt-get install openmpi-bin or mpich.');
const threads = Math.max(1, Math.floor(availableParallelism() / flags.processes));

const folder = mkdtempSync(join(tmpdir(), 'stmixer-bench-'));
const measurements: Measurements = { machine: describeMachine(), processes: flags.processes, cases: [] };
try {
  const cases: CaseMeasurement[] = [];
  for (const what of flags.only) cases.push(await measureCase(what));
  if (flags.measurements)
    writeFileSync(flags.measurements, `${JSON.stringify({ ...measurements, cases }, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}

function chooser<T>(all: readonly T[], nameOf: (item: T) => string): (names: string) => T[] {
  return (names) =>
    names.split(',').map((name) => {
      const found = all.find((item) => nameOf(item) === name);
      if (!found) throw new InvalidArgumentError(`There is no ${name}.`);
      return found;
    });
}

async function measureCase(what: DistributedCase): Promise<CaseMeasurement> {
  const { config: configFile, overrides } = what;
  const whole: Processes = { launcher: null, count: 1, threads: threads * flags.processes };
  const facts = await runJob({ kind: 'describe', configFile, overrides }, whole);
  const gradientBytes = 4 * facts.lengths.reduce((sum, length) => sum + length, 0);
  console.log(
    `\n## ${what.title}\n\n${measurements.machine}; ${facts.engine}; matMul ${facts.matMulGflops.toFixed(0)} GFLOP/s; ` +
      `gradients ${(gradientBytes / 1e9).toFixed(3)} GB in ${facts.lengths.length} tensors; load ${loadavg()[0].toFixed(1)}\n`,
  );
  const sums: FamilySums[] = [];
  for (const launcher of flags.families) sums.push(await measureSums(launcher, what, facts, gradientBytes));
  const latencies = sums.map(({ family, latency }) => `${family} ${seconds(latency)}`);
  console.log(`${sumTable(sums, gradientBytes)}\n\nsum of one number: ${latencies.join(', ')}\n`);
  const { alone, part, several } = await measureTraining(what);
  const measured: CaseMeasurement = {
    ...{ name: what.name, title: what.title, gradientBytes, bucketMiB: facts.bucketMiB, alone, part },
    families: sums.map((family, i) => ({ ...family, training: several[i] })),
  };
  console.log(`${throughputTable(measured)}\n\n${overlapTable(measured)}\n\nload ${loadavg()[0].toFixed(1)}`);
  return measured;
}

async function measureSums(
  launcher: MpiLauncher,
  { bucketMiB }: DistributedCase,
  { lengths, bucketMiB: configured }: ModelFacts,
  gradientBytes: number,
): Promise<FamilySums> {
  const sizes = bucketMiB.includes(configured) ? bucketMiB : [...bucketMiB, configured];
  const count = flags.processes;
  const times = await runJob(
    { kind: 'all-reduce', lengths, bucketMiB: sizes, repetitions: REPETITIONS },
    { launcher, count, threads },
  );
  const pieceBytes = sizes.map((size) => pieceBytesOf(size, gradientBytes));
  const raw = await runRaw({
    ...{ launcher, count, folder, bytes: gradientBytes, pieceBytes },
    repetitions: REPETITIONS,
  });
  if (!raw) console.log(`MPI's own sums are left out: there is no C compiler of ${launcher.family}.`);
  return { family: launcher.family, ...times, raw };
}

/** Steps of one process and of several, in turns. */
async function measureTraining(what: DistributedCase) {
  const { processes } = flags;
  const { batch, variants } = what;
  const one = { launcher: null, count: 1 };
  const programs: {
    readonly run: Processes;
    readonly batch: number;
    readonly variants: readonly Variant[];
  }[] = [
    { run: { ...one, threads: threads * processes }, batch, variants: ['none'] },
    { run: { ...one, threads }, batch: batch / processes, variants: ['none'] },
    ...flags.families.map((launcher) => ({ run: { launcher, count: processes, threads }, batch, variants })),
  ];
  const times: StepTime[][] = programs.map(() => []);
  const peaks = programs.map(() => 0);
  for (let round = 0; round < (flags.rounds ?? what.rounds); round++)
    for (const [i, { run, ...program }] of programs.entries()) {
      console.error(
        `${run.launcher?.family ?? 'alone'}: ${run.count} × ${run.threads}, round ${round + 1} …`,
      );
      const report = await runJob(stepsJob(what, program), run);
      times[i].push(...report.times);
      peaks[i] = Math.max(peaks[i], report.peakBytes);
    }
  const [alone, part, ...several] = programs.map(
    ({ run, ...program }, i): TrainingMeasurement => ({
      ...{ processes: run.count, threads: run.threads, clips: program.batch, peakBytes: peaks[i] },
      variants: Object.fromEntries(
        program.variants.map((variant) => [variant, summarize(times[i], variant)]),
      ),
    }),
  );
  return { alone, part, several };
}

function stepsJob(what: DistributedCase, program: Pick<StepsJob, 'batch' | 'variants'>): StepsJob {
  const { config: configFile, overrides, height, width, boxes } = what;
  const iters = flags.iters ?? what.iters;
  return {
    ...{ kind: 'steps', configFile, overrides, height, width, boxes },
    ...{ batch: program.batch, variants: program.variants, warmup: WARMUP.ours, iters },
  };
}
