/** @file Folders as a training leaves them, for tests of what shows runs. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { dumpConfig, loadConfig } from '../../src/config/index.js';
import { Rng } from '../../src/util/random.js';

const SAMPLE = resolve('sample');

/** A line of metrics.jsonl of a run whose loss falls; the numbers depend on the iteration alone. */
export function metricsLine(iteration: number, changes: object = {}): string {
  const rng = Rng.forName(0, `metrics ${iteration}`);
  const noise = () => rng.uniformBetween(0.9, 1.1);
  const level = 0.6 + 1.6 / (1 + iteration / 60);
  const terms = ['loss_bce', 'loss_ce', 'loss_giou', 'loss_bbox'];
  const losses = ['', '_0', '_1'].flatMap((stage, i) =>
    terms.map((term) => [`${term}${stage}`, level * noise() * (i === 0 ? 0.8 : 1.2 - i / 10)] as const),
  );
  const line = {
    iteration,
    epoch: Math.ceil(iteration / 15),
    loss: level * noise(),
    loss_average: level * noise(),
    losses: Object.fromEntries(losses),
    lr: [3e-4, 3e-4],
    seconds: iteration === 1 ? 6 : 0.8 * noise(),
    data_seconds: 0.05 * noise(),
    eta_seconds: Math.max(0, 1000 - iteration),
    memory_bytes: 1.4e9 * noise(),
    ...changes,
  };
  return `${JSON.stringify(line)}\n`;
}

/** A line of evaluations.jsonl with as many classes, the worst without ground truth. */
export function evaluationLine(iteration: number, names: readonly string[], changes: object = {}): string {
  const perClass = classes(iteration, names);
  const known = perClass.flatMap(({ ap }) => ap ?? []);
  const line = {
    iteration,
    mAP: known.reduce((sum, ap) => sum + ap, 0) / known.length,
    per_class: perClass,
    clips: 14,
    seconds: 21.5,
    best: false,
    folder: evaluationFolder(iteration),
    ...changes,
  };
  return `${JSON.stringify(line)}\n`;
}

export function evaluationFolder(iteration: number): string {
  return `evaluation/iteration_${String(iteration).padStart(7, '0')}`;
}

/** The ids of the sample's actions, then others. */
const IDS = [12, 14, 17];

function classes(iteration: number, names: readonly string[]) {
  return names.map((name, i) => {
    const rng = Rng.forName(1, `class ${i}`);
    const final = rng.uniformBetween(0.02, 0.85);
    const groundTruth = i === 3 ? 0 : Math.round(rng.uniformBetween(3, 30) ** 2);
    const ap = groundTruth === 0 ? null : final * (1 - Math.exp(-iteration / 150));
    return { id: IDS[i] ?? 100 + i, name, ap, num_ground_truth: groundTruth };
  });
}

export interface RunFolderOptions {
  /** Of the last line of metrics.jsonl; 0 for none. */
  iterations: number;
  /** Of the classes; without them there is no evaluation. */
  names?: readonly string[];
}

/** Writes a whole run into a folder that exists. */
export function writeRunFolder(folder: string, { iterations, names }: RunFolderOptions): void {
  const { config } = loadConfig(resolve('config_files/sample.yaml'), [
    'OUTPUT_DIR',
    folder,
    'DATA.PATH_TO_DATA_DIR',
    SAMPLE,
    'SOLVER.MAX_EPOCH',
    String(Math.max(40, iterations / 15)),
  ]);
  writeFileSync(join(folder, 'config.yaml'), dumpConfig(config));
  writeFileSync(join(folder, 'environment.json'), `${JSON.stringify(ENVIRONMENT)}\n`);
  const logged = Array.from({ length: Math.floor(iterations / 10) }, (_, i) => 10 * (i + 1));
  if (iterations > 0) {
    writeFileSync(join(folder, 'metrics.jsonl'), [1, ...logged].map((i) => metricsLine(i)).join(''));
  }
  if (!names) return;
  const evaluated = logged.filter((iteration) => iteration % 60 === 0);
  writeFileSync(join(folder, 'evaluations.jsonl'), evaluated.map((i) => evaluationLine(i, names)).join(''));
  for (const iteration of evaluated)
    writeEvaluationFolder(join(folder, evaluationFolder(iteration)), iteration, names);
}

function writeEvaluationFolder(folder: string, iteration: number, names: readonly string[]): void {
  mkdirSync(folder, { recursive: true });
  const curves = classes(iteration, names).map(({ id, name, ap }) => {
    const recall = Array.from({ length: ap === null ? 0 : 120 }, (_, i) => (i + 1) / 120);
    const precision = recall.map((x) => Math.max(0, 1 - x ** (4 * ap! + 0.2) * 0.95));
    return [id, { name, scores: recall.map((x) => 1 - x), precision, recall }];
  });
  writeFileSync(join(folder, 'precision_recall.json'), JSON.stringify(Object.fromEntries(curves)));
  writeFileSync(join(folder, 'detections.csv'), detections());
}

/** The true boxes of the sample, a little moved, with a probability for each action. */
function detections(): string {
  const truth = readFileSync(join(SAMPLE, 'annotations', 'val.csv'), 'utf8')
    .trim()
    .split('\n');
  const persons = new Map<string, Set<number>>();
  for (const row of truth) {
    const fields = row.split(',');
    const person = fields.slice(0, 6).join();
    if (!persons.has(person)) persons.set(person, new Set());
    persons.get(person)!.add(Number(fields[6]));
  }
  let text = '';
  for (const [person, actions] of persons) {
    const rng = Rng.forName(2, person);
    const [video, second, ...box] = person.split(',');
    const moved = box.map((value) => (Number(value) + rng.uniformBetween(-0.01, 0.01)).toFixed(5));
    for (const id of IDS) {
      const score = actions.has(id) ? rng.uniformBetween(0.55, 0.98) : rng.uniformBetween(0, 0.35);
      text += `${[video, second, ...moved, id, score.toFixed(5)].join()}\r\n`;
    }
  }
  return text;
}

const ENVIRONMENT = {
  started: '2026-01-02T03:04:05.000Z',
  command: ['stmixer', 'train', '--config-file', 'config_files/sample.yaml'],
  version: '0.1.0',
  node: 'v20.20.0',
  platform: 'linux x64',
  cpu: 'Example CPU @ 2.50GHz',
  cores: 8,
  memory_bytes: 34_359_738_368,
  engine: {
    engine: 'onnx',
    device: 'cpu',
    description: 'onnx on CPU, 8 threads (ONNX Runtime 1.30.0)',
    version: '1.30.0',
    threads: 8,
    notes: [],
  },
};
