/** @file Events for TensorBoard: curves, images of detections in validation, the configuration, histograms of weights. */
import { clipsPerStep } from '../../data/data_config.js';
import type { AvaDataset } from '../../data/datasets/ava_dataset.js';
import { drawBoxes } from '../../drawing/draw_boxes.js';
import { undrawnNames } from '../../drawing/names.js';
import type { EngineMemory } from '../../engine/index.js';
import { UserError } from '../../errors.js';
import type { EvaluationReport } from '../../evaluation/types.js';
import { type Module, numbersOf, StateBuffer } from '../../nn/module.js';
import { exampleDetections } from '../../report/examples.js';
import type { Logger } from '../../run/log.js';
import { EventWriter } from '../../run/tensorboard/event_writer.js';
import type { Hook, StepReport, TrainingRun } from '../hook.js';

/** Number of validation clips that are drawn. */
const NUM_IMAGES = 4;

export interface TensorBoardOptions {
  /** Folder that gets one more event file; created if it does not exist. */
  folder: string;
  log: Pick<Logger, 'warn'>;
  /** Configuration, shown as it is. */
  configYaml: string;
  startIteration: number;
  /** Iterations between two histograms of every weight; null for none, since all weights have to be read for them. */
  histogramPeriod: number | null;
  memory(): EngineMemory;
  /** Clips of the evaluations; null if there are none. */
  testSet: AvaDataset | null;
}

/**
 * Logs as often as the metrics do; losses and times are means since the last point. The part of a tag before the slash is
 * TensorBoard's group: classes and earlier decoder stages have groups of their own. A failed write does not end the run:
 * it is logged once, and training continues.
 */
export class TensorBoardHook implements Hook {
  readonly #writer: EventWriter;
  readonly #warned = new Set<string>();
  #sums = new Map<string, { sum: number; steps: number }>();
  #steps = 0;
  #lr: readonly number[] = [];

  /** Throws UserError if the folder cannot be written to, since that is easy to fix before training. */
  constructor(private readonly options: TensorBoardOptions) {
    const firstStep = options.startIteration + 1;
    try {
      this.#writer = new EventWriter(options.folder, firstStep);
      this.#writer.text('config', `\`\`\`yaml\n${options.configYaml}\n\`\`\``, firstStep);
    } catch (error) {
      throw new UserError(
        `--use-tfboard: cannot write events to ${options.folder}: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }

  async afterStep(run: TrainingRun, report: StepReport): Promise<void> {
    const { iteration } = report;
    const { histogramPeriod } = this.options;
    for (const [tag, value] of measured(report)) {
      const { sum, steps } = this.#sums.get(tag) ?? { sum: 0, steps: 0 };
      this.#sums.set(tag, { sum: sum + value, steps: steps + 1 });
    }
    this.#steps++;
    this.#lr = report.lr;
    // The first step also compiles and allocates, so it is a point of its own.
    if (iteration % run.cfg.SOLVER.LOG_PERIOD === 0 || iteration === run.startIteration + 1) {
      await this.#attempt(() => this.#point(run, iteration));
    }
    if (histogramPeriod !== null && iteration % histogramPeriod === 0) {
      await this.#attempt(() => this.#histograms(run.state.model, iteration));
    }
  }

  async afterEvaluation(_run: TrainingRun, report: EvaluationReport): Promise<void> {
    const { results, iteration, seconds } = report;
    const points: [string, number | null][] = [
      ['val/mAP', results.mAP],
      ['val/seconds', seconds],
      ...results.perClass.map(({ name, ap }): [string, number | null] => [`val_AP/${name}`, ap]),
    ];
    await this.#attempt(() => this.#scalars(points, iteration));
    await this.#attempt(() => this.#images(report));
  }

  async afterTraining(run: TrainingRun): Promise<void> {
    await this.#attempt(() => {
      if (this.#steps > 0) this.#point(run, run.state.iteration);
      this.#writer.flush();
    });
  }

  close(): void {
    try {
      this.#writer.close();
    } catch (error) {
      this.#warn(error as Error);
    }
  }

  /** Writes the means of the steps since the last point, and the current learning rates and memory. */
  #point({ cfg }: TrainingRun, iteration: number): void {
    const [sums, steps, lr] = [this.#sums, this.#steps, this.#lr];
    this.#sums = new Map();
    this.#steps = 0;
    for (const [tag, mean] of sums) this.#writer.scalar(tag, mean.sum / mean.steps, iteration);
    const { rssBytes, bytes, gpuBytes } = this.options.memory();
    // Learning rates differ between groups if the configuration sets another one for biases.
    const [lowest, highest] = [Math.min(...lr), Math.max(...lr)];
    const now: [string, number | null][] = [
      ['time/clips_per_second', (clipsPerStep(cfg) * steps) / (sums.get(STEP_SECONDS)?.sum as number)],
      ['train/lr', highest],
      ['train/lr_lowest', lowest === highest ? null : lowest],
      ['memory/process_gib', rssBytes / 2 ** 30],
      ['memory/tensors_gib', bytes / 2 ** 30],
      ['memory/gpu_gib', gpuBytes === undefined ? null : gpuBytes / 2 ** 30],
    ];
    this.#scalars(now, iteration);
  }

  #scalars(points: Iterable<readonly [tag: string, value: number | null]>, step: number): void {
    for (const [tag, value] of points) if (value !== null) this.#writer.scalar(tag, value, step);
  }

  async #images({ iteration, clips, results }: EvaluationReport): Promise<void> {
    const { testSet } = this.options;
    if (!testSet) return;
    this.#warnOfNames(results.perClass);
    for (const { caption, path, boxes } of exampleDetections(testSet, clips, results.perClass, NUM_IMAGES)) {
      const { png, width, height } = await drawBoxes(path, boxes, { caption });
      this.#writer.image(`val_detections/${caption}`, { png, width, height }, iteration);
    }
    this.#writer.flush();
  }

  #warnOfNames(classes: readonly { readonly id: number; readonly name: string }[]): void {
    const undrawn = undrawnNames(classes.map(({ id, name }) => [id, name] as const));
    if (undrawn === null || this.#warned.has(undrawn)) return;
    this.#warned.add(undrawn);
    this.options.log.warn(`TensorBoard: ${undrawn}`);
  }

  /** Counts the weights and running statistics. */
  async #histograms(model: Module, iteration: number): Promise<void> {
    for (const [name, entry] of model.namedState()) {
      if (entry instanceof StateBuffer && entry.dtype === 'int64') continue;
      this.#writer.histogram(`weights/${name}`, await numbersOf(entry), iteration);
    }
  }

  async #attempt(action: () => void | Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#warn(error as Error);
    }
  }

  #warn(error: Error): void {
    if (this.#warned.has(error.message)) return;
    this.#warned.add(error.message);
    this.options.log.warn(
      { err: error },
      `TensorBoard events are incomplete: ${error.message}. Training goes on, and so do the events where they can`,
    );
  }
}

const STEP_SECONDS = 'time/step_seconds';

/** Yields the values that are averaged. Numbered terms belong to earlier decoder stages. A skipped step counts only for the times. */
function* measured(report: StepReport): Generator<[string, number]> {
  const { total, terms, gradNorm, seconds, dataSeconds, skipped } = report;
  if (!skipped) {
    yield ['train/loss', total];
    for (const [name, value] of terms)
      yield [/_\d+$/.test(name) ? `train_stages/${name}` : `train/${name}`, value];
    yield ['train/grad_norm', gradNorm];
  }
  yield [STEP_SECONDS, seconds];
  yield ['time/data_seconds', dataSeconds];
}
