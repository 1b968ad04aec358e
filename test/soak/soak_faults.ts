/** @file The faults: each does its harm to a run that goes on, sees that the run bears it as promised, and mends what it broke. */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  watch,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { readPth } from '../../src/formats/pth/pth_reader.js';
import { verifyWeightFile } from '../../src/formats/weight_file.js';
import type { Rng } from '../../src/util/random.js';
import type { SoakProcess } from './soak_process.js';
import type { Fault, FaultKind } from './soak_schedule.js';

/** A run as its supervisor has it. */
export interface SoakedRun {
  readonly outputDir: string;
  /** Frames that training reads. */
  readonly frames: readonly string[];
  /** See SoakProcess. */
  readonly slow: string;
  /** The process that goes on, a new one where the last has ended. */
  readonly current: SoakProcess;
  /** Starts the next process now. */
  restart(): SoakProcess;
  note(text: string): void;
}

/** Does it. Where the process has ended, the supervisor starts the next one. Throws if the run did not bear it as it should. */
export async function inflict(run: SoakedRun, { kind, rng, index }: Fault): Promise<void> {
  await setTimeout(rng.uniformBetween(0, 1000));
  await FAULTS[kind](run, rng, index);
}

const FAULTS: Record<FaultKind, (run: SoakedRun, rng: Rng, index: number) => Promise<void>> = {
  SIGTERM: (run) => stop(run, 'SIGTERM', 143),
  SIGINT: (run) => stop(run, 'SIGINT', 130),
  SIGUSR1: (run) => stop(run, 'SIGUSR1', 0),
  SIGKILL: ({ current }) => current.kill(),
  'SIGKILL while it saves': killWhileSaving,
  'a signal while it starts': signalEarly,
  'a truncated frame': (run, rng) =>
    breakFrame(run, rng, (path) =>
      truncateSync(path, Math.floor(readFileSync(path).length * rng.uniformBetween(0, 0.95))),
    ),
  'a missing frame': (run, rng) => breakFrame(run, rng, (path) => rmSync(path)),
  'a slow disk': slowDisk,
  async 'a stopped process'({ current }, rng) {
    current.send('SIGSTOP');
    await setTimeout(rng.uniformBetween(1000, 12_000));
    current.send('SIGCONT');
    await current.advance(10);
  },
  'a thread killed at rest or at work': killThread,
  'a thread killed at work': killBusyThread,
  'a damaged checkpoint': damageCheckpoint,
  'a folder that is away': folderAway,
  'a full disk': fullDisk,
};

async function stop({ current, outputDir }: SoakedRun, signal: NodeJS.Signals, code: number): Promise<void> {
  current.send(signal);
  const { stdout } = await current.expectEnd(code, /stopped after iteration \d+/);
  const iteration = Number(/stopped after iteration (\d+)/.exec(stdout)?.[1]);
  const saved = (readPth(lastCheckpoint(outputDir)) as Map<string, unknown>).get('iteration');
  if (saved !== iteration) throw new Error(`stopped after iteration ${iteration}, but saved ${saved}`);
  const left = readdirSync(outputDir).filter((name) => /lock|\.tmp-/.test(name));
  if (left.length > 0) throw new Error(`left behind: ${left}`);
}

/** Until a half-written file was left behind, which the next process must take away. */
async function killWhileSaving(run: SoakedRun, rng: Rng): Promise<void> {
  const leftovers = () => readdirSync(run.outputDir).filter((name) => name.includes('.tmp-'));
  for (let attempt = 1; attempt <= 20; attempt++) {
    let saving = false;
    const watcher = watch(run.outputDir, (_, name) => {
      saving ||= name?.includes('.tmp-') ?? false;
    });
    await run.current.until(() => saving);
    watcher.close();
    await setTimeout(rng.uniformBetween(0, 10));
    await run.current.kill();
    const left = leftovers();
    run.note(`attempt ${attempt} left ${left.length === 0 ? 'nothing' : left}`);
    const next = run.restart();
    if (left.length > 0) {
      await next.until(() => next.output.includes('loading '));
      if (leftovers().length > 0) throw new Error(`the next process left it there:\n${next.output}`);
      return;
    }
    await next.advance(1);
  }
  throw new Error('no kill met a half-written file');
}

async function signalEarly(run: SoakedRun, rng: Rng): Promise<void> {
  await run.current.kill();
  const next = run.restart();
  await setTimeout(rng.uniformBetween(0, 4000));
  const [signal, code] = (
    [
      ['SIGTERM', 143],
      ['SIGINT', 130],
      ['SIGKILL', 137],
    ] as const
  )[rng.int(3)];
  run.note(signal);
  next.send(signal);
  const ended = await next.end();
  // Before the program has begun the system answers.
  if (ended.signal !== signal && ended.code !== code)
    throw new Error(`it ended with ${ended.code}:\n${next.output}`);
}

