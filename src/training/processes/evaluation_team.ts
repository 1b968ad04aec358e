/** @file The processes of an evaluation: process 0 has the weights and the results, and all of them run the model. */
import type { Config } from '../../config/index.js';
import { AvaDataset } from '../../data/datasets/ava_dataset.js';
import { BatchShare } from '../../data/loading/batch_share.js';
import type { Communicator } from '../../distributed/communicator.js';
import { broadcastJson } from '../../distributed/first_of.js';
import type { ProcessGroup } from '../../distributed/process_group.js';
import { type EngineRequest, selectEngine, settingsOfProcess } from '../../engine/index.js';
import { detectTogether, type EvaluationProcesses } from '../../evaluation/detect_together.js';
import { Detector } from '../../model/detector.js';
import type { Parameter } from '../../nn/module.js';

/** Makes what connects the processes for one evaluation after the other. All processes must call it. */
export function evaluationProcesses(group: ProcessGroup, { TEST }: Config): () => EvaluationProcesses {
  const ahead = group.duplicate();
  const { communicator } = group;
  return () => ({
    communicator,
    share: new BatchShare({
      communicator: ahead,
      lockstep: communicator,
      batchSize: TEST.VIDEOS_PER_BATCH,
      blockSize: TEST.VIDEOS_PER_BATCH,
    }),
  });
}

/** Gives all processes the weights of process 0. All processes must call this. */
export async function shareWeights(
  parameters: Iterable<readonly [name: string, parameter: Parameter]>,
  communicator: Communicator,
): Promise<void> {
  const isRoot = communicator.rank === 0;
  for (const [, parameter] of parameters) {
    const weights = isRoot
      ? ((await parameter.value.data()) as Float32Array)
      : new Float32Array(parameter.size);
    await communicator.broadcast(new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength), 0);
    if (!isRoot) parameter.set(weights);
  }
}

export interface HelpOptions extends EngineRequest {
  readonly processes: ProcessGroup;
  /** Ends the evaluation. */
  readonly signal: AbortSignal;
}

/** Tells the other processes which evaluation begins. */
export async function beginEvaluation(processes: ProcessGroup, cfg: Config): Promise<void> {
  processes.limitWaits(cfg.SOLVER.COLLECTIVE_TIMEOUT);
  await broadcastJson(processes.communicator, cfg);
}

/** Helps process 0 with an evaluation. Throws UserError. */
export async function helpEvaluation({ processes, signal, ...request }: HelpOptions): Promise<void> {
  const cfg = await broadcastJson<Config>(processes.communicator, null);
  processes.limitWaits(cfg.SOLVER.COLLECTIVE_TIMEOUT);
  await selectEngine({ ...request, ...settingsOfProcess(cfg, processes.local) });
  const model = new Detector(cfg);
  const dataset = AvaDataset.open(cfg, 'test');
  await shareWeights(model.namedParameters(), processes.communicator);
  // Process 0 warns of clips that cannot be loaded, too, but only of its own.
  const warn = () => {};
  await detectTogether(cfg, model, {
    dataset,
    warn,
    signal,
    processes: evaluationProcesses(processes, cfg)(),
  });
}
