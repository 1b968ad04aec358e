/** @file Captured scripts: when they are trusted, and that they do what the recording did, with the same memory. */
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { begin, type Handle, hold, makeGraph, result } from '../../../test/support/number_graph.js';

const f = (...numbers: number[]) => result('f', numbers, 0);
const g = (...numbers: number[]) => result('g', numbers, 0);
const h = (...numbers: number[]) => result('h', numbers, 0);

/** Weight, sum and moment of a small training, whose step is captured. */
class Training {
  readonly made: ReturnType<typeof makeGraph>;
  weight: Handle;
  moment: Handle;
  /** The constant that the forward pass uses. */
  constant = 5;
  key = '';
  /** Whether the next recorded step computes something more. */
  isLonger = false;
  /** Calls between the forward and the backward pass. */
  onLoss: () => void | Promise<void> = () => {};

  constructor(...limits: Parameters<typeof makeGraph>) {
    this.made = makeGraph(...limits);
    this.weight = this.made.known(1);
    this.moment = this.made.known(2);
  }

  /** Reads f(weight, video, constant), and replaces weight and moment by functions of it and of a second feed. */
  async step(video: number): Promise<{ loss: number; isReplay: boolean }> {
    const { scripts } = this.made;
    const computation = { key: this.key, replaced: [this.weight, this.moment] };
    const { run, recording } = begin(scripts, computation);
    try {
      if (run) {
        run.feed(Float32Array.of(video));
        const [loss] = await run.read();
        await this.onLoss();
        run.feed(Float32Array.of(loss % 7));
        await run.finish();
        return { loss, isReplay: true };
      }
      const loss = await this.#record(video);
      recording?.finish({ replaced: [this.weight, this.moment], made: [], notes: '', feeds: 2, reads: 1 });
      return { loss, isReplay: false };
    } finally {
      run?.abort();
      recording?.abort();
    }
  }

  async #record(video: number): Promise<number> {
    const { graph, known, feed, call, readAsync } = this.made;
    const release = (...values: Handle[]) => {
      for (const value of values) graph.release(value);
    };
    const [input, constant] = [feed(video), known(this.constant)];
    graph.graphBreak('forward');
    const inner = call('f', [this.weight, input, constant]);
    graph.graphBreak('inner');
    const predictions = call('g', [inner, constant]);
    release(input, constant);
    const loss = await readAsync(predictions);
    await this.onLoss();
    graph.graphBreak('backward');
    const dy = feed(loss % 7);
    const grad = call('h', [predictions, inner, dy]);
    if (this.isLonger) release(call('more', [grad]));
    graph.graphBreak('update');
    const [weight, moment] = [call('f', [this.weight, grad]), call('g', [this.moment, grad])];
    release(this.weight, this.moment, predictions, inner, dy, grad);
    if (this.isLonger) await readAsync(call('extra', [weight]));
    [this.weight, this.moment] = [weight, moment];
    await graph.sync();
    return loss;
  }

  /** Weight and moment. */
  state(): number[] {
    return [this.made.read(this.weight), this.made.read(this.moment)];
  }

  static expected([weight, moment]: readonly number[], video: number, constant = 5) {
    const inner = f(weight, video, constant);
    const loss = g(inner, constant);
    const grad = h(loss, inner, Math.fround(loss % 7));
    return { loss, state: [f(weight, grad), g(moment, grad)] };
  }
}

/** Does steps with the videos, checks what they compute, and returns which of them were replayed. */
async function steps(training: Training, videos: readonly number[]): Promise<boolean[]> {
  const replays: boolean[] = [];
  for (const video of videos) {
    const expected = Training.expected(training.state(), video, training.constant);
    const { loss, isReplay } = await training.step(video);
    expect([loss, training.state()]).toEqual([expected.loss, expected.state]);
    replays.push(isReplay);
  }
  return replays;
}

