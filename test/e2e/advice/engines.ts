/** @file Advice about engines: machines made of facts, as they are and after what the message proposes was done. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CudaError } from '../../../src/engine/cuda/api/error.js';
import { chooseArchitecture } from '../../../src/engine/cuda/api/nvrtc.js';
import { CudaEngine } from '../../../src/engine/cuda/cuda_engine.js';
import { Region } from '../../../src/engine/cuda/device/region.js';
import type { CudaGpu } from '../../../src/engine/cuda/gpus.js';
import { selectEngine } from '../../../src/engine/index.js';
import { startRuntime } from '../../../src/engine/onnx/start.js';
import { problemText } from '../../../src/engine/problem.js';
import { EngineSelector } from '../../../src/engine/selection.js';
import { cudaProblems } from '../../../src/engine/tensorflow/cuda.js';
import { findInstall, installProblems } from '../../../src/engine/tensorflow/install.js';
import { loadFailure } from '../../../src/engine/tensorflow/load.js';
import { chooseThreads } from '../../../src/engine/threads.js';
import type { EngineRequest, Problem } from '../../../src/engine/types.js';
import { patchedBackend } from '../../../tools/setup_tensorflow/build.js';
import { librariesFrom } from '../../../tools/setup_tensorflow/libraries.js';
import {
  checkFreeSpace,
  checkPlatform,
  findCompiler,
  findNodeHeaders,
  findPython,
} from '../../../tools/setup_tensorflow/requirements.js';
import { fetchWheel } from '../../../tools/setup_tensorflow/wheel.js';
import {
  CUDA_FILES,
  DRIVER_FILES,
  type FakeMachine,
  fakeProbe,
  H100,
  loadFakeTensorflow,
  NVRTC_FILES,
  tensorflowFiles,
} from '../../support/fake_probe.js';
import { type Advice, found, type Outcome, outcomeOf, program, withEnv } from './advice.js';

const CPU = '@tensorflow/tfjs-node';
const GPU = '@tensorflow/tfjs-node-gpu';
const UNBUILT = { ...tensorflowFiles(CPU, { built: false }), ...tensorflowFiles(GPU, { built: false }) };
const AMPERE: CudaGpu = {
  ordinal: 0,
  name: 'NVIDIA A100',
  computeCapability: [8, 0],
  memoryBytes: 2 ** 35,
};
const BUILT = { ...tensorflowFiles(CPU), ...tensorflowFiles(GPU), ...DRIVER_FILES, ...CUDA_FILES };

/** Selects an engine with flags as a user types them. */
function select(
  machine: FakeMachine,
  flags: string,
  precision: EngineRequest['precision'] = 'float32',
): Promise<Outcome> {
  const flag = (name: string) => new RegExp(`--${name} (\\w+)`).exec(flags)?.[1] ?? 'auto';
  const request = { engine: flag('engine'), device: flag('device'), precision } as EngineRequest;
  return outcomeOf(async () => (await new EngineSelector(fakeProbe(machine)).select(request)).description);
}

/** Starts ONNX Runtime from a library that does not exist. */
function startDamagedOnnxRuntime(): void {
  startRuntime({ ...fakeProbe(), packageFolder: () => '/nowhere' }, {});
}

const listed = (problems: Problem[]) =>
  outcomeOf(() => {
    if (problems.length > 0) throw new Error(problems.map(problemText).join('; '));
  });

/** A GPU box on which something is missing, and the same one with it. */
function gpuBox(says: string, wrong: FakeMachine, right: FakeMachine): Advice {
  const look = (machine: FakeMachine) => listed(cudaProblems(fakeProbe({ nvidiaSmi: H100, ...machine })));
  return { says, meet: () => look(wrong), follow: () => look(right) };
}

