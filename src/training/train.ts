/** @file Training in OUTPUT_DIR: its lock, the run that was there before, the engine, the log, and then a Trainer. */
import type { LoadedConfig } from '../config/index.js';
import { requireDataFolders } from '../data/data_folders.js';
import { ALONE, type ProcessGroup } from '../distributed/process_group.js';
import { type EngineRequest, selectEngine, settingsOfProcess } from '../engine/index.js';
import { ConfigError } from '../errors.js';
import { FolderLock } from '../files/folder_lock.js';
import { writeRunConfig } from '../run/config.js';
import { writeEnvironment } from '../run/environment.js';
import { logEngine, logFailure, RunLog } from '../run/log.js';
import { type ClearedFolder, clearOutputDir, refuseObstacles } from '../run/previous_run/previous_run.js';
import { RUN_LOCK, TEST_LOCK } from '../run/run_folder.js';
import { NEVER_ABORTED } from '../util/abort.js';
import { announcedLater } from './announced.js';
import { inOutputDir } from './in_output_dir.js';
import { shareConfig } from './processes/share_config.js';
import { Team } from './processes/team.js';
import { Trainer, type TrainerOptions, type TrainingResult } from './trainer.js';
import { workerWarnings } from './worker_warning.js';

export interface TrainOptions extends Omit<TrainerOptions, 'engine' | 'log' | 'team'>, EngineRequest {
  /** Moves the files of another run in OUTPUT_DIR into a subfolder and starts afresh. */
  readonly overwrite?: boolean;
  /** Log of the run; by default only log.jsonl gets it. */
  readonly log?: RunLog;
  /** The processes that train together, of which this is process 0; by default this process alone. */
  readonly processes?: ProcessGroup;
}

/** Result of a run that was stopped before its first step. */
const NOT_BEGUN: TrainingResult = {
  iteration: 0,
  isStopped: true,
  firstLoss: Number.NaN,
  lastLoss: Number.NaN,
  seconds: 0,
  best: null,
};

/**
 * Trains as the configuration says and leaves all files of the run in OUTPUT_DIR. An aborted signal ends the run after
 * the step; its reason is logged. Throws UserError, in one of its kinds, with a sentence for the user.
 */
export async function train(loaded: LoadedConfig, options: TrainOptions = {}): Promise<TrainingResult> {
  const { log: runLog = new RunLog(), signal = NEVER_ABORTED } = options;
  const place = { lock: RUN_LOCK, log: runLog.logger, signal };
  const { OUTPUT_DIR } = loaded.config;
  // A wrong folder is reported before anything is moved, locked or built.
  if (options.data === undefined) requireDataFolders(loaded.config);
  else if ((options.processes?.size ?? 1) > 1)
    throw new ConfigError(
      'several processes train on the lists of the configuration only, not on `data` of a program',
    );
  const result = await inOutputDir(OUTPUT_DIR, place, () => trainLocked(loaded, runLog, options));
  if (result === null && options.processes) await shareConfig(options.processes, null);
  return result ?? NOT_BEGUN;
}

async function trainLocked(
  loaded: LoadedConfig,
  runLog: RunLog,
  options: TrainOptions,
): Promise<TrainingResult> {
  const { OUTPUT_DIR } = loaded.config;
  const { overwrite = false, resume = false, transfer = false, signal = NEVER_ABORTED } = options;
  if (overwrite) await refuseDuringTest(OUTPUT_DIR, (line) => runLog.logger.warn(line));
  /** Null from the moment on when there is no way back to the run that was in the folder. */
  let cleared: ClearedFolder | null = clearOutputDir(loaded, { resume, transfer, overwrite });
  let team: Team | null = null;
  try {
    refuseObstacles(OUTPUT_DIR);
    const { engine: name, device, verbose, processes = ALONE } = options;
    const log = runLog.logger;
    await shareConfig(processes, cleared.config);
    if (processes.size > 1) team = new Team(processes, cleared.config);
    const request = {
      engine: name,
      device,
      verbose,
      ...settingsOfProcess(loaded.config, processes.local),
      warn: (message: string) => log.warn(message),
    };
    const engine = await announcedLater(log, 'starting the engine', () => selectEngine(request));
    runLog.open(OUTPUT_DIR);
    logEngine(log, engine);
    if (processes.description !== null) log.info(`processes: ${processes.description}`);
    if (cleared.note !== undefined) log.info(cleared.note);
    writeEnvironment(OUTPUT_DIR, engine, processes.size);
    writeRunConfig(OUTPUT_DIR, cleared.config);
    log.info({ config: cleared.config, options: flagsOf(options) }, `output: ${OUTPUT_DIR}`);
    const tooManyWorkers = workerWarnings(loaded.config.DATALOADER.NUM_WORKERS, processes.local.onSameCores);
    for (const warning of [...cleared.warnings, ...loaded.warnings, ...tooManyWorkers]) log.warn(warning);
    const trainer = new Trainer(cleared.config, { ...options, engine, log, team });
    await trainer.prepare();
    cleared = null;
    const result = await trainer.run();
    await team?.end();
    return result;
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) {
      // The caller reports it; here it is kept with the run.
      logFailure(runLog.logger, error);
      throw error;
    }
    runLog.logger.warn('stopped before the first step: nothing was trained, and nothing is saved');
    await team?.end();
    return NOT_BEGUN;
  } finally {
    cleared?.restore();
  }
}

/** Throws ConfigError while a test runs in the folder: it would write the results of the old run among those of the new one. */
async function refuseDuringTest(outputDir: string, wait: (line: string) => void): Promise<void> {
  const lock = await FolderLock.acquire(outputDir, TEST_LOCK, { wait });
  lock.release();
}

/** The options that log.jsonl can hold. */
function flagsOf({ log, signal, hooks, data, showEvaluation, processes, ...flags }: TrainOptions): object {
  return flags;
}
