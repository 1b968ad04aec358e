/** @file The layers of ResNet backbones against PyTorch: values, gradients and running statistics. */
import { describe, expect, it } from 'vitest';
import { tf } from '../../src/engine/tfjs.js';
import { ResBlock } from '../../src/model/resnet/block.js';
import { Nonlocal } from '../../src/model/resnet/nonlocal.js';
import { type PathwayShape, Stage } from '../../src/model/resnet/stage.js';
import { FuseFastToSlow, joinPathways, PathwayStem, VideoStem } from '../../src/model/resnet/stem.js';
import { makeLaterals } from '../../src/model/resnet.js';
import { BatchNorm, type NormScope } from '../../src/nn/batch_norm.js';
import { maxPool3d } from '../../src/nn/max_pool3d.js';
import { Module, StateBuffer } from '../../src/nn/module.js';
import { backward } from '../../src/nn/tape.js';
import { FORWARD, type Golden, GRADIENT, goldenExists } from './golden.js';
import { expectTensor, mapOf, numbersOf, resnetJson, resnetTensors, track } from './resnet.js';

// biome-ignore lint/suspicious/noExplicitAny: each kind has its own settings
type Settings = any;
type Maps = Record<string, tf.Tensor>;
type Forward = (inputs: Maps, scope: NormScope) => Maps;

const present = goldenExists('resnet/resnet_submodules.json');
const golden: Settings = present ? resnetJson('resnet_submodules.json') : { cases: {} };
const tensors = present ? resnetTensors('resnet_submodules.safetensors') : new Map<string, Golden>();

/** A case's tensors of one kind, by name. */
function tensorsOf(name: string, kind: string): Map<string, Golden> {
  const prefix = `${name}/${kind}.`;
  const own = [...tensors].filter(([key]) => key.startsWith(prefix));
  return new Map(own.map(([key, tensor]) => [key.slice(prefix.length), tensor]));
}

/** A module of PyTorch's names without one of ours. */
class Wrapper extends Module {
  constructor(readonly parts: readonly Module[]) {
    super();
  }
}

const NORMS = { frozen: false };

/** Makes the module of a case and its function. */
function build(name: string, settings: Settings): { module: Module; forward: Forward } {
  const shapeOf = (kind: string, key: string) => tensorsOf(name, kind).get(key)!.shape;
  const single = <M extends Module & { forward(x: tf.Tensor, scope?: NormScope): tf.Tensor }>(module: M) => ({
    module,
    forward: ({ x }: Maps, scope: NormScope) => ({ y: module.forward(x, scope) }),
  });
  switch (settings.kind) {
    case 'batch_norm':
    case 'batch_norm_sequence': {
      const module = new BatchNorm(shapeOf('w', 'weight')[0]);
      const forward: Forward = (inputs, scope) =>
        Object.fromEntries(
          Object.entries(inputs).map(([key, x]) => [key === 'x' ? 'y' : key, module.forward(x, { scope })]),
        );
      return { module, forward };
    }
    case 'stem': {
      const [outChannels, inChannels, temporalKernel] = shapeOf('w', 'conv.weight');
      return single(new PathwayStem({ inChannels, outChannels, temporalKernel }, NORMS));
    }
    case 'video_stem': {
      const shapes = Array.from({ length: settings.pathways }, (_, p) => {
        const [outChannels, inChannels, temporalKernel] = shapeOf('w', `pathway${p}_stem.conv.weight`);
        return { inChannels, outChannels, temporalKernel };
      });
      const module = new VideoStem(shapes, NORMS);
      const forward: Forward = ({ slow, fast }, scope) => {
        const [y0, y1] = module.forward([slow, fast], scope);
        return { y0, y1 };
      };
      return { module, forward };
    }
    case 'max_pool': {
      const { kernel, stride, padding } = settings;
      return {
        module: new Wrapper([]),
        forward: ({ x }) => ({ y: maxPool3d(x, { kernel, stride, padding }) }),
      };
    }
    case 'res_block': {
      const block = {
        inChannels: settings.dim_in,
        outChannels: settings.dim_out,
        innerChannels: settings.dim_inner,
        temporalKernel: settings.temp_kernel_size,
        stride: settings.stride,
        dilation: settings.dilation ?? 1,
        groups: settings.num_groups ?? 1,
        strideIn1x1: settings.stride_1x1 ?? false,
      };
      return single(new ResBlock(block, settings.transform, NORMS));
    }
    case 'fuse': {
      const [, fastChannels, kernel] = shapeOf('w', 'conv_f2s.weight');
      const { alpha, ratio } = settings;
      const module = new FuseFastToSlow({ fastChannels, ratio, kernel, alpha }, NORMS);
      const forward: Forward = ({ slow, fast }, scope) => ({ slow: module.forward([slow, fast], scope)[0] });
      return { module, forward };
    }
    case 'pathway_concat':
      return {
        module: new Wrapper([]),
        forward: ({ slow, fast }) => ({ y: joinPathways(slow, fast, settings.alpha) }),
      };
    case 'nonlocal': {
      const { dim, dim_inner, pool, instantiation } = settings;
      const shape = {
        channels: dim,
        innerChannels: dim_inner,
        pool,
        groups: settings.group ?? 1,
        instantiation,
      };
      return single(new Nonlocal(shape, NORMS));
    }
    case 'res_stage': {
      const module = stageOf(settings);
      const forward: Forward = (inputs, scope) => {
        const maps = module.forward(Object.values(inputs), scope);
        return Object.fromEntries(maps.map((map, i) => [`y${i}`, map]));
      };
      return { module, forward };
    }
    case 'neck_lateral': {
      const [outChannels, inChannels] = shapeOf('w', 'weight');
      return single(makeLaterals([inChannels], outChannels)[0]);
    }
    default:
      return expect.fail(`no layer is a ${settings.kind}`);
  }
}

