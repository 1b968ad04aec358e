/** @file ONNX Runtime through its C API: ownership of memory, errors, and runs that do not block. */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeAll, describe, expect, it } from 'vitest';
import { EngineError } from '../../errors.js';
import type { Graph, GraphNode } from '../lazy/compiler.js';
import type { LazyDtype, ValueInfo } from '../lazy/value.js';
import { machineProbe } from '../probe.js';
import type { HostArray } from '../record/tensor.js';
import { libraryPath, loadOrtApi, OrtError } from './c_api.js';
import { OrtCompiler } from './compiler.js';
import type { Lowering } from './kernel.js';
import type { OnnxGraph, OnnxNode } from './model_format.js';
import type { OrtTensor } from './ort_tensor.js';
import { OrtRuntime, type OrtSession } from './runtime.js';

let runtime: OrtRuntime;

// One process can have one runtime, and here that is not the engine's.
process.env.STMIXER_TEST_ENGINE = 'cpu';

beforeAll(() => {
  const path = libraryPath(
    process.platform,
    process.arch,
    machineProbe().packageFolder('onnxruntime-node') as string,
  ) as string;
  runtime = new OrtRuntime(loadOrtApi(path), { threads: { threads: 2, reason: 'for a test' } });
});

/** A whole collection, which moves what it keeps. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

const ARRAY = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };

function tensor(numbers: ArrayLike<number>, shape = [numbers.length], dtype: LazyDtype = 'float32') {
  const made = runtime.allocate(shape, dtype);
  made.write(ARRAY[dtype].from(numbers));
  return made;
}

describe('a tensor', () => {
  it.each<[LazyDtype, HostArray]>([
    ['float32', Float32Array.of(1.5, -2, Number.NaN, 3e38, -0, Number.NEGATIVE_INFINITY)],
    ['int32', Int32Array.of(1, -2, 2 ** 31 - 1, -(2 ** 31), 16_777_217, 0)],
    ['bool', Uint8Array.of(1, 0, 1, 1, 0, 0)],
  ])('of type %s keeps what is written', (dtype, data) => {
    const made = runtime.allocate([2, 3], dtype);
    made.write(data);
    expect(made.read()).toEqual(data);
    expect(made.read().constructor).toBe(data.constructor);
    expect([made.size, made.bytes]).toEqual([6, data.byteLength]);
    made.release();
  });

  it.each([
    ['a scalar', [], 1],
    ['an empty one', [0], 0],
    ['an empty one of several axes', [3, 0, 2], 0],
    ['one of many axes', [1, 2, 1, 2, 1, 2, 1], 8],
  ])('may be %s', (_, shape, size) => {
    const made = runtime.allocate(shape, 'float32');
    const data = Float32Array.from({ length: size }, (_, i) => i + 1);
    made.write(data);
    expect(made.read()).toEqual(data);
    expect(() => made.write(new Float32Array(size + 1))).toThrow(TypeError);
    made.release();
    expect(() => made.read()).toThrow('after its release');
  });

  it('refuses data of another type or length, and names its own', () => {
    const made = tensor([1, 2, 3, 4, 5, 6], [2, 3]);
    for (const wrong of [new Float32Array(5), new Float32Array(7), new Int32Array(6), new Uint8Array(24)])
      expect(() => made.write(wrong)).toThrow(TypeError);
    expect(() => made.write(new Int32Array(6))).toThrow('Int32Array(6) for a tensor float32 [2,3]');
    expect(Array.from(made.read())).toEqual([1, 2, 3, 4, 5, 6]);
    made.release();
    const flags = runtime.allocate([2], 'bool');
    expect(() => flags.write(new Float32Array(2))).toThrow('Float32Array(2) for a tensor bool [2]');
    flags.release();
  });

  it('cannot be used after its release, nor released twice', () => {
    const made = tensor([1, 2]);
    made.release();
    for (const use of [
      () => made.release(),
      () => made.read(),
      () => made.write(new Float32Array(2)),
      () => made.pointer,
    ])
      expect(use).toThrow('a native tensor was used after its release');
  });

  it('is copied on each read', () => {
    const made = tensor([1, 2, 3]);
    const copy = made.read();
    copy[0] = 7;
    expect(Array.from(made.read())).toEqual([1, 2, 3]);
    made.write(Float32Array.of(4, 5, 6));
    made.release();
    // The memory goes to the next ones.
    const others = Array.from({ length: 50 }, () => tensor([-1, -1, -1]));
    expect(Array.from(copy)).toEqual([7, 2, 3]);
    for (const other of others) other.release();
  });

  it('keeps its own memory among thousands, while JavaScript moves its arrays', () => {
    // Typed arrays of up to 64 bytes live on JavaScript's heap, where they are moved.
    const sizes = [1, 2, 3, 7, 8, 15, 16, 17, 33];
    const content = (n: number) =>
      Float32Array.from({ length: sizes[n % sizes.length] }, (_, i) => n + i / 64);
    const made: OrtTensor[] = [];
    let litter: unknown[] = [];
    for (let n = 0; n < 5000; n++) {
      made.push(tensor(content(n)));
      for (let k = 0; k < 20; k++) litter.push(new Float32Array(4), { k });
      if (litter.length > 20_000) litter = [];
      if (n % 1000 === 0) collectGarbage();
    }
    for (const [n, { shape }] of made.entries()) expect(shape).toEqual([content(n).length]);
    for (const [n, one] of made.entries()) expect(one.read()).toEqual(content(n));
    // Every other one goes, and its place is taken.
    for (let n = 0; n < made.length; n += 2) {
      made[n].release();
      made[n] = tensor(content(n + 1));
    }
    for (const [n, one] of made.entries()) expect(one.read()).toEqual(content(n % 2 ? n : n + 1));
    for (const one of made) one.release();
  });

  it('is an error of ONNX Runtime if it is too large for the machine', () => {
    expect(() => runtime.allocate([2 ** 25, 2 ** 25], 'float32')).toThrow(OrtError);
    const made = tensor([1]);
    expect(made.read()).toEqual(Float32Array.of(1));
    made.release();
  });
});

/** A graph of one operator over float32 tensors. */
function graph(op: string, inputs: number[][], output: number[]): OnnxGraph {
  const node: OnnxNode = {
    name: 'the node',
    op,
    domain: '',
    inputs: inputs.map((_, i) => `i${i}`),
    outputs: ['o0'],
    attributes: {},
  };
  return {
    nodes: [node],
    constants: [],
    inputs: inputs.map((shape, i) => ({ name: `i${i}`, shape, type: 'float32' })),
    outputs: [{ name: 'o0', shape: output, type: 'float32' }],
  };
}

