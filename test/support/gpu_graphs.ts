/** @file The graphs of full-size models for the WebGPU provider, from a dry run, which needs no GPU. */
import { loadConfig } from '../../src/config/index.js';
import { MemoryCounter } from '../../src/engine/dry_run/counter.js';
import type { ValueInfo } from '../../src/engine/lazy/value.js';
import { OnnxBackend } from '../../src/engine/onnx/backend.js';
import type { Operand } from '../../src/engine/onnx/graph_builder.js';
import { GPU_KERNELS, type KernelSet } from '../../src/engine/onnx/kernel_set.js';
import type { OnnxNode } from '../../src/engine/onnx/model_format.js';
import type { WebGpuBuilder } from '../../src/engine/onnx/webgpu/builder.js';
import { tf } from '../../src/engine/tfjs.js';
import { runTensors } from '../../src/training/memory/dry_run.js';

/** A recorded operation and the nodes that it was lowered to. */
export interface LoweredOperation {
  readonly name: string;
  readonly operands: readonly Operand[];
  readonly results: readonly ValueInfo[];
  readonly nodes: readonly OnnxNode[];
  /** Knows the shapes and types of all values. */
  readonly builder: WebGpuBuilder;
}

/** The configurations whose training has to run on a GPU without one operator on the CPU. */
export const FULL_SIZE: readonly [name: string, file: string, settings: string][] = [
  ['ViT-B', 'config_files/my_VMAEv2-ViTB-16x4.yaml', 'ViT.USE_CHECKPOINT False'],
  [
    'ViT-L',
    'config_files/my_VMAEv2-ViTB-16x4.yaml',
    'MODEL.BACKBONE.CONV_BODY MAE-ViT-L ViT.EMBED_DIM 1024 ViT.DEPTH 24 ViT.NUM_HEADS 16',
  ],
  ['the sample model', 'config_files/sample.yaml', ''],
  ['SlowOnly-R50', 'config_files/PySlowonly-R50-K400-4x16.yaml', 'MODEL.BACKBONE.FROZEN_BN False'],
  ['SlowFast-R101 with non-local blocks', 'config_files/PySlowfast-R101-NL-K600-8x8.yaml', ''],
];
/** The largest clip of AVA at the scale 320, padded. */
const CLIP = { height: 320, width: 576 };

/** Lowers every graph of a training step of one clip, and of an evaluation. */
export async function lowerFullSize(file: string, settings: string): Promise<LoweredOperation[]> {
  const words = `${settings} SOLVER.VIDEOS_PER_BATCH 1 TEST.VIDEOS_PER_BATCH 1`.trim().split(' ');
  const { config } = loadConfig(file, words);
  const operations: LoweredOperation[] = [];
  const lowerings = Array.from(GPU_KERNELS.lowerings, ([name, lower]) => {
    const logged: typeof lower = (builder, operands, node) => {
      const first = builder.nodes.length;
      const results = lower(builder, operands, node);
      const nodes = builder.nodes.slice(first);
      operations.push({ name, operands, results: node.outputs, nodes, builder: builder as WebGpuBuilder });
      return results;
    };
    return [name, logged] as const;
  });
  const kernels: KernelSet = { ...GPU_KERNELS, lowerings: new Map(lowerings) };
  await onBackend(kernels, () =>
    runTensors(config, { frozen: [], clip: CLIP, testClip: CLIP, processes: 1 }),
  );
  return operations;
}

/** Does `work` on a backend with these kernels, which cannot compute. */
async function onBackend(kernels: KernelSet, work: () => Promise<unknown>): Promise<void> {
  const current = tf.getBackend() as string | undefined;
  const compiler = {
    compile: () => {
      throw new Error('a dry run compiles with a compiler of its own');
    },
  };
  tf.registerBackend('full size', () => new OnnxBackend(new MemoryCounter(0), compiler, kernels, 1));
  try {
    await tf.setBackend('full size');
    await work();
  } finally {
    await tf.setBackend(current ?? 'cpu');
    tf.removeBackend('full size');
  }
}