function stageOf(settings: Settings): Stage {
  const pathways = settings.dim_in.map(
    (inChannels: number, p: number): PathwayShape => ({
      inChannels,
      outChannels: settings.dim_out[p],
      innerChannels: settings.dim_inner[p],
      temporalKernel: settings.temp_kernel_sizes[p][0],
      stride: settings.stride[p],
      dilation: settings.dilation[p],
      groups: settings.num_groups[p],
      numBlocks: settings.num_blocks[p],
      numTemporalBlocks: settings.num_block_temp_kernel[p],
      nonlocal: {
        after: settings.nonlocal_inds[p],
        groups: settings.nonlocal_group[p],
        pool: settings.nonlocal_pool[p],
      },
    }),
  );
  const transform = settings.transform ?? 'bottleneck_transform';
  return new Stage(
    { pathways, transform, strideIn1x1: settings.stride_1x1 ?? false, instantiation: settings.instantiation },
    NORMS,
  );
}

describe.skipIf(!present)('the layers of ResNet backbones', () => {
  const zero = new Set<string>(golden.true_gradient_is_zero);

  function compare(key: string, actual: ArrayLike<number>, tolerance: number): void {
    const expected = tensors.get(key);
    if (!expected) throw new Error(`${key} is not in the file`);
    const noiseMax = golden.noise_floor[key]?.[1] ?? 0;
    expectTensor(key, { actual, expected: expected.data, tolerance, noiseMax, noiseRel: 0 });
  }

  it.each(Object.entries<Settings>(golden.cases))('%s', (name, settings) => {
    const { module, forward } = build(name, settings);
    module.train(settings.training ?? true);
    const state = new Map(module.namedState());
    const weights = tensorsOf(name, 'w');
    expect([...state.keys()].sort()).toEqual([...weights.keys()].sort());
    for (const [key, entry] of state) {
      expect(entry.shape, key).toEqual(weights.get(key)!.shape);
      entry.set(weights.get(key)!.data);
    }
    const inputs = new Map(Array.from(tensorsOf(name, 'in'), ([key, tensor]) => [key, mapOf(tensor)]));
    const upstream = new Map(Array.from(tensorsOf(name, 'gout'), ([key, tensor]) => [key, mapOf(tensor)]));
    const outputs = new Map<string, Float32Array>();
    const named = [...module.namedParameters()];
    const scope: NormScope = { take: (statistics) => track([statistics]) };
    const { value, grads } = backward(() => {
      const found = Object.entries(forward(Object.fromEntries(inputs), scope));
      for (const [key, y] of found) outputs.set(key, numbersOf(y));
      return tf.addN(found.map(([key, y]) => y.mul(upstream.get(key)!).sum())) as tf.Scalar;
    }, [...inputs.values(), ...named.map(([, parameter]) => parameter.value)]);
    for (const [key, y] of outputs) compare(`${name}/out.${key}`, y, FORWARD);
    expect([...outputs.keys()].sort()).toEqual([...tensorsOf(name, 'out').keys()].sort());
    const keys = [...[...inputs.keys()].map((key) => `gin.${key}`), ...named.map(([key]) => `gw.${key}`)];
    for (const [i, key] of keys.entries())
      if (!zero.has(`${name}/${key}`))
        compare(`${name}/${key}`, i < inputs.size ? numbersOf(grads[i]!) : grads[i]!.dataSync(), GRADIENT);
    for (const [key, { data }] of tensorsOf(name, 'after')) {
      const entry = state.get(key);
      if (!(entry instanceof StateBuffer)) return expect.fail(`${key} is no buffer`);
      if (entry.dtype === 'int64') expect(entry.data, key).toEqual(data);
      else compare(`${name}/after.${key}`, entry.data, FORWARD);
    }
    tf.dispose([value, ...grads.map((grad) => grad!), ...inputs.values(), ...upstream.values()]);
    module.dispose();
  });
});
