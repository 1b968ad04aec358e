/** @file Convolutions as products, evaluated on the host, against those of tfjs's plain backend. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  BFLOAT16,
  BFLOAT16_ERROR,
  expectClose,
  FLOAT32,
  type Lowered,
  lower,
  lowerFused,
  type Operand,
  reference,
  uniform,
} from '../../../../../test/support/lowered.js';
import { sizeOf } from '../../../../formats/host_tensor.js';
import { conv3d } from '../../../../nn/conv3d.js';
import { type ConvAttributes, countWindows, type Size3 } from '../../../kernel_contract.js';
import { floats } from '../../../record/kernel.js';
import { tf } from '../../../tfjs.js';
import type { Policy } from '../lowering.js';
import { conv3dKernels } from './conv.js';

beforeEach(async () => {
  await tf.setBackend('cpu');
});

/** Products of any size are in bfloat16. */
const NARROW: Policy = { ...BFLOAT16, bfloat16Sizes: { minMultiplyAdds: 1, minElements: 1 } };

const callsOf = ({ builder }: Lowered) =>
  builder.tensors.filter(({ definition }) => definition.kind === 'call').length;

/** Operands for a map [B, T, H, W, I] and a weight [O, I, t, h, w]. */
function operandsOf(map: number[], weight: number[], { stride, padding }: ConvAttributes) {
  const kernel = weight.slice(2) as unknown as Size3;
  const result = [map[0], ...countWindows(map, { kernel, stride, padding }), weight[0]];
  return {
    x: uniform(map, 1),
    weight: uniform(weight, 2),
    dy: uniform(result, 3),
    bias: uniform([weight[0]], 4),
    residual: uniform(result, 5),
    kernel,
  };
}

const ONES: Size3 = [1, 1, 1];

/** Map, weight, stride and padding. */
const CASES: readonly [string, number[], number[], Size3, Size3][] = [
  ['1×1×1', [2, 2, 3, 2, 3], [4, 3, 1, 1, 1], ONES, [0, 0, 0]],
  ['1×1×1, stride 2', [2, 2, 5, 4, 3], [4, 3, 1, 1, 1], [1, 2, 2], [0, 0, 0]],
  ['1×3×3', [2, 2, 4, 5, 3], [4, 3, 1, 3, 3], ONES, [0, 1, 1]],
  ['1×3×3, stride 2, odd extents', [1, 2, 5, 7, 2], [3, 2, 1, 3, 3], [1, 2, 2], [0, 1, 1]],
  ['1×3×3, stride 2, even extents', [2, 2, 4, 6, 2], [3, 2, 1, 3, 3], [1, 2, 2], [0, 1, 1]],
  ['3×3×3', [2, 3, 4, 5, 3], [2, 3, 3, 3, 3], ONES, ONES],
  ['3×3×3 to six channels', [1, 2, 5, 3, 4], [6, 4, 3, 3, 3], ONES, ONES],
  ['3×3×3 of one position', [1, 1, 1, 1, 1], [1, 1, 3, 3, 3], ONES, ONES],
  ['3×1×1', [2, 4, 2, 3, 3], [2, 3, 3, 1, 1], ONES, [1, 0, 0]],
  ['3×1×1, one frame', [1, 1, 2, 3, 3], [2, 3, 3, 1, 1], ONES, [1, 0, 0]],
  ['7×1×1, stride 4 along time', [1, 8, 2, 2, 2], [3, 2, 7, 1, 1], [4, 1, 1], [3, 0, 0]],
  ['5×7×7, stride 2', [1, 4, 8, 6, 3], [2, 3, 5, 7, 7], [1, 2, 2], [2, 3, 3]],
  ['2×2×2, stride 3, without padding', [1, 5, 7, 6, 2], [2, 2, 2, 2, 2], [3, 3, 3], [0, 0, 0]],
];