describe('a captured script', () => {
  it('is trusted after a second equal capture, and then gives the values of recording with the same runs', async () => {
    const training = new Training();
    expect(await steps(training, [10, 11])).toEqual([false, false]);
    const { interpreter, graph } = training.made;
    const { recorded, graphs, nodes, regionSeconds } = structuredClone(graph.statistics);
    const before = interpreter.ran.length;
    expect(await steps(training, [12, 13])).toEqual([true, true]);
    expect(interpreter.ran.slice(before)).toEqual([...interpreter.ran.slice(0, before)]);
    expect(graph.statistics).toMatchObject({ recorded, graphs: 2 * graphs, nodes: 2 * nodes });
    expect(graph.statistics.regionSeconds.backward).toBeGreaterThan(regionSeconds.backward);
  });

  it('gives the contents that it replaces to the runs that replace them', async () => {
    const training = new Training();
    await steps(training, [10, 11]);
    expect(training.made.interpreter.donated).toEqual([]);
    const replaced = training.state();
    await steps(training, [12]);
    expect(training.made.interpreter.donated).toEqual(replaced);
  });

  it('is captured anew if a constant has other bits', async () => {
    const training = new Training();
    await steps(training, [10]);
    training.constant = -0;
    await steps(training, [10]);
    training.constant = 0;
    expect(await steps(training, [10, 11, 12])).toEqual([false, false, true]);
  });

  it('is captured anew if other operations ran, or fewer reads or feeds were made than the recording says', async () => {
    const training = new Training();
    await steps(training, [10]);
    training.isLonger = true;
    expect((await training.step(10)).isReplay).toBe(false);
    training.isLonger = false;
    expect(await steps(training, [10, 11])).toEqual([false, true]);
    training.key = 'other';
    expect(await steps(training, [10, 11, 12])).toEqual([false, false, true]);
  });

  it('is not used for an external with another layout', async () => {
    const training = new Training();
    expect(await steps(training, [10, 11, 12])).toEqual([false, false, true]);
    const { interpreter, graph, known } = training.made;
    graph.release(training.weight);
    interpreter.layout = 'narrow';
    training.weight = known(3);
    interpreter.layout = undefined;
    expect(await steps(training, [13])).toEqual([false]);
    // The new weight has the natural layout again.
    expect(await steps(training, [14])).toEqual([true]);
  });

  it('is not made if the computation uses a value that is neither external nor made inside', async () => {
    const { graph, scripts, known, call, readAsync } = makeGraph();
    const [weight, foreign] = [known(1), known(2)];
    for (let i = 0; i < 4; i++) {
      const { run, recording } = begin(scripts, { borrowed: [weight] });
      expect(run).toBeNull();
      const y = call('f', [weight, foreign]);
      await readAsync(y);
      graph.release(y);
      recording?.finish({ replaced: [], made: [], notes: '', feeds: 0, reads: 1 });
    }
  });

  it('is not used while something else refers to a value that it would replace', async () => {
    const training = new Training();
    await steps(training, [10, 11, 12]);
    const { graph, call, read } = training.made;
    const [old] = training.state();
    const user = call('f', [training.weight]);
    expect(await steps(training, [13])).toEqual([false]);
    expect(read(user)).toBe(f(old));
    training.weight.handles++;
    const shared = training.weight;
    const [kept] = training.state();
    expect(await steps(training, [14])).toEqual([false]);
    expect(read(shared)).toBe(kept);
    graph.release(shared);
    expect(await steps(training, [15])).toEqual([true]);
  });
});

describe('the memory of a script', () => {
  it('is freed after the last use of each buffer, and never fuller than that of recording', async () => {
    const training = new Training();
    const { interpreter } = training.made;
    const peaks: number[] = [];
    let peak = 0;
    const cell = interpreter.cell.bind(interpreter);
    interpreter.cell = (number) => {
      const made = cell(number);
      peak = Math.max(peak, interpreter.alive.size);
      return made;
    };
    for (const video of [10, 11, 12, 13]) {
      peak = 0;
      await steps(training, [video]);
      peaks.push(peak);
    }
    // The constant stays, beside weight and moment.
    expect(interpreter.alive.size).toBe(3);
    expect(peaks[2] - 1).toBeLessThanOrEqual(peaks[1]);
    expect(peaks[3]).toBe(peaks[2]);
    training.made.scripts.dispose();
    expect(interpreter.alive.size).toBe(2);
  });

  it('is released if a run fails; replaced values stay, the others keep their contents, and the next step works', async () => {
    const training = new Training();
    await steps(training, [10, 11, 12]);
    const { interpreter } = training.made;
    const before = training.state();
    interpreter.failure = new Error('out of memory');
    await expect(training.step(13)).rejects.toThrow('out of memory');
    interpreter.failure = null;
    expect(training.state()).toEqual(before);
    expect(interpreter.alive.size).toBe(3);
    training.onLoss = () => {
      interpreter.failure = new Error('out of memory');
    };
    await expect(training.step(14)).rejects.toThrow('out of memory');
    interpreter.failure = null;
    training.onLoss = () => {};
    expect(training.state()).toEqual(before);
    expect(interpreter.alive.size).toBe(3);
    expect(await steps(training, [15])).toEqual([true]);
  });

  it('is released if the host gives up between two segments', async () => {
    const training = new Training();
    await steps(training, [10, 11, 12]);
    const before = training.state();
    training.onLoss = () => {
      throw new Error('not finite');
    };
    await expect(training.step(13)).rejects.toThrow('not finite');
    expect(training.made.interpreter.alive.size).toBe(3);
    expect(training.state()).toEqual(before);
    training.onLoss = () => {};
    expect(await steps(training, [14])).toEqual([true]);
  });

  it('holds no capture after the host gives up in a recording', async () => {
    const training = new Training();
    training.onLoss = () => {
      throw new Error('not finite');
    };
    const { weight, moment } = training;
    await expect(training.step(10)).rejects.toThrow('not finite');
    Object.assign(training, { weight, moment, onLoss: () => {} });
    expect(await steps(training, [11, 12, 13])).toEqual([false, false, true]);
  });
});

