/** @file A GPU without enough memory ends a training with a sentence that names what was asked for and what helps. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { vulkanLayer } from '../../tools/vulkan_layer/index.js';
import { stmixer } from '../support/cli.js';
import { describeOnGpu } from '../support/gpu.js';
import { temporaryFolder } from '../support/temporary_files.js';

/** Enough for a small part of the weights. */
const BYTES = 6e6;

describeOnGpu('a training on a GPU with too little memory', () => {
  it('ends with what was asked for, the memory in use, and settings that take less', async (context) => {
    const folder = temporaryFolder();
    const env = vulkanLayer(folder, { bytes: BYTES });
    if (env === null) return context.skip('there is no C compiler');
    const output = join(folder, 'run');
    const flags =
      '--config-file config_files/tiny.yaml --device gpu --skip-final-test SOLVER.VIDEOS_PER_BATCH 6';
    const { code, stderr } = await stmixer(['train', ...flags.split(' '), 'OUTPUT_DIR', output], env);
    expect(stderr).toMatch(/out of memory: up to [\d.]+ [KM]?i?B on the GPU could not be allocated\./);
    expect(stderr).toMatch(/This process has [\d.]+ GiB, and [\d.]+ GiB of the GPU's/);
    expect(stderr).toMatch(/No checkpoint was saved yet/);
    expect(stderr).toMatch(/These settings take less:\n {2}\S/);
    expect(code).toBe(1);
  });
});
