/** @file Kernels that compute each element on its own. */
import type { Group, Loop } from '../compile/groups.js';
import type { Expr } from '../ir/expr.js';
import { substitute } from '../ir/rewrite.js';
import { BLOCK, type RenderedKernel, VECTOR, writeVectorLoads } from './kernel.js';
import { KernelWriter } from './writer.js';

/** Each thread computes four neighbouring elements if the number of elements allows it. */
export function renderElements(
  group: Group,
  { i, size }: Extract<Loop, { kind: 'elements' }>,
): RenderedKernel {
  const width = size % VECTOR === 0 ? VECTOR : 1;
  const threads = size / width;
  const t = i.pool.index('t', threads);
  const lanes = Array.from({ length: width }, (_, lane) => {
    const element = t.mul(width).add(lane);
    const values = group.members.map(({ value }) => substitute(value, new Map([[i, element]])));
    return { element, values };
  });
  const writer = new KernelWriter();
  writer.count(lanes.flatMap(({ element, values }): Expr[] => [element, ...values]));
  writer.line(`const int t = block * ${BLOCK} + threadIdx.x;`);
  if (threads % BLOCK !== 0) writer.line(`if (t >= ${threads}) return;`);
  writeVectorLoads(
    writer,
    lanes.map(({ values }) => values),
  );
  for (const [m, { tensor }] of group.members.entries())
    writer.store(
      tensor,
      lanes[0].element,
      lanes.map(({ values }) => values[m]),
    );
  const { parameters, body } = writer;
  return { kind: 'elements', parameters, body, blocks: Math.ceil(threads / BLOCK) };
}
