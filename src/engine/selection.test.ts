/** @file Every request on every kind of machine selects the right engine, or fails with what is missing. */
import { afterAll, describe, expect, it } from 'vitest';
import {
  CUDA_FILES,
  DRIVER_FILES,
  type FakeMachine,
  fakeProbe,
  forgetTensorflow,
  H100,
  loadFakeTensorflow,
  NVRTC_FILES,
  tensorflowFiles,
} from '../../test/support/fake_probe.js';
import { EngineError } from '../errors.js';
import { countOf } from '../util/text.js';
import type { CudaParts } from './cuda/cuda_engine.js';
import { ORT_VERSION } from './onnx/c_api.js';
import { machineProbe } from './probe.js';
import { EngineSelector } from './selection.js';
import { tf } from './tfjs.js';
import type { EngineRequest } from './types.js';

const CPU = '@tensorflow/tfjs-node';
const GPU = '@tensorflow/tfjs-node-gpu';
const unbuilt = { ...tensorflowFiles(CPU, { built: false }), ...tensorflowFiles(GPU, { built: false }) };
const working = { nvidiaSmi: H100, load: loadFakeTensorflow(true) };
const noGpu = { load: loadFakeTensorflow(false) };

const machines: Record<string, FakeMachine> = {
  bare: { files: unbuilt },
  'tfjs-node built': { files: { ...unbuilt, ...tensorflowFiles(CPU) }, ...noGpu },
  'GPU box, nothing built': { files: { ...unbuilt, ...DRIVER_FILES }, nvidiaSmi: H100 },
  'GPU box, tfjs-node built': {
    files: { ...unbuilt, ...DRIVER_FILES, ...tensorflowFiles(CPU) },
    nvidiaSmi: H100,
    ...noGpu,
  },
  'GPU box, tfjs-node-gpu built': {
    files: { ...unbuilt, ...DRIVER_FILES, ...tensorflowFiles(GPU), ...CUDA_FILES },
    ...working,
  },
  'both built, no GPU': {
    files: { ...tensorflowFiles(CPU), ...tensorflowFiles(GPU), ...CUDA_FILES },
    ...noGpu,
  },
  'tfjs-node-gpu built, no GPU': {
    files: { ...unbuilt, ...tensorflowFiles(GPU), ...CUDA_FILES },
    ...noGpu,
  },
  'everything there, but TensorFlow sees no GPU': {
    files: { ...unbuilt, ...DRIVER_FILES, ...tensorflowFiles(GPU), ...CUDA_FILES },
    nvidiaSmi: H100,
    ...noGpu,
  },
  'GPU box, CUDA set up': { files: { ...unbuilt, ...DRIVER_FILES, ...NVRTC_FILES }, nvidiaSmi: H100 },
  'binding that does not load': {
    files: { ...unbuilt, ...tensorflowFiles(CPU) },
    load: () => {
      throw new Error('/nm/x/tfjs_binding.node: invalid ELF header');
    },
  },
};

/** The driver of such a machine, and a GPU that computes wrong results. */
function cudaOn(machine: FakeMachine): CudaParts {
  return {
    source: {
      driverVersion: (path) => (path in (machine.files ?? {}) ? 12_040 : null),
      gpus: () => [
        { ordinal: 0, name: 'NVIDIA H100 80GB HBM3', computeCapability: [9, 0], memoryBytes: 80 * 2 ** 30 },
      ],
    },
    selfTest: async () => ({ failure: 'a softmax of rows has wrong results' }),
  };
}

function selectorOn(machine: FakeMachine, probe = fakeProbe(machine)): EngineSelector {
  return new EngineSelector(probe, {
    gpus: { list: () => ({ devices: [], missing: 'loader' }), memory: () => null },
    cuda: cudaOn(machine),
  });
}

