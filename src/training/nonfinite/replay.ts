/** @file Repeating the step of a saved batch, without its update, to find the values that are not finite. */
import { existsSync } from 'node:fs';
import { checkpointName } from '../../checkpoint/checkpoint_names.js';
import { Checkpointer } from '../../checkpoint/checkpointer.js';
import { iterationIn } from '../../checkpoint/run_checkpoints.js';
import type { Config } from '../../config/index.js';
import { type Batch, sliceBatch } from '../../data/loading/collate.js';
import { type EngineRequest, engineSettings, selectEngine } from '../../engine/index.js';
import { tf } from '../../engine/tfjs.js';
import { ConfigError } from '../../errors.js';
import type { Detector } from '../../model/detector.js';
import type { MaskSource } from '../../model/dropout.js';
import { noGrad } from '../../nn/tape.js';
import type { Optimizer } from '../../solver/index.js';
import type { Log } from '../../util/log.js';
import { gradNorms, maxAbs, totalNorm } from '../grad_norm.js';
import { microBatches } from '../micro_batch.js';
import { type RestoreRequest, restoreState } from '../restore/restore.js';
import { computeGradients, stepRng } from '../step.js';
import { TrainingState } from '../training_state.js';
import { type NonFinite, NonFiniteError } from './nonfinite.js';
import { readBatch, type SavedBatch } from './saved_batch.js';

/** Output of a piece of the network, in the order of computation. */
export interface ModuleOutput {
  readonly name: string;
  /** Largest absolute value; not finite if an element is not. */
  readonly maxAbs: number;
}

export interface GroupGradients {
  readonly name: string;
  /** L2 norm and largest absolute value of the group's gradients; not finite if an element is not. */
  readonly norm: number;
  readonly maxAbs: number;
}

export type ReplayRequest = EngineRequest & Pick<RestoreRequest, 'allowPartial'>;

/** Outcome of the repeated step of a saved batch. */
export interface Replay {
  /** Loss terms and their mean, of the whole batch or, if a value is not finite, of the micro-batch that has it. */
  readonly terms: ReadonlyMap<string, number>;
  readonly total: number;
  /** Null if all values are finite. */
  readonly nonFinite: NonFinite | null;
  readonly outputs: readonly ModuleOutput[];
  /** Empty if the loss is not finite, because the gradients are then not computed. */
  readonly groups: readonly GroupGradients[];
}

/**
 * Repeats the step of a saved batch with the weights from before it, or the closest ones that exist. Changes and writes
 * nothing. Logs which engine and weights are used. Throws ConfigError and CheckpointError.
 */
export async function replay(
  cfg: Config,
  file: string,
  request: ReplayRequest,
  log: Log,
): Promise<{ readonly saved: SavedBatch; readonly result: Replay }> {
  const saved = readBatch(file);
  checkFits(cfg, saved, file);
  const engine = await selectEngine({ ...request, ...engineSettings(cfg) });
  log.info(`engine: ${engine.description}`);
  const state = TrainingState.build(cfg);
  loadWeights(state, cfg, saved, { allowPartial: request.allowPartial, log });
  return { saved, result: await replayStep(state, saved) };
}

/** Repeats the step of a batch without its update, and releases the gradients. */
export async function replayStep(
  { model, criterion, optimizer }: Pick<TrainingState, 'model' | 'criterion' | 'optimizer'>,
  saved: SavedBatch,
): Promise<Replay> {
  const { batch, seed, iteration, microBatchSize } = saved;
  model.train();
  let nonFinite: NonFinite | null = null;
  let losses: Pick<Replay, 'terms' | 'total'>;
  try {
    const options = { rng: stepRng(seed, iteration), microBatchSize };
    losses = await computeGradients({ model, criterion }, batch, options);
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
    nonFinite = error.details;
    losses = error.details;
  }
  const groups = nonFinite?.what === 'loss' ? [] : await groupGradients(optimizer);
  optimizer.zeroGrad();
  const outputs = await moduleOutputs(model, saved, nonFinite);
  return { terms: losses.terms, total: losses.total, nonFinite, outputs, groups };
}

async function groupGradients({ paramGroups }: Optimizer): Promise<GroupGradients[]> {
  const groups: GroupGradients[] = [];
  for (const { name, params } of paramGroups) {
    const grads = params.flatMap(({ parameter }) => parameter.grad ?? []);
    const norm = totalNorm(await gradNorms(grads));
    groups.push({ name, norm, maxAbs: maxOf(await maxAbs(grads)) });
  }
  return groups;
}

/** Returns the maximum of non-negative numbers, or NaN if one of them is NaN. */
function maxOf(values: Iterable<number>): number {
  return Math.max(0, ...values);
}

