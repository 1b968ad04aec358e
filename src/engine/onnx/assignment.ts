/** @file Which nodes of a session run on the CPU although the session was made for a GPU. */
import koffi from 'koffi';
import type { OrtApi, Pointer } from './c_api.js';

/** Session setting under which ONNX Runtime remembers where nodes run. */
export const RECORD_ASSIGNMENT = 'session.record_ep_graph_assignment_info';
/** Session setting that makes a node that would run on the CPU an error. */
export const DISABLE_FALLBACK = 'session.disable_cpu_ep_fallback';

const CPU_PROVIDER = 'CPUExecutionProvider';

/** Whether a session could not be made because of `DISABLE_FALLBACK`. */
export function isFallbackError({ message }: Error): boolean {
  return message.includes('fallback to CPU EP has been explicitly disabled');
}

/** Names of the nodes on the CPU, for a session made with `RECORD_ASSIGNMENT`. */
export function nodesOnCpu(api: OrtApi, session: Pointer): string[] {
  const subgraphs = list((items, count) => api.Session_GetEpGraphAssignmentInfo(session, items, count));
  return subgraphs
    .filter((subgraph) => text((out) => api.EpAssignedSubgraph_GetEpName(subgraph, out)) === CPU_PROVIDER)
    .flatMap((subgraph) => list((items, count) => api.EpAssignedSubgraph_GetNodes(subgraph, items, count)))
    .map((node) => text((out) => api.EpAssignedNode_GetName(node, out)));
}

function text(get: (out: (string | null)[]) => void): string {
  const out: (string | null)[] = [null];
  get(out);
  return out[0] ?? '';
}

function list(get: (items: (Pointer | null)[], count: number[]) => void): Pointer[] {
  const items: (Pointer | null)[] = [null];
  const count = [0];
  get(items, count);
  const [first] = items;
  return first === null ? [] : Array.from({ length: Number(count[0]) }, (_, i) => pointerAt(first, i));
}

function pointerAt(array: Pointer, index: number): Pointer {
  return koffi.decode(array, index * koffi.sizeof('void *'), 'void *') as Pointer;
}
