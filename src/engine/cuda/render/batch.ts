/**
 * @file Kernels that do the same for many tensors in one launch, such as the update of all parameters. The tensors may have any
 * sizes: each has as many blocks as it needs.
 */
import type { Group, Loop } from '../compile/groups.js';
import type { Expr } from '../ir/expr.js';
import { isLoad, operandsOf, partsOf, substitute } from '../ir/rewrite.js';
import { CHUNK } from '../ir/tensor.js';
import { BLOCK, type RenderedKernel, VECTOR, writeVectorLoads } from './kernel.js';
import { STORAGE_TYPE } from './literals.js';
import { startOf, writeTerm } from './reduce.js';
import { declare, KernelWriter, type Parameter } from './writer.js';

/** Bytes of the arguments of a kernel. */
const MAX_ARGUMENT_BYTES = 4000;

/** A kernel whose text does not depend on the number of elements. */
export interface UniformKernel {
  readonly parameters: readonly Parameter[];
  readonly body: string;
  /** Number of elements, of which a block computes `perBlock`. */
  readonly size: number;
  readonly perBlock: number;
}

/** Whether a kernel for a group can have tensors of any size, because its expressions do not depend on the size. */
export function isUniform(group: Group): boolean {
  const { loop } = group;
  if (loop.kind === 'elements') return hasPlainIndices(group, loop.i);
  return loop.kind === 'chunks' && hasPlainIndices(group, loop.k);
}

/** Renders a group for tensors of any size. Throws Error if it is not uniform. */
export function renderUniform(group: Group): UniformKernel {
  const { loop } = group;
  if (!isUniform(group) || loop.kind === 'rows' || loop.kind === 'reduce')
    throw new Error('a kernel that depends on the size');
  return loop.kind === 'elements' ? uniformElements(group, loop) : uniformChunks(group, loop);
}

/** A kernel in chunks for one tensor, whose expressions may depend on its size. */
export function renderChunks(group: Group, loop: Extract<Loop, { kind: 'chunks' }>): RenderedKernel {
  const { parameters, body, size, perBlock } = uniformChunks(group, loop);
  const head = [`  const int n = ${size};`, `  const int begin = ${perBlock} * block;`].join('\n');
  return { kind: 'reduce', parameters, body: `${head}\n${body}`, blocks: Math.ceil(size / perBlock) };
}

/** The most tensors of a launch. */
export function maxEntries({ parameters }: UniformKernel): number {
  return Math.floor(MAX_ARGUMENT_BYTES / (8 * (parameters.length + 2)));
}

/** Equal for kernels that differ in their tensors and the size only. */
export function uniformKey({ parameters, body }: UniformKernel): string {
  return [...parameters.map(({ tensor, name }) => `${tensor.storage} ${name}`), body].join('\n');
}

/** The source of a kernel for `count` tensors, under a name. */
export function batchText(
  { parameters, body, perBlock }: UniformKernel,
  count: number,
  name: string,
): string {
  const fields = parameters.map(
    ({ tensor, name, isResult }) =>
      `  ${isResult ? '' : 'const '}${STORAGE_TYPE[tensor.storage]} *${name}[${count}];\n`,
  );
  const pointers = parameters.map((parameter) => `  ${declare(parameter)} = all.${parameter.name}[entry];\n`);
  return `struct Batch_${name} {
${fields.join('')}  long long size[${count}];
  long long firstBlock[${count}];
};
extern "C" __global__ void __launch_bounds__(${BLOCK}) ${name}(const __grid_constant__ Batch_${name} all) {
  // The last tensor that begins at or before this block.
  int entry = 0;
  for (int step = ${2 ** Math.floor(Math.log2(Math.max(1, count - 1)))}; step > 0; step /= 2)
    if (entry + step < ${count} && all.firstBlock[entry + step] <= blockIdx.x) entry += step;
${pointers.join('')}  const int n = (int)all.size[entry];
  const int block = blockIdx.x - (int)all.firstBlock[entry];
  const int begin = ${perBlock} * block;
${body}
}
`;
}

/** Whether the loop's variable only says which element is loaded. */
function hasPlainIndices(group: Group, variable: Expr): boolean {
  return [...partsOf(group.exprs)].every((part) => isLoad(part) || !operandsOf(part).includes(variable));
}

/** Each thread computes four neighbouring elements. */
function uniformElements(
  group: Group,
  { i, size }: { readonly i: Expr; readonly size: number },
): UniformKernel {
  const writer = new KernelWriter();
  const q = i.pool.index('q', size);
  const place = q.mul(VECTOR);
  const lanes = Array.from({ length: VECTOR }, (_, lane) =>
    group.members.map(({ value }) => substitute(value, new Map([[i, place.add(lane)]]))),
  );
  writer.line(`const int q = begin / ${VECTOR} + threadIdx.x;`);
  writer.count([place, ...lanes.flat(), ...group.exprs]);
  writer.block(`if (${VECTOR} * q + ${VECTOR} <= n)`, () => {
    writeVectorLoads(writer, lanes);
    for (const [m, { tensor }] of group.members.entries())
      writer.store(
        tensor,
        place,
        lanes.map((values) => values[m]),
      );
  });
  writer.block(`else for (int i = ${VECTOR} * q; i < n; i++)`, () => {
    writer.name(i, 'i');
    for (const { tensor, value } of group.members) writer.store(tensor, i, [value]);
  });
  return { parameters: writer.parameters, body: writer.body, size, perBlock: VECTOR * BLOCK };
}

/** Each block reduces one chunk. */
function uniformChunks(
  group: Group,
  { k, count }: { readonly k: Expr; readonly count: number },
): UniformKernel {
  const writer = new KernelWriter();
  writer.count(group.exprs);
  const [reduction] = group.reductions;
  const { operator, result, body } = reduction;
  const type = body.type === 'float' ? 'float' : 'int';
  const name = 'total';
  writer.nameEverywhere(result, name);
  writer.line(`__shared__ ${type} parts[${BLOCK / 32}];`);
  writer.line(`const int end = min(n, begin + ${CHUNK});`);
  writer.line(`${type} ${name} = ${startOf(operator, type)};`);
  writer.line('#pragma unroll 4');
  writer.block(`for (int k = begin + threadIdx.x; k < end; k += ${BLOCK})`, () => {
    writer.name(k, 'k');
    writeTerm(writer, reduction);
  });
  writer.line(`${name} = block_${operator}(${name}, parts);`);
  const block = k.pool.variable('block', 'int');
  writer.block('if (threadIdx.x == 0)', () => {
    for (const { tensor, value } of group.members) writer.store(tensor, block, [value]);
  });
  return { parameters: writer.parameters, body: writer.body, size: count, perBlock: CHUNK };
}
