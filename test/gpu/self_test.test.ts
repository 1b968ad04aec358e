/** @file The self-test of a GPU: right results and speeds, or the reason why there are none. */
import { expect, it } from 'vitest';
import { runSelfTest } from '../../src/engine/onnx/self_test.js';
import { describeOnGpu } from '../support/gpu.js';

describeOnGpu('the self-test', () => {
  it('measures products on the GPU and on the processor after the comparison of results', async () => {
    const result = await runSelfTest('high-performance', process.env);
    expect(result).toEqual({ gpuGflops: expect.any(Number), cpuGflops: expect.any(Number) });
    expect(Object.values(result).every((speed) => speed > 0)).toBe(true);
  });

  it('says what is wrong if the driver does not start', async () => {
    const env = { ...process.env, VK_DRIVER_FILES: '/nowhere.json', VK_ICD_FILENAMES: '/nowhere.json' };
    const { failure } = (await runSelfTest('high-performance', env)) as { failure: string };
    expect(failure).toMatch(/ONNX Runtime does not start on the GPU/);
  });
});
