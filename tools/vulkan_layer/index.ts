/** @file A Vulkan layer for tests and benchmarks: a GPU with little memory, one that computes nothing, and counts. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('layer.c', import.meta.url));
const NAME = 'VK_LAYER_STMIXER_test';

export interface LayerOptions {
  /** Memory of the GPU; allocations beyond it fail. */
  readonly bytes?: number;
  /** Whether the GPU computes nothing, so that a program's own work can be timed. What it reads from the GPU is then 0. */
  readonly isIdle?: boolean;
  /** A file for `LayerCounts` as JSON. */
  readonly report?: string;
}

/** What a program has asked of the GPU since its start. */
export interface LayerCounts {
  readonly bytes: number;
  readonly peakBytes: number;
  readonly allocations: number;
  readonly buffers: number;
  readonly dispatches: number;
}

/** Compiles the layer in a folder. Returns the environment of a process that uses it; null without a C compiler. */
export function vulkanLayer(folder: string, options: LayerOptions): Record<string, string> | null {
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-pthread', '-o', join(folder, 'layer.so'), SOURCE]);
  } catch {
    return null;
  }
  const layer = {
    name: NAME,
    type: 'GLOBAL',
    library_path: './layer.so',
    api_version: '1.3.0',
    implementation_version: '1',
    description: 'a GPU for tests',
  };
  writeFileSync(join(folder, 'layer.json'), JSON.stringify({ file_format_version: '1.1.2', layer }));
  const { bytes, isIdle, report } = options;
  return {
    VK_LAYER_PATH: folder,
    VK_INSTANCE_LAYERS: NAME,
    ...(bytes !== undefined && { STMIXER_LAYER_BYTES: String(bytes) }),
    ...(isIdle && { STMIXER_LAYER_IDLE: '1' }),
    ...(report && { STMIXER_LAYER_REPORT: report }),
  };
}
