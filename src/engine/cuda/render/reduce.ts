/** @file Kernels in which each thread adds up, or finds the largest of, all terms of one result. */
import type { Group, Loop, SerialReduction } from '../compile/groups.js';
import { BLOCK, type RenderedKernel } from './kernel.js';
import { literal } from './literals.js';
import { KernelWriter } from './writer.js';

/** Steps of the loop whose loads may be under way at the same time. */
const UNROLL = 8;

export function renderReduce(
  group: Group,
  { o, k, size, count }: Extract<Loop, { kind: 'reduce' }>,
): RenderedKernel {
  const { reductions, members } = group;
  const writer = new KernelWriter();
  writer.count(group.exprs);
  writer.line(`const int o = block * ${BLOCK} + threadIdx.x;`);
  if (size % BLOCK !== 0) writer.line(`if (o >= ${size}) return;`);
  // Numbers, so that equal kernels have equal texts.
  for (const [n, { result }] of reductions.entries()) writer.nameEverywhere(result, `t${n}`);
  for (const reduction of reductions) writeStart(writer, reduction);
  writer.line(`#pragma unroll ${UNROLL}`);
  writer.block(`for (int k = 0; k < ${count}; k++)`, () => {
    writer.name(k, 'k');
    for (const reduction of reductions) writeTerm(writer, reduction);
  });
  for (const { tensor, value } of members) writer.store(tensor, o, [value]);
  const { parameters, body } = writer;
  return { kind: 'reduce', parameters, body, blocks: Math.ceil(size / BLOCK) };
}

/** The type of a sum or maximum: booleans are counted as integers. */
const typeOf = ({ body }: SerialReduction) => (body.type === 'float' ? 'float' : 'int');

/** The value of a reduction before the first term. */
export function startOf(operator: 'sum' | 'max' | 'argMax', type: 'float' | 'int'): string {
  if (operator === 'sum') return literal(0, type);
  return literal(type === 'float' ? Number.NEGATIVE_INFINITY : -(2 ** 31), type);
}

function writeStart(writer: KernelWriter, reduction: SerialReduction): void {
  const { operator, result } = reduction;
  const name = writer.text(result);
  const type = typeOf(reduction);
  if (operator === 'argMax') {
    writer.line(`${type} largest_${name} = ${startOf(operator, type)};`);
    writer.line(`int ${name} = 0;`);
  } else writer.line(`${type} ${name} = ${startOf(operator, type)};`);
}

export function writeTerm(writer: KernelWriter, reduction: SerialReduction): void {
  const { operator, body, result } = reduction;
  const name = writer.text(result);
  const term = body.type === 'bool' ? `(int)${writer.text(body)}` : writer.text(body);
  if (operator === 'sum') writer.line(`${name} += ${term};`);
  else if (operator === 'max') writer.line(`${name} = ${largerOf(typeOf(reduction), name, term)};`);
  // A comparison with NaN is false, so NaN is never the largest.
  else
    writer.block(`if (${term} > largest_${name})`, () => {
      writer.line(`largest_${name} = ${term};`);
      writer.line(`${name} = k;`);
    });
}

/** The larger of two numbers, or NaN. */
export function largerOf(type: 'float' | 'int', a: string, b: string): string {
  return type === 'float' ? `max_or_nan(${a}, ${b})` : `max(${a}, ${b})`;
}
