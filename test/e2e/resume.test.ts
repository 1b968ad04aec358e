/** @file A run that is stopped after any of its steps and resumed is, to the last bit, the run in one go. */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.js';
import { isHostTensor } from '../../src/formats/host_tensor.js';
import { readPth } from '../../src/formats/pth/pth_reader.js';
import { writePth } from '../../src/formats/pth/pth_writer.js';
import { readEvaluations } from '../../src/run/evaluations.js';
import type { Hook, StepReport } from '../../src/training/hook.js';
import { type TrainOptions, train } from '../../src/training/train.js';
import { capturedLog } from '../support/captured_log.js';
import { TEST_DEVICE, TEST_ENGINE } from '../support/engine.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { MICRO } from '../support/tiny_config.js';

/**
 * Epochs end after 3, 6, 9; the warm-up after 3; evaluations and checkpoints come after 6; a pass over the data ends
 * after every fourth batch of two clips, and both schedule steps lie inside.
 */
const SETTINGS =
  `${MICRO} SOLVER.ITER_PER_EPOCH 3 SOLVER.MAX_EPOCH 3 SOLVER.VIDEOS_PER_BATCH 2 SOLVER.WARMUP_EPOCH 1 ` +
  'SOLVER.STEPS (1,2) SOLVER.CHECKPOINT_PERIOD 2 SOLVER.EVAL_PERIOD 2 SOLVER.EVAL_AFTER 1 SOLVER.BASE_LR 1e-3 ViT.DROP_PATH_RATE 0.3';
const LAST = 9;
const OPTIONS: TrainOptions = { engine: TEST_ENGINE, device: TEST_DEVICE, resume: true, skipFinalTest: true };

/** Tests of files alone are skipped there: the device does not matter to them. */
const isOnGpu = TEST_DEVICE === 'gpu';

let home: string;
let reports: StepReport[] = [];
let printed = '';
let whole: { losses: unknown[]; final: unknown; evaluations: unknown };

const printingLog = () =>
  capturedLog((text) => {
    printed += text;
  });

/** Trains in this process, and is told to stop during step `stop`. Returns whether it reached its end. */
async function run(
  folder: string,
  changes: Partial<TrainOptions> & { replay?: 'True' | 'False' } = {},
  stop = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  const { replay = 'True', ...options } = changes;
  const words = `${SETTINGS} ENGINE.REPLAY ${replay} OUTPUT_DIR ${join(home, folder)}`.split(' ');
  const stopping = new AbortController();
  const watch: Hook = {
    afterStep(_run, report) {
      reports.push(report);
      if (report.iteration === stop) stopping.abort(new Error('stopping'));
    },
  };
  const { isStopped } = await train(loadConfig('config_files/tiny.yaml', words), {
    ...OPTIONS,
    signal: stopping.signal,
    hooks: [watch],
    log: printingLog(),
    ...options,
  });
  return !isStopped;
}

/** What a checkpoint holds, with the bytes of all tensors. */
function content(folder: string, name: string): unknown {
  const plain = (value: unknown): unknown => {
    if (isHostTensor(value)) return [value.dtype, value.shape, Buffer.from(value.bytes()).toString('base64')];
    if (value instanceof Map) return Array.from(value, ([key, item]) => [key, plain(item)]);
    return Array.isArray(value) ? value.map(plain) : value;
  };
  return plain(readPth(join(home, folder, `${name}.pth`)));
}

const evaluations = (folder: string) =>
  readEvaluations(join(home, folder)).map(({ iteration, mAP, perClass }) => ({ iteration, mAP, perClass }));

/** All that must not depend on interruptions: losses, rates, and the clips behind them. */
const facts = (all: StepReport[]) =>
  all.map(({ iteration, lr, total, terms, gradNorm }) => ({
    iteration,
    lr,
    total,
    terms: [...terms],
    gradNorm,
  }));

