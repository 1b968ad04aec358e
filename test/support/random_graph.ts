/** @file Random programs of tensor operations, to be run on two engines and compared. */
import fc from 'fast-check';
import { graphBreak } from '../../src/engine/lazy_hints.js';
import { tf } from '../../src/engine/tfjs.js';
import { sizeOf } from '../../src/formats/host_tensor.js';
import { gelu, layerNorm, linear } from '../../src/nn/functional.js';
import { noGrad } from '../../src/nn/tape.js';
import { Rng } from '../../src/util/random.js';

/** One operation: the numbers choose operands, axes and sizes among those that are possible when it runs. */
export interface Step {
  do: string;
  /** Operands, counted back from the newest value. */
  a: number;
  b: number;
  /** Seed of every other choice. */
  choice: number;
}

export interface Program {
  /** Shapes of the inputs. */
  leaves: number[][];
  steps: Step[];
}

/** A value while a program runs. */
interface Item {
  x: tf.Tensor;
  /** No element is larger than this. */
  bound: number;
  /** Bit for bit the same on every engine, so that it may be compared, clamped or sorted without a coin being tossed. */
  isExact: boolean;
  isLeaf: boolean;
}

const MAX_ELEMENTS = 400;
/** Above it values are scaled down, exactly. */
const MAX_BOUND = 16;

class Machine {
  constructor(
    readonly items: Item[],
    readonly rng: Rng,
  ) {}

  flag(): boolean {
    return this.rng.int(2) === 1;
  }

  /** Some axes of x, at least one. */
  axes(x: tf.Tensor): number[] {
    const axes = x.shape.map((_, axis) => axis);
    const some = axes.filter(() => this.flag());
    return some.length || x.rank === 0 ? some : [this.rng.int(x.rank)];
  }

  /** Distinct numbers of both signs, the same wherever the program runs. */
  constant(shape: number[]): tf.Tensor {
    return tf.tensor(
      Float32Array.from({ length: sizeOf(shape) }, () => this.rng.normal()),
      shape,
    );
  }
}

/** x and its operand for a binary operation: `b` if it broadcasts, else a tensor made of x. */
function pair(m: Machine, a: Item, b: Item): [Item, Item] {
  try {
    const shape = tf.broadcast_util.assertAndGetBroadcastShape(a.x.shape, b.x.shape);
    if (sizeOf(shape) <= MAX_ELEMENTS) return m.flag() ? [a, b] : [b, a];
  } catch {
    // Shapes that do not go together.
  }
  const row = { ...a, x: a.x.mean(m.axes(a.x), m.flag() && a.x.rank > 0), isExact: false };
  try {
    tf.broadcast_util.assertAndGetBroadcastShape(a.x.shape, row.x.shape);
    return [a, row];
  } catch {
    return [a, a];
  }
}

type Made = Omit<Item, 'isLeaf'>;
const smooth = (x: tf.Tensor, bound: number): Made => ({ x, bound, isExact: false });

type Operation = (m: Machine, a: Item, b: Item) => Made | Made[];

/** A function without kinks. */
const unary =
  (f: (x: tf.Tensor) => tf.Tensor, bound: (a: number) => number): Operation =>
  (_, a) =>
    smooth(f(a.x), bound(a.bound));
/** A function with a kink or a jump, for exact operands only. */
const kinked =
  (f: (x: tf.Tensor) => tf.Tensor): Operation =>
  (_, a) =>
    a.isExact ? { ...a, x: f(a.x) } : smooth(a.x.sin(), 1);
/** Moves elements, which keeps them exact. */
const moving =
  (f: (m: Machine, x: tf.Tensor) => tf.Tensor): Operation =>
  (m, a) => ({ ...a, x: f(m, a.x) });
/** Arithmetic that IEEE 754 rounds correctly everywhere. */
const arithmetic =
  (
    f: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
    bound: (a: number, b: number) => number,
    isKinked = false,
  ): Operation =>
  (m, first, second) => {
    const [a, b] = pair(m, first, second);
    const isExact = a.isExact && b.isExact;
    if (isKinked && !isExact) return smooth(a.x.add(b.x), a.bound + b.bound);
    return { x: f(a.x, b.x), bound: bound(a.bound, b.bound), isExact };
  };