/** For each machine: the result of `engine device`, or a piece of the error. */
type Outcome = string | RegExp;
const table: Record<string, Record<string, Outcome>> = {
  bare: {
    'auto auto': 'cpu/cpu',
    'auto cpu': 'cpu/cpu',
    'auto cuda': /no NVIDIA driver.*\n.*native part of @tensorflow\/tfjs-node-gpu is not set up/,
    'tensorflow auto': /not set up.*run: npm run setup:tensorflow\)$/,
    'tensorflow cpu': /tfjs-node is not set up.*run: npm run setup:tensorflow\)$/,
    'tensorflow cuda': /no NVIDIA driver/,
    'cpu auto': 'cpu/cpu',
    'cpu cpu': 'cpu/cpu',
    'cpu cuda': /--engine cpu does not run on cuda, only on cpu.*--engine cuda or tensorflow/,
    'cuda auto': /no NVIDIA driver/,
    'cuda cpu': /--engine cuda does not run on cpu, only on cuda: choose --device cuda/,
  },
  'tfjs-node built': {
    'auto auto': 'tensorflow/cpu',
    'auto cpu': 'tensorflow/cpu',
    'auto cuda': /no NVIDIA driver/,
    'tensorflow auto': 'tensorflow/cpu',
    'tensorflow cpu': 'tensorflow/cpu',
    'tensorflow cuda': /tfjs-node-gpu is not set up.*setup:tensorflow -- --gpu/,
    'cpu auto': 'cpu/cpu',
    'cpu cpu': 'cpu/cpu',
    'cpu cuda': /does not run on cuda/,
  },
  'GPU box, nothing built': {
    'auto auto': 'cpu/cpu',
    'auto cuda': /cannot run here:\n.*NVRTC.*npm run setup:cuda.*\n.*tfjs-node-gpu is not set up.*-- --gpu/,
    'cuda auto': /NVRTC, which compiles the kernels, is not found.*run: npm run setup:cuda\)$/,
    'tensorflow auto': /-- --gpu\)\n.*setup:tensorflow\)$/,
    'tensorflow cuda': /-- --gpu/,
  },
  'GPU box, tfjs-node built': {
    'auto auto': 'tensorflow/cpu',
    'auto cpu': 'tensorflow/cpu',
    'tensorflow auto': 'tensorflow/cpu',
    'tensorflow cuda': /-- --gpu/,
  },
  'GPU box, tfjs-node-gpu built': {
    'auto auto': 'tensorflow/cuda',
    'auto cuda': 'tensorflow/cuda',
    'tensorflow auto': 'tensorflow/cuda',
    'tensorflow cuda': 'tensorflow/cuda',
    'cpu auto': 'cpu/cpu',
    'cpu cuda': /does not run on cuda/,
  },
  'both built, no GPU': {
    'auto auto': 'tensorflow/cpu',
    'auto cuda': /no NVIDIA driver/,
    'tensorflow cpu': 'tensorflow/cpu',
  },
  'tfjs-node-gpu built, no GPU': {
    'auto auto': 'tensorflow/cpu',
    'tensorflow cpu': 'tensorflow/cpu',
    'tensorflow cuda': /no NVIDIA driver/,
  },
  'everything there, but TensorFlow sees no GPU': {
    'auto auto': 'tensorflow/cpu',
    'tensorflow auto': 'tensorflow/cpu',
    'auto cuda': /finds no GPU that it can use/,
    'tensorflow cuda': /finds no GPU that it can use.*--verbose.*--gpu --force/,
  },
  'GPU box, CUDA set up': {
    'auto auto': 'cpu/cpu',
    'auto gpu': /H100 80GB HBM3 fails the self-test: a softmax of rows has wrong results/,
    'cuda cpu': /choose --device cuda/,
  },
  'binding that does not load': {
    'auto auto': 'cpu/cpu',
    'tensorflow auto': /does not load: the file is damaged or built for another kind of processor/,
    'tensorflow cpu': /--force/,
    'cpu cpu': 'cpu/cpu',
  },
};

afterAll(forgetTensorflow);

describe.each(Object.keys(machines))('on the machine "%s"', (name) => {
  it.each(Object.entries(table[name]))(
    'a request of "%s" selects the right engine or explains why it cannot',
    async (requested, outcome) => {
      const [engine, device] = requested.split(' ') as [EngineRequest['engine'], EngineRequest['device']];
      const selector = selectorOn(machines[name]);
      const result = selector.select({ engine, device });
      if (outcome instanceof RegExp) {
        await expect(result).rejects.toThrow(EngineError);
        await expect(result).rejects.toThrow(outcome);
      } else {
        const info = await result;
        expect(`${info.engine}/${info.device}`).toBe(outcome);
        expect(tf.getBackend()).toBe(info.engine);
        expect(info.description).toContain(info.version);
      }
    },
  );
});

