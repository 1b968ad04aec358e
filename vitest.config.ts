/** @file Test runner settings: unit tests beside the code, goldens and end-to-end tests under test/. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Runs end-to-end tests first: they take longest, and this way both workers end at about the same time. */
class EndToEndFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isEndToEnd = ({ moduleId }: TestSpecification) => /[\\/]test[\\/]e2e[\\/]/.test(moduleId);
    return [...sorted.filter(isEndToEnd), ...sorted.filter((file) => !isEndToEnd(file))];
  }
}

/** Everything that computes on the engine, and tests for GPUs alone. */
const ON_GPU = [
  'test/gpu/**/*.test.ts',
  'test/golden/{detector,solver,submodules}.golden.test.ts',
  'test/conformance/*.test.ts',
  'test/e2e/{determinism,finite_difference,memory,resume}.test.ts',
  'src/{nn,model,loss,solver}/*.test.ts',
  'src/training/{grad_norm,step,step_replay,trainer}.test.ts',
  'src/training/nonfinite/*.test.ts',
  'src/engine/kernel_contract.test.ts',
  'src/engine/onnx/random_graphs.test.ts',
  'src/engine/onnx/kernels/kernels.test.ts',
  'src/engine/onnx/webgpu/*.test.ts',
];
const EVERYWHERE = [
  'src/**/*.test.ts',
  'test/!(gpu)/**/*.test.ts',
  'test/*.test.ts',
  'tools/**/*.test.ts',
  'bench/**/*.test.ts',
];

const isOnGpu = process.env.STMIXER_TEST_DEVICE === 'gpu';
/** The first run on a software GPU compiles shaders for a minute. */
const TIMEOUT_MS = isOnGpu ? 300_000 : 60_000;

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      // The examples import the package by its name.
      { find: 'stmixer', replacement: at('src/index.ts') },
      { find: /^(?:\.\.\/)+util\/threads\.js$/, replacement: at('test/support/threads.ts') },
    ],
  },
  test: {
    include: isOnGpu ? ON_GPU : EVERYWHERE,
    // Native addons (sharp, tfjs-node) need a process of their own.
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: EndToEndFirst },
    globalSetup: ['test/support/build.ts'],
    setupFiles: ['test/support/setup.ts'],
    testTimeout: TIMEOUT_MS,
    hookTimeout: TIMEOUT_MS,
    // With two workers on two cores, threads that wait for each other on a busy core would be slow.
    env: { STMIXER_THREADS: process.env.STMIXER_THREADS ?? '1' },
  },
});
