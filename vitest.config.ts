/** @file Test runner settings: unit tests beside the code, goldens and end-to-end tests under test/. */
import { fileURLToPath } from 'node:url';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Runs end-to-end tests first: they take longest, and this way both workers end at about the same time. Tests that share a worker
 * come last, because a worker is shared as long as no other file comes in between.
 */
class EndToEndFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}

function rank({ moduleId, project }: TestSpecification): number {
  if (/[\\/]test[\\/]e2e[\\/]/.test(moduleId)) return 0;
  return project.config.isolate ? 1 : 2;
}

/** Everything that computes on the engine. */
const COMPUTING = [
  'test/golden/{detector,solver,submodules}.golden.test.ts',
  'test/golden/resnet_{backbones,detector,layers}.golden.test.ts',
  'test/conformance/*.test.ts',
  'test/e2e/{determinism,finite_difference,resume}.test.ts',
  'src/{nn,model,loss,solver}/*.test.ts',
  'src/training/{batch_statistics,grad_norm,step,step_replay,trainer}.test.ts',
  'src/training/nonfinite/*.test.ts',
  'src/engine/kernel_contract.test.ts',
  'src/engine/random_graphs.test.ts',
];
const ON_GPU = [
  ...COMPUTING,
  'test/gpu/**/*.test.ts',
  'test/e2e/memory.test.ts',
  'src/engine/onnx/kernels/{batch_norm,conv_products,kernels}.test.ts',
  'src/engine/onnx/webgpu/*.test.ts',
];
/** Tests of the cuda engine that take long: on the stand-in for CUDA, or with NVIDIA's libraries. */
const LONG_ON_CUDA = [
  'src/engine/cuda/{plan_check,plans_in_networks}.test.ts',
  'src/engine/cuda/cudnn/real_plans.test.ts',
  'src/engine/cuda/device/device.test.ts',
  'src/engine/cuda/kernels/{fused,kernel_steps}.test.ts',
  'src/engine/cuda/kernels/scatter/*.test.ts',
];
const ON_CUDA = [...COMPUTING, ...LONG_ON_CUDA, 'test/cuda/**/*.test.ts'];
/** Tests of several processes, which need an MPI launcher. */
const BY_PROCESSES = ['test/distributed/**/*.test.ts'];
/** Tests that have a run of their own. */
const ELSEWHERE = ['test/{cuda,distributed,gpu}/**', ...LONG_ON_CUDA];
const EVERYWHERE = ['src/**/*.test.ts', 'test/**/*.test.ts', 'tools/**/*.test.ts', 'bench/**/*.test.ts'];

/**
 * Tests that leave their process as it was. They share the modules and the engine of their worker, which saves half a second for
 * each file, and more than a second with an engine. Excepted are tests that replace modules, listen to signals, or start the
 * engine with threads of their own.
 */
const SHARED = [
  'src/{checkpoint,config,data,data_tools,detect,drawing,evaluation,files,formats,loss,media,model}/**/*.test.ts',
  'src/{nn,report,solver,training,util}/**/*.test.ts',
  'src/{cli,cli/completion}/!(engine).test.ts',
  'src/run/**/!(move_run).test.ts',
  'src/distributed/**/*.test.ts',
  'src/engine/{gpu,lazy,onnx/kernels,onnx/memory}/*.test.ts',
  'src/engine/{settings,threads}.test.ts',
  'src/engine/cuda/{api,compile,cudnn,device,ir,kernels,kernels/convolution}/*.test.ts',
  'src/engine/onnx/native/!(attention|row_gather).test.ts',
  'test/golden/*.test.ts',
  '{bench,tools}/**/*.test.ts',
];

const isOnGpu = process.env.STMIXER_TEST_DEVICE === 'gpu';
const isOnCuda = process.env.STMIXER_TEST_ENGINE === 'cuda';
const isByProcesses = process.env.STMIXER_TEST_MPI === '1';
/**
 * The stand-in for CUDA compiles kernels for several minutes, and the first run on a software GPU shaders for one. The cpu and
 * tensorflow engines compute for minutes.
 */
const isSlow = isOnCuda || ['cpu', 'tensorflow'].includes(process.env.STMIXER_TEST_ENGINE ?? '');
const TIMEOUT_MS = isSlow ? 600_000 : isOnGpu || isByProcesses ? 300_000 : 60_000;

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const resolve = {
  alias: [
    // The examples import the package by its name.
    { find: 'stmixer', replacement: at('src/index.ts') },
    { find: /^(?:\.\.\/)+util\/threads\.js$/, replacement: at('test/support/threads.ts') },
  ],
};

const SETTINGS = {
  // Native addons (sharp, tfjs-node) need a process of their own.
  pool: 'forks',
  setupFiles: ['test/support/setup.ts'],
  testTimeout: TIMEOUT_MS,
  hookTimeout: TIMEOUT_MS,
  env: {
    // With two workers on two cores, threads that wait for each other on a busy core would be slow.
    STMIXER_THREADS: process.env.STMIXER_THREADS ?? '1',
    // The tests may run under nohup; the programs that they start must not notice.
    STMIXER_IGNORE_SIGHUP: '0',
  },
} satisfies TestProjectInlineConfiguration['test'];

function project(group: TestProjectInlineConfiguration['test']): TestProjectInlineConfiguration {
  return { resolve, test: { ...SETTINGS, ...group } };
}

function projects(): TestProjectInlineConfiguration[] {
  if (isOnGpu) return [project({ name: 'gpu', include: ON_GPU, isolate: true })];
  if (isOnCuda) return [project({ name: 'cuda', include: ON_CUDA, isolate: true })];
  if (isByProcesses) return [project({ name: 'processes', include: BY_PROCESSES, isolate: true })];
  return [
    project({ name: 'alone', include: EVERYWHERE, exclude: [...SHARED, ...ELSEWHERE], isolate: true }),
    project({ name: 'shared', include: SHARED, exclude: ELSEWHERE, isolate: false }),
  ];
}

export default defineConfig({
  test: {
    // Several processes use all cores by themselves.
    maxWorkers: isByProcesses ? 1 : 2,
    sequence: { sequencer: EndToEndFirst },
    globalSetup: ['test/support/build.ts', ...(isOnCuda ? ['test/cuda_on_cpu/global_setup.ts'] : [])],
    projects: projects(),
  },
});
