/**
 * @file `npm run bench:memory-estimate`: trains the configurations of bench/memory_peaks.json on the sample for a few iterations,
 * each in a process of its own, and prints the estimate that the run made at its start beside its peak of resident memory.
 *
 *   npm run bench:memory-estimate -- [--only NAME,NAME] [--write]
 *
 * `--write` writes the measured figures into the file, from which the tests of the estimate read them.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';

interface Run {
  name: string;
  config: string;
  overrides: string;
  /** Whether the constants of the estimate were fitted to this run. The other runs only check them. */
  fitted: boolean;
  /** Resident memory of the process before it held weights, and at its peak. */
  processBytes: number;
  peakBytes: number;
}

/** Settings for the sample in place of AVA, and as few iterations as reach the peak. */
const SAMPLE = [
  ...['DATA.PATH_TO_DATA_DIR', 'sample', 'AVA.ANNOTATION_DIR', 'annotations/', 'AVA.FPS', '10'],
  ...['AVA.TRAIN_GT_BOX_LISTS', "['train.csv']", 'AVA.TEST_GT_BOX_LISTS', "['val.csv']"],
  ...['AVA.LABEL_MAP_FILE', 'label_map.pbtxt', 'AVA.EXCLUSION_FILE', 'val_excluded_timestamps.csv'],
  ...['DATA.SAMPLING_RATE', '1', 'MODEL.WEIGHT', '', 'SOLVER.ITER_PER_EPOCH', '8', 'SOLVER.MAX_EPOCH', '1'],
  ...['SOLVER.WARMUP_EPOCH', '0', 'SOLVER.STEPS', '()'],
];

const root = fileURLToPath(new URL('..', import.meta.url));
const table = fileURLToPath(new URL('memory_peaks.json', import.meta.url));
const command = new Command('bench:memory-estimate').option('--only <names>').option('--write').parse();
const { only, write } = command.opts<{ only?: string; write?: boolean }>();

const content = JSON.parse(readFileSync(table, 'utf8')) as { runs: Run[] };
const chosen = content.runs.filter(({ name }) => !only || only.split(',').includes(name));
const mib = (bytes: number) => Math.round(bytes / 2 ** 20).toLocaleString('en');

console.log(`Node ${process.version}, ${mib(totalmem())} MiB\n`);
console.log('| run | for | estimate, MiB | measured, MiB | ratio |\n| --- | --- | --- | --- | --- |');
for (const run of chosen) {
  const { estimate, processBytes, peakBytes } = measure(run);
  Object.assign(run, { processBytes, peakBytes });
  const ratio = (estimate / peakBytes).toFixed(2);
  const purpose = run.fitted ? 'fitting' : 'checking';
  console.log(`| ${run.name} | ${purpose} | ${mib(estimate)} | ${mib(peakBytes)} | ${ratio} |`);
}
if (write) writeFileSync(table, `${JSON.stringify(content, null, 2)}\n`);

function measure({ config, overrides }: Run): { estimate: number; processBytes: number; peakBytes: number } {
  const folder = mkdtempSync(join(tmpdir(), 'stmixer-bench-'));
  try {
    const words = [...SAMPLE, ...overrides.split(' ').filter((word) => word !== ''), 'OUTPUT_DIR', folder];
    const flags = ['--engine', 'onnx', '--skip-final-test', '--skip-val-in-train'];
    const { status, stderr } = spawnSync(
      process.execPath,
      ['bin/stmixer.js', 'train', '--config-file', `config_files/${config}.yaml`, ...flags, ...words],
      { cwd: root, encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(stderr);
    const text = readFileSync(join(folder, 'log.jsonl'), 'utf8');
    const log = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const { memory, processBytes } = log.find((line) => line.memory);
    const peak = Number(/peak memory ([\d.]+) GiB/.exec(log.at(-1).msg)![1]);
    return { estimate: memory.peak, processBytes, peakBytes: Math.round(peak * 2 ** 30) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