beforeAll(async () => {
  home = temporaryFolderOfFile();
  expect(await run('whole', { seed: 7 })).toBe(true);
  whole = {
    losses: facts(reports),
    final: content('whole', 'model_final'),
    evaluations: evaluations('whole'),
  };
  expect(whole.losses).toHaveLength(LAST);
}, 600_000);

// The seed is given only once: it stands in the checkpoint.
it.each(
  (process.env.STMIXER_LONG_TESTS ? [1, 2, 3, 4, 5, 6, 7, 8] : [2, 4, 7]).map(
    (k) => [k, k % 2 === 0 ? 'False' : 'True'] as const,
  ),
)(
  'a run stopped in step %i, with ENGINE.REPLAY %s, continues bit for bit like the whole run with replay',
  async (k, replay) => {
    const folder = `stopped-${k}`;
    reports = [];
    expect(await run(folder, { seed: 7, replay }, k)).toBe(false);
    expect(reports).toHaveLength(k);
    expect(await run(folder, { replay })).toBe(true);
    expect(facts(reports)).toEqual(whole.losses);
    expect(content(folder, 'model_final')).toEqual(whole.final);
    expect(evaluations(folder)).toEqual(whole.evaluations);
  },
);

describe.skipIf(isOnGpu)('a state that does not belong to its checkpoint', () => {
  /** The checkpoint after the sixth step, rewritten as `change` says, in a folder of its own. */
  async function changed(folder: string, change: (content: Map<unknown, unknown>) => void): Promise<void> {
    cpSync(join(home, 'whole', 'model_0000006.pth'), join(home, folder, 'old.pth'), { recursive: true });
    const value = readPth(join(home, folder, 'old.pth')) as Map<never, never>;
    change(value);
    await writePth(join(home, folder, 'model_0000006.pth'), value);
    rmSync(join(home, folder, 'old.pth'));
    writeFileSync(join(home, folder, 'last_checkpoint'), join(home, folder, 'model_0000006.pth'));
    reports = [];
  }
  const output = () => printed;

  it('is ignored if the official trainer has copied it from another iteration', async () => {
    await changed('stale', (value) => (value.get('stmixer') as Map<string, number>).set('iteration', 5));
    // As PyTorch's own checkpoints, it knows no seed.
    expect(await run('stale', { seed: 7 })).toBe(true);
    expect(output()).toMatch(/is of iteration 5, the checkpoint of 6: another trainer has carried it along/);
    // The order and all masks are functions of seed and iteration, so that nothing is lost.
    expect(facts(reports)).toEqual(whole.losses.slice(6));
  });

  it('may be missing', async () => {
    await changed('none', (value) => value.delete('stmixer'));
    expect(await run('none', { seed: 7 })).toBe(true);
    expect(facts(reports)).toEqual(whole.losses.slice(6));
  });

  it('is overridden by a seed on the command line', async () => {
    await changed('seed', () => {});
    expect(await run('seed', { seed: 8 })).toBe(true);
    expect(output()).toMatch(/--seed 8: the run was made with 7/);
    expect(facts(reports)).not.toEqual(whole.losses.slice(6));
  });

  it('keeps the order of the data pass that it was saved in, whatever made it', async () => {
    await changed('order', (value) => {
      const sampler = (value.get('stmixer') as Map<string, Map<string, never>>).get('sampler')!;
      const order = sampler.get('order') as unknown as { bytes(): Uint8Array; shape: number[] };
      const reversed = Int32Array.from({ length: order.shape[0] }, (_, i) => order.shape[0] - 1 - i);
      sampler.set('order', {
        dtype: 'int32',
        shape: order.shape,
        bytes: () => new Uint8Array(reversed.buffer),
      } as never);
    });
    expect(await run('order')).toBe(true);
    expect(facts(reports)).not.toEqual(whole.losses.slice(6));
  });
});

