/** @file `stmixer train --replay`: the step of a saved batch once more, with a look at what is not finite, and no update. */
import { existsSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { checkpointName } from '../../checkpoint/checkpoint_names.js';
import { Checkpointer } from '../../checkpoint/checkpointer.js';
import { iterationIn } from '../../checkpoint/run_checkpoints.js';
import type { Config } from '../../config/index.js';
import { type EngineRequest, selectEngine } from '../../engine/index.js';
import { ConfigError } from '../../errors.js';
import type { Detector } from '../../model/detector.js';
import { noGrad } from '../../nn/tape.js';
import type { Optimizer } from '../../solver/index.js';
import type { Log } from '../../util/log.js';
import { largest, norms, totalNorm } from '../grad_norm.js';
import { clipsOf, partsOf } from '../micro_batch.js';
import { type RestoreRequest, restoreState } from '../restore/restore.js';
import { computeGradients, stepRng } from '../step.js';
import { TrainingState } from '../training_state.js';
import { type NonFinite, NonFiniteError } from './nonfinite.js';
import { formatReplay } from './replay_table.js';
import { readBatch, type SavedBatch } from './saved_batch.js';

/** A part of the network in the order in which it is computed. */
export interface PartOutput {
  readonly name: string;
  /** The largest |x| of its output; not finite where an element is not. */
  readonly largest: number;
}

export interface GroupGradients {
  readonly name: string;
  /** L2 norm and largest |g| of the gradients of the group; not finite where an element is not. */
  readonly norm: number;
  readonly largest: number;
}

/** Flags of the command line. */
export type ReplayRequest = EngineRequest & Pick<RestoreRequest, 'allowPartial'>;

/** What the step of a batch does. */
export interface Replay {
  /** Of the whole batch, or where something is not finite, of the clips that were computed then. */
  readonly terms: ReadonlyMap<string, number>;
  readonly total: number;
  /** Null where all is finite. */
  readonly nonFinite: NonFinite | null;
  readonly outputs: readonly PartOutput[];
  /** None where the loss is not finite, for then they are not computed. */
  readonly groups: readonly GroupGradients[];
}

/**
 * Prints what the step of a saved batch does with the weights that it was saved with, or the nearest there are. Changes
 * nothing and writes nothing. Returns the exit code: 0 where all is finite.
 */
export async function replay(cfg: Config, file: string, request: ReplayRequest, log: Log): Promise<number> {
  const saved = readBatch(file);
  checkFits(cfg, saved, file);
  const engine = await selectEngine({ ...request, threads: cfg.ENGINE.THREADS });
  log.info(`engine: ${engine.description}`);
  const state = TrainingState.build(cfg);
  loadWeights(state, cfg, saved, { ...request, log });
  const result = await replayStep(state, saved);
  log.info(formatReplay(result, saved));
  return result.nonFinite === null ? 0 : 1;
}

/** The step of a batch without its update; the gradients are gone afterwards. */
export async function replayStep(
  { model, criterion, optimizer }: Pick<TrainingState, 'model' | 'criterion' | 'optimizer'>,
  saved: SavedBatch,
): Promise<Replay> {
  const { batch, seed, iteration, clipsAtOnce } = saved;
  model.train();
  let nonFinite: NonFinite | null = null;
  let losses: Pick<Replay, 'terms' | 'total'>;
  try {
    losses = await computeGradients(model, criterion, batch, stepRng(seed, iteration), {
      microBatchSize: clipsAtOnce,
    });
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
    nonFinite = error.facts;
    losses = error.facts;
  }
  const groups = nonFinite?.what === 'loss' ? [] : await groupGradients(optimizer);
  optimizer.zeroGrad();
  const outputs = await partOutputs(model, saved, nonFinite);
  return { terms: losses.terms, total: losses.total, nonFinite, outputs, groups };
}

async function groupGradients({ paramGroups }: Optimizer): Promise<GroupGradients[]> {
  const groups: GroupGradients[] = [];
  for (const { name, params } of paramGroups) {
    const grads = params.flatMap(({ parameter }) => parameter.grad ?? []);
    const most = await largest(grads);
    groups.push({ name, norm: totalNorm(await norms(grads)), largest: extreme(most) });
  }
  return groups;
}

/** The largest of non-negative numbers, NaN where one is. */
function extreme(values: Iterable<number>): number {
  return Math.max(0, ...values);
}

/** What the parts of the network make of the clips that went wrong, or of the whole batch where none did. */
async function partOutputs(
  model: Detector,
  saved: SavedBatch,
  nonFinite: NonFinite | null,
): Promise<PartOutput[]> {
  const { batch, seed, iteration, clipsAtOnce } = saved;
  const parts = nonFinite ? [nonFinite.part] : partsOf(batch.shape[0], clipsAtOnce);
  const outputs = new Map<string, number>();
  for (const part of parts) {
    const { video, shape, whwh } = clipsOf(batch, part);
    const stream = stepRng(seed, iteration);
    const masks = { uniform: () => stream.uniform(), microBatch: part };
    const made = tf.tidy(() =>
      noGrad(() => {
        const input = tf.tensor(video, [...shape]);
        const { backbone, maps } = model.features(input, masks);
        const stages = model.stm_head.forward(maps, tf.tensor2d(whwh, [part.count, 4]), masks);
        return {
          video: input,
          backbone,
          ...Object.fromEntries(maps.map((map, level) => [`neck, level ${level}`, map])),
          ...Object.fromEntries(
            stages.flatMap(({ spatial, temporal, logits, boxes, actions }, s) =>
              Object.entries({ spatial, temporal, logits, boxes, actions }).map(([name, x]) => [
                `decoder stage ${s}, ${name}`,
                x,
              ]),
            ),
          ),
        } as Record<string, tf.Tensor>;
      }),
    );
    const sizes = await largest(Object.values(made));
    tf.dispose(made);
    for (const [i, name] of Object.keys(made).entries())
      outputs.set(name, extreme([outputs.get(name) ?? 0, sizes[i]]));
  }
  return Array.from(outputs, ([name, size]) => ({ name, largest: size }));
}

/** Weights of the checkpoint before the batch's iteration where there is one, else those that training would start from. */
function loadWeights(
  state: TrainingState,
  cfg: Config,
  { iteration, seed }: SavedBatch,
  { allowPartial, log }: Pick<ReplayRequest, 'allowPartial'> & { log: Log },
): void {
  const checkpointer = new Checkpointer(cfg.OUTPUT_DIR);
  const exact = checkpointer.pathOf(checkpointName(iteration - 1));
  const request = { transfer: true, noHead: false, adjustLr: false, resume: false, allowPartial, seed };
  const path = existsSync(exact) ? exact : checkpointer.plan({ ...request, weight: cfg.MODEL.WEIGHT })?.path;
  const done = path === undefined ? 0 : iterationIn(path);
  restoreState(state, {
    checkpointer,
    cfg: { ...cfg, MODEL: { ...cfg.MODEL, WEIGHT: path ?? '' } },
    request,
    log,
  });
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
