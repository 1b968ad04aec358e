/** @file The forward and backward pass of one micro-batch, recorded or replayed from a script. */
import type { Batch } from '../data/loading/collate.js';
import { graphBreak } from '../engine/lazy_hints.js';
import {
  beginProgram,
  feed,
  numbersOf,
  type RecordedProgram,
  type ReplayedProgram,
} from '../engine/programs.js';
import type { tf } from '../engine/tfjs.js';
import type { SetCriterion } from '../loss/criterion.js';
import type { Detector } from '../model/detector.js';
import { drawMask, type MaskKind, type MaskSource } from '../model/dropout.js';
import type { BatchStatistics, NormScope } from '../nn/batch_norm.js';
import {
  batchNorms,
  countsOf,
  type HostStatistics,
  joinStatistics,
  type NormCount,
  splitStatistics,
} from '../nn/batch_statistics.js';
import type { Parameter } from '../nn/module.js';
import { Tape } from '../nn/tape.js';
import { readAndDispose, squareSums } from './grad_norm.js';
import type { GradientExchange } from './gradient_exchange.js';
import type { ProcessNormExchange } from './processes/norm_exchange.js';

/** The results of a forward pass. */
export interface GatheredPredictions {
  /** The predictions that the loss is computed from, as `SetCriterion.gather` lays them out. */
  readonly content: Float32Array;
  readonly shape: readonly number[];
  /** Statistics of the batch, of the norms that use them. */
  readonly statistics: readonly HostStatistics[];
}

/** One forward and one backward pass. */
export interface GradientPass {
  forward(): Promise<GatheredPredictions>;
  /**
   * Adds the gradients of `sum(predictions · dy)` to those of the parameters, and then those of the other processes.
   * Returns the sum of squares of each gradient that there is then, in the order of the parameters.
   */
  backward(dy: Float32Array): Promise<ArrayLike<number>>;
  /** Releases what the pass still holds. */
  end(): void;
}

export interface GradientJob {
  readonly model: Detector;
  readonly criterion: SetCriterion;
  /** All parameters, and those that are trained. */
  readonly all: readonly Parameter[];
  readonly parameters: readonly Parameter[];
  /** The clips of the micro-batch. */
  readonly batch: Batch;
  readonly masks: MaskSource;
  /** Identifies the parts of the model that are in training mode. */
  readonly modes: string;
  /** Whether the engine may capture and replay the pass. */
  readonly replay: boolean;
  /** Adds the gradients of the other processes; null if there are none, or if they are added later. */
  readonly exchange: GradientExchange | null;
  /** Puts the statistics of all processes together, for this pass; null if there are no others. */
  readonly norms: ProcessNormExchange | null;
}

/** What a replay has to know of the recording. */
interface Notes {
  /** Shape of the gathered predictions. */
  readonly shape: readonly number[];
  readonly masks: readonly MaskKind[];
  /** The norms that use the statistics of the batch, in their order. */
  readonly norms: readonly NormCount[];
  /** Sums over processes in the backward pass. */
  readonly sums: number;
}

export function beginPass(job: GradientJob): GradientPass {
  const { model, criterion, all, batch, parameters } = job;
  const bits = (flags: Iterable<boolean>) => Array.from(flags, Number).join('');
  const program = beginProgram(
    {
      owners: [model, criterion],
      key: [
        'gradients',
        batch.shape,
        bits(all.map(({ requiresGrad }) => requiresGrad)),
        bits(parameters.map(({ grad }) => grad !== null)),
        job.modes,
        job.exchange === null ? '' : 'exchanged',
        job.norms === null ? '' : 'norms exchanged',
      ].join(' '),
      borrowed: [...all, ...model.buffersInUse()].map(({ value }) => value),
      consumed: parameters.flatMap(({ grad }) => grad ?? []),
    },
    job.replay,
  );
  return program.isReplay ? new ReplayedPass(job, program) : new RecordedPass(job, program);
}

class RecordedPass implements GradientPass {
  readonly #masks: MaskKind[] = [];
  readonly #statistics: BatchStatistics[] = [];
  #norms: NormCount[] = [];
  #tape: Tape | null = null;

  constructor(
    private readonly job: GradientJob,
    private readonly program: RecordedProgram,
  ) {}