describe('consumed values and results', () => {
  /** Adds to a sum, which is consumed; the result has another shape for the caller. */
  async function add(made: ReturnType<typeof makeGraph>, sum: Handle, number: number) {
    const { graph, scripts, feed, call } = made;
    const release = () => graph.release(sum);
    const { run, recording } = begin(scripts, { consumed: [sum], release });
    if (run) {
      run.feed(Float32Array.of(number));
      const [buffer, none] = await run.finish();
      expect([none, run.script.content.made[0].view]).toEqual([null, [1, 2]]);
      return { value: graph.known({ shape: [2], dtype: 'float32' }, buffer!), isReplay: true };
    }
    const x = feed(number);
    const next = call('f', [sum, x]);
    graph.release(x);
    graph.release(sum);
    await graph.sync();
    const made1 = [{ value: next, view: [1, 2] }, null];
    recording!.finish({ replaced: [], made: made1, notes: 'n', feeds: 1, reads: 0 });
    return { value: next, isReplay: false };
  }

  it('passes results on to the caller and releases what is consumed', async () => {
    const made = makeGraph();
    let sum = made.known(1);
    let expected = 1;
    for (let i = 0; i < 5; i++) {
      const next = await add(made, sum, i);
      expected = f(expected, i);
      sum = next.value;
      expect([made.read(sum), next.isReplay]).toEqual([expected, i > 1]);
      expect(made.interpreter.alive.size).toBe(1);
    }
  });

  it('returns a consumed value that nothing changed as it was', async () => {
    const made = makeGraph();
    const sum = made.known(3);
    for (let i = 0; i < 4; i++) {
      const { run, recording } = begin(made.scripts, { consumed: [sum] });
      expect(run !== null).toBe(i > 1);
      if (run) {
        expect(run.script.content.made[0].slot).toBe(0);
        expect(await run.finish()).toEqual([null]);
      } else {
        const made = [{ value: sum, view: [2] }];
        recording!.finish({ replaced: [], made, notes: '', feeds: 0, reads: 0 });
      }
      expect(made.read(sum)).toBe(3);
    }
  });
});

describe('the scripts that are kept', () => {
  it('are the last used ones', async () => {
    const training = new Training(undefined, 2);
    const { interpreter } = training.made;
    const use = async (key: string) => {
      training.key = key;
      return await steps(training, [1, 2, 3]);
    };
    for (const key of ['a', 'b']) expect(await use(key)).toEqual([false, false, true]);
    expect(await use('a')).toEqual([true, true, true]);
    expect(await use('c')).toEqual([false, false, true]);
    expect(await use('a')).toEqual([true, true, true]);
    expect(await use('b')).toEqual([false, false, true]);
    // All of them share one constant.
    expect(interpreter.alive.size).toBe(3);
  });

  it('are dropped when an executable of theirs leaves the cache, but a run under way ends as it began', async () => {
    const training = new Training(4);
    const { interpreter, graph, known, call, readAsync } = training.made;
    await steps(training, [10, 11]);
    const other = async (op: string) => {
      const x = known(1);
      const y = call(op, [x]);
      graph.release(x);
      await readAsync(y);
      graph.release(y);
    };
    training.onLoss = async () => {
      for (const op of ['a', 'b', 'c', 'd']) await other(op);
    };
    expect(await steps(training, [12])).toEqual([true]);
    training.onLoss = () => {};
    expect(interpreter.compiled.length - interpreter.released.length).toBe(4);
    expect(await steps(training, [13, 14, 15])).toEqual([false, false, true]);
  });

  it('stay complete if they are used more recently than other graphs', async () => {
    const training = new Training(5);
    const { graph, known, call, read } = training.made;
    await steps(training, [10, 11]);
    for (const op of ['a', 'b', 'c', 'd']) {
      const y = call(op, [known(1)]);
      read(y);
      graph.release(y);
      expect(await steps(training, [12])).toEqual([true]);
    }
  });
});

describe('the runs of a script and reads', () => {
  it('exclude each other', async () => {
    const training = new Training();
    await steps(training, [10, 11, 12]);
    const { interpreter, known, call, read, readAsync } = training.made;
    const y = call('f', [known(1)]);
    const open = hold(interpreter);
    const before = interpreter.ran.length;
    const step = training.step(13);
    expect(() => read(y)).toThrow('read synchronously while another read is under way');
    const reading = readAsync(y);
    await setImmediate();
    expect(interpreter.ran).toHaveLength(before);
    open();
    expect((await step).isReplay).toBe(true);
    expect(await reading).toBe(f(1));
  });

  it('refuses feeds, reads and ends in another order', async () => {
    const training = new Training();
    await steps(training, [10, 11]);
    const start = () => begin(training.made.scripts, { replaced: [training.weight, training.moment] }).run!;
    let run = start();
    run.feed(Float32Array.of(1));
    await expect(run.finish()).rejects.toThrow('was not read to its end');
    await expect(run.read()).rejects.toThrow('after its end');
    run = start();
    run.feed(Float32Array.of(1));
    run.feed(Float32Array.of(1));
    expect(() => run.feed(Float32Array.of(1))).toThrow('a feed that it does not have');
    await run.read();
    await expect(run.read()).rejects.toThrow('read more often');
    expect(training.made.interpreter.alive.size).toBe(3);
    expect(await steps(training, [12])).toEqual([true]);
  });
});
