/** @file What happens if something goes wrong in one of several processes: all of them end, or go on, as one process does. */
import { cpSync, readdirSync, truncateSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { readBatch } from '../../src/training/nonfinite/saved_batch.js';
import { stmixer } from '../support/cli.js';
import { readJsonLines } from '../support/json_lines.js';
import { launchers } from '../support/mpi.js';
import {
  faultEnv,
  lastIteration,
  outcomeOf,
  stmixerTogether,
  trainingArgs,
  WatchedTraining,
  WITHOUT_EVALUATION,
} from '../support/mpi_training.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { TINY_SLOWFAST, words } from '../support/tiny_config.js';

/** The second clip of the second batch, which belongs to process 1. */
const SECOND = 931;
const PLACE = `process 1 on ${hostname()}`;

// A test starts up to three runs.
vi.setConfig({ testTimeout: 240_000 });

let home: string;
beforeAll(() => {
  home = temporaryFolderOfFile();
});
const at = (name: string) => join(home, name);

const args = (folder: string, overrides = '', flags: readonly string[] = []) =>
  trainingArgs(at(folder), overrides, [...WITHOUT_EVALUATION, ...flags]);

/** Expects the same losses, but for rounding. */
function expectSameLosses(folder: string, expected: string): void {
  const [actual, alone] = [outcomeOf(at(folder)).losses, outcomeOf(at(expected)).losses];
  expect(actual.map(({ iteration }) => iteration)).toEqual(alone.map(({ iteration }) => iteration));
  for (const [i, { loss, losses }] of actual.entries()) {
    if (alone[i].loss === null) expect(loss).toBeNull();
    else expect(loss).toBeCloseTo(alone[i].loss, 4);
    expect(losses.size).toBe(8);
    for (const [name, term] of losses) {
      const expectedTerm = alone[i].losses.get(name);
      if (expectedTerm === null) expect(term, name).toBeNull();
      else expect(term, name).toBeCloseTo(expectedTerm as number, 4);
    }
  }
}

const timesIn = (text: string, part: RegExp) => text.match(new RegExp(part, 'g'))?.length ?? 0;

describe.skipIf(launchers.length === 0)('values that are not finite in one process', () => {
  it('let all processes skip the step, as one process does, and its clips are saved', async () => {
    const settings = 'SOLVER.MAX_EPOCH 2 SOLVER.ON_NONFINITE skip';
    const env = faultEnv(`pixel ${SECOND}`);
    const [alone, together] = [
      await stmixerTogether(null, args('skip-alone', settings), env),
      await stmixerTogether(launchers[0], args('skip', settings), env),
    ];
    expect(alone.code, alone.stderr).toBe(0);
    expect(together.code, together.stderr).toBe(0);
    expectSameLosses('skip', 'skip-alone');
    expect(outcomeOf(at('skip')).losses[1].loss).toBeNull();
    expect(together.stdout).toMatch(
      new RegExp(`iteration 2: .* for vtest_train at second ${SECOND} \\(${PLACE}\\)\\. Skipped`),
    );
    const file = join(at('skip'), 'nonfinite_0000002.pth');
    expect(readBatch(file).batch.clips.map(({ second }) => second)).toEqual([SECOND]);

    const replayed = await stmixer(args('skip', '', ['--replay', file]));
    expect(replayed.code).toBe(1);
    expect(replayed.stdout).toContain('The first output that is not finite: video.');
  });

  it('end all processes, and the saved clips give the same loss in one process', async () => {
    const { code, stderr } = await stmixerTogether(
      launchers[0],
      args('stop', 'SOLVER.MAX_EPOCH 2'),
      faultEnv('gradient 1 2'),
    );
    expect(code).toBe(1);
    const message = new RegExp(
      `iteration 2: the loss is .*, but the gradients of .* for vtest_train at second ${SECOND} \\(${PLACE}\\)`,
    );
    expect(timesIn(stderr, message), stderr).toBe(1);
    expect(lastIteration(at('stop'))).toBe(1);

    const file = join(at('stop'), 'nonfinite_0000002.pth');
    const replayed = await stmixer(args('stop', '', ['--replay', file]));
    // Nothing is wrong with the clips.
    expect(replayed.stdout).toContain('All values are finite.');
    const table = [...replayed.stdout.matchAll(/^loss_\S+ +(\S+) +(\S+)$/gm)];
    expect(table).toHaveLength(8);
    // Masks and the number of boxes are those of the whole batch.
    for (const [line, before, now] of table) expect(Number(now) / Number(before), line).toBeCloseTo(1, 4);
  });
});

describe.skipIf(launchers.length === 0)('a frame that cannot be read, of a clip of one process', () => {
  const data = (folder = 'data') => `DATA.PATH_TO_DATA_DIR ${at(folder)} SOLVER.MAX_EPOCH 2`;
  beforeAll(() => {
    cpSync('sample', at('data'), { recursive: true });
    truncateSync(join(at('data'), 'frames', 'vtest_train', 'vtest_train_000291.jpg'), 100);
  });

  it('lets another clip take its place, as in one process', async () => {
    const settings = `${data()} DATALOADER.ON_ERROR skip`;
    expect((await stmixerTogether(null, args('bad-alone', settings))).code).toBe(0);
    const { code, stderr } = await stmixerTogether(launchers[0], args('bad', settings));
    expect(code, stderr).toBe(0);
    expectSameLosses('bad', 'bad-alone');
    const log = readJsonLines<{ msg: string }>(join(at('bad'), 'log.rank1.jsonl'));
    expect(log.map(({ msg }) => msg)).toContainEqual(
      expect.stringMatching(/second 929: another clip takes its place: .*vtest_train_000291\.jpg/),
    );
  });

  it.each(launchers)('ends all processes with the exit code of one process: $family', async (launcher) => {
    const { code, stderr } = await stmixerTogether(launcher, args(`bad-${launcher.program}`, data()));
    const message = new RegExp(`^stmixer: ${PLACE}: .*vtest_train_000291\\.jpg`, 'm');
    expect(timesIn(stderr, /^stmixer: .*/m), stderr).toBe(1);
    expect(stderr).toMatch(message);
    expect(code).toBe(3);
  });
});

/** A run that each fault interrupts, and that goes on until the next. */
const LONG = 'SOLVER.MAX_EPOCH 12 SOLVER.CHECKPOINT_KEEP 2';

describe.each(launchers)('a run of several processes ($family)', (launcher) => {
  const folder = `faults-${launcher.program}`;
  const isMpich = launcher.family === 'MPICH';
  const resume = (overrides = '', env: NodeJS.ProcessEnv = {}) =>
    new WatchedTraining(at(folder), launcher, args(folder, `${LONG} ${overrides}`, ['--resume']), env);

  it('saves and ends on a signal to one of them', async () => {
    const run = resume();
    await run.says(/saved .*model_0000002/);
    run.signal('SIGTERM', 1);
    const { code, stdout } = await run.ended();
    expect(code).toBe(143);
    expect(stdout).toContain('SIGTERM: finishing this step and saving');
    expect(stdout).toContain(`stopped after iteration ${lastIteration(at(folder))}:`);
  });

  it('saves and ends on SIGUSR1 to the launcher', async () => {
    const run = resume();
    await run.says(/compiling the step/);
    run.signal('SIGUSR1', 'launcher');
    const { code, stdout } = await run.ended();
    expect(stdout).toContain(`stopped after iteration ${lastIteration(at(folder))}:`);
    expect(code).toBe(0);
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('ends on %s to the launcher', async (signal, exitCode) => {
    const before = lastIteration(at(folder));
    const run = resume();
    await run.says(/compiling the step/);
    run.signal(signal, 'launcher');
    const { code, stdout } = await run.ended();
    // Open MPI sends SIGTERM, and kills the processes a second later.
    expect(code).toBe(isMpich ? exitCode : 1);
    if (isMpich) expect(stdout).toMatch(/stopped after iteration \d+:/);
    expect(lastIteration(at(folder))).toBeGreaterThanOrEqual(before);
  });

  it('ends if a process hangs, and says which', async () => {
    const rank = isMpich ? 0 : 1;
    const run = resume('SOLVER.COLLECTIVE_TIMEOUT 8');
    await run.says(/compiling the step/);
    run.signal('SIGSTOP', rank);
    const { code, stderr } = await run.ended();
    expect(code).not.toBe(0);
    const names = `process ${rank} on ${hostname()}`;
    const from = rank === 0 ? 'process 1 on .*: ' : '';
    expect(stderr).toMatch(
      new RegExp(
        `^stmixer: ${from}this process waited .*COLLECTIVE_TIMEOUT allows: there is no answer from ${names}`,
        'm',
      ),
    );
  });

  it('ends if a process hangs while the norms of another one wait for it', async () => {
    const name = `${folder}-norms`;
    const settings = `${LONG} ENGINE.REPLAY False SOLVER.COLLECTIVE_TIMEOUT 8 ${words(TINY_SLOWFAST).join(' ')}`;
    const run = new WatchedTraining(at(name), launcher, args(name, settings));
    await run.says(/saved .*model_0000002/);
    run.signal('SIGSTOP', 1);
    const { code, stderr } = await run.ended();
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/^stmixer: this process waited .*COLLECTIVE_TIMEOUT allows: /m);
  });

  it('ends if one of them has no memory left, once the checkpoint is written', async () => {
    const before = lastIteration(at(folder));
    const run = resume('', faultEnv('memory 1 3'));
    await run.says(/compiling the step/);
    const { code, stderr } = await run.ended();
    expect(code).toBe(1);
    expect(timesIn(stderr, /^stmixer: .*/m), stderr).toBe(1);
    expect(stderr).toContain(`stmixer: ${PLACE}: the tensor [4,4] needs 1 TiB`);
    expect(lastIteration(at(folder))).toBeGreaterThan(before);
  });

  it('goes on as if nothing had happened', async () => {
    const { code } = await resume().ended();
    expect(code).toBe(0);
    expect(readdirSync(at(folder)).filter((name) => /lock|tmp/.test(name))).toEqual([]);
    const whole = await stmixerTogether(launcher, args(`whole-${folder}`, LONG));
    expect(whole.code).toBe(0);
    expect(outcomeOf(at(folder))).toEqual(outcomeOf(at(`whole-${folder}`)));
  });
});

it.skipIf(launchers.length > 0)('needs an MPI launcher, which is not installed', () => {});