describe('convolution of any geometry', () => {
  it.each(CASES)('has the right value and gradients: %s', (_, map, shape, stride, padding) => {
    const { x, weight, dy, kernel } = operandsOf(map, shape, { stride, padding });
    const [y, dx, dweight] = reference([x, weight], dy, (a, w) => conv3d(a, w, { stride, padding }));
    const attributes = { stride, padding };
    const forward = lowerFused('Conv3d', { x, weight }, { ...attributes, relu: false });
    expect(forward.outputs[0].shape).toEqual(dy.shape);
    expectClose(forward.values(), [y]);
    expectClose(lowerFused('Conv3dGradInput', { dy, weight }, { ...attributes, shape: map }).values(), [dx]);
    expectClose(lowerFused('Conv3dGradFilter', { x, dy }, { ...attributes, kernel }).values(), [dweight]);
  });

  it.each(CASES)('is the same for some positions at a time: %s', (_, map, shape, stride, padding) => {
    const { x, weight, dy, kernel } = operandsOf(map, shape, { stride, padding });
    const [conv, gradInput, gradFilter] = conv3dKernels(sizeOf(shape) * 4 * 5);
    const attributes = { stride, padding };
    const cases = [
      {
        lower: conv.lower,
        operands: [x, weight],
        attributes: { ...attributes, relu: false, missing: ['bias', 'residual'] },
        outputs: [floats(dy.shape)],
        whole: lowerFused('Conv3d', { x, weight }, { ...attributes, relu: false }),
      },
      {
        lower: gradInput.lower,
        operands: [dy, weight],
        attributes: { ...attributes, shape: map },
        outputs: [floats(map)],
        whole: lowerFused('Conv3dGradInput', { dy, weight }, { ...attributes, shape: map }),
      },
      {
        lower: gradFilter.lower,
        operands: [x, dy],
        attributes: { ...attributes, kernel },
        outputs: [floats([...shape])],
        whole: lowerFused('Conv3dGradFilter', { x, dy }, { ...attributes, kernel }),
      },
    ];
    for (const { whole, ...one } of cases) expectClose(lower(one, FLOAT32).values(), whole.values());
  });

  it.each([ONES, [1, 3, 3] as const])('adds a bias and a residual, and ends with a ReLU: %j', (...kernel) => {
    const [, h, w] = kernel;
    const geometry = { stride: ONES, padding: [0, (h - 1) / 2, (w - 1) / 2] } as const;
    const { x, weight, bias, residual } = operandsOf([2, 2, 3, 4, 3], [5, 3, ...kernel], geometry);
    for (const relu of [false, true]) {
      const [y] = reference([x, weight, bias, residual], null, (a, b, c, d) =>
        conv3d(a, b, { ...geometry, bias: c, residual: d, relu }),
      );
      const inputs = { x, weight, bias, residual };
      expectClose(lowerFused('Conv3d', inputs, { ...geometry, relu }).values(), [y]);
    }
  });

  it('of one position at a time is a product of the map itself', () => {
    const geometry = { stride: ONES, padding: [0, 0, 0] } as const;
    const { x, weight, bias, dy, kernel } = operandsOf([1, 2, 3, 4, 5], [6, 5, 1, 1, 1], geometry);
    const lowered = [
      lowerFused('Conv3d', { x, weight, bias }, { ...geometry, relu: false }),
      lowerFused('Conv3dGradInput', { dy, weight }, { ...geometry, shape: x.shape }),
      lowerFused('Conv3dGradFilter', { x, dy }, { ...geometry, kernel }),
    ];
    for (const { builder } of lowered) {
      const kinds = builder.tensors.map(({ definition }) => definition.kind);
      expect(kinds.filter((kind) => kind !== 'input')).toEqual(['call']);
    }
  });

  it('asks for plans with the geometry, except for what is a product', () => {
    const shapes: unknown[] = [];
    const findPlan: Policy['findPlan'] = (computation) => {
      shapes.push(computation);
      return null;
    };
    const policy = { ...FLOAT32, findPlan };
    const run = (map: number[], shape: number[], geometry: ConvAttributes) => {
      const { x, weight, dy, kernel } = operandsOf(map, shape, geometry);
      lowerFused('Conv3d', { x, weight }, { ...geometry, relu: true }, policy);
      lowerFused('Conv3dGradInput', { dy, weight }, { ...geometry, shape: map }, policy);
      lowerFused('Conv3dGradFilter', { x, dy }, { ...geometry, kernel }, policy);
    };
    run([2, 4, 5, 6, 3], [7, 3, 1, 1, 1], { stride: ONES, padding: [0, 0, 0] });
    expect(shapes).toEqual([]);
    run([2, 4, 5, 6, 3], [7, 3, 1, 3, 3], { stride: [1, 2, 2], padding: [0, 1, 1] });
    const shape = {
      B: 2,
      I: 3,
      O: 7,
      size: [4, 5, 6],
      kernel: [1, 3, 3],
      stride: [1, 2, 2],
      padding: [0, 1, 1],
      type: 'float32',
    };
    const passes = ['forward', 'data', 'filter'];
    expect(shapes).toEqual(passes.map((pass) => ({ kind: 'convolution', pass, shape })));
  });

  it('takes no clips', () => {
    const { x, weight, dy, kernel } = operandsOf([0, 2, 3, 4, 2], [3, 2, 1, 3, 3], {
      stride: ONES,
      padding: [0, 1, 1],
    });
    const geometry = { stride: ONES, padding: [0, 1, 1] };
    expect(lowerFused('Conv3d', { x, weight }, { ...geometry, relu: false }).values()[0]).toHaveLength(0);
    const dx = lowerFused('Conv3dGradInput', { dy, weight }, { ...geometry, shape: x.shape });
    expect(dx.values()[0]).toHaveLength(0);
    const dweight = lowerFused('Conv3dGradFilter', { x, dy }, { ...geometry, kernel });
    expect(dweight.values()).toEqual([new Float64Array(54)]);
  });

  it('is close in bfloat16 for some positions at a time', () => {
    const geometry = { stride: ONES, padding: ONES };
    const { x, weight, dy, kernel } = operandsOf([1, 3, 4, 6, 8], [10, 8, 3, 3, 3], geometry);
    const expected = reference([x, weight], dy, (a, w) => conv3d(a, w, geometry));
    const [conv, gradInput, gradFilter] = conv3dKernels(27 * 10 * 2 * 20);
    const run = (
      lowering: typeof conv.lower,
      operands: Operand[],
      shape: readonly number[],
      attributes: object,
    ) =>
      lower(
        {
          lower: lowering,
          operands,
          attributes: { ...geometry, ...attributes },
          outputs: [floats([...shape])],
        },
        NARROW,
      );
    const lowered = [
      run(conv.lower, [x, weight], dy.shape, { relu: false, missing: ['bias', 'residual'] }),
      run(gradInput.lower, [dy, weight], x.shape, { shape: x.shape }),
      run(gradFilter.lower, [x, dy], weight.shape, { kernel }),
    ];
    for (const one of lowered) expect(callsOf(one)).toBeGreaterThan(2);
    const storages = lowered.map(({ results }) => results[0].tensor.storage);
    expect(storages).toEqual(['bfloat16', 'bfloat16', 'float32']);
    expectClose(
      lowered.flatMap((one) => one.values()),
      expected,
      BFLOAT16_ERROR,
    );
  });

  it('multiplies in bfloat16 and adds up gradients of weights in full', () => {
    const geometry = { stride: [1, 2, 2], padding: [0, 1, 1] } as const;
    const { x, weight, bias, residual, dy, kernel } = operandsOf([1, 2, 9, 8, 6], [7, 6, 1, 3, 3], geometry);
    const compute = (a: tf.Tensor, w: tf.Tensor) => conv3d(a, w, geometry);
    const [, dx, dweight] = reference([x, weight], dy, compute);
    const [y] = reference([x, weight, bias, residual], null, (a, w, c, d) =>
      conv3d(a, w, { ...geometry, bias: c, residual: d, relu: true }),
    );
    const lowered = [
      lowerFused('Conv3d', { x, weight, bias, residual }, { ...geometry, relu: true }, NARROW),
      lowerFused('Conv3dGradInput', { dy, weight }, { ...geometry, shape: x.shape }, NARROW),
      lowerFused('Conv3dGradFilter', { x, dy }, { ...geometry, kernel }, NARROW),
    ];
    const storages = lowered.map(({ results }) => results[0].tensor.storage);
    expect(storages).toEqual(['bfloat16', 'bfloat16', 'float32']);
    expectClose(
      lowered.flatMap((one) => one.values()),
      [y, dx, dweight],
      BFLOAT16_ERROR,
    );
  });
});
