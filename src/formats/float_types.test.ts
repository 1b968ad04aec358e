/** @file Tests of rounding floats to fewer bits, beside the nearest of all values that the type has. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CastTensor, type FloatType } from './float_types.js';
import { elementsOf, float32Tensor, type HostTensor, piecesOf, toFloat32 } from './host_tensor.js';

function doubles(...values: number[]): HostTensor {
  const data = Float64Array.from(values);
  return { dtype: 'float64', shape: [data.length], bytes: () => new Uint8Array(data.buffer) };
}

const singles = (...values: number[]) => float32Tensor([values.length], Float32Array.from(values));
const cast = (tensor: HostTensor, type: FloatType) => Array.from(toFloat32(new CastTensor(tensor, type)));

/** All 65,536 bit patterns of a 16-bit type. */
function everyValue(dtype: 'float16' | 'bfloat16'): HostTensor {
  const bits = Uint16Array.from({ length: 1 << 16 }, (_, i) => i);
  return { dtype, shape: [1 << 16], bytes: () => new Uint8Array(bits.buffer) };
}

describe.each(['float16', 'bfloat16'] as const)('the type %s', (type) => {
  const values = toFloat32(everyValue(type));
  /** Zero and the positive finite values in order; the number of one is its bits, so even numbers are even mantissas. */
  const finite = values.subarray(0, type === 'float16' ? 0x7c00 : 0x7f80);
  /** Where the next value would be if there were one more: half way there, rounding leads to infinity. */
  const beyond = 2 * finite.at(-1)! - finite.at(-2)!;

  function nearest(size: number): number {
    let [low, high] = [0, finite.length - 1];
    if (size >= finite[high]) return size - finite[high] < beyond - size ? finite[high] : Infinity;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (finite[middle] <= size) low = middle;
      else high = middle;
    }
    const [down, up] = [size - finite[low], finite[high] - size];
    return finite[down < up || (down === up && low % 2 === 0) ? low : high];
  }

  test('keeps its own values, from float32 and float64, including NaN', () => {
    for (const wide of [float32Tensor([1 << 16], values), doubles(...values)]) {
      expect(toFloat32(new CastTensor(wide, type))).toEqual(values);
    }
  });

  test('rounds a midpoint to the even value, and its neighbours to the nearest one', () => {
    const places: number[] = [];
    for (let i = 0; i + 1 < finite.length; i++) places.push((finite[i] + finite[i + 1]) / 2);
    places.push((finite.at(-1)! + beyond) / 2);
    // Beside each as near as doubles get: rounding to float32 first would lead back to the middle.
    const around = places.flatMap((place) => [place * (1 - 2 ** -52), place, place * (1 + 2 ** -52)]);
    expect(cast(doubles(...around), type)).toEqual(around.map(nearest));
    expect(cast(doubles(...around.map((x) => -x)), type)).toEqual(around.map((x) => -nearest(x)));
    expect(cast(singles(...places), type)).toEqual(places.map((x) => nearest(Math.fround(x))));
  });

  test('rounds any number to the nearest value', () => {
    fc.assert(
      fc.property(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.float({ noNaN: true, noDefaultInfinity: true }),
        (x, y) => {
          expect(cast(doubles(x), type)).toEqual([x < 0 || Object.is(x, -0) ? -nearest(-x) : nearest(x)]);
          expect(cast(singles(y), type)).toEqual([y < 0 || Object.is(y, -0) ? -nearest(-y) : nearest(y)]);
        },
      ),
      { numRuns: 500 },
    );
  });
});

test('reports finite numbers that become infinite once they are read, but not infinite ones', () => {
  const cases: [HostTensor, FloatType, boolean][] = [
    [singles(65519, 1), 'float16', false],
    [singles(1, 65520), 'float16', true],
    [singles(Infinity, Number.NaN), 'float16', false],
    [singles(3e38), 'bfloat16', false],
    [doubles(-3.4e38), 'bfloat16', true],
    [doubles(1e39), 'float32', true],
    [doubles(-Infinity), 'float32', false],
  ];
  for (const [tensor, type, expected] of cases) {
    const seen = new CastTensor(tensor, type);
    expect(seen.overflowed).toBe(false);
    seen.bytes();
    expect(seen.overflowed, `${elementsOf(tensor)} as ${type}`).toBe(expected);
  }
});

test('converts pieces one by one', () => {
  const pieces = [singles(1, 2), singles(3)].map((tensor) => tensor.bytes());
  const source: HostTensor = {
    dtype: 'float32',
    shape: [3],
    bytes: () => expect.fail('read whole'),
    pieces: () => pieces,
  };
  const bytes = Buffer.concat([...piecesOf(new CastTensor(source, 'bfloat16'))]);
  expect(toFloat32({ dtype: 'bfloat16', shape: [3], bytes: () => bytes })).toEqual(Float32Array.of(1, 2, 3));
});