  async forward(): Promise<GatheredPredictions> {
    const { model, criterion, batch, masks } = this.job;
    const source: MaskSource = {
      uniform: () => masks.uniform(),
      clips: masks.clips,
      onMask: (mask) => this.#masks.push(mask),
    };
    const scope: NormScope = {
      take: (found) => this.#statistics.push(found),
      exchange: this.job.norms,
    };
    this.#tape = new Tape(() => {
      const whwh = feed(batch.whwh, [batch.shape[0], 4]);
      const video = feed(batch.video, batch.shape);
      return criterion.gather(model.forward(video, whwh, source, scope));
    });
    const { value } = this.#tape;
    const content = (await value.data()) as Float32Array;
    return { content, shape: value.shape, statistics: await this.#hostStatistics() };
  }

  async #hostStatistics(): Promise<readonly HostStatistics[]> {
    const { model, norms: exchange } = this.job;
    const norms = batchNorms(model);
    if (exchange) {
      this.#norms = countsOf(norms, exchange.own);
      return exchange.statistics;
    }
    this.#norms = countsOf(norms, this.#statistics);
    const joined = joinStatistics(this.#statistics.splice(0));
    const numbers = Float32Array.from(await readAndDispose(joined));
    return splitStatistics(numbers, norms, this.#norms);
  }

  async backward(gradient: Float32Array): Promise<ArrayLike<number>> {
    const { parameters } = this.job;
    const { shape } = (this.#tape as Tape).value;
    const grads = this.#differentiate(feed(gradient, shape));
    for (const [i, parameter] of parameters.entries()) parameter.grad = grads[i];
    // Separate from the backward pass, so that clips of another size use the same graph.
    graphBreak('optimizer');
    const present = grads.filter((grad) => grad !== null);
    const finish = (squares: number) => {
      const { norms: exchange } = this.job;
      const sums = exchange?.numSums ?? 0;
      const notes: Notes = { shape, masks: this.#masks, norms: this.#norms, sums };
      // Each exchange reads what is sent and feeds what is received.
      const exchanges = exchange ? exchange.own.length + sums : 0;
      const joined = exchange || this.#norms.length === 0 ? 0 : 1;
      const feeds = 3 + this.#masks.length + exchanges;
      const reads = 1 + joined + squares + exchanges;
      this.program.finish({ made: grads, notes: JSON.stringify(notes), feeds, reads });
    };
    if (this.job.exchange !== null) {
      // Computes them, so that the program ends here.
      await numbersOf(present);
      finish(0);
      return await exchanged(this.job, this.job.exchange);
    }
    const squares = squareSums(present);
    const content = await readAndDispose(squares);
    finish(squares ? 1 : 0);
    return content;
  }

  end(): void {
    for (const { mean, variance } of this.#statistics) {
      mean.dispose();
      variance.dispose();
    }
    this.#tape?.dispose();
    this.program.abort();
  }

  /** Consumes dy and the gradients so far. */
  #differentiate(dy: tf.Tensor): (tf.Tensor | null)[] {
    const { parameters } = this.job;
    try {
      return (this.#tape as Tape).backward(
        dy,
        parameters.map(({ value }) => value),
        parameters.map(({ grad }) => grad),
      );
    } finally {
      dy.dispose();
    }
  }
}

class ReplayedPass implements GradientPass {
  readonly #notes: Notes;

  constructor(
    private readonly job: GradientJob,
    private readonly program: ReplayedProgram,
  ) {
    this.#notes = JSON.parse(program.notes);
  }

  async forward(): Promise<GatheredPredictions> {
    const { batch, masks, model, norms: exchange } = this.job;
    const { program } = this;
    const norms = batchNorms(model);
    program.feed(batch.whwh);
    program.feed(batch.video);
    if (exchange)
      for (const [index, count] of this.#notes.norms)
        program.feed(await exchange.momentsLater(norms[index], await program.read(), count));
    for (const mask of this.#notes.masks) program.feed(drawMask(mask, masks));
    const { shape, norms: counts } = this.#notes;
    const content = await program.read();
    if (exchange) return { content, shape, statistics: exchange.statistics };
    if (counts.length === 0) return { content, shape, statistics: [] };
    return { content, shape, statistics: splitStatistics(await program.read(), norms, counts) };
  }

  async backward(gradient: Float32Array): Promise<ArrayLike<number>> {
    const { program, job } = this;
    const { exchange } = job;
    program.feed(gradient);
    for (let i = 0; i < this.#notes.sums; i++)
      program.feed(await (job.norms as ProcessNormExchange).sumsLater(await program.read()));
    const squares = exchange === null ? await program.read() : null;
    const grads = await program.finish((result, numbers) => exchange?.add(result, numbers));
    for (const [i, parameter] of job.parameters.entries()) parameter.grad = grads[i];
    return squares ?? (await exchanged(job, exchange as GradientExchange));
  }

  end(): void {
    this.program.abort();
  }
}

/** Adds the gradients of the other processes. Returns the sum of squares of each. */
async function exchanged(job: GradientJob, exchange: GradientExchange): Promise<ArrayLike<number>> {
  await exchange.finish();
  const squares = await squaresOfSums(job);
  // Without the sums, the squares are wrong.
  await exchange.settle();
  return squares;
}

async function squaresOfSums({
  model,
  criterion,
  parameters,
  replay,
}: GradientJob): Promise<ArrayLike<number>> {
  const grads = parameters.flatMap(({ grad }) => grad ?? []);
  const program = beginProgram({ owners: [model, criterion], key: 'squares', borrowed: grads }, replay);
  try {
    if (program.isReplay) {
      const squares = await program.read();
      await program.finish();
      return squares;
    }
    const sums = squareSums(grads);
    const squares = await readAndDispose(sums);
    program.finish({ feeds: 0, reads: sums ? 1 : 0 });
    return squares;
  } finally {
    program.abort();
  }
}
