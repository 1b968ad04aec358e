/** @file Chooses how the processes sum their gradients: on the GPUs with NCCL, or in the memory of the host over MPI. */
import { hostname } from 'node:os';
import { findNccl } from '../../engine/cuda/libraries.js';
import { currentDevice } from '../../engine/cuda/start.js';
import { machineProbe } from '../../engine/probe.js';
import { problemText } from '../../engine/problem.js';
import { CommunicationError, EngineError } from '../../errors.js';
import { HostReducer } from '../host_reducer.js';
import { broadcastJson, gatherJson } from '../json_values.js';
import type { ProcessGroup } from '../process_group.js';
import type { Reducer } from '../reducer.js';
import { NcclFunctions, versionText } from './functions.js';
import { NcclCommunicator } from './nccl_communicator.js';
import { NcclReducer } from './nccl_reducer.js';

/** What a process can do. */
interface Ability {
  readonly host: string;
  /** The GPU of the cuda engine; null if another engine runs. */
  readonly gpu: string | null;
  /** The version of NCCL; null if there is none that works. */
  readonly nccl: number | null;
  /** Why there is none. */
  readonly lack: string;
}

/** What all processes do. */
type Decision =
  | { readonly error: string }
  | { readonly nccl: { readonly id: readonly number[] } }
  | {
      /** Why NCCL does not sum gradients that are on GPUs. */
      readonly lack: string | null;
    };

export interface OpenedReducer {
  readonly reducer: Reducer<unknown>;
  /** How the gradients are summed, for the log; null if there is no choice. */
  readonly info: string | null;
  /** Why the sums are slower than they could be; null on all processes but the first. */
  readonly warning: string | null;
}

/**
 * Connects the GPUs of all processes if the cuda engine runs on all and has NCCL. All processes must call this. Waits
 * for the others at most `timeoutMs`, 0 = forever, now and for each sum. Throws CommunicationError.
 */
export async function openReducer(group: ProcessGroup, timeoutMs: number): Promise<OpenedReducer> {
  const { communicator } = group;
  const device = currentDevice();
  const { nccl, lack } = device ? loadNccl(device.info.driverVersion) : { nccl: null, lack: '' };
  const own: Ability = {
    host: hostname(),
    gpu: device?.info.uuid ?? null,
    nccl: nccl?.version() ?? null,
    lack,
  };
  const abilities = await gatherJson(communicator, own);
  const decision = await broadcastJson(communicator, abilities ? decide(abilities, nccl) : null);
  if ('error' in decision) throw new CommunicationError(decision.error);
  if ('lack' in decision || !device || !nccl) {
    const warning = 'lack' in decision && group.rank === 0 ? decision.lack : null;
    return { reducer: new HostReducer(communicator), info: null, warning };
  }
  const id = Uint8Array.from(decision.nccl.id);
  const joined = await NcclCommunicator.join(id, { nccl, group, timeoutMs });
  const info = `gradients are summed on the GPUs by NCCL ${versionText(nccl.version())}`;
  return { reducer: new NcclReducer(device, joined), info, warning: null };
}

function loadNccl(driverVersion: number): {
  readonly nccl: NcclFunctions | null;
  readonly lack: string;
} {
  const found = findNccl(machineProbe(), driverVersion);
  if ('what' in found) return { nccl: null, lack: problemText(found) };
  try {
    return { nccl: new NcclFunctions(found.path), lack: '' };
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return { nccl: null, lack: error.message };
  }
}

/** `nccl` is that of process 0. */
function decide(all: readonly Ability[], nccl: NcclFunctions | null): Decision {
  if (all.every(({ gpu }) => gpu === null)) return { lack: null };
  const shared = sharedGpu(all);
  if (shared) return { error: shared };
  const other = all.findIndex(({ gpu }) => gpu === null);
  if (other >= 0)
    return { lack: slower(`process ${other} on ${all[other].host} does not run the cuda engine`) };
  const without = all.findIndex((ability) => ability.nccl === null);
  if (without >= 0 || !nccl)
    return { lack: slower(`${all[without].lack} (process ${without} on ${all[without].host})`) };
  const different = all.find((ability) => ability.nccl !== all[0].nccl);
  if (different) return { error: differentVersions(all[0], different) };
  return { nccl: { id: [...nccl.uniqueId()] } };
}

function slower(reason: string): string {
  return `the gradients of all processes are summed through the memory of the host, which is slower than NCCL: ${reason}`;
}

/** Says which processes have the same GPU; null if none have. */
function sharedGpu(all: readonly Ability[]): string | null {
  for (const [rank, { host, gpu }] of all.entries()) {
    const first = gpu === null ? rank : all.findIndex((other) => other.host === host && other.gpu === gpu);
    if (first === rank) continue;
    const gpus = new Set(all.flatMap((other) => (other.host === host && other.gpu ? [other.gpu] : []))).size;
    return (
      `processes ${first} and ${rank} on ${host} use the same GPU (${gpu}): each needs one of its own. Let CUDA_VISIBLE_DEVICES ` +
      `and ENGINE.GPU_INDEX give each another one, or start ${gpus} on this machine`
    );
  }
  return null;
}

function differentVersions(a: Ability, b: Ability): string {
  const text = ({ nccl, host }: Ability) => `${versionText(nccl ?? 0)} on ${host}`;
  return `the processes have different versions of NCCL, which cannot work together: ${text(a)}, ${text(b)}. Install one everywhere`;
}
