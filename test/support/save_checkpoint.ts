/** @file A whole checkpoint, written before the call returns. */
import type { CheckpointParts } from '../../src/checkpoint/checkpoint_parts.js';
import { Checkpointer } from '../../src/checkpoint/checkpointer.js';

/** Writes `<folder>/<name>.pth` and the pointer to it; returns its path. */
export async function saveCheckpoint(folder: string, name: string, parts: CheckpointParts): Promise<string> {
  // Without memory for a copy no thread is needed.
  const checkpointer = new Checkpointer(folder, { freeMemory: () => 0 });
  return await checkpointer.save(name, parts);
}
