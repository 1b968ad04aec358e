/** @file How a training or an evaluation begins in all processes. */
import type { Config } from '../../config/index.js';
import { broadcastJson } from '../../distributed/json_values.js';
import type { ProcessGroup } from '../../distributed/process_group.js';

/**
 * Gives all processes the configuration of process 0, which says null if there is nothing to do. All processes must call
 * this; what the others give is ignored.
 */
export async function shareConfig(group: ProcessGroup, cfg: Config | null): Promise<Config | null> {
  const shared = await broadcastJson(group.communicator, cfg);
  if (shared) group.limitWaits(shared.SOLVER.COLLECTIVE_TIMEOUT);
  return shared;
}
