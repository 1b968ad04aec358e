/** @file The processes of an evaluation: process 0 has the weights and the results, and all of them run the model. */
import { AvaDataset } from '../../data/datasets/ava_dataset.js';
import type { Communicator } from '../../distributed/communicator.js';
import type { ProcessGroup } from '../../distributed/process_group.js';
import { type EngineRequest, selectEngine, settingsOfProcess } from '../../engine/index.js';
import { detectTogether } from '../../evaluation/detect_together.js';
import { Detector } from '../../model/detector.js';
import { type NamedState, numbersOf } from '../../nn/module.js';
import { bytesOf } from '../../util/bytes.js';
import { shareConfig } from './share_config.js';

/** Gives all processes the weights and buffers of process 0. All processes must call this. */
export async function shareWeights(state: NamedState, communicator: Communicator): Promise<void> {
  if (communicator.size === 1) return;
  const isRoot = communicator.rank === 0;
  for (const [, entry] of state) {
    const numbers = isRoot ? await numbersOf(entry) : new Float32Array(entry.size);
    await communicator.broadcast(bytesOf(numbers), 0);
    if (!isRoot) entry.set(numbers);
  }
}

export interface HelpOptions extends EngineRequest {
  readonly processes: ProcessGroup;
  /** Ends the evaluation. */
  readonly signal: AbortSignal;
}

/** Computes a share of the evaluation that process 0 begins. Throws UserError. */
export async function helpEvaluation({ processes, signal, ...request }: HelpOptions): Promise<void> {
  const { communicator, local } = processes;
  const cfg = await shareConfig(processes, null);
  if (cfg === null) return;
  await selectEngine({ ...request, ...settingsOfProcess(cfg, local) });
  const model = new Detector(cfg);
  const dataset = AvaDataset.open(cfg, 'test');
  await shareWeights(model.namedState(), communicator);
  // Process 0 counts the clips that are left out, and says so.
  const warn = () => {};
  await detectTogether(cfg, model, { dataset, warn, signal, communicator });
}