/** A machine with a GPU and its driver on which the cuda engine cannot run, and the same one after it was mended. */
function cudaBox(says: string, wrong: CudaBox, right: CudaBox = {}): Advice {
  const look = ({ gpus = [AMPERE], precision, ...machine }: CudaBox) =>
    outcomeOf(async () => {
      const files = { ...DRIVER_FILES, ...NVRTC_FILES };
      const source = { driverVersion: () => 12_040, gpus: () => gpus };
      const engine = new CudaEngine(fakeProbe({ files, ...machine }), {
        source,
        selfTest: async () => ({ failure: 'it gets as far as the self-test' }),
      });
      const problems = engine.problems({});
      if (problems.length > 0) throw new Error(problems.map(problemText).join('; '));
      const reached = await outcomeOf(() => engine.start({ precision }));
      if (!reached.text.includes('as far as the self-test')) throw new Error(reached.text);
    });
  return { says, meet: () => look(wrong), follow: () => look(right) };
}

interface CudaBox extends FakeMachine {
  readonly gpus?: readonly CudaGpu[];
  readonly precision?: EngineRequest['precision'];
}

/** Asks for as much of a GPU with 1 GiB of memory. */
const allocated = (bytes: number) =>
  outcomeOf(() => {
    const memory = () => ({ free: 2 ** 30, total: 2 ** 30 });
    const allocate = (size: number) => {
      if (size > 2 ** 30) throw new CudaError('cuMemAlloc', 2, 'CUDA_ERROR_OUT_OF_MEMORY', 'out of memory');
      return 256;
    };
    new Region({ allocate, free() {}, memory }).allocate(bytes);
  });

function without(files: Record<string, string>, ...parts: string[]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files).filter(([path]) => !parts.some((part) => path.includes(part))),
  );
}

/** A native module that does not load, and one that does. */
function loading(says: string, error: string): Advice {
  const install = findInstall(fakeProbe({ files: BUILT }), CPU)!;
  return {
    says,
    meet: () => outcomeOf(() => Promise.reject(new Error(loadFailure(new Error(error), install)))),
    // The command sets up what is missing; afterwards the module loads.
    follow: () =>
      select({ files: BUILT, load: loadFakeTensorflow(false) }, '--engine tensorflow --device cpu'),
  };
}

/** A program that is not there, and one that is put onto the PATH. */
function missingProgram(says: string, find: () => Promise<unknown>, ...names: string[]): Advice {
  return {
    says,
    meet: (folder) => withEnv({ PATH: folder, CXX: '', PYTHON: '' }, () => outcomeOf(find)),
    follow: (folder) => {
      for (const name of names) program(folder, name);
      return withEnv({ PATH: folder, CXX: '', PYTHON: '' }, () => outcomeOf(find));
    },
  };
}

/** A folder or file for --from that will not do, and one that will. */
function from(says: string, make: (folder: string) => string): Advice {
  const deps = (folder: string) => join(folder, 'deps');
  return {
    says,
    meet: (folder) => outcomeOf(() => librariesFrom(make(folder), deps(folder), () => {})),
    follow: (folder) => {
      const root = join(folder, 'libtensorflow');
      mkdirSync(join(root, 'include/tensorflow/c'), { recursive: true });
      mkdirSync(join(root, 'lib'));
      for (const name of [
        'include/tensorflow/c/c_api.h',
        'lib/libtensorflow.so.2',
        'lib/libtensorflow_framework.so.2',
      ])
        writeFileSync(join(root, name), '');
      return outcomeOf(() => librariesFrom(root, deps(folder), () => {}));
    },
  };
}