/** Both in the shape that they broadcast to: tfjs's gradients of maximum and minimum know no broadcasting. */
function alike(a: tf.Tensor, b: tf.Tensor): [tf.Tensor, tf.Tensor] {
  const zeros = tf.zeros(tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape));
  return [a.add(zeros), b.add(zeros)];
}

const largest = (a: number, b: number) => Math.max(a, b);

const OPERATIONS: Record<string, Operation> = {
  sin: unary((x) => x.sin(), () => 1), // biome-ignore format: a table
  cos: unary(
    (x) => x.cos(),
    () => 1,
  ),
  erf: unary(
    (x) => x.erf(),
    () => 1,
  ),
  sigmoid: unary(
    (x) => x.sigmoid(),
    () => 1,
  ),
  exp: unary(
    (x) => x.sin().exp(),
    () => Math.E,
  ),
  sqrt: unary(
    (x) => x.square().add(0.5).sqrt(),
    (a) => a + 1,
  ),
  log: unary(
    (x) => x.square().add(0.5).log(),
    (a) => a + 1,
  ),
  log1p: unary(
    (x) => x.square().log1p(),
    (a) => a + 1,
  ),
  rsqrt: unary(
    (x) => x.square().add(0.5).rsqrt(),
    () => 2,
  ),
  pow: unary(
    (x) => x.square().add(0.5).pow(1.5),
    (a) => (a + 1) ** 3,
  ),
  gelu: unary(gelu, (a) => a),
  neg: (_, a) => ({ ...a, x: a.x.neg() }),
  square: (_, a) => ({ ...a, x: a.x.square(), bound: a.bound ** 2 }),
  abs: kinked((x) => x.abs()),
  relu: kinked((x) => x.relu()),
  floor: kinked((x) => x.mul(noGrad(() => x.floor().sign()))),
  add: arithmetic(
    (a, b) => a.add(b),
    (a, b) => a + b,
  ),
  sub: arithmetic(
    (a, b) => a.sub(b),
    (a, b) => a + b,
  ),
  mul: arithmetic(
    (a, b) => a.mul(b),
    (a, b) => a * b,
  ),
  div: arithmetic(
    (a, b) => a.div(b.square().add(0.5)),
    (a) => 2 * a,
  ),
  maximum: arithmetic((a, b) => tf.maximum(...alike(a, b)), largest, true),
  minimum: arithmetic((a, b) => tf.minimum(...alike(a, b)), largest, true),
  where: arithmetic(
    (a, b) =>
      tf.where(
        noGrad(() => a.greater(b)),
        a.add(b),
        a.sub(b),
      ),
    (a, b) => a + b,
    true,
  ),
  mask: arithmetic((a, b) => a.mul(noGrad(() => a.lessEqual(b).logicalNot().cast('float32'))), largest, true),
  addN: (m, a) => ({
    ...a,
    x: tf.addN([a.x, a.x.neg(), a.x, m.constant(a.x.shape)]),
    bound: a.bound + 6,
    isExact: false,
  }),
  sum: (m, a) => smooth(a.x.sum(m.axes(a.x), m.flag()), a.bound * a.x.size),
  mean: (m, a) => smooth(a.x.mean(m.axes(a.x), m.flag()), a.bound),
  max: (m, a) =>
    a.isExact
      ? { ...a, x: a.x.max(m.axes(a.x), m.flag()) }
      : smooth(a.x.sum(m.axes(a.x)), a.bound * a.x.size),
  softmax: (_, a) => smooth(a.x.rank ? tf.softmax(a.x) : a.x.sigmoid(), 1),
  layerNorm: (m, a) => {
    if (a.x.rank === 0) return smooth(a.x.sin(), 1);
    const C = a.x.shape[a.x.rank - 1];
    const [weight, bias] = [m.constant([C]), m.constant([C])];
    return smooth(layerNorm(a.x, 0.1, m.flag() ? { weight, bias } : {}), 5 * Math.sqrt(C) + 5);
  },
  linear: (m, a) => {
    if (a.x.rank === 0) return smooth(a.x.cos(), 1);
    const [C, O] = [a.x.shape[a.x.rank - 1], 1 + m.rng.int(4)];
    const x = a.x.size * O <= MAX_ELEMENTS * C ? a.x : a.x.reshape([-1, C]).slice([0, 0], [1, C]);
    return smooth(linear(x, m.constant([O, C]), m.flag() ? m.constant([O]) : undefined), 4 * C * a.bound + 4);
  },
  matMul: (m, a, b) => {
    if (a.x.rank < 2) return matMulOf(m, widen(a), widen(b));
    return matMulOf(m, a, b);
  },
  transpose: moving((m, x) => x.transpose(m.rng.permutation(x.rank))),
  reshape: moving((m, x) => {
    // Any of the ways to write the size as a product of up to four.
    const shape: number[] = [];
    let rest = x.size;
    for (let n = m.rng.int(4); n > 0; n--) {
      const divisors = Array.from({ length: rest }, (_, i) => i + 1).filter((d) => rest % d === 0);
      const size = divisors[m.rng.int(divisors.length)];
      shape.push(size);
      rest /= size;
    }
    return x.reshape(rest === 1 && (shape.length || x.size === 1) && m.flag() ? shape : [...shape, rest]);
  }),
  expandDims: moving((m, x) => (x.rank < 4 ? x.expandDims(m.rng.int(x.rank + 1)) : x.clone())),
  slice: moving((m, x) => {
    const begin = x.shape.map((size) => m.rng.int(size));
    return x.rank
      ? x.slice(
          begin,
          x.shape.map((size, i) => 1 + m.rng.int(size - begin[i])),
        )
      : x.clone();
  }),
  pad: (m, a) => {
    const widths = a.x.shape.map(() => [m.rng.int(2), m.rng.int(3)] as [number, number]);
    const size = a.x.shape.reduce((product, s, i) => product * (s + widths[i][0] + widths[i][1]), 1);
    if (size > MAX_ELEMENTS || a.x.rank === 0) return { ...a, x: a.x.clone() };
    const value = m.flag() ? 0 : 1.5;
    return { ...a, x: tf.pad(a.x, widths, value), bound: Math.max(a.bound, value) };
  },
  tile: moving((m, x) => {
    const reps = x.shape.map(() => 1 + m.rng.int(3));
    return x.rank && sizeOf(reps) * x.size <= MAX_ELEMENTS ? x.tile(reps) : x.clone();
  }),
  concat: (m, a, b) => {
    if (a.x.rank === 0 || 3 * a.x.size > MAX_ELEMENTS) return { ...a, x: a.x.clone() };
    const axis = m.rng.int(a.x.rank);
    const fits = b.x.rank === a.x.rank && b.x.shape.every((size, i) => i === axis || size === a.x.shape[i]);
    const other = fits && a.x.size + b.x.size <= MAX_ELEMENTS ? b : a;
    const x = tf.concat(m.flag() ? [a.x, other.x] : [other.x, a.x.neg()], axis);
    return { x, bound: Math.max(a.bound, other.bound), isExact: a.isExact && other.isExact };
  },
  stack: (m, a) => {
    if (a.x.rank === 4 || 2 * a.x.size > MAX_ELEMENTS) return { ...a, x: a.x.clone() };
    return { ...a, x: tf.stack([a.x, a.x.neg()], m.rng.int(a.x.rank + 1)) };
  },
  split: (m, a) => {
    if (a.x.rank === 0) return { ...a, x: a.x.clone() };
    const axis = m.rng.int(a.x.rank);
    const size = a.x.shape[axis];
    const first = m.rng.int(size);
    // tfjs has no gradient of a split into one.
    if (first === 0) return { ...a, x: a.x.clone() };
    const sizes = [first, size - first];
    return tf.split(a.x, sizes, axis).map((x) => ({ ...a, x }));
  },
  gather: moving((m, x) => {
    if (x.rank === 0) return x.clone();
    const axis = m.rng.int(x.rank);
    const count = 1 + m.rng.int(5);
    if ((x.size / x.shape[axis]) * count > MAX_ELEMENTS) return x.clone();
    const places = Array.from({ length: count }, () => m.rng.int(x.shape[axis]));
    return tf.gather(x, tf.tensor1d(places, 'int32'), axis);
  }),
};