describe('the description of an engine', () => {
  const describeOn = async (name: string, request: EngineRequest = { engine: 'auto', device: 'auto' }) =>
    selectorOn(machines[name]).select(request);

  it('names library, package, device and GPU', async () => {
    const info = await describeOn('GPU box, tfjs-node-gpu built');
    expect(info.description).toBe(
      'tensorflow on CUDA, NVIDIA H100 80GB HBM3, compute capability 9.0, driver 550.54.15 ' +
        `(libtensorflow 2.21.0, @tensorflow/tfjs-node-gpu 4.22.0); ${info.notes[0]}`,
    );
    expect(info.gpu).toEqual({ name: 'NVIDIA H100 80GB HBM3', computeCapability: 9, driver: '550.54.15' });
    expect(info.notes).toEqual([expect.stringMatching(/^not on cuda\/cuda: NVRTC.*npm run setup:cuda/)]);
  });

  it('explains on a bare machine how to get a faster engine, and does not mention GPUs', async () => {
    const { notes, description } = await describeOn('bare');
    expect(notes).toHaveLength(2);
    expect(notes[0]).toMatch(/^not on onnx\/cpu: .*npm ci/);
    expect(description).toContain('npm run setup:tensorflow');
    expect(description).not.toMatch(/cuda|gpu/i);
  });

  it('explains why an existing GPU is not used', async () => {
    const { notes } = await describeOn('GPU box, tfjs-node built');
    expect(notes.slice(0, 2)).toEqual([
      expect.stringMatching(/setup:cuda/),
      expect.stringMatching(/setup:tensorflow -- --gpu/),
    ]);
    expect((await describeOn('everything there, but TensorFlow sees no GPU')).notes[1]).toMatch(
      /finds no GPU/,
    );
    expect((await describeOn('GPU box, CUDA set up')).notes[0]).toMatch(/fails the self-test/);
  });

  it('prefers the CPU package on a CPU, and otherwise takes the GPU package with its GPUs hidden', async () => {
    expect((await describeOn('both built, no GPU')).description).toContain('tfjs-node 4.22.0');
    const probe = fakeProbe(machines['tfjs-node-gpu built, no GPU']);
    const info = await new EngineSelector(probe).select({ engine: 'tensorflow', device: 'cpu' });
    expect(info.description).toContain('tfjs-node-gpu 4.22.0');
    expect(probe.env.CUDA_VISIBLE_DEVICES).toBe('-1');
  });
});

describe('a precision', () => {
  const precise = (engine: EngineRequest['engine'], machine: FakeMachine) =>
    selectorOn(machine).select({ engine, precision: 'bfloat16' });

  it('that only cuda has is an error elsewhere, which says so', async () => {
    const only = /ENGINE.PRECISION bfloat16 is for --engine cuda alone/;
    await expect(precise('onnx', machines.bare)).rejects.toThrow(only);
    await expect(precise('auto', machines.bare)).rejects.toThrow(
      /no NVIDIA driver.*\n.*is for --engine cuda alone/,
    );
  });

  it('float32 is one of every engine', async () => {
    const info = await selectorOn(machines.bare).select({ precision: 'float32', isDeterministic: false });
    expect(info.engine).toBe('cpu');
  });
});

