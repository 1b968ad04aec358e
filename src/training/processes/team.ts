/** @file The processes of a training: process 0 says what is done next, and all do it. */
import type { Config } from '../../config/index.js';
import { clipsPerStep } from '../../data/data_config.js';
import { BatchShare } from '../../data/loading/batch_share.js';
import type { Communicator } from '../../distributed/communicator.js';
import { GradientSum } from '../../distributed/gradient_sum.js';
import { openReducer } from '../../distributed/nccl/open_reducer.js';
import type { ProcessGroup } from '../../distributed/process_group.js';
import type { Reducer } from '../../distributed/reducer.js';
import type { LocalPlace } from '../../engine/index.js';
import { ConfigError } from '../../errors.js';
import type { Detector } from '../../model/detector.js';
import type { Logger } from '../../run/log.js';
import { type StepOptions, type StepProcesses, stepRng } from '../step.js';
import type { TrainingState } from '../training_state.js';
import { checkEqualWeights } from './equal_weights.js';
import { type DataPlace, shareState } from './share_state.js';

/** What all processes do next: take over the state of process 0, train one step, evaluate, or end. */
const COMMANDS = ['state', 'step', 'evaluate', 'end'] as const;
export type Command = (typeof COMMANDS)[number];

export class Team {
  readonly communicator: Communicator;
  /** Clips of a micro-batch that one process computes. */
  readonly clipsAtOnce: number;
  readonly trainingShare: BatchShare;
  readonly #forNorms: Communicator;
  #step: StepProcesses | null = null;
  #reducer: Reducer<unknown> | null = null;

  /** `cfg` is the configuration that all processes share. Throws ConfigError if the clips cannot be divided among them. */
  constructor(
    private readonly group: ProcessGroup,
    private readonly cfg: Config,
  ) {
    const { SOLVER } = cfg;
    this.communicator = group.communicator;
    this.clipsAtOnce = clipsOfEach(SOLVER.VIDEOS_PER_BATCH, group.size);
    this.#forNorms = group.duplicate();
    this.trainingShare = new BatchShare({
      communicator: group.duplicate(),
      lockstep: group.communicator,
      batchSize: clipsPerStep(cfg),
      blockSize: SOLVER.VIDEOS_PER_BATCH,
    });
  }

  get size(): number {
    return this.group.size;
  }

  get local(): LocalPlace {
    return this.group.local;
  }

  /**
   * Gives all processes the state of process 0, and connects them for its steps. Returns the training data of process
   * 0, null if there is none. All processes must call this, with their engine started. Throws CommunicationError.
   */
  async begin(state: TrainingState, log: Logger): Promise<DataPlace | null> {
    const data = await shareState(state, this.communicator);
    await this.#connect(state.model, log);
    return data;
  }

  async #connect(model: Detector, log: Logger): Promise<void> {
    const { BUCKET_MB, COLLECTIVE_TIMEOUT } = this.cfg.SOLVER;
    const { reducer, info, warning } = await openReducer(this.group, 1000 * COLLECTIVE_TIMEOUT);
    if (info !== null) log.info(info);
    if (warning !== null) log.warn(warning);
    this.#reducer = reducer;
    const trained = [...model.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad);
    const sum = new GradientSum({
      reducer,
      lengths: trained.map(([, { size }]) => size),
      bucketBytes: BUCKET_MB * 2 ** 20,
    });
    this.#step = { communicator: this.communicator, forNorms: this.#forNorms, sum };
  }

  /** What connects the processes of a step, after `begin`. */
  get stepProcesses(): StepProcesses {
    if (!this.#step) throw new Error('the processes are not connected');
    return this.#step;
  }

  /**
   * Compares the weights of all processes where checkpoints are due. All processes must call this after each step. Throws
   * CommunicationError.
   */
  async afterStep({ model, iteration }: Pick<TrainingState, 'model' | 'iteration'>): Promise<void> {
    const { CHECKPOINT_PERIOD, ITER_PER_EPOCH } = this.cfg.SOLVER;
    if (iteration % (CHECKPOINT_PERIOD * ITER_PER_EPOCH) === 0)
      await checkEqualWeights(model.namedState(), this.communicator);
  }

  /** Ends the training in all processes. Only process 0 calls this, after its loader has been closed. */
  async end(): Promise<void> {
    await this.command('end');
    await this.close();
  }

  /** Stops loading, and disconnects the GPUs. All processes must call this, after their loaders have been closed. */
  async close(): Promise<void> {
    await Promise.all([this.trainingShare.close(), this.#reducer?.close()]);
  }

  /** Tells the other processes what to do next. Only process 0 calls this. */
  async command(command: Command): Promise<void> {
    await this.communicator.broadcast(Uint8Array.of(COMMANDS.indexOf(command)), 0);
  }

  /** Waits for what process 0 says. */
  async follow(): Promise<Command> {
    const command = new Uint8Array(1);
    await this.communicator.broadcast(command, 0);
    return COMMANDS[command[0]];
  }
}

/** How a process computes the next step. */
export function stepOptions(
  { SOLVER, ENGINE }: Config,
  { seed, iteration }: Pick<TrainingState, 'seed' | 'iteration'>,
  team: Team | null | undefined,
): StepOptions {
  return {
    rng: stepRng(seed, iteration + 1),
    microBatchSize: team?.clipsAtOnce ?? SOLVER.VIDEOS_PER_BATCH,
    clipGradNorm: SOLVER.CLIP_GRAD_NORM,
    replay: ENGINE.REPLAY,
    processes: team?.stepProcesses,
  };
}

function clipsOfEach(clips: number, processes: number): number {
  if (clips % processes === 0) return clips / processes;
  throw new ConfigError(
    `SOLVER.VIDEOS_PER_BATCH ${clips} cannot be divided among ${processes} processes: it is the number of clips of all of them ` +
      `together. Use a multiple of ${processes}, or another number of processes`,
  );
}