const widen = (a: Item): Item => ({ ...a, x: a.x.reshape(a.x.rank === 0 ? [1, 1] : [1, a.x.size]) });

/** A product of a and b, or of a with itself if no transposes of a and b fit. */
function matMulOf(m: Machine, a: Item, b: Item): Made {
  const [rows, inner] = a.x.shape.slice(-2);
  const order = m.rng.permutation(4);
  const isSameBatch = a.x.rank === b.x.rank && `${a.x.shape.slice(0, -2)}` === `${b.x.shape.slice(0, -2)}`;
  for (const choice of isSameBatch ? order : []) {
    const [turnA, turnB] = [choice % 2 === 1, choice >= 2];
    const [size, other] = [turnA ? rows : inner, b.x.shape[b.x.rank - (turnB ? 1 : 2)]];
    if (size !== other) continue;
    return smooth(tf.matMul(a.x, b.x, turnA, turnB), size * a.bound * b.bound);
  }
  const turn = order[0] % 2 === 1;
  const squared = tf.matMul(a.x, a.x, turn, !turn);
  return smooth(squared, (turn ? rows : inner) * a.bound ** 2);
}

/** Steps that compute nothing: reading a value, giving one up, and the hint that a part ends. */
const OTHERS = ['read', 'read', 'dispose', 'dispose', 'dispose', 'mark'];