export const ENGINES: readonly Advice[] = [
  {
    says: 'does not run on cuda, only on cpu: choose --device',
    meet: () => select({}, '--engine cpu --device cuda'),
    follow: (_, text) => select({}, `--engine cpu ${found(text, /choose (--device \w+)/)}`),
  },
  cudaBox('use --device gpu, or (on Windows)', { platform: 'win32' }),
  cudaBox('npm run setup:cuda', { files: DRIVER_FILES }),
  cudaBox('`nvidia-smi` must list the GPU', { gpus: [] }),
  cudaBox('use a GPU of the Turing generation', { gpus: [{ ...AMPERE, computeCapability: [6, 1] }] }),
  cudaBox(
    'set ENGINE.PRECISION float32',
    { gpus: [{ ...AMPERE, computeCapability: [7, 5] }], precision: 'bfloat16' },
    { gpus: [{ ...AMPERE, computeCapability: [7, 5] }], precision: 'float32' },
  ),
  {
    says: 'is for --engine cuda alone',
    meet: () => select({}, '--engine cpu', 'bfloat16'),
    follow: (_, text) => {
      const precision = found(text, /ENGINE\.PRECISION (\w+) runs on every engine/) as 'float32';
      return select({}, '--engine cpu', precision);
    },
  },
  {
    says: 'cannot compile for this GPU',
    meet: () => outcomeOf(() => chooseArchitecture({ architectures: [75, 90], version: [13, 0] }, [7, 0])),
    follow: (_, text) => {
      const major = Number(found(text, /setup:cuda -- --cuda (\d+)/));
      return outcomeOf(() =>
        chooseArchitecture({ architectures: [50, 70, 90], version: [major, 9] }, [7, 0]),
      );
    },
  },
  {
    says: 'Use smaller batches or clips',
    meet: () => allocated(2 ** 31),
    follow: () => allocated(2 ** 20),
  },
  {
    says: 'run npm ci',
    meet: () => select({}, '--engine onnx'),
    follow: () =>
      listed(installProblems(fakeProbe({ files: BUILT }), CPU)).then(() => select({}, '--engine cpu')),
  },
  {
    says: 'use --engine tensorflow or --engine cpu',
    meet: () =>
      select({ platform: 'aix', files: { '/nm/onnxruntime-node/package.json': '{}' } }, '--engine onnx'),
    follow: (_, text) => select({ platform: 'aix' }, found(text, /or (--engine cpu)/)),
  },
  {
    says: 'STMIXER_THREADS is',
    meet: () => outcomeOf(() => chooseThreads(fakeProbe({ env: { STMIXER_THREADS: 'many' } }))),
    follow: () => outcomeOf(() => chooseThreads(fakeProbe({ env: { STMIXER_THREADS: '1' } }))),
  },
  gpuBox('use --device cpu, or (on Windows)', { platform: 'win32' }, { files: BUILT }),
  gpuBox('; in a container, start it with --gpus all', { files: { ...UNBUILT } }, { files: BUILT }),
  gpuBox(
    'in a container, start it with --gpus all (NVIDIA Container Toolkit)',
    { files: without(BUILT, 'libcuda.so') },
    { files: BUILT },
  ),
  gpuBox(
    'which hides every GPU',
    { files: BUILT, env: { CUDA_VISIBLE_DEVICES: '' } },
    { files: BUILT, env: { CUDA_VISIBLE_DEVICES: '0' } },
  ),
  gpuBox(
    'use a GPU of the Pascal generation',
    { files: BUILT, nvidiaSmi: '0, GPU-1, Tesla K80, 3.7, 550.54.15\n' },
    { files: BUILT },
  ),
  gpuBox(
    'was built without CUDA',
    { files: { ...BUILT, ...tensorflowFiles(GPU, { record: { source: 'x', cuda: false } }) } },
    { files: { ...BUILT, ...tensorflowFiles(GPU, { record: { source: 'x', cuda: true } }) } },
  ),
  gpuBox('CUDA libraries are not found', { files: without(BUILT, '/nvidia/') }, { files: BUILT }),
  {
    says: 'is not set up',
    meet: () => listed(installProblems(fakeProbe({ files: UNBUILT }), GPU)),
    follow: () => listed(installProblems(fakeProbe({ files: BUILT }), GPU)),
  },
  {
    says: 'run: npm install --ignore-scripts --no-save',
    meet: () => listed(installProblems(fakeProbe(), CPU)),
    follow: () => listed(installProblems(fakeProbe({ files: BUILT }), CPU)),
  },
  {
    says: 'use --engine cpu, or a machine with a newer processor',
    meet: () =>
      select({ files: { ...BUILT, '/proc/cpuinfo': 'flags : sse2\n' } }, '--engine tensorflow --device cpu'),
    follow: (_, text) => select({ files: BUILT }, found(text, /use (--engine cpu)/)),
  },
  {
    says: 'finds no GPU that it can use',
    meet: () =>
      select(
        { files: BUILT, nvidiaSmi: H100, load: loadFakeTensorflow(false) },
        '--engine tensorflow --device cuda',
      ),
    follow: () =>
      select(
        { files: BUILT, nvidiaSmi: H100, load: loadFakeTensorflow(true) },
        '--engine tensorflow --device cuda',
      ),
  },
  loading(
    'or add the folder of the CUDA libraries to LD_LIBRARY_PATH',
    'libcudnn.so.9: cannot open shared object file',
  ),
  loading(
    'use a newer Linux, or a libtensorflow built for this one (--from)',
    "version `GLIBC_2.99' not found",
  ),
  loading('run npm ci, then', "Cannot find module './x'"),
  {
    says: 'does not start',
    meet: () => outcomeOf(startDamagedOnnxRuntime),
    // What npm ci leaves is what the tests run on.
    follow: () => outcomeOf(async () => (await selectEngine({ engine: 'onnx', device: 'cpu' })).description),
  },
  {
    says: "--download tries the packages' own files instead",
    meet: () => outcomeOf(() => checkPlatform(fakeProbe({ platform: 'darwin', arch: 'arm64' }), false)),
    follow: (_, text) => select({}, found(text, /and (--engine cpu)/)),
  },
  missingProgram('no C++ compiler', findCompiler, 'g++'),
  missingProgram('no Python', findPython, 'python3'),
  {
    says: 'name another Python in PYTHON',
    meet: () => withEnv({ PYTHON: process.execPath }, () => outcomeOf(findPython)),
    follow: (folder) => withEnv({ PYTHON: program(folder, 'python') }, () => outcomeOf(findPython)),
  },
  {
    says: 'the headers of Node (node_api.h) are not there',
    meet: () => outcomeOf(() => findNodeHeaders(fakeProbe(), '/opt/node/bin/node')),
    follow: () => {
      const api = '/nm/node-api-headers';
      const files = { [`${api}/package.json`]: '', [`${api}/include/node_api.h`]: '' };
      return outcomeOf(() => findNodeHeaders(fakeProbe({ files }), '/opt/node/bin/node'));
    },
  },
  {
    says: 'too little disk space for libtensorflow',
    meet: (folder) => outcomeOf(() => checkFreeSpace(folder, 2 ** 60)),
    follow: (folder) => outcomeOf(() => checkFreeSpace(folder, 1)),
  },
  {
    says: 'pass it with --from FILE',
    meet: (folder) =>
      outcomeOf(() => fetchWheel(process.execPath, 'tensorflow-cpu==2.21.0', join(folder, 'download'))),
    // A wheel that was fetched elsewhere.
    follow: (folder) => {
      writeFileSync(join(folder, 'download', 'tensorflow_cpu-2.21.0.whl'), '');
      return outcomeOf(() =>
        fetchWheel(process.execPath, 'tensorflow-cpu==2.21.0', join(folder, 'download')),
      );
    },
  },
  from('there is no such file or folder', (folder) => join(folder, 'none')),
  from('expected a folder or a .whl file', (folder) => program(folder, 'libtensorflow.tar.gz')),
  from('is not in it. Expected a folder with include/ and lib/', (folder) => folder),
  {
    says: 'reinstall it with npm ci',
    meet: () => outcomeOf(() => patchedBackend('something else')),
    follow: () =>
      outcomeOf(() => {
        patchedBackend(readFileSync('node_modules/@tensorflow/tfjs-node/binding/tfjs_backend.cc', 'utf8'));
      }),
  },
];
