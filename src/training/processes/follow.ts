/** @file A process that does the same steps as process 0, and writes nothing but its own log. */
import type { Config } from '../../config/index.js';
import { AvaDataset } from '../../data/datasets/ava_dataset.js';
import type { Batch } from '../../data/loading/collate.js';
import type { ProcessGroup } from '../../distributed/process_group.js';
import { type EngineRequest, selectEngine, settingsOfProcess } from '../../engine/index.js';
import { DataError } from '../../errors.js';
import { detectTogether } from '../../evaluation/detect_together.js';
import { type Logger, logEngine, logFailure, RunLog } from '../../run/log.js';
import { logOfProcess } from '../../run/run_folder.js';
import { NEVER_ABORTED } from '../../util/abort.js';
import { NonFiniteError } from '../nonfinite/nonfinite.js';
import { batchOfOwner } from '../nonfinite/owner.js';
import { trainStep } from '../step.js';
import { openTrainingData, type TrainingData } from '../training_data.js';
import { TrainingState } from '../training_state.js';
import { shareConfig } from './share_config.js';
import { type Command, stepOptions, Team } from './team.js';

export interface FollowOptions extends EngineRequest {
  /** The processes that train together, of which this is not process 0. */
  readonly processes: ProcessGroup;
  /** Log of this process; by default only log.rankN.jsonl gets it. */
  readonly log?: RunLog;
  /** Ends an evaluation; process 0 ends the training. */
  readonly signal?: AbortSignal;
}

/** Takes part in the training that process 0 begins with `train`, until it ends. Throws UserError. */
export async function followTraining({ processes, ...options }: FollowOptions): Promise<void> {
  const cfg = await shareConfig(processes, null);
  if (cfg === null) return;
  const team = new Team(processes, cfg);
  const { log = new RunLog(), signal = NEVER_ABORTED } = options;
  log.open(cfg.OUTPUT_DIR, logOfProcess(processes.rank));
  try {
    const warn = (message: string) => log.logger.warn(message);
    const { engine, device, verbose } = options;
    const settings = settingsOfProcess(cfg, processes.local);
    logEngine(log.logger, await selectEngine({ engine, device, verbose, ...settings, warn }));
    await new Follower(cfg, { team, log: log.logger, signal }).run();
  } catch (error) {
    logFailure(log.logger, error);
    throw error;
  }
}

interface Following {
  readonly team: Team;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Does what process 0 says. */
class Follower {
  readonly #state: TrainingState;
  #data: TrainingData | null = null;
  /** The next batch, which the processes load together before process 0 asks for the step. */
  #upcoming: Promise<IteratorResult<Batch>> | null = null;
  #testData: AvaDataset | null = null;

  constructor(
    private readonly cfg: Config,
    private readonly context: Following,
  ) {
    this.#state = TrainingState.build(cfg);
  }

  async run(): Promise<void> {
    const { team } = this.context;
    for (let command = await team.follow(); command !== 'end'; command = await team.follow())
      await this.#do(command);
    await this.#data?.batches.return?.();
    await team.close();
  }

  async #do(command: Exclude<Command, 'end'>): Promise<void> {
    if (command === 'state') await this.#takeState();
    else if (command === 'step') await this.#step();
    else await this.#evaluate();
  }

  async #takeState(): Promise<void> {
    const { team, log } = this.context;
    const place = await team.begin(this.#state, log);
    this.#state.model.train();
    if (place === null) return;
    const { order, identity } = place;
    this.#data = openTrainingData(this.cfg, this.#state, { log, share: team.trainingShare, order });
    if (this.#data.order?.identity !== identity) {
      throw new DataError(
        'the training data here is not that of process 0: all machines need the same lists, annotations and frames',
      );
    }
    this.#loadNext();
  }

  #loadNext(): void {
    this.#upcoming = this.#data?.batches.next() ?? null;
    // There may be no step that asks for this batch.
    this.#upcoming?.catch(() => {});
  }

  async #step(): Promise<void> {
    const { team, log } = this.context;
    const state = this.#state;
    const next = await this.#upcoming;
    if (!next || next.done) throw new Error('process 0 goes on although the training data has ended');
    try {
      await trainStep(state, next.value, stepOptions(this.cfg, state, team));
    } catch (error) {
      // Process 0 skips the step as well, or ends the run.
      if (!(error instanceof NonFiniteError)) throw error;
      log.warn(error.message);
      await batchOfOwner(error.details, next.value, team.communicator);
    }
    state.iteration++;
    await team.afterStep(state);
    state.scheduler.step();
    this.#loadNext();
  }

  async #evaluate(): Promise<void> {
    const { team, log, signal } = this.context;
    this.#testData ??= AvaDataset.open(this.cfg, 'test');
    await detectTogether(this.cfg, this.#state.model, {
      dataset: this.#testData,
      warn: (message) => log.warn(message),
      signal,
      communicator: team.communicator,
    });
  }
}