function session(
  op: string,
  inputs: number[][],
  output: number[],
  threading: 'pool' | 'single' = 'pool',
): OrtSession {
  return runtime.createSession(graph(op, inputs, output), [{ shape: output, dtype: 'float32' }], {
    threading,
  });
}

describe('a session', () => {
  it.each(['pool', 'single'] as const)('computes new tensors with threading %s', (threading) => {
    const sum = session('Add', [[2], [2]], [2], threading);
    const [a, b] = [tensor([1, 2]), tensor([30, 40])];
    const [first] = runtime.run(sum, [a, b]);
    const [second] = runtime.run(sum, [a, a]);
    expect(Array.from(first.read())).toEqual([31, 42]);
    expect(Array.from(second.read())).toEqual([2, 4]);
    expect([first.shape, first.dtype]).toEqual([[2], 'float32']);
    // The results outlive the session.
    sum.release();
    expect(Array.from(first.read())).toEqual([31, 42]);
    for (const made of [a, b, first, second]) made.release();
  });

  it('takes and returns hundreds of tensors', () => {
    const count = 300;
    const value = (name: string) => ({ name, shape: [], type: 'float32' as const });
    const indices = Array.from({ length: count }, (_, i) => i);
    const many = runtime.createSession(
      {
        nodes: indices.map((i) => ({
          name: `n${i}`,
          op: 'Sub',
          domain: '',
          inputs: [`i${i}`, `i${(i + 1) % count}`],
          outputs: [`o${i}`],
          attributes: {},
        })),
        constants: [],
        inputs: indices.map((i) => value(`i${i}`)),
        outputs: indices.map((i) => value(`o${i}`)),
      },
      indices.map(() => ({ shape: [], dtype: 'float32' as const })),
    );
    const inputs = indices.map((i) => tensor([i * i], []));
    const outputs = runtime.run(many, inputs);
    const expected = indices.map((i) => i * i - ((i + 1) % count) ** 2);
    expect(outputs.map((output) => output.read()[0])).toEqual(expected);
    for (const made of [...inputs, ...outputs]) made.release();
    many.release();
  });

  it('cannot be used after its release, nor released twice', () => {
    const sum = session('Add', [[1], [1]], [1]);
    const a = tensor([1]);
    sum.release();
    expect(() => sum.release()).toThrow('a session was used after its release');
    expect(() => runtime.run(sum, [a, a])).toThrow('a session was used after its release');
    a.release();
  });

  it('refuses released operands before anything runs', async () => {
    const sum = session('Add', [[1], [1]], [1]);
    const [a, b] = [tensor([1]), tensor([1])];
    b.release();
    expect(() => runtime.run(sum, [a, b])).toThrow('after its release');
    await expect(runtime.runAsync(sum, [a, b])).rejects.toThrow('after its release');
    a.release();
    sum.release();
  });

  it('is an error of ONNX Runtime for a broken graph', () => {
    const outputs = [{ shape: [1], dtype: 'float32' as const }];
    const good = graph('Add', [[1], [1]], [1]);
    expect(() => runtime.createSession({ ...good, inputs: good.inputs.slice(1) }, outputs)).toThrow(OrtError);
    expect(() => session('NoSuchOperator', [[1]], [1])).toThrow(/NoSuchOperator/);
    // Add wants two operands.
    expect(() => session('Add', [[1]], [1])).toThrow(OrtError);
  });

  it('refuses operands of other shapes with an error of ONNX Runtime', () => {
    const sum = session('Add', [[2], [2]], [2]);
    const [a, wrong] = [tensor([1, 2]), tensor([1, 2, 3])];
    expect(() => runtime.run(sum, [a, wrong])).toThrow(OrtError);
    expect(() => runtime.run(sum, [a])).toThrow(OrtError);
    const [right] = runtime.run(sum, [a, a]);
    expect(Array.from(right.read())).toEqual([2, 4]);
    for (const made of [a, wrong, right]) made.release();
    sum.release();
  });
});