const step: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom(...Object.keys(OPERATIONS), ...OTHERS),
  a: fc.nat({ max: 5 }),
  b: fc.nat({ max: 5 }),
  choice: fc.nat({ max: 0xffff }),
});

export const program: fc.Arbitrary<Program> = fc.record({
  leaves: fc.array(fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }), {
    minLength: 1,
    maxLength: 3,
  }),
  steps: fc.array(step, { maxLength: 30, size: 'max' }),
});

export function makeLeaves({ leaves }: Program): tf.Tensor[] {
  const rng = new Rng(7);
  return leaves.map((shape) =>
    tf.tensor(
      Float32Array.from({ length: sizeOf(shape) }, () => rng.normal()),
      shape,
    ),
  );
}

/** Runs a program on `leaves`, and yields every tensor that it reads. Returns the tensors that are alive at its end. */
export function* play({ steps }: Program, leaves: readonly tf.Tensor[]): Generator<tf.Tensor, tf.Tensor[]> {
  const items: Item[] = leaves.map((x) => ({ x, bound: 6, isExact: true, isLeaf: true }));
  for (const { do: name, a, b, choice } of steps) {
    const at = (back: number) => items.length - 1 - (back % items.length);
    const item = items[at(a)];
    if (name === 'read') yield item.x;
    else if (name === 'mark') graphBreak();
    else if (name === 'dispose') {
      if (item.isLeaf) continue;
      items.splice(at(a), 1);
      // Another value may be the same tensor.
      if (!items.some(({ x }) => x === item.x)) item.x.dispose();
    } else {
      const made = tf.tidy(() => {
        const results = OPERATIONS[name](new Machine(items, new Rng(choice)), item, items[at(b)]);
        return (Array.isArray(results) ? results : [results]).map(({ x, bound, isExact }) => {
          const scale = 2 ** -Math.max(0, Math.ceil(Math.log2(bound / MAX_BOUND)));
          return { x: scale < 1 ? x.mul(scale) : x, bound: bound * scale, isExact };
        }) as unknown as tf.TensorContainer;
      }) as unknown as Made[];
      items.push(...made.map((one) => ({ ...one, isLeaf: false })));
    }
  }
  return items.map(({ x }) => x);
}

/** Sum of everything with weights that are all different. */
export function weigh(tensors: readonly tf.Tensor[]): tf.Scalar {
  const rng = new Rng(8);
  return tf.addN(
    tensors.map(
      (x): tf.Scalar =>
        x
          .mul(
            tf.tensor(
              Float32Array.from({ length: x.size }, () => rng.normal()),
              x.shape,
            ),
          )
          .sum(),
    ),
  );
}