describe.skipIf(isOnGpu)('a damaged last checkpoint', () => {
  /** A copy of a whole run's folder whose last checkpoint is the one after step 6, and older ones besides. */
  function copied(folder: string): string {
    cpSync(join(home, 'stopped-7'), join(home, folder), { recursive: true });
    rmSync(join(home, folder, 'model_final.pth'));
    writeFileSync(join(home, folder, 'last_checkpoint'), join(home, folder, 'model_0000007.pth'));
    printed = '';
    reports = [];
    return join(home, folder, 'model_0000007.pth');
  }
  const output = () => printed;

  it.each([
    ['cut off', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['empty', () => Buffer.alloc(0)],
    [
      'changed in one bit of the optimizer',
      (bytes: Buffer) => {
        bytes[Math.floor(0.7 * bytes.length)] ^= 4;
        return bytes;
      },
    ],
  ])('is named if it is %s, and the newest whole checkpoint continues the run', async (what, damage) => {
    const path = copied(what.replaceAll(' ', '-'));
    writeFileSync(path, damage(readFileSync(path)));
    expect(await run(what.replaceAll(' ', '-'))).toBe(true);
    expect(output()).toContain(path);
    expect(output()).toMatch(
      /going on from .*model_0000006\.pth instead, the newest checkpoint that is whole/,
    );
    expect(facts(reports)).toEqual(whole.losses.slice(6));
  });

  it('is named if it is missing, and the newest whole checkpoint continues the run', async () => {
    rmSync(copied('gone'));
    expect(await run('gone')).toBe(true);
    expect(output()).toMatch(/names .*model_0000007\.pth, but neither that nor/);
    expect(facts(reports)).toEqual(whole.losses.slice(6));
  });

  it('is not replaced by an older one if it only belongs to another model', async () => {
    copied('other');
    const words = `${SETTINGS} MODEL.STM.HIDDEN_DIM 32 OUTPUT_DIR ${join(home, 'other')}`.split(' ');
    const other = train(loadConfig('config_files/tiny.yaml', words), { ...OPTIONS, log: printingLog() });
    await expect(other).rejects.toThrow(/model_0000007\.pth/);
    expect(output()).not.toContain('going on from');
  });

  it('does not make the run start afresh if no other checkpoint is whole', async () => {
    const path = copied('alone');
    for (const file of readdirSync(join(home, 'alone'))) {
      if (file.endsWith('.pth')) truncateSync(join(home, 'alone', file), 1000);
    }
    await expect(run('alone')).rejects.toThrow(
      /No other checkpoint in .*alone is whole\. To start afresh use --overwrite/,
    );
    expect(statSync(path).size).toBe(1000);
  });
});

it.skipIf(isOnGpu)('a run keeps as many checkpoints as configured, the best and the final one', async () => {
  const words = `${SETTINGS} SOLVER.CHECKPOINT_PERIOD 1 SOLVER.CHECKPOINT_KEEP 1 OUTPUT_DIR ${join(home, 'few')}`;
  writeLeftovers(join(home, 'few'));
  await train(loadConfig('config_files/tiny.yaml', words.split(' ')), { ...OPTIONS, seed: 7 });
  const files = readdirSync(join(home, 'few')).filter((name) => name.includes('model_'));
  expect(files.sort()).toEqual(['model_0000009.pth', 'model_best.pth', 'model_final.pth', 'my_model_1.pth']);
  expect(content('few', 'model_final')).toEqual(whole.final);
});

/** What a killed run leaves, and what is not its own. */
function writeLeftovers(folder: string): void {
  mkdirSync(folder);
  for (const name of [
    'model_0000003.pth.tmp-12-0',
    'model_final.pth.tmp-1-1000000000',
    'last_checkpoint.tmp-3-7',
  ])
    writeFileSync(join(folder, name), '');
  writeFileSync(join(folder, 'my_model_1.pth'), '');
}

it.skipIf(isOnGpu)('a run leaves nothing but whole files', () => {
  const known = /^(model_\w+\.pth|last_checkpoint|config\.yaml|\w+\.jsonl|environment\.json|evaluation)$/;
  expect(readdirSync(join(home, 'stopped-4')).filter((name) => !known.test(name))).toEqual([]);
});