async function breakFrame(run: SoakedRun, rng: Rng, damage: (path: string) => void): Promise<void> {
  const path = run.frames[rng.int(run.frames.length)];
  run.note(path);
  const content = readFileSync(path);
  damage(path);
  await run.current.expectEnd(3, path);
  writeFileSync(path, content);
}

async function slowDisk({ current, slow }: SoakedRun, rng: Rng): Promise<void> {
  writeFileSync(slow, String(Math.round(rng.uniformBetween(200, 600))));
  await current.advance(10);
  await setTimeout(rng.uniformBetween(0, 3000));
  rmSync(slow);
  await current.advance(20);
  if (current.longestWait < 0.05) throw new Error(`a slow disk cost ${current.longestWait} s a step`);
}

/** A clip that it was loading costs the run; one at rest does not. */
async function killThread(run: SoakedRun): Promise<void> {
  const { current } = run;
  current.send('SIGWINCH');
  await current.until(() => current.iteration < 0, 3000);
  if (current.ended) {
    run.note('at work');
    await current.expectEnd(
      3,
      /killed a thread at work\nstmixer: a worker that loads clips ended while loading video/,
    );
  } else {
    await current.advance(10);
    current.expectOutput(/killed a thread at (rest|work)/);
  }
}

async function killBusyThread({ current, slow }: SoakedRun, rng: Rng): Promise<void> {
  writeFileSync(slow, '1500');
  await setTimeout(rng.uniformBetween(500, 1500));
  current.send('SIGWINCH');
  await current.expectEnd(
    3,
    /killed a thread at work\nstmixer: a worker that loads clips ended while loading video/,
  );
  rmSync(slow);
}

/** Kills the process and damages the checkpoint that it would go on from; the next one must fall back by itself. */
async function damageCheckpoint(run: SoakedRun, rng: Rng, index: number): Promise<void> {
  await run.current.kill();
  const path = lastCheckpoint(run.outputDir);
  const content = readFileSync(path);
  const [what, damage] = DAMAGES[index % DAMAGES.length];
  run.note(`${basename(path)}: ${what}`);
  damage(path, content, rng);
  const next = run.restart();
  await next.until(() => next.iteration > 0);
  next.expectOutput(/going on from .*\.pth instead, the newest checkpoint that is whole/);
}

const DAMAGES: readonly [string, (path: string, content: Buffer, rng: Rng) => void][] = [
  ['a bit changed', changeBit],
  ['cut off', (path, { length }, rng) => truncateSync(path, rng.int(length))],
  ['empty', (path) => truncateSync(path, 0)],
  ['gone', (path) => rmSync(path)],
  ['its pointer empty', (path) => writeFileSync(join(dirname(path), 'last_checkpoint'), '')],
];

/** One that matters: a few of a file mean nothing, as those between its tensors. */
function changeBit(path: string, content: Buffer, rng: Rng): void {
  for (;;) {
    const changed = Buffer.from(content);
    changed[rng.int(content.length)] ^= 1 << rng.int(8);
    writeFileSync(path, changed);
    try {
      verifyWeightFile(path);
    } catch {
      return;
    }
  }
}

async function folderAway(run: SoakedRun, rng: Rng): Promise<void> {
  const away = `${run.outputDir}-away`;
  renameSync(run.outputDir, away);
  await bearRefusal(run, rng);
  renameSync(away, run.outputDir);
  await run.current.advance(20);
}

async function fullDisk(run: SoakedRun, rng: Rng): Promise<void> {
  const filler = join(dirname(run.outputDir), 'filler');
  const file = openSync(filler, 'w');
  const piece = Buffer.alloc(1 << 16);
  try {
    for (;;) writeSync(file, piece);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
  closeSync(file);
  await bearRefusal(run, rng);
  rmSync(filler);
  await run.current.advance(20);
}

/** Waits until a save was refused and a little longer; the run must go on. */
async function bearRefusal({ current }: SoakedRun, rng: Rng): Promise<void> {
  const count = () => current.output.split('trying again').length;
  const before = count();
  await current.until(() => count() > before);
  await setTimeout(rng.uniformBetween(0, 2000));
  if (current.ended) throw new Error(`the run did not wait for the disk:\n${current.output}`);
}

function lastCheckpoint(outputDir: string): string {
  const path = readFileSync(join(outputDir, 'last_checkpoint'), 'utf8');
  if (!existsSync(path)) throw new Error(`last_checkpoint names ${path}, which is not there`);
  return path;
}
