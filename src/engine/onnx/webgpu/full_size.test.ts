/** @file Full-size models run on a GPU without an operator that the provider lacks, and without temporaries that are too large. */
import { beforeAll, describe, expect, it } from 'vitest';
import { FULL_SIZE, type LoweredOperation, lowerFullSize } from '../../../../test/support/gpu_graphs.js';
import { entryOf, WEBGPU_OPERATORS } from '../../../../test/support/webgpu_operators.js';
import { sizeOf } from '../../../formats/host_tensor.js';
import type { OnnxNode } from '../model_format.js';
import type { OnnxInfo } from '../shapes.js';
import { PIECE_BYTES } from './limits.js';

/** Padding may make a map this much larger. */
const PADDING = 1.4;
/** The largest buffer that every WebGPU device can bind. */
const MAX_BINDING = 2 ** 27;

const BYTES: Record<string, number> = { bool: 4, float64: 8, int64: 8 };
const bytesOf = ({ shape, type }: OnnxInfo) => sizeOf(shape) * (BYTES[type] ?? 4);
const largest = (numbers: readonly number[]) => numbers.reduce((a, b) => Math.max(a, b), 0);

describe.each(FULL_SIZE)('a step of %s', (_, file, settings) => {
  let operations: LoweredOperation[];
  /** Of all graphs. */
  let nodes: { node: OnnxNode; inputs: OnnxInfo[]; outputs: OnnxInfo[] }[];

  beforeAll(async () => {
    operations = await lowerFullSize(file, settings);
    nodes = [...new Set(operations.map(({ builder }) => builder))].flatMap((builder) => {
      const infosOf = (names: readonly string[]) => names.filter(Boolean).map((name) => builder.info(name));
      return builder.nodes.map((node) => ({
        node,
        inputs: infosOf(node.inputs),
        outputs: infosOf(node.outputs),
      }));
    });
  });

  it('has operators of the provider only', () => {
    expect(operations.length).toBeGreaterThan(1000);
    const lacking = nodes.flatMap(({ node, inputs, outputs }) => {
      const [operator, type] = entryOf(node, inputs, outputs);
      return WEBGPU_OPERATORS[operator]?.split(' ').includes(type) ? [] : [`${operator} ${type}`];
    });
    expect([...new Set(lacking)]).toEqual([]);
  });

  it('has no temporary above the size of a piece that is larger than what the operation reads and returns', () => {
    const tooLarge = operations.flatMap(({ name, operands, results, nodes, builder }) => {
      const own = largest([...operands, ...results].map(({ shape }) => 4 * sizeOf(shape)));
      const limit = Math.max(PIECE_BYTES, PADDING * own);
      return nodes.flatMap(({ op, outputs }) => {
        const shapes = outputs.map((output) => builder.info(output));
        return shapes
          .filter((info) => bytesOf(info) > limit)
          .map(({ shape }) => `${op} [${shape}] in ${name}`);
      });
    });
    expect([...new Set(tooLarge)]).toEqual([]);
  });

  it('has no value that some devices cannot bind, with one clip', () => {
    expect(largest(nodes.flatMap(({ outputs }) => outputs.map(bytesOf)))).toBeLessThanOrEqual(MAX_BINDING);
  });
});
