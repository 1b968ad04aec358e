/**
 * @file Predicts training steps by 1 to 4,096 processes from measurements of this machine, or from figures of a cluster.
 *
 *   npm run scaling -- --measurements FILE [--case full] [--family MPICH]
 *   npm run scaling -- --compute 0.4 [--clips 1] [--per-machine 8] [--network-bandwidth 25] …
 *
 * `npm run bench:distributed -- --measurements FILE` writes the measurements. Flags take precedence over them. Figures that neither
 * gives are assumptions, and the output calls them so. tools/scaling/model.ts describes the model.
 */
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { markdownTable } from '../tools/docs/markdown.js';
import {
  clusterOf,
  completeFigures,
  type Figures,
  measuredFigures,
  type Origin,
} from '../tools/scaling/figures.js';
import type { CaseMeasurement, FamilyMeasurement, Measurements } from '../tools/scaling/measurements.js';
import { ALGORITHMS, type Cluster, COSTS, predict } from '../tools/scaling/model.js';

interface Flags extends Partial<Figures> {
  readonly measurements?: string;
  readonly case: string;
  readonly family?: string;
  readonly max: number;
}

const command = new Command('scaling')
  .option('--measurements <file>', 'what bench:distributed has measured')
  .option('--case <name>', 'case of the measurements', 'full')
  .option('--family <name>', 'MPI family of the measurements; by default the first')
  .option('--max <n>', 'processes', Number, 4096)
  .option('--compute <seconds>', 'a step of one process without communication', Number)
  .option('--backward <seconds>', 'the backward pass in it', Number)
  .option('--clips <n>', 'clips of a process', Number)
  .option('--gradient-gb <n>', 'size of all gradients in GB', Number)
  .option('--sums <n>', 'number of sums in which they are exchanged', Number)
  .option('--per-machine <n>', 'processes (or GPUs) of a machine', Number)
  .option('--machine-bandwidth <n>', 'between processes of a machine, in GB/s', Number)
  .option('--machine-latency <n>', 'of a message in a machine, in µs', Number)
  .option('--network-bandwidth <n>', 'between machines, in GB/s', Number)
  .option('--network-latency <n>', 'of a message between machines, in µs', Number)
  .addOption(new Option('--algorithm <name>', 'of the sums').choices(ALGORITHMS))
  .option(
    '--taken <share>',
    'of the time of hidden sums that the computation loses: 1 on CPUs, 0 on GPUs',
    Number,
  )
  .option('--variation <share>', 'standard deviation of the time of the computation', Number)
  .option('--loading <seconds>', 'in which a process loads a clip', Number)
  .parse();
const { measurements: file, case: caseName, family: familyName, max, ...given } = command.opts<Flags>();

interface Measured {
  readonly machine: string;
  readonly processes: number;
  readonly what: CaseMeasurement;
  readonly family: FamilyMeasurement;
}

const measured = file === undefined ? null : readMeasurements(file);
if (measured) console.log(`${measured.machine}\n${measured.what.title}; ${measured.family.description}\n`);
const fromMeasurements = measured ? measuredFigures(measured.processes, measured.what, measured.family) : {};
if (given.compute === undefined && fromMeasurements.compute === undefined)
  command.error('Give --compute, or --measurements with steps of several processes.');
const { figures, origins } = completeFigures(given, fromMeasurements);
const cluster = clusterOf(figures);
for (const origin of ['measured', 'given', 'assumed'] as const) console.log(figuresFrom(origin));
console.log(`\n${predictionTable()}`);
if (measured) console.log(`\n${checkTable(measured, cluster)}`);

function readMeasurements(path: string): Measured {
  const { machine, processes, cases } = JSON.parse(readFileSync(path, 'utf8')) as Measurements;
  const what = cases.find(({ name }) => name === caseName);
  if (!what)
    return command.error(`${path} has no case ${caseName}, but ${cases.map(({ name }) => name).join(', ')}.`);
  const families = what.families.map(({ family }) => family);
  const family = what.families[familyName === undefined ? 0 : families.indexOf(familyName)];
  if (!family) return command.error(`${path} has no family ${familyName}, but ${families.join(', ')}.`);
  return { machine, processes, what, family };
}

function figuresFrom(origin: Origin): string {
  const names = (Object.keys(figures) as (keyof Figures)[]).filter((name) => origins[name] === origin);
  const texts = names.map((name) => {
    const value = figures[name];
    return `${name} ${typeof value === 'number' ? Number(value.toPrecision(3)) : value}`;
  });
  return `${origin}: ${texts.join(', ') || 'nothing'}`;
}

function predictionTable(): string {
  const counts = Array.from({ length: Math.floor(Math.log2(max)) + 1 }, (_, i) => 2 ** i);
  const rows = counts.map((count) => {
    const { step, clipsPerSecond, efficiency, costs, bound } = predict(cluster, count);
    return [
      String(count),
      digits(step),
      digits(clipsPerSecond),
      efficiency.toFixed(2),
      ...COSTS.map((cost) => digits(costs[cost])),
      bound,
    ];
  });
  return markdownTable(
    ['processes', 'step, s', 'clips/s', 'efficiency', ...COSTS.map((cost) => `${cost}, s`), 'bound by'],
    rows,
  );
}

/** What the model predicts for the measured processes, next to their steps. */
function checkTable({ what: { part }, family: { training } }: Measured, of: Cluster): string {
  const steps = [
    { processes: 1, step: part.variants.none?.step },
    { processes: training?.processes ?? 1, step: training?.variants.during?.step },
  ];
  const rows = steps.flatMap(({ processes, step }) => {
    if (step === undefined) return [];
    const { step: predicted } = predict(of, processes);
    return [[String(processes), digits(predicted), digits(step), (predicted / step).toFixed(2)]];
  });
  return markdownTable(['processes', 'predicted step, s', 'measured step, s', 'predicted / measured'], rows);
}

function digits(value: number): string {
  return value === 0 ? '0' : value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
