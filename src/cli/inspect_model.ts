/** @file `stmixer inspect model`: names and shapes of the parameters. */
import type { Module } from '../nn/module.js';
import { count } from '../util/text.js';

/**
 * Lists names, shapes and the total number of parameters, in PyTorch's order. The JSON is
 * `{"parameters": [{"name", "shape"}], "total"}`. No memory is allocated for the weights.
 */
export function inspectModel(model: Module, json: boolean): string {
  const parameters = Array.from(model.namedParameters(), ([name, { shape, size }]) => ({
    name,
    shape,
    size,
  }));
  const total = parameters.reduce((sum, { size }) => sum + size, 0);
  if (json) {
    const listed = parameters.map(({ name, shape }) => ({ name, shape }));
    return JSON.stringify({ parameters: listed, total });
  }
  const width = Math.max(...parameters.map(({ name }) => name.length));
  const lines = parameters.map(
    ({ name, shape, size }) => `${name.padEnd(width)}  ${count(size).padStart(12)}  [${shape.join(', ')}]`,
  );
  const parts = new Map<string, number>();
  for (const { name, size } of parameters) {
    const part = name.split('.')[0];
    parts.set(part, (parts.get(part) ?? 0) + size);
  }
  const sums = [...parts].map(([part, size]) => `${part.padEnd(width)}  ${count(size).padStart(12)}`);
  return [
    ...lines,
    '',
    ...sums,
    `${'total'.padEnd(width)}  ${count(total).padStart(12)}  in ${parameters.length} tensors`,
  ].join('\n');
}