/** Measures the network's outputs for the micro-batch that failed, or for the whole batch if none did. */
async function moduleOutputs(
  model: Detector,
  saved: SavedBatch,
  nonFinite: NonFinite | null,
): Promise<ModuleOutput[]> {
  const { batch, seed, iteration, microBatchSize } = saved;
  const failed = nonFinite ? [nonFinite.microBatch] : microBatches(batch, microBatchSize);
  const outputs = new Map<string, number>();
  for (const microBatch of failed) {
    const stream = stepRng(seed, iteration);
    const masks = { uniform: () => stream.uniform(), clips: microBatch.inWhole };
    const tensors = tf.tidy(() => noGrad(() => forward(model, sliceBatch(batch, microBatch), masks)));
    const maxima = await maxAbs(Object.values(tensors));
    tf.dispose(tensors);
    for (const [i, name] of Object.keys(tensors).entries())
      outputs.set(name, maxOf([outputs.get(name) ?? 0, maxima[i]]));
  }
  return Array.from(outputs, ([name, value]) => ({ name, maxAbs: value }));
}

/** Runs the network and returns the output of each of its pieces by name. */
function forward(
  model: Detector,
  { video, shape, whwh }: Batch,
  masks: MaskSource,
): Record<string, tf.Tensor> {
  const input = tf.tensor(video, [...shape]);
  const { backbone, maps } = model.features(input, masks);
  const stages = model.stm_head.forward(maps, tf.tensor2d(whwh, [shape[0], 4]), masks);
  return {
    video: input,
    ...Object.fromEntries(
      backbone.map((map, i) => [backbone.length === 1 ? 'backbone' : `backbone, level ${i}`, map]),
    ),
    ...Object.fromEntries(maps.map((map, level) => [`neck, level ${level}`, map])),
    ...Object.fromEntries(
      stages.flatMap(({ spatial, temporal, logits, boxes, actions }, s) =>
        Object.entries({ spatial, temporal, logits, boxes, actions }).map(([name, x]) => [
          `decoder stage ${s}, ${name}`,
          x,
        ]),
      ),
    ),
  };
}

/** Loads the checkpoint from before the batch's iteration if there is one, else the weights that training would start from. */
function loadWeights(
  state: TrainingState,
  cfg: Config,
  { iteration, seed }: SavedBatch,
  { allowPartial, log }: Pick<ReplayRequest, 'allowPartial'> & { readonly log: Log },
): void {
  const checkpointer = new Checkpointer(cfg.OUTPUT_DIR);
  const exact = checkpointer.pathOf(checkpointName(iteration - 1));
  const request = { transfer: true, noHead: false, adjustLr: false, resume: false, allowPartial, seed };
  const { WEIGHT: weight, WEIGHT_KEY: weightKey } = cfg.MODEL;
  const plan = existsSync(exact)
    ? { path: exact, weightKey: '' }
    : checkpointer.plan({ ...request, weight, weightKey });
  const path = plan?.path;
  const done = path === undefined ? 0 : iterationIn(path);
  const MODEL = { ...cfg.MODEL, WEIGHT: path ?? '', WEIGHT_KEY: plan?.weightKey ?? '' };
  restoreState(state, { checkpointer, cfg: { ...cfg, MODEL }, request, log });
  if (done === iteration - 1) return;
  const are = done === null ? 'come from an unknown iteration' : `are those after iteration ${done}`;
  log.warn(
    `the weights ${are}, but the batch was trained on after iteration ${iteration - 1}, and ${exact} does not ` +
      'exist: what follows may not be what happened then',
  );
}

function checkFits(cfg: Config, { batch }: SavedBatch, file: string): void {
  const frames = batch.shape[1];
  if (frames !== cfg.DATA.NUM_FRAMES) {
    throw new ConfigError(
      `${file}: its clips have ${frames} frames, DATA.NUM_FRAMES is ${cfg.DATA.NUM_FRAMES}: --replay takes the ` +
        'configuration that the batch was saved with (config.yaml in OUTPUT_DIR)',
    );
  }
  const classes = batch.labels.flatMap((labels, b) =>
    labels.length ? labels.length / (batch.boxes[b].length / 4) : [],
  );
  const other = classes.find((count) => count !== cfg.MODEL.STM.ACTION_CLASSES);
  if (other !== undefined) {
    throw new ConfigError(
      `${file}: its labels have ${other} classes, MODEL.STM.ACTION_CLASSES is ${cfg.MODEL.STM.ACTION_CLASSES}: ` +
        '--replay takes the configuration that the batch was saved with (config.yaml in OUTPUT_DIR)',
    );
  }
}
