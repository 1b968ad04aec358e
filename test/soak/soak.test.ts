/**
 * @file The tiny model's training for 2,000 steps among faults of every kind ends with what it ends with undisturbed, to the
 * last bit. Takes about a quarter of an hour, so it runs where STMIXER_LONG_TESTS is set. The faults and their places are
 * functions of a seed, which it prints and STMIXER_SOAK_SEED sets.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.js';
import { AvaDataset } from '../../src/data/datasets/ava_dataset.js';
import { readEvaluations } from '../../src/run/evaluations.js';
import { parseJsonLines } from '../../src/util/json.js';
import { stmixer } from '../support/cli.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { inflict, type SoakedRun } from './soak_faults.js';
import { SoakProcess } from './soak_process.js';
import { drawSchedule, FAULT_KINDS } from './soak_schedule.js';

const STEPS = 2000;
const STEPS_PER_EPOCH = 25;
const EVALUATION_PERIOD = 16 * STEPS_PER_EPOCH;
const CONFIG = 'config_files/tiny.yaml';
const SETTINGS =
  `SOLVER.ITER_PER_EPOCH ${STEPS_PER_EPOCH} SOLVER.MAX_EPOCH ${STEPS / STEPS_PER_EPOCH} SOLVER.STEPS (40,60) ` +
  'SOLVER.CHECKPOINT_PERIOD 2 SOLVER.CHECKPOINT_KEEP 3 SOLVER.EVAL_PERIOD 16 ViT.DROP_PATH_RATE 0.1';
/** Room for the checkpoints that stay and for one more. */
const DISK = '64m';
const MINUTES = 60_000;

const seed = Number(process.env.STMIXER_SOAK_SEED ?? 1);

describe.skipIf(!process.env.STMIXER_LONG_TESTS)('2,000 steps with faults', () => {
  let home: string;
  let canMount = true;
  const diary: string[] = [];
  const processes: SoakProcess[] = [];
  const path = (name: string) => join(home, name);

  beforeAll(() => {
    home = temporaryFolderOfFile();
    cpSync('sample', path('data'), { recursive: true });
    mkdirSync(path('disk'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'tmpfs', path('disk')], {
        stdio: 'ignore',
      });
    } catch {
      // Only the system's administrator may: then no disk gets full.
      canMount = false;
    }
  });

  afterAll(async () => {
    for (const process of processes) await process.kill();
    if (canMount) execFileSync('umount', ['-l', path('disk')]);
  });

  const overrides = (outputDir: string) =>
    `${SETTINGS} DATA.PATH_TO_DATA_DIR ${path('data')} OUTPUT_DIR ${outputDir}`.split(' ');

  const args = (outputDir: string) =>
    ['train', '--config-file', CONFIG, '--engine', 'onnx', '--resume', '--seed', '7'].concat(
      overrides(outputDir),
    );

  /** Trains to the end, among the faults of the schedule. */
  async function trainAmongFaults(outputDir: string): Promise<void> {
    const { config } = loadConfig(CONFIG, overrides(outputDir));
    const data = AvaDataset.open(config, 'train');
    const begin = performance.now();
    const note = (text: string) => {
      const line = `${((performance.now() - begin) / 1000).toFixed(1)} s: ${text}`;
      diary.push(line);
      console.info(line);
    };
    const startNext = () => {
      processes.push(new SoakProcess(args(outputDir), path('slow')));
      return processes[processes.length - 1];
    };
    const run: SoakedRun = {
      outputDir,
      frames: data.keyFrames.flatMap((_, i) => data.source(i).paths),
      slow: path('slow'),
      get current() {
        const last = processes.at(-1);
        return !last || last.ended ? startNext() : last;
      },
      restart: startNext,
      note: (text) => note(`  ${text}`),
    };
    const kinds = FAULT_KINDS.filter((kind) => canMount || kind !== 'a full disk');
    const schedule = drawSchedule({
      seed,
      kinds,
      from: 110,
      to: STEPS - 60,
      evaluationPeriod: EVALUATION_PERIOD,
    });
    note(`seed ${seed}: ${schedule.length} faults of ${kinds.length} kinds`);
    for (const fault of schedule) {
      await run.current.reach(fault.iteration);
      note(`iteration ${run.current.iteration}: ${fault.kind}`);
      await inflict(run, fault);
    }
    await run.current.expectEnd(0, /done: \d+ iterations/);
    note(`done with ${processes.length} processes`);
  }

  /** The last line about each iteration, without what depends on the time or on where a process began. */
  function losses(outputDir: string): Map<unknown, unknown> {
    const { objects } = parseJsonLines(readFileSync(join(outputDir, 'metrics.jsonl'), 'utf8'));
    return new Map(
      objects.map(({ iteration, loss, losses, grad_norm, lr }) => [
        iteration,
        { loss, losses, grad_norm, lr },
      ]),
    );
  }

  const evaluations = (outputDir: string) =>
    readEvaluations(outputDir).map(({ iteration, mAP, perClass, clips }) => ({
      iteration,
      mAP,
      perClass,
      clips,
    }));

  it(
    'end with the weights, the state, the losses and the evaluations of a run without faults',
    async () => {
      const whole = path('whole');
      const begin = performance.now();
      const undisturbed = await stmixer(args(whole));
      expect(undisturbed.code, undisturbed.stderr).toBe(0);
      console.info(`undisturbed: ${((performance.now() - begin) / 1000).toFixed(0)} s`);

      const soaked = resolve(path('disk'), 'run');
      try {
        await trainAmongFaults(soaked);
      } catch (error) {
        throw new Error(`STMIXER_SOAK_SEED=${seed}:\n${diary.join('\n')}`, { cause: error });
      }
      for (const file of ['model_final.pth', 'model_best.pth']) {
        const same = readFileSync(join(soaked, file)).equals(readFileSync(join(whole, file)));
        expect(same, `${file} of seed ${seed}`).toBe(true);
      }
      const expected = losses(whole);
      expect(expected.size).toBeGreaterThanOrEqual(STEPS / 10);
      const found = losses(soaked);
      expect(Array.from(expected.keys(), (iteration) => [iteration, found.get(iteration)])).toEqual([
        ...expected,
      ]);
      expect(evaluations(whole)).toHaveLength(STEPS / EVALUATION_PERIOD);
      expect(evaluations(soaked)).toEqual(evaluations(whole));
    },
    90 * MINUTES,
  );
});
