/** @file A kernel as text, and how it is launched. */
import type { Expr } from '../ir/expr.js';
import { isLoad, type Load, partsOf } from '../ir/rewrite.js';
import type { Tensor } from '../ir/tensor.js';
import { declare, type KernelWriter, type Parameter } from './writer.js';

/** Threads of a block. */
export const BLOCK = 256;
/** Elements that a thread loads and stores at once where they are neighbours. */
export const VECTOR = 4;

export interface RenderedKernel {
  readonly kind: 'elements' | 'rows' | 'reduce';
  readonly parameters: readonly Parameter[];
  /** Statements, for which `block` is the number of the block. */
  readonly body: string;
  readonly blocks: number;
}

/** The source of a kernel under a name. */
export function kernelText({ parameters, body }: RenderedKernel, name: string): string {
  const list = parameters.map(declare).join(', ');
  return `${signature(name, list)} {\n  const int block = blockIdx.x;\n${body}\n}\n`;
}

/** The source of a kernel whose blocks do the work of one kernel after the other. */
export function jointText(kernels: readonly RenderedKernel[], name: string): string {
  const lists = kernels.map(({ parameters }, k) =>
    parameters.map((parameter) => declare({ ...parameter, name: `k${k}_${parameter.name}` })),
  );
  let before = 0;
  const parts = kernels.map(({ parameters, body, blocks }, k) => {
    const names = parameters.map((parameter) => `    ${declare(parameter)} = k${k}_${parameter.name};\n`);
    const block = `    const int block = blockIdx.x - ${before};\n`;
    before += blocks;
    return `  if (blockIdx.x < ${before}) {\n${block}${names.join('')}${indented(body)}\n    return;\n  }\n`;
  });
  return `${signature(name, lists.flat().join(', '))} {\n${parts.join('')}}\n`;
}

function signature(name: string, parameters: string): string {
  return `extern "C" __global__ void __launch_bounds__(${BLOCK}) ${name}(${parameters})`;
}

const indented = (text: string) => text.replace(/^(?=.)/gm, '  ');

/** The variable under which a load is kept for later passes over a row; null if it is not. */
export type KeptName = (load: Load, lane: number) => string | null;

/**
 * Writes the loads that all lanes of a thread do at neighbouring places as one load. `lanes` holds the expressions of each lane.
 */
export function writeVectorLoads(
  writer: KernelWriter,
  lanes: readonly (readonly Expr[])[],
  keptName: KeptName = () => null,
): void {
  if (lanes.length < VECTOR) return;
  const loads = lanes.map((exprs) => new Set<Expr>([...partsOf(exprs)].filter(isLoad)));
  for (const first of loads[0] as Set<Load>) {
    const { tensor, index } = first.kind;
    if (writer.isNamed(first) || !isMultipleOf(index, VECTOR) || hasLoad(index)) continue;
    const group = loads.map((_, lane) => first.pool.load(tensor, index.add(lane)) as Load);
    if (!group.every((load, lane) => loads[lane].has(load))) continue;
    writer.loadVector(group, (lane) => keptName(group[lane], lane));
  }
}

function isMultipleOf({ kind }: Expr, n: number): boolean {
  if (kind.op === 'constant') return kind.value % n === 0;
  return kind.op === 'sum' && kind.constant % n === 0 && kind.terms.every(([, factor]) => factor % n === 0);
}

/** Whether an index depends on other loads, which must come first. */
const hasLoad = (index: Expr) => [...partsOf([index])].some(isLoad);

export function tensorsOf(parameters: readonly Parameter[]): Tensor[] {
  return parameters.map(({ tensor }) => tensor);
}
