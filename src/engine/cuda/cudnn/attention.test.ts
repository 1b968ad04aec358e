import { describe, expect, it } from 'vitest';
import { type AttentionShape, backwardGraph, forwardGraph } from './attention.js';
import {
  type GraphTensor,
  type Operation,
  type OperationGraph,
  type PointwiseMode,
  sizeOf,
  TYPE_BYTES,
} from './graph.js';

const SHAPE: AttentionShape = { B: 2, N: 5, H: 3, D: 8, scale: 0.3 };

/** Elements of a tensor in memory that several tensors may share. */
interface Memory {
  readonly data: Float64Array;
  readonly start: number;
}

const POINTWISE: Readonly<Record<PointwiseMode, (a: number, b: number) => number>> = {
  mul: (a, b) => a * b,
  sub: (a, b) => a - b,
  exp: Math.exp,
  identity: (a) => a,
};

/** Computes the steps of a graph as they are defined, in double precision. */
class Interpreter {
  readonly #tensors: ReadonlyMap<number, GraphTensor>;
  readonly #memory = new Map<number, Memory>();

  constructor(graph: OperationGraph, named: Readonly<Record<string, Float64Array>>) {
    this.#tensors = new Map(graph.tensors.map((tensor) => [tensor.id, tensor]));
    for (const { id, type, place, ...layout } of graph.tensors) {
      if (place.kind === 'argument')
        this.#memory.set(id, { data: named[place.name], start: place.offset / TYPE_BYTES[type] });
      else if (place.kind === 'scalar')
        this.#memory.set(id, { data: Float64Array.of(place.value), start: 0 });
      else this.#memory.set(id, { data: new Float64Array(sizeOf({ type, ...layout })), start: 0 });
    }
    for (const operation of graph.operations) this.#run(operation);
  }

  #run(operation: Operation): void {
    switch (operation.kind) {
      case 'pointwise': {
        this.#fill(operation.y, (at) => {
          const [a, b] = operation.inputs.map((id) => this.#read(id, at));
          return POINTWISE[operation.mode](a, b);
        });
        break;
      }
      case 'matmul': {
        const K = this.#tensors.get(operation.a)!.dims[3];
        this.#fill(operation.c, ([b, h, n, m]) => {
          let sum = 0;
          for (let k = 0; k < K; k++)
            sum += this.#read(operation.a, [b, h, n, k]) * this.#read(operation.b, [b, h, k, m]);
          return sum;
        });
        break;
      }
      case 'sum': {
        const width = this.#tensors.get(operation.x)!.dims[3];
        this.#fill(operation.y, ([b, h, n]) => {
          let sum = 0;
          for (let d = 0; d < width; d++) sum += this.#read(operation.x, [b, h, n, d]);
          return sum;
        });
        break;
      }
      case 'reshape':
        this.#memory.set(operation.y, this.#memory.get(operation.x)!);
        break;
      default:
        throw new Error(`${operation.kind} has no steps`);
    }
  }

  #index(id: number, at: readonly number[]): number {
    const { dims, strides } = this.#tensors.get(id)!;
    return at.reduce((sum, n, axis) => sum + (dims[axis] === 1 ? 0 : n * strides[axis]), 0);
  }

  #read(id: number, at: readonly number[]): number {
    const { data, start } = this.#memory.get(id)!;
    return data[start + this.#index(id, at)];
  }

  #fill(id: number, value: (at: number[]) => number): void {
    const { data, start } = this.#memory.get(id)!;
    const [B, H, N, M] = this.#tensors.get(id)!.dims;
    for (let b = 0; b < B; b++)
      for (let h = 0; h < H; h++)
        for (let n = 0; n < N; n++)
          for (let m = 0; m < M; m++) data[start + this.#index(id, [b, h, n, m])] = value([b, h, n, m]);
  }
}

const waves = (length: number, speed: number) =>
  Float64Array.from({ length }, (_, i) => Math.sin(speed * i + 1));

/** softmax(scale·q·kᵀ)·v for qkv [B, N, 3, H, D], and the statistics [B, H, N]. */
function attention(qkv: Float64Array, { B, N, H, D, scale }: AttentionShape) {
  const at = (b: number, n: number, part: number, h: number, d: number) =>
    qkv[(((b * N + n) * 3 + part) * H + h) * D + d];
  const out = new Float64Array(B * N * H * D);
  const statistics = new Float64Array(B * H * N);
  const range = (n: number) => Array.from({ length: n }, (_, i) => i);
  for (const b of range(B))
    for (const h of range(H))
      for (const n of range(N)) {
        const scores = range(N).map(
          (m) => scale * range(D).reduce((sum, d) => sum + at(b, n, 0, h, d) * at(b, m, 1, h, d), 0),
        );
        const total = Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0));
        statistics[(b * H + h) * N + n] = total;
        for (const d of range(D))
          out[((b * N + n) * H + h) * D + d] = scores.reduce(
            (sum, score, m) => sum + Math.exp(score - total) * at(b, m, 2, h, d),
            0,
          );
      }
  return { out, statistics };
}

/** Derivatives of Σ dout·out by differences. */
function numericalGradient(qkv: Float64Array, dout: Float64Array): Float64Array {
  const STEP = 1e-5;
  const value = (i: number, step: number) => {
    const moved = qkv.slice();
    moved[i] += step;
    return attention(moved, SHAPE).out.reduce((sum, x, n) => sum + x * dout[n], 0);
  };
  return qkv.map((_, i) => (value(i, STEP) - value(i, -STEP)) / (2 * STEP));
}

describe('backwardGraph', () => {
  const { B, N, H, D } = SHAPE;
  const qkv = waves(B * N * 3 * H * D, 0.7);
  const dout = waves(B * N * H * D, 1.3);
  const expected = numericalGradient(qkv, dout);

  it.each([true, false])('is the gradient of attention, with accumulates: %s', (accumulates) => {
    const dqkv = new Float64Array(qkv.length).fill(Number.NaN);
    const graph = backwardGraph(SHAPE, { accumulates });
    new Interpreter(graph, { qkv, dout, dqkv, ...attention(qkv, SHAPE) });
    expect(Math.max(...dqkv.map((x, i) => Math.abs(x - expected[i])))).toBeLessThan(1e-8);
    expect(graph.accumulates).toBe(accumulates);
  });
});

describe('forwardGraph', () => {
  it('reads queries, keys and values where they are', () => {
    const { tensors, operations } = forwardGraph(SHAPE);
    const offsets = tensors.map(({ place }) =>
      place.kind === 'argument' ? [place.name, place.offset] : place.kind,
    );
    expect(offsets).toEqual([['qkv', 0], ['qkv', 48], ['qkv', 96], ['out', 0], ['statistics', 0], 'scalar']);
    expect(operations).toEqual([
      { kind: 'attention', tensors: { q: 1, k: 2, v: 3, o: 4, statistics: 5, scale: 6 } },
    ]);
  });
});