describe('one process', () => {
  it('loads TensorFlow once and switches between it and the plain engine', async () => {
    const probe = fakeProbe(machines['tfjs-node built']);
    const selector = new EngineSelector(probe);
    await selector.select({ engine: 'tensorflow', device: 'cpu' });
    const count = probe.loaded.length;
    await selector.select({ engine: 'cpu', device: 'cpu' });
    expect(tf.getBackend()).toBe('cpu');
    await selector.select({ engine: 'tensorflow', device: 'auto' });
    expect(tf.getBackend()).toBe('tensorflow');
    expect(probe.loaded).toHaveLength(count);
  });

  it('refuses to move TensorFlow to another device', async () => {
    const selector = selectorOn(machines['GPU box, tfjs-node-gpu built']);
    await selector.select({ engine: 'tensorflow', device: 'cuda' });
    await expect(selector.select({ engine: 'tensorflow', device: 'cpu' })).rejects.toThrow(
      /already runs on cuda in this process/,
    );
  });

  it('refuses to change the threads of a running TensorFlow, or to make it verbose', async () => {
    const selector = new EngineSelector(fakeProbe(machines['tfjs-node built']));
    const start = (more: object) => selector.select({ engine: 'auto', device: 'cpu', ...more });
    expect((await start({ threads: 2 })).threads).toBe(2);
    expect((await start({})).threads).toBe(2);
    expect((await start({ threads: 2 })).threads).toBe(2);
    await expect(start({ threads: 3 })).rejects.toThrow(
      /tensorflow engine already runs with 2 threads .* cannot change to 3 .*start another process/,
    );
    await expect(start({ verbose: true })).rejects.toThrow(/loaded silently.*start another process/);
    await expect(start({ threads: 3 })).rejects.toThrow(EngineError);
  });

  it('passes the requested threads on without changing STMIXER_THREADS', async () => {
    const probe = fakeProbe(machines['tfjs-node built']);
    await new EngineSelector(probe).select({ engine: 'tensorflow', device: 'cpu', threads: 5 });
    expect(probe.env).not.toHaveProperty('STMIXER_THREADS');
    expect(probe.env.TF_NUM_INTRAOP_THREADS).toBe('5');
  });

  it('refuses a wrong STMIXER_THREADS instead of trying another engine', async () => {
    const probe = fakeProbe({ ...machines.bare, env: { STMIXER_THREADS: 'many' } });
    const result = new EngineSelector(probe).select({ engine: 'auto', device: 'auto' });
    await expect(result).rejects.toThrow("STMIXER_THREADS is 'many'");
  });

  it.each(['bare', 'GPU box, nothing built'])(
    'looks for engines without loading or changing anything on the machine "%s"',
    async (name) => {
      const probe = fakeProbe(machines[name]);
      const before = { ...probe.env };
      await expect(
        selectorOn(machines[name], probe).select({ engine: 'auto', device: 'cuda' }),
      ).rejects.toThrow();
      expect(probe.loaded).toEqual([]);
      expect(probe.env).toEqual(before);
    },
  );
});

describe('on this machine', () => {
  it('refuses to change the threads of a running onnx, also for auto', async () => {
    const running = await new EngineSelector(machineProbe()).select({ engine: 'onnx', device: 'cpu' });
    const selector = new EngineSelector({ ...machineProbe(), env: {} });
    const threads = running.threads + 1;
    await expect(selector.select({ engine: 'auto', device: 'cpu', threads })).rejects.toThrow(
      `already runs with ${countOf(running.threads, 'thread')} in this process, and cannot change to ${threads}`,
    );
    const again = await selector.select({ engine: 'onnx', device: 'cpu', threads: running.threads });
    expect(again.threads).toBe(running.threads);
    // Left to the machine: whatever runs will do.
    expect((await selector.select({ engine: 'onnx', device: 'cpu' })).threads).toBe(running.threads);
  });

  it('describes an engine in JSON without anything else', async () => {
    const engine = await new EngineSelector(machineProbe()).select({ engine: 'onnx', device: 'cpu' });
    expect(Object.keys(JSON.parse(JSON.stringify(engine)))).toEqual([
      'engine',
      'device',
      'description',
      'version',
      'threads',
      'notes',
    ]);
  });

  it('runs on onnx unless another engine is requested', async () => {
    const info = await new EngineSelector(machineProbe()).select({ engine: 'auto', device: 'cpu' });
    expect(info).toMatchObject({ engine: 'onnx', device: 'cpu', version: ORT_VERSION, notes: [] });
    expect(tf.getBackend()).toBe('onnx');
  });

  it.each([
    ['freebsd', 'x64'],
    ['linux', 'ia32'],
  ])('reports that there is no library for %s %s', async (platform, arch) => {
    const files = { '/nm/onnxruntime-node/package.json': '{}' };
    const selection = new EngineSelector(fakeProbe({ platform, arch, files }));
    await expect(selection.select({ engine: 'onnx', device: 'auto' })).rejects.toThrow(
      `no library for ${platform} ${arch}`,
    );
  });
});
