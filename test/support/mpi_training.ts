/** @file Trainings of a very small model by several processes, for tests of what goes wrong. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, vi } from 'vitest';
import { readPth } from '../../src/formats/pth/pth_reader.js';
import { verifyWeightFile } from '../../src/formats/weight_file.js';
import { mergeMetrics } from '../../src/run/metrics.js';
import { parseJsonLines } from '../../src/util/json.js';
import { processStat } from '../../src/util/process_stat.js';
import { readText } from '../../src/util/read_text.js';
import type { MpiLauncher } from '../../tools/mpi/launchers.js';
import { plain } from './checkpoint_files.js';
import { type Finished, start } from './cli.js';
import { type MpiRun, startMpiRun } from './mpi.js';
import { MICRO } from './tiny_config.js';

const LAUNCHER = fileURLToPath(new URL('launcher.js', import.meta.url));
const FAULT = new URL('process_fault.mjs', import.meta.url).href;

/** Arguments of a training of two clips per step, two steps per epoch, in a folder of its own. */
export function trainingArgs(folder: string, overrides = '', flags: readonly string[] = []): string[] {
  const settings = `${MICRO} SOLVER.VIDEOS_PER_BATCH 2 ViT.DROP_PATH_RATE 0.3 OUTPUT_DIR ${folder} ${overrides}`;
  return [
    'train',
    '--config-file',
    'config_files/tiny.yaml',
    ...['--engine', 'onnx', ...flags],
    ...settings.trim().split(/ +/),
  ];
}

export const WITHOUT_EVALUATION = ['--skip-val-in-train', '--skip-final-test'];

/** Environment with which test/support/process_fault.mjs causes a fault. */
export function faultEnv(fault: string): NodeJS.ProcessEnv {
  return { NODE_OPTIONS: `--import ${FAULT}`, FAULT: fault };
}

/** Runs the command line alone, or as several processes with a launcher. */
export function stmixerTogether(
  launcher: MpiLauncher | null,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Finished> {
  if (launcher === null) return start([...args], env).finished;
  return startTwo(launcher, args, env).finished;
}

/** Starts two processes, which do not outlive the test. */
function startTwo(launcher: MpiLauncher, args: readonly string[], env: NodeJS.ProcessEnv) {
  const run = startMpiRun(launcher, 2, [LAUNCHER, ...args], env);
  onTestFinished(() => {
    run.child.kill('SIGKILL');
    for (const pid of ranksOf(args[args.indexOf('OUTPUT_DIR') + 1]).filter(isAlive))
      process.kill(pid, 'SIGKILL');
  });
  return run;
}

/** Two processes that train in `folder`. */
export class WatchedTraining {
  readonly #run: MpiRun;
  #pids: number[] = [];

  constructor(
    private readonly folder: string,
    launcher: MpiLauncher,
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ) {
    this.#run = startTwo(launcher, args, env);
  }

  /** Waits until the output has a text. Fails if the run ends before. */
  async says(text: RegExp): Promise<void> {
    const { child, output } = this.#run;
    await vi.waitFor(
      () => {
        expect(child.exitCode ?? child.signalCode, output()).toBeNull();
        expect(output()).toMatch(text);
      },
      { timeout: 60_000, interval: 20 },
    );
    this.#pids = ranksOf(this.folder);
    expect(this.#pids).toHaveLength(2);
  }

  /** Sends a signal to a process, or to the launcher. */
  signal(signal: NodeJS.Signals, rank: number | 'launcher'): void {
    if (rank === 'launcher') this.#run.child.kill(signal);
    else process.kill(this.#pids[rank], signal);
  }

  /** Waits for the end of the launcher, and checks that it has left no process. */
  async ended(): Promise<Finished> {
    const finished = await this.#run.finished;
    await this.processesEnded(5000);
    return finished;
  }

  /** Waits for the end of the processes, but not of the launcher. */
  async processesEnded(timeout: number): Promise<void> {
    await vi.waitFor(() => expect(this.#pids.filter(isAlive)).toEqual([]), { timeout, interval: 20 });
  }
}

function isAlive(pid: number): boolean {
  const state = processStat(pid)?.state;
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** The numbers of the processes that train in a folder, by rank. */
export function ranksOf(folder: string): number[] {
  const pids: number[] = [];
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    if (!readText(`/proc/${name}/cmdline`)?.includes(`OUTPUT_DIR\0${folder}\0`)) continue;
    const rank = /(?:^|\0)(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=(\d+)/.exec(
      readText(`/proc/${name}/environ`) ?? '',
    );
    if (rank) pids[Number(rank[1])] = Number(name);
  }
  return pids;
}

/** Checks that all checkpoints of a run are whole, and returns the iteration of the last. */
export function lastIteration(folder: string): number {
  for (const file of readdirSync(folder).filter((name) => /^model_.*\.pth$/.test(name)))
    verifyWeightFile(join(folder, file));
  const last = readFileSync(join(folder, 'last_checkpoint'), 'utf8');
  return (readPth(last) as Map<string, unknown>).get('iteration') as number;
}

/** What a training has computed: the loss terms and gradient norms of each iteration, the evaluations, and the last state. */
export function outcomeOf(folder: string) {
  const lines = (file: string) => parseJsonLines(readText(join(folder, file)) ?? '').objects;
  const metrics = lines('metrics.jsonl');
  return {
    losses: mergeMetrics(metrics).map(({ iteration, loss, losses }) => ({ iteration, loss, losses })),
    evaluations: Object.fromEntries(
      lines('evaluations.jsonl').map(({ iteration, mAP, per_class }) => [iteration, { mAP, per_class }]),
    ),
    state: plain(readPth(join(folder, 'model_final.pth'))),
  };
}