describe('asynchronous runs', () => {
  const N = 400;

  it('do not block the event loop', async () => {
    const product = session(
      'MatMul',
      [
        [N, N],
        [N, N],
      ],
      [N, N],
    );
    const a = tensor(
      Float32Array.from({ length: N * N }, (_, i) => (i % 7) - 3),
      [N, N],
    );
    let turns = 0;
    let isRunning = true;
    const run = (async () => {
      for (let n = 0; n < 10; n++) (await runtime.runAsync(product, [a, a]))[0].release();
      isRunning = false;
    })();
    for (; isRunning; turns++) await setImmediate();
    await run;
    // A synchronous run would leave one turn to each of the ten.
    expect(turns).toBeGreaterThan(20);
    const [now] = runtime.run(product, [a, a]);
    const [later] = await runtime.runAsync(product, [a, a]);
    expect(later.read()).toEqual(now.read());
    for (const made of [a, now, later]) made.release();
    product.release();
  });

  it('can overlap with each other and with a synchronous run', async () => {
    const product = session(
      'MatMul',
      [
        [N, N],
        [N, N],
      ],
      [N, N],
    );
    const inputs = [1, 2, 3].map((k) => tensor(new Float32Array(N * N).fill(k), [N, N]));
    const running = inputs.map((a) => runtime.runAsync(product, [a, a]));
    const [now] = runtime.run(product, [inputs[1], inputs[1]]);
    const results = (await Promise.all(running)).map(([result]) => result);
    for (const [i, result] of [...results, now].entries()) {
      const k = [1, 2, 3, 2][i];
      expect(result.read().every((x) => x === N * k * k)).toBe(true);
    }
    for (const made of [...inputs, ...results, now]) made.release();
    product.release();
  });

  it('find operands and results while the garbage collector moves arrays', async () => {
    const product = session(
      'MatMul',
      [
        [N, N],
        [N, N],
      ],
      [N, N],
    );
    const inputs = Array.from({ length: 20 }, (_, n) => tensor(new Float32Array(N * N).fill(n), [N, N]));
    for (let round = 0; round < 4; round++) {
      // Lists of two addresses are small enough to live on JavaScript's heap, and to be moved between call and run.
      const running = inputs.map((a) => runtime.runAsync(product, [a, inputs[round]]));
      collectGarbage();
      const litter = Array.from({ length: 10_000 }, () => new BigUint64Array(2).fill(1n));
      const results = await Promise.all(running);
      for (const [n, [result]] of results.entries()) {
        expect(result.read()[0]).toBe(N * n * round);
        result.release();
      }
      expect(litter).toHaveLength(10_000);
    }
    for (const made of inputs) made.release();
    product.release();
  });

  it('reject with an error of ONNX Runtime', async () => {
    const sum = session('Add', [[2], [2]], [2]);
    const [a, wrong] = [tensor([1, 2]), tensor([1, 2, 3])];
    await expect(runtime.runAsync(sum, [a, wrong])).rejects.toThrow(OrtError);
    a.release();
    wrong.release();
    sum.release();
  });
});

