/** @file A stage of a convolutional backbone, s2 to s5: residual blocks and non-local blocks of each pathway. */
import type * as tf from '@tensorflow/tfjs';
import type { NormScope } from '../../nn/batch_norm.js';
import { Module } from '../../nn/module.js';
import { withGraphBreak } from '../../nn/tape.js';
import { type BlockShape, type NormContext, ResBlock, type TransformName } from './block.js';
import { type Instantiation, Nonlocal, type NonlocalShape } from './nonlocal.js';

/** The part of a stage that works on one pathway. */
export interface PathwayShape extends Omit<BlockShape, 'strideIn1x1'> {
  readonly numBlocks: number;
  /** Number of blocks, from the first, with the temporal kernel; the others have one of 1. */
  readonly numTemporalBlocks: number;
  readonly nonlocal: Pick<NonlocalShape, 'pool' | 'groups'> & {
    /** Blocks that a non-local block follows, from 0. Numbers beyond the last block are ignored. */
    readonly after: readonly number[];
  };
}

export interface StageShape {
  readonly pathways: readonly PathwayShape[];
  readonly transform: TransformName;
  readonly strideIn1x1: boolean;
  readonly instantiation: Instantiation;
}

interface Layer {
  readonly name: string;
  readonly module: ResBlock | Nonlocal;
}

export class Stage extends Module {
  readonly pathways: readonly (readonly Layer[])[];

  constructor(shape: StageShape, norms: NormContext) {
    super();
    this.pathways = shape.pathways.map((pathway, p) => layersOf(pathway, p, shape, norms));
  }

  protected override *children(): Generator<[string, Module]> {
    for (const { name, module } of this.pathways.flat()) yield [name, module];
  }

  /** Maps the map of each pathway. */
  forward(maps: readonly tf.Tensor[], scope?: NormScope): tf.Tensor[] {
    return this.pathways.map((layers, p) =>
      layers.reduce((x, { module }) => {
        // A backward pass of its own for each block releases what it saved before the one in front of it needs memory.
        return module.forward(withGraphBreak(x, { before: 'backbone', after: 'backbone' }), scope);
      }, maps[p]),
    );
  }
}

function layersOf(
  { numBlocks, numTemporalBlocks, nonlocal, ...shape }: PathwayShape,
  pathway: number,
  { transform, strideIn1x1, instantiation }: StageShape,
  norms: NormContext,
): Layer[] {
  const layers: Layer[] = [];
  for (let i = 0; i < numBlocks; i++) {
    const block: BlockShape = {
      ...shape,
      strideIn1x1,
      inChannels: i === 0 ? shape.inChannels : shape.outChannels,
      stride: i === 0 ? shape.stride : 1,
      temporalKernel: i < numTemporalBlocks ? shape.temporalKernel : 1,
    };
    layers.push({ name: `pathway${pathway}_res${i}`, module: new ResBlock(block, transform, norms) });
    if (!nonlocal.after.includes(i)) continue;
    const channels = shape.outChannels;
    const attention = { channels, innerChannels: Math.floor(channels / 2), instantiation, ...nonlocal };
    layers.push({ name: `pathway${pathway}_nonlocal${i}`, module: new Nonlocal(attention, norms) });
  }
  return layers;
}
