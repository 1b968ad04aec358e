/** @file A GPU with little memory: a Vulkan layer that lets allocations fail. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('vulkan_memory_layer.c', import.meta.url));
const NAME = 'VK_LAYER_STMIXER_memory';

/** Compiles the layer in a folder. Returns the environment of a process whose GPU has `bytes`; null without a compiler. */
export function environmentWithGpuMemory(folder: string, bytes: number): NodeJS.ProcessEnv | null {
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', join(folder, 'layer.so'), SOURCE]);
  } catch {
    return null;
  }
  const layer = {
    name: NAME,
    type: 'GLOBAL',
    library_path: './layer.so',
    api_version: '1.3.0',
    implementation_version: '1',
    description: 'limits the memory of the GPU',
  };
  writeFileSync(join(folder, 'layer.json'), JSON.stringify({ file_format_version: '1.1.2', layer }));
  return { VK_LAYER_PATH: folder, VK_INSTANCE_LAYERS: NAME, STMIXER_TEST_GPU_BYTES: String(bytes) };
}