/** Rows of a table at given places, as a graph of three operations; a place that is not there fails when it runs. */
function lookup(stream: 0 | 1 = 0): Graph {
  const table = { shape: [3, 2], dtype: 'float32' } as const;
  const places = { shape: [4], dtype: 'int32' } as const;
  const rows = { shape: [4, 2], dtype: 'float32' } as const;
  const node = (op: string, inputs: [GraphNode['inputs'][0]['source'], ValueInfo][], output: ValueInfo) => ({
    op,
    attributes: {},
    inputs: inputs.map(([source, { shape }]) => ({ source, shape })),
    outputs: [output],
  });
  return {
    nodes: [
      node('Negate', [[{ input: 0 }, table]], table),
      node(
        'Pick',
        [
          [{ node: 0, output: 0 }, table],
          [{ input: 1 }, places],
        ],
        rows,
      ),
      node('Negate', [[{ node: 1, output: 0 }, rows]], rows),
    ],
    inputs: [table, places],
    outputs: [{ node: 2, output: 0 }],
    stream,
  };
}

describe('a compiled graph', () => {
  const lowerings = new Map<string, Lowering>([
    ['Negate', (g, [x]) => g.op('Neg', [x.name])],
    ['Pick', (g, [x, places]) => g.op('Gather', [x.name, places.name], { axis: 0 })],
  ]);
  const compile = (graph: Graph) => new OrtCompiler(runtime, { lowerings }).compile(graph);
  const operands = (places: number[]) => [tensor([1, 2, 3, 4, 5, 6], [3, 2]), tensor(places, [4], 'int32')];

  it.each([0, 1] as const)('runs in stream %i, synchronously and asynchronously', async (stream) => {
    const executable = compile(lookup(stream));
    const inputs = operands([2, 0, 0, 1]);
    const results = [...executable.run(inputs), ...(await executable.runAsync(inputs))];
    for (const result of results) expect(Array.from(result.read())).toEqual([5, 6, 1, 2, 1, 2, 3, 4]);
    for (const made of [...inputs, ...results]) made.release();
    executable.release();
    expect(() => executable.run([])).toThrow('after its release');
  });

  it('names the operation and its shapes if it fails, and can run again', async () => {
    const executable = compile(lookup());
    const inputs = operands([2, 0, 5, 1]);
    const failures = [
      await Promise.resolve()
        .then(() => executable.run(inputs))
        .catch((error) => error),
      await executable.runAsync(inputs).catch((error) => error),
    ];
    for (const error of failures) {
      expect(error).toBeInstanceOf(EngineError);
      expect(error.message).toMatch(/^ONNX Runtime failed: .*idx=5/);
      expect(error.message).toMatch(/\n {2}in Pick\(\[3,2\], \[4\]\) → \[4,2\]$/);
      expect(error.cause).toBeInstanceOf(OrtError);
    }
    inputs[1].write(Int32Array.of(0, 1, 2, 2));
    const [result] = executable.run(inputs);
    expect(Array.from(result.read())).toEqual([1, 2, 3, 4, 5, 6, 5, 6]);
    for (const made of [...inputs, result]) made.release();
    executable.release();
  });

  it.each<[string, Lowering]>([
    ['an operator that is not there', (g, [x]) => g.op('NoSuchOperator', [x.name])],
    ['too few operands', (g, [x]) => g.op('Add', [x.name])],
    ['operands of a wrong type', (g, [x]) => g.op('And', [x.name, x.name])],
    ['operands of a wrong shape', (g, [x]) => g.op('Transpose', [x.name], { perm: [2, 0, 1] })],
    ['shapes that do not fit', (g, [x, y]) => g.op('Add', [x.name, g.cast(y.name, 'float32')])],
  ])('names the operation, and no other, if ONNX Runtime refuses %s', (_, broken) => {
    const graph = lookup();
    const compiler = new OrtCompiler(runtime, { lowerings: new Map([...lowerings, ['Pick', broken]]) });
    const failure = () => compiler.compile(graph);
    expect(failure).toThrow(EngineError);
    expect(failure).toThrow(/\n {2}in Pick\(\[3,2\], \[4\]\) → \[4,2\]$/);
  });

  it('names an operation that has no lowering', () => {
    const graph = lookup();
    const unknown = { ...graph, nodes: graph.nodes.with(1, { ...graph.nodes[1], op: 'Unknown' }) };
    expect(() => compile(unknown)).toThrow('no lowering of Unknown');
  });

  it('can return one value twice, an input, or an inner value beside the values made of it', () => {
    const graph: Graph = {
      nodes: [
        {
          op: 'Same',
          attributes: {},
          inputs: [{ source: { input: 0 }, shape: [4] }],
          outputs: [{ shape: [4], dtype: 'float32' }],
        },
        {
          op: 'Twins',
          attributes: {},
          inputs: [{ source: { node: 0, output: 0 }, shape: [2, 2] }],
          outputs: [
            { shape: [2, 2], dtype: 'float32' },
            { shape: [2, 2], dtype: 'float32' },
          ],
        },
      ],
      inputs: [{ shape: [4], dtype: 'float32' }],
      outputs: [
        { node: 0, output: 0 },
        { node: 1, output: 0 },
        { node: 1, output: 1 },
      ],
      stream: 0,
    };
    const twins = new Map<string, Lowering>([
      ['Same', (_, [x]) => x.name],
      [
        'Twins',
        (g, [x]) => {
          const y = g.op('Transpose', [x.name], { perm: [1, 0] });
          return [y, y];
        },
      ],
    ]);
    const executable = new OrtCompiler(runtime, { lowerings: twins }).compile(graph);
    const x = tensor([1, 2, 3, 4]);
    const results = executable.run([x]);
    const shapes = results.map(({ shape }) => shape);
    expect(shapes).toEqual([[4], [2, 2], [2, 2]]);
    x.release();
    expect(results.map((result) => Array.from(result.read()))).toEqual([
      [1, 2, 3, 4],
      [1, 3, 2, 4],
      [1, 3, 2, 4],
    ]);
    results[1].release();
    expect(Array.from(results[2].read())).toEqual([1, 3, 2, 4]);
    results[0].release();
    results[2].release();
    executable.release();
  });
});
