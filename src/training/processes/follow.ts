/** @file A process that does the same steps as process 0, and writes nothing but its own log. */
import type { Config } from '../../config/index.js';
import { AvaDataset } from '../../data/datasets/ava_dataset.js';
import type { ProcessGroup } from '../../distributed/process_group.js';
import { type EngineRequest, selectEngine, settingsOfProcess } from '../../engine/index.js';
import { detectTogether } from '../../evaluation/detect_together.js';
import { type Logger, logEngine, logFailure, type RunLog } from '../../run/log.js';
import { logOfProcess } from '../../run/run_folder.js';
import { NonFiniteError } from '../nonfinite/nonfinite.js';
import { batchOfOwner } from '../nonfinite/owner.js';
import { trainStep } from '../step.js';
import { openTrainingData } from '../training_data.js';
import { TrainingState } from '../training_state.js';
import { shareState } from './share_state.js';
import { stepOptions, Team } from './team.js';

export interface FollowOptions extends EngineRequest {
  readonly processes: ProcessGroup;
  readonly log: RunLog;
  /** Ends an evaluation. */
  readonly signal: AbortSignal;
}

/** Trains as process 0 says, until it ends the training. Throws UserError. */
export async function followTraining({ processes, ...options }: FollowOptions): Promise<void> {
  const { team, cfg } = await Team.join(processes);
  const { log } = options;
  log.open(cfg.OUTPUT_DIR, logOfProcess(processes.rank));
  try {
    const warn = (message: string) => log.logger.warn(message);
    const { engine, device, verbose } = options;
    const settings = settingsOfProcess(cfg, processes.local);
    logEngine(log.logger, await selectEngine({ engine, device, verbose, ...settings, warn }));
    await follow(cfg, { team, log: log.logger, signal: options.signal });
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

async function follow(cfg: Config, { team, log, signal }: Following): Promise<void> {
  const warn = (message: string) => log.warn(message);
  const state = TrainingState.build(cfg);
  const order = await shareState(state, team.communicator);
  const data = order && openTrainingData(cfg, state, { log, share: team.trainingShare, order });
  let dataset: AvaDataset | null = null;
  state.model.train();
  // Before the leader asks for a step: the processes load each batch together.
  const loadNext = () => {
    const loading = data?.batches.next();
    // The next command may never ask for this batch.
    loading?.catch(() => {});
    return loading;
  };
  let upcoming = loadNext();
  for (let command = await team.follow(); command !== 'end'; command = await team.follow()) {
    if (command === 'evaluate') {
      dataset ??= AvaDataset.open(cfg, 'test');
      const processes = team.evaluationProcesses();
      await detectTogether(cfg, state.model, { dataset, warn, signal, processes });
      continue;
    }
    const next = await upcoming;
    if (!next || next.done) throw new Error('process 0 goes on although the training data has ended');
    try {
      await trainStep(state, next.value, stepOptions(cfg, state, team));
    } catch (error) {
      // The leader skips the step as well, or ends the run.
      if (!(error instanceof NonFiniteError)) throw error;
      log.warn(error.message);
      await batchOfOwner(error.details, next.value, team.communicator);
    }
    state.iteration++;
    await team.afterStep(state);
    state.scheduler.step();
    upcoming = loadNext();
  }
  await team.close(data?.batches ?? null);
}
