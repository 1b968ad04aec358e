/** @file The step of a saved batch once more: the same numbers, where it goes wrong, and with which weights. */
import { copyFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { TEST_DEVICE, TEST_ENGINE } from '../../../test/support/engine.js';
import { modelTensors, renamed, strangeName } from '../../../test/support/model_tensors.js';
import { contents, disposeState, makeState, noiseBatch } from '../../../test/support/noise_batch.js';
import { saveCheckpoint } from '../../../test/support/save_checkpoint.js';
import { temporaryFolder } from '../../../test/support/temporary_files.js';
import { tinyConfig } from '../../../test/support/tiny_config.js';
import type { Config } from '../../config/index.js';
import type { Batch } from '../../data/loading/collate.js';
import { tf } from '../../engine/tfjs.js';
import { writePth } from '../../formats/pth/pth_writer.js';
import type { Log } from '../../util/log.js';
import { computeGradients, type StepLosses, stepRng } from '../step.js';
import { NonFiniteError } from './nonfinite.js';
import { type ReplayRequest, replay, replayStep } from './replay.js';
import { formatReplay } from './replay_table.js';
import { readBatch, type SavedBatch, saveBatch } from './saved_batch.js';

const CHANGES = { 'ViT.DROP_PATH_RATE': 0.4, 'MODEL.STM.DROPOUT': 0.3 };
const SEED = 3;
const ITERATION = 8;

/** What a run would have left: its weights before an iteration, that step's losses, and its batch. */
async function interrupted(cfg: Config, batch: Batch, atIteration = ITERATION) {
  const state = makeState(cfg);
  onTestFinished(() => disposeState(state));
  const { model, criterion } = state;
  const folder = cfg.OUTPUT_DIR;
  state.iteration = atIteration - 1;
  await saveCheckpoint(folder, `model_${String(atIteration - 1).padStart(7, '0')}`, state.checkpoint());
  const options = { microBatchSize: 2 };
  const losses = await computeGradients({ model, criterion }, batch, {
    rng: stepRng(SEED, ITERATION),
    ...options,
  }).catch((error) => {
    if (error instanceof NonFiniteError) return error.details;
    throw error;
  });
  const saved: SavedBatch = {
    batch,
    iteration: ITERATION,
    seed: SEED,
    microBatchSize: 2,
    first: 'microBatch' in losses ? losses.microBatch.first : 0,
    terms: losses.terms,
    parameters: 'microBatch' in losses ? losses.parameters : [],
  };
  return { state, losses, file: await saveBatch(folder, saved), folder };
}

/** Runs the command's function; what it says, line by line. */
async function say(cfg: Config, file: string, flags: Pick<ReplayRequest, 'allowPartial'> = {}) {
  const [lines, warnings]: string[][] = [[], []];
  const log: Log = { info: (line) => void lines.push(line), warn: (line) => void warnings.push(line) };
  const { saved, result } = await replay(
    cfg,
    file,
    { engine: TEST_ENGINE, device: TEST_DEVICE, ...flags },
    log,
  );
  lines.push(formatReplay(result, saved));
  return { allFinite: result.nonFinite === null, text: lines.join('\n'), warnings };
}

const config = (changes: Record<string, unknown> = {}) =>
  tinyConfig({ ...CHANGES, OUTPUT_DIR: temporaryFolder(), ...changes });

it('repeats a finite step to the last bit, from the file alone, and writes nothing', async () => {
  const cfg = config();
  const { losses, file, folder } = await interrupted(cfg, noiseBatch(cfg, [2, 0, 1]));
  const files = readdirSync(folder);
  const other = makeState(cfg, 99);
  onTestFinished(() => disposeState(other));
  const before = tf.memory().numTensors;
  const { allFinite, text, warnings } = await say(cfg, file);
  expect({ allFinite, warnings }).toEqual({ allFinite: true, warnings: [] });
  expect(text).toContain(join(folder, 'model_0000007.pth'));
  expect(text).toMatch(/loss +then +now\nloss_bce +(\S+) +\1\nloss_ce +(\S+) +\2\n/);
  expect(text).toMatch(/gradients of group +norm +largest\n\w+ +\d/);
  expect(text).toMatch(/All values are finite\.$/);
  expect(readdirSync(folder)).toEqual(files);
  // The command ends with its process; the model is all that it leaves.
  expect(tf.memory().numTensors - before).toBe(other.model.parameters().length);

  const saved = readBatch(file);
  const { state } = await interrupted(config(), saved.batch);
  const weights = contents(state);
  const { terms, total, nonFinite } = await replayStep(state, saved);
  expect({ terms, total, nonFinite }).toEqual({ terms: losses.terms, total: losses.total, nonFinite: null });
  expect((losses as StepLosses).gradNorm).toBeGreaterThan(0);
  expect(contents(state)).toEqual(weights);
});

it('repeats a step that was not finite, and names the first part of the network that was not', async () => {
  const cfg = config();
  const batch = noiseBatch(cfg, [2, 1, 1]);
  batch.video[batch.video.length - 5] = Number.NaN;
  const { losses, file, state } = await interrupted(cfg, batch);
  const { allFinite, text } = await say(cfg, file);
  expect(allFinite).toBe(false);
  expect(text).toMatch(/loss_bce +NaN +NaN/);
  expect(text).toMatch(
    /the loss is not finite \(loss_bce = NaN, .*\) for video2 at second 902 \(clips 3 to 3 of 3\)\./,
  );
  expect(text).toMatch(/The first output that is not finite: video\.$/);
  const { terms, nonFinite, outputs } = await replayStep(state, readBatch(file));
  expect(terms).toEqual(losses.terms);
  expect(nonFinite).toEqual(losses);
  expect(outputs.map(({ name }) => name)).toEqual([
    'video',
    'backbone',
    ...[0, 1, 2, 3].map((level) => `neck, level ${level}`),
    ...[0, 1].flatMap((s) =>
      ['spatial', 'temporal', 'logits', 'boxes', 'actions'].map((name) => `decoder stage ${s}, ${name}`),
    ),
  ]);
  expect(outputs.every(({ maxAbs }) => Number.isNaN(maxAbs))).toBe(true);
});

it('finds weights that overflow, and gradients that do', async () => {
  const cfg = config();
  const { state, file } = await interrupted(cfg, noiseBatch(cfg, [1, 2]));
  const saved = readBatch(file);
  const scale = (ending: string, factor: number) => {
    for (const [name, parameter] of state.model.namedParameters())
      if (name.endsWith(ending))
        parameter.set((parameter.value.dataSync() as Float32Array).map((x) => factor * x));
  };
  scale('lateral_convs.3.3.weight', 1e39);
  const neck = await replayStep(state, saved);
  expect(neck.nonFinite?.what).toBe('loss');
  expect(neck.groups).toEqual([]);
  expect(neck.outputs.find(({ maxAbs }) => !Number.isFinite(maxAbs))?.name).toBe('neck, level 3');
  scale('lateral_convs.3.3.weight', 1e-39);

  state.criterion.weights.loss_bce = 3e38;
  scale('1.fc_action.weight', 100);
  const late = await replayStep(state, saved);
  expect(late.nonFinite?.what).toBe('gradients');
  expect(late.groups.some(({ norm, maxAbs }) => !Number.isFinite(norm) && !Number.isFinite(maxAbs))).toBe(
    true,
  );
  expect(late.outputs.every(({ maxAbs }) => Number.isFinite(maxAbs))).toBe(true);
});

it('reports which weights it takes if those of the step are missing', async () => {
  const cfg = config();
  const { file, folder } = await interrupted(cfg, noiseBatch(cfg, [1]), 5);
  const last = await say(cfg, file);
  expect(last.text).toContain('model_0000004.pth (MODEL.WEIGHT)');
  expect(last.warnings.join()).toMatch(
    /the weights are those after iteration 4, but the batch was trained on after iteration 7, and \S+model_0000007\.pth does not exist/,
  );
  const elsewhere = join(temporaryFolder(), 'weights.pth');
  copyFileSync(join(folder, 'model_0000004.pth'), elsewhere);
  const named = await say(config({ 'MODEL.WEIGHT': elsewhere }), file);
  expect(named.text).toContain(elsewhere);
});

it('accepts weights that fit in part only with --allow-partial', async () => {
  const cfg = config();
  const { file } = await interrupted(cfg, noiseBatch(cfg, [1]));
  const weights = join(temporaryFolder(), 'strange.pth');
  await writePth(weights, renamed(modelTensors(cfg), strangeName));
  const other = config({ 'MODEL.WEIGHT': weights });
  await expect(say(other, file)).rejects.toThrow(/backbone: 20 of 30 tensors load/);
  const { warnings } = await say(other, file, { allowPartial: true });
  expect(warnings[0]).toMatch(/strange\.pth: its weights fit the model only in part\n/);
  expect(warnings[0]).toMatch(/\n--allow-partial: training goes on with what loads, and the rest at random$/);
});

it('refuses files and configurations that do not fit', async () => {
  const cfg = config();
  const { file, folder } = await interrupted(cfg, noiseBatch(cfg, [1]));
  const other = join(folder, 'other.pth');
  await writePth(other, { video: 1 });
  await expect(say(cfg, other)).rejects.toThrow(
    /other\.pth: is not a batch that a training run saved: "video" is no tensor/,
  );
  await expect(say(cfg, join(folder, 'model_0000007.pth'))).rejects.toThrow(
    /it has no "video"; --replay takes/,
  );
  writeFileSync(other, '');
  await expect(say(cfg, other)).rejects.toThrow(/the file is empty/);
  const changed = (changes: Record<string, unknown>) => say(config(changes), file);
  await expect(changed({ 'DATA.NUM_FRAMES': 8, 'MODEL.STM.TEMPORAL_POINTS': 4 })).rejects.toThrow(
    /its clips have 4 frames, DATA\.NUM_FRAMES is 8/,
  );
  await expect(changed({ 'MODEL.STM.ACTION_CLASSES': 5 })).rejects.toThrow(
    /its labels have 3 classes, MODEL\.STM\.ACTION_CLASSES is 5/,
  );
});
