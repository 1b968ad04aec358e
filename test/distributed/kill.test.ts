/** @file SIGKILL of one of several processes at any time: all of them end, and the next run goes on exactly. */
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Rng } from '../../src/util/random.js';
import { launchers } from '../support/mpi.js';
import {
  lastIteration,
  outcomeOf,
  stmixerTogether,
  trainingArgs,
  WatchedTraining,
} from '../support/mpi_training.js';
import { temporaryFolder } from '../support/temporary_files.js';

const KILLS = process.env.STMIXER_LONG_TESTS ? 50 : 5;
/** A checkpoint and an evaluation come after every second step. */
const SETTINGS = `SOLVER.MAX_EPOCH ${KILLS + 3} SOLVER.EVAL_AFTER 1`;
/** After these lines a process is killed, at a random moment: it trains, saves or evaluates then. */
const MOMENTS = [/compiling the step/, /iteration +loss|iter +loss/, /saved .*model_\d+\.pth/, /evaluat/];

it.skipIf(launchers.length === 0)(
  `a killed process ends the others and leaves a whole checkpoint, ${KILLS} times`,
  async () => {
    const home = temporaryFolder();
    const [killed, whole] = [join(home, 'killed'), join(home, 'whole')];
    const rng = new Rng(1);
    let done = 0;
    for (let n = 0; n < KILLS; n++) {
      const launcher = launchers[n % launchers.length];
      const run = new WatchedTraining(killed, launcher, trainingArgs(killed, SETTINGS, ['--resume']));
      // The first run has to get to a checkpoint.
      await run.says(n === 0 ? /saved / : MOMENTS[rng.int(MOMENTS.length)]);
      await setTimeout(rng.uniformBetween(0, 500));
      run.signal('SIGKILL', rng.int(2));
      const { code } = await run.ended();
      expect(code).not.toBe(0);
      const iteration = lastIteration(killed);
      expect(iteration).toBeGreaterThanOrEqual(done);
      done = iteration;
    }
    for (const [folder, flags] of [
      [killed, ['--resume']],
      [whole, []],
    ] as const) {
      const { code, stderr } = await stmixerTogether(launchers[0], trainingArgs(folder, SETTINGS, flags));
      expect(code, stderr).toBe(0);
    }
    expect(outcomeOf(killed)).toEqual(outcomeOf(whole));
  },
  (KILLS + 3) * 60_000,
);
