/** @file Training of the tiny model on clips of noise: all that a run does, without files of data. */
import { createHash } from 'node:crypto';
import { Checkpointer } from '../../src/checkpoint/checkpointer.js';
import type { Config } from '../../src/config/index.js';
import type { Batch } from '../../src/data/loading/collate.js';
import { initializeParameters } from '../../src/nn/module.js';
import type { Logger } from '../../src/run/log.js';
import { restoreState } from '../../src/training/restore/restore.js';
import { type StepLosses, trainStep } from '../../src/training/step.js';
import { TrainingState } from '../../src/training/training_state.js';
import { Rng } from '../../src/util/random.js';
import { saveCheckpoint } from './save_checkpoint.js';
import { tinyConfig } from './tiny_config.js';

const CHANGES = {
  'ViT.DROP_PATH_RATE': 0.3,
  'SOLVER.BASE_LR': 1e-2,
  'SOLVER.WARMUP_ON': false,
  'SOLVER.ITER_PER_EPOCH': 4,
};
const SEED = 3;

/** A clip of noise with two boxes; every iteration has another one. */
function noise(iteration: number, height: number, width: number, frames: number, classes: number): Batch {
  const rng = Rng.forName(SEED, `clip ${iteration}`);
  const corners = [0, 1].flatMap(() => {
    const [x, y] = [rng.uniformBetween(0, 0.5 * width), rng.uniformBetween(0, 0.5 * height)];
    return [x, y, x + 0.4 * width, y + 0.4 * height];
  });
  return {
    video: Float32Array.from({ length: frames * height * width * 3 }, () => rng.uniformBetween(-2, 2)),
    shape: [1, frames, height, width, 3],
    whwh: Float32Array.of(width, height, width, height),
    boxes: [Float32Array.from(corners)],
    labels: [Float32Array.from({ length: 2 * classes }, (_, i) => Number(i % classes === 0))],
    clips: [],
  };
}

export class TinyTraining {
  readonly #cfg: Config;
  readonly state: TrainingState;

  /** `changes` of the configuration by full path. */
  constructor(changes: Readonly<Record<string, unknown>> = {}) {
    this.#cfg = tinyConfig({ ...CHANGES, ...changes });
    this.state = TrainingState.build(this.#cfg);
    this.state.seed = SEED;
    initializeParameters(this.state.model, SEED);
    this.state.model.train();
  }

  /** One iteration, as a Trainer does it. */
  async step(height: number, width: number): Promise<StepLosses> {
    const { DATA, MODEL } = this.#cfg;
    const iteration = ++this.state.iteration;
    const clip = noise(iteration, height, width, DATA.NUM_FRAMES, MODEL.STM.ACTION_CLASSES);
    const rng = Rng.forName(SEED, `step ${iteration}`);
    const losses = await trainStep(this.state, clip, { rng });
    this.state.scheduler.step();
    return losses;
  }

  /** Writes a checkpoint and returns its path. */
  save(folder: string): Promise<string> {
    return saveCheckpoint(folder, 'saved', this.state.checkpoint());
  }

  /** Continues from a checkpoint. */
  restore(folder: string, path: string): void {
    const quiet = { info() {}, warn() {}, debug() {} } as unknown as Logger;
    const cfg = { ...this.#cfg, MODEL: { ...this.#cfg.MODEL, WEIGHT: path } };
    const request = { transfer: false, noHead: false, adjustLr: false, resume: false, seed: SEED };
    restoreState(this.state, { checkpointer: new Checkpointer(folder), cfg, request, log: quiet });
  }

  /** A hash of every bit of the weights and of the optimizer's memory. */
  fingerprint(): string {
    const hash = createHash('sha256');
    for (const [name, { bytes }] of this.state.modelState()) hash.update(name).update(bytes());
    const optimizer = JSON.stringify([...this.state.optimizer.stateDict()], (_, value) => {
      if (value instanceof Map) return [...value];
      return typeof value?.bytes === 'function' ? Buffer.from(value.bytes()).toString('base64') : value;
    });
    return hash.update(optimizer).digest('hex');
  }

  dispose(): void {
    this.state.model.dispose();
    this.state.optimizer.dispose();
  }
}

/** Losses, to the last bit, of `count` iterations after the `first` ones, on clips of two sizes in turn. */
export async function train(training: TinyTraining, count: number, first = 0): Promise<number[][]> {
  const losses: number[][] = [];
  for (let n = first; n < first + count; n++) {
    const { terms, total } = await training.step(32, n % 2 ? 64 : 32);
    losses.push([total, ...terms.values()]);
  }
  return losses;
}
