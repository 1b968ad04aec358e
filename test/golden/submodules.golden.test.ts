/** @file Every part of the model and the loss against PyTorch's values and gradients. */
import { describe, expect, it } from 'vitest';
import { tf } from '../../src/engine/tfjs.js';
import { type Prediction, SetCriterion } from '../../src/loss/criterion.js';
import { generalizedIouGradient, iouAndUnion } from '../../src/loss/overlap.js';
import { decodeBoxes, intersectionOverFirst, refineBoxes } from '../../src/model/boxes.js';
import { clipBox } from '../../src/model/inference.js';
import { AdaptiveMixing } from '../../src/model/mixing.js';
import { makeNeckLevel, NECK_LEVELS } from '../../src/model/neck.js';
import { resizePositions, sinusoidTable } from '../../src/model/position.js';
import { initialQueries, positionEmbedding } from '../../src/model/queries.js';
import { levelWeights, makeFeatureTable, makeSamplePoints, samplePoints } from '../../src/model/sampling.js';
import { DecoderStage, FeedForward, ResidualAttention } from '../../src/model/stage.js';
import { Block, PatchEmbed } from '../../src/model/vit.js';
import type { Module } from '../../src/nn/module.js';
import {
  expectClose,
  FORWARD,
  type Golden,
  GRADIENT,
  goldenExists,
  goldenJson,
  goldenTensors,
} from './golden.js';

// biome-ignore lint/suspicious/noExplicitAny: each kind has its own settings
type Settings = any;

const present = goldenExists('submodules.json');
const { cases, noise_floor: noiseFloor } = present
  ? goldenJson('submodules.json')
  : { cases: {}, noise_floor: {} };
const tensors = present ? goldenTensors('submodules.safetensors') : new Map<string, Golden>();

/** The settings and tensors of one case. Keys of tensors do not repeat the name of the case. */
class Case {
  constructor(
    readonly name: string,
    readonly settings: Settings,
  ) {}

  has(key: string): boolean {
    return tensors.has(`${this.name}/${key}`);
  }

  raw(key: string): Golden {
    const tensor = tensors.get(`${this.name}/${key}`);
    if (!tensor) throw new Error(`${this.name}/${key} is not in the file`);
    return tensor;
  }

  get(key: string): tf.Tensor {
    const { shape, data } = this.raw(key);
    return tf.tensor(data, shape);
  }

  names(prefix: string): string[] {
    const start = `${this.name}/${prefix}`;
    return [...tensors.keys()].filter((key) => key.startsWith(start)).map((key) => key.slice(start.length));
  }

  /** Number of linear layers under a prefix: their weights are matrices, those of norms are vectors. */
  countLinear(prefix: string): number {
    const weights = this.names(prefix).filter((name) => name.endsWith('weight'));
    return weights.filter((name) => this.raw(`${prefix}${name}`).shape.length === 2).length;
  }

  compare(key: string, actual: tf.Tensor, tolerance: number): void {
    const expected = this.raw(key);
    expect(actual.size, `${this.name}/${key} shape ${actual.shape} for ${expected.shape}`).toBe(
      expected.data.length,
    );
    expectClose(
      actual.dataSync(),
      expected.data,
      tolerance,
      `${this.name}/${key}`,
      noiseFloor[`${this.name}/${key}`],
    );
  }

  /** Loads `w.*` into the module; every parameter must have its weight and vice versa. */
  load<M extends Module>(module: M): M {
    const parameters = new Map(module.namedParameters());
    expect([...parameters.keys()].sort()).toEqual(this.names('w.').sort());
    for (const [name, parameter] of parameters) {
      const { shape, data } = this.raw(`w.${name}`);
      expect(parameter.shape, name).toEqual(shape);
      parameter.set(data);
    }
    return module;
  }

  /**
   * Runs `f` on the inputs (in.<name>) and compares its outputs, the gradients of the inputs and those of the module's
   * weights, given the upstream gradients gout.<output>.
   */
  check(
    inputs: string[],
    f: (inputs: Record<string, tf.Tensor>) => Record<string, tf.Tensor>,
    module?: Module,
  ): void {
    const values = Object.fromEntries(inputs.map((name) => [name, this.get(`in.${name}`)]));
    const outputs = f(values);
    for (const [name, output] of Object.entries(outputs)) this.compare(`out.${name}`, output, FORWARD);
    const upstream = new Map(this.names('gout.').map((name) => [name, this.get(`gout.${name}`)]));
    if (upstream.size === 0) return;

    const weights = module ? [...module.namedParameters()] : [];
    const xs = [...inputs.map((name) => values[name]), ...weights.map(([, p]) => p.value)];
    const { grads } = tf.engine().gradients(
      () => {
        const terms = Object.entries(f(values))
          .filter(([name]) => upstream.has(name))
          .map(([name, y]) =>
            y
              .reshape([-1])
              .mul(upstream.get(name)!.reshape([-1]))
              .sum(),
          );
        return tf.addN(terms) as tf.Scalar;
      },
      xs,
      undefined,
      true,
    );
    const keys = [...inputs.map((name) => `gin.${name}`), ...weights.map(([name]) => `gw.${name}`)];
    const expected = keys.filter((key) => this.has(key));
    expect(expected.length, 'gradients to compare').toBe(
      this.names('gin.').length + this.names('gw.').length,
    );
    for (const key of expected) {
      const i = keys.indexOf(key);
      this.compare(key, (grads[i] as tf.Tensor | undefined) ?? tf.zerosLike(xs[i]), GRADIENT);
    }
  }
}

/** [B, C, T, H, W] of PyTorch to [B, T, H, W, C], and back. */
const toLast = (x: tf.Tensor) => x.transpose([0, 2, 3, 4, 1]);
const toFirst = (x: tf.Tensor) => x.transpose([0, 4, 1, 2, 3]);

const kinds: Record<string, (c: Case, s: Settings) => void> = {
  sinusoid(c, s) {
    if (!s.samples) return c.compare('out.y', tf.tensor(sinusoidTable(s.n_position, s.d_hid)), FORWARD);
    const [positions, features] = c.name
      .match(/(\d+)x(\d+)$/)!
      .slice(1)
      .map(Number);
    const table = sinusoidTable(positions, features);
    for (const [p, j, value] of s.samples) expect(table[p * features + j]).toBeCloseTo(value, 6);
    expect(table.reduce((sum, x) => sum + x, 0) / s.sum).toBeCloseTo(1, 6);
    expect(table.reduce((sum, x) => sum + Math.abs(x), 0) / s.abssum).toBeCloseTo(1, 6);
  },
  posinterp(c, s) {
    c.check(['pos_embed'], ({ pos_embed }) => {
      const [, rows, C] = pos_embed.shape;
      return { y: resizePositions(pos_embed.reshape([rows, C]), s.grid, s.size[0], s.size[1]) };
    });
  },
  patch_embed(c, s) {
    const [out, channels] = c.raw('w.proj.weight').shape;
    const module = c.load(new PatchEmbed(channels, out, s.tubelet, s.patch));
    c.check(['x'], ({ x }) => ({ y: toFirst(module.forward(toLast(x))) }), module);
  },
  vit_block(c, s) {
    const block = new Block({
      dim: s.dim,
      heads: s.heads,
      mlpRatio: s.mlp_ratio,
      qkvBias: s.qkv_bias,
      qkScale: s.qk_scale ?? null,
      initValues: s.layer_scale ? 1 : 0,
      drop: 0,
      attnDrop: 0,
      dropPath: 0,
    });
    c.check(['x'], ({ x }) => ({ y: block.forward(x) }), c.load(block));
  },
  neck_level(c, s) {
    const [, channels] = c.raw('in.x').shape;
    const level = c.load(makeNeckLevel(s.scale, channels, c.raw('out.y').shape[1]));
    c.check(['x'], ({ x }) => ({ y: toFirst(level.forward(toLast(x))) }), level);
  },
  sample4d(c, s) {
    const maps = c.names('in.feat').sort();
    c.check(['points', ...maps.map((i) => `feat${i}`)], ({ points, ...features }) => {
      const [B, Q] = points.shape;
      const G = s.n_heads;
      const table = makeFeatureTable(
        maps.map((i) => toLast(features[`feat${i}`])),
        s.strides,
        G,
      );
      const samples = samplePoints(table, points.reshape([B, Q, G * s.n_points, 3]));
      const [, P, T, D] = samples.shape;
      return { y: samples.reshape([B, Q, G, P, T, D]).transpose([0, 5, 2, 4, 3, 1]) };
    });
  },
  make_sample_points(c) {
    c.check(['offset', 'xyzr'], ({ offset, xyzr }) => ({ y: makeSamplePoints(offset, xyzr) }));
  },
  level_weights(c, s) {
    c.check(['lvl'], ({ lvl }) => ({
      y: levelWeights(lvl.reshape([-1, 1]), s.levels).reshape([...lvl.shape, s.levels]),
    }));
  },
  adaptive_mixing(c, s) {
    const module = c.load(new AdaptiveMixing(s.dim, s.in_points, s.out_points, s.n_groups));
    c.check(
      ['x', 'q'],
      ({ x, q }) => ({ y: module.forward(x.reshape([-1, ...x.shape.slice(3)]), q) }),
      module,
    );
  },
  position_embedding(c, s) {
    c.compare('out.y', positionEmbedding(c.get('in.xyzr'), s.num_feats), FORWARD);
  },
  decode_box(c) {
    c.check(['xyzr'], ({ xyzr }) => ({ y: decodeBoxes(xyzr) }));
  },
  refine_xyzr(c) {
    c.check(['xyzr', 'delta'], ({ xyzr, delta }) => {
      const refined = refineBoxes(xyzr, delta);
      return { xyzr: refined, boxes: decodeBoxes(refined) };
    });
  },
  bbox_overlaps_iof(c) {
    const [a, b] = [c.get('in.a'), c.get('in.b')];
    const iof = intersectionOverFirst(a, b);
    c.compare('out.iof', iof, FORWARD);
    c.compare('out.log', iof.add(1e-7).log(), FORWARD);
    const [p, q] = [c.raw('in.a'), c.raw('in.b')];
    const [B, N] = p.shape;
    const M = q.shape[1];
    const pairs = Array.from({ length: B * N * M }, (_, n) => {
      const [clip, i, j] = [Math.floor(n / (N * M)), Math.floor(n / M) % N, n % M];
      return iouAndUnion(p.data, 4 * (clip * N + i), q.data, 4 * (clip * M + j)).iou;
    });
    c.compare('out.iou', tf.tensor(pairs), FORWARD);
  },
  giou(c) {
    // Our function returns the gradient of its first box only. A second call with the boxes exchanged gives the other.
    const [a, b] = [c.raw('in.a'), c.raw('in.b')];
    const [N, M] = [a.shape[0], b.shape[0]];
    const upstream = c.raw('gout.y').data;
    const values = new Float32Array(N * M);
    const [da, db] = [new Float32Array(a.data.length), new Float32Array(b.data.length)];
    for (let n = 0; n < N; n++) {
      for (let m = 0; m < M; m++) {
        const [first, second] = [
          generalizedIouGradient(a.data, 4 * n, b.data, 4 * m),
          generalizedIouGradient(b.data, 4 * m, a.data, 4 * n),
        ];
        values[n * M + m] = first.value;
        expect(second.value).toBeCloseTo(first.value, 12);
        for (let k = 0; k < 4; k++) {
          da[4 * n + k] += upstream[n * M + m] * first.gradient[k];
          db[4 * m + k] += upstream[n * M + m] * second.gradient[k];
        }
      }
    }
    c.compare('out.y', tf.tensor(values), FORWARD);
    c.compare('gin.a', tf.tensor(da), GRADIENT);
    c.compare('gin.b', tf.tensor(db), GRADIENT);
  },
  clip_boxes(c, s) {
    const { data } = c.raw('in.a');
    const clipped = Array.from({ length: data.length / 4 }, (_, i) =>
      clipBox(data.subarray(4 * i, 4 * i + 4), s.width, s.height),
    );
    c.compare('out.y', tf.tensor(clipped.flat()), FORWARD);
  },
  mha(c, s) {
    const [, , C] = c.raw('in.x').shape;
    const module = c.load(new ResidualAttention(C, s.heads));
    c.check(
      ['x', 'mask'],
      ({ x, mask }) => ({ y: module.forward(x.transpose([1, 0, 2]), mask).transpose([1, 0, 2]) }),
      module,
    );
  },
  ffn(c) {
    const [hidden, dim] = c.raw('w.layers.0.0.weight').shape;
    const module = c.load(new FeedForward(dim, hidden, c.countLinear('w.layers.')));
    c.check(['x'], ({ x }) => ({ y: module.forward(x) }), module);
  },
  amstage(c, s) {
    const stage = c.load(
      new DecoderStage({
        HIDDEN_DIM: s.query_dim,
        NUM_HEADS: s.num_heads,
        DIM_FEEDFORWARD: s.feedforward_channels,
        NUM_FCS: c.countLinear('w.ffn_s.layers.'),
        NUM_CLS: c.countLinear('w.human_cls_fcs.'),
        NUM_REG: c.countLinear('w.reg_fcs.'),
        NUM_ACT: c.countLinear('w.action_cls_fcs.'),
        DROPOUT: 0,
        SPATIAL_POINTS: s.spatial_points,
        TEMPORAL_POINTS: s.temporal_points,
        OUT_MULTIPLIER: s.out_multiplier,
        N_GROUPS: s.n_groups,
        OBJECT_CLASSES: s.num_classes_object,
        ACTION_CLASSES: s.num_classes_action,
      } as ConstructorParameters<typeof DecoderStage>[0]),
    );
    const maps = c.names('in.feat').sort();
    c.check(
      [...maps.map((i) => `feat${i}`), 'xyzr', 'sq', 'tq'],
      ({ xyzr, sq, tq, ...features }) => {
        const table = makeFeatureTable(
          maps.map((i) => toLast(features[`feat${i}`])),
          NECK_LEVELS.map((level) => level.stride),
          s.n_groups,
        );
        const { logits, actions, delta, spatial, temporal } = stage.forward(table, {
          xyzr,
          spatial: sq,
          temporal: tq,
        });
        return { cls: logits, action: actions, delta, sq: spatial, tq: temporal };
      },
      stage,
    );
  },
  criterion(c, s) {
    const stages = Array.from({ length: s.num_stages }, (_, i) => i);
    const whwh = c.raw('in.whwh').data;
    const targets = s.gt_counts.map((_: number, b: number) => ({
      boxes: c.raw(`in.tgt_boxes${b}`).data,
      labels: c.raw(`in.tgt_labels${b}`).data,
      whwh: whwh.subarray(4 * b, 4 * b + 4),
    }));
    const criterion = new SetCriterion({
      OBJECT_CLASSES: c.raw('in.logits0').shape.at(-1)! - 1,
      OBJECT_WEIGHT: s.weights.ce,
      L1_WEIGHT: s.weights.bbox,
      GIOU_WEIGHT: s.weights.giou,
      ACTION_WEIGHT: s.weights.bce,
      BACKGROUND_WEIGHT: s.weights.eos,
      INTERMEDIATE_SUPERVISION: s.loss_key_order.includes('loss_ce_0'),
    } as ConstructorParameters<typeof SetCriterion>[0]);
    c.check(
      stages.flatMap((i) => [`logits${i}`, `boxes${i}`, `actions${i}`]),
      (inputs) => {
        const predictions: Prediction[] = stages.map((i) => ({
          logits: inputs[`logits${i}`],
          boxes: inputs[`boxes${i}`],
          actions: inputs[`actions${i}`],
        }));
        const { terms, loss, matches } = criterion.losses(predictions, targets);
        expect([...terms.keys()]).toEqual(s.loss_key_order);
        for (const i of stages) {
          const expected = s.matching[`stage${i}`].map(({ pred, gt }: { pred: number[]; gt: number[] }) =>
            pred.map((query, n) => ({ query, target: gt[n] })),
          );
          expect(matches[i]).toEqual(expected);
        }
        const raw = [...terms].map(([name, term]) => {
          const kind = name.replace(/_\d+$/, '') as keyof typeof criterion.weights;
          return [`raw.${name}`, tf.scalar(term / criterion.weights[kind])];
        });
        return { ...Object.fromEntries(raw), total: loss };
      },
    );
  },
  init_queries(c) {
    const { xyzr, spatial, temporal } = initialQueries(
      c.get('in.whwh'),
      c.get('w.spatial'),
      c.get('w.temporal'),
    );
    c.compare('out.xyzr', xyzr, FORWARD);
    c.compare('out.spatial', spatial, FORWARD);
    c.compare('out.temporal', temporal, FORWARD);
  },
};

describe.skipIf(!present)('the parts of the model and of the loss', () => {
  it.each(Object.entries(cases as Record<string, Settings>))(
    'give the values and gradients of PyTorch: %s',
    (name, settings) => {
      const run = kinds[settings.kind];
      expect(run, `a comparison for kind ${settings.kind}`).toBeDefined();
      tf.tidy(() => run(new Case(name, settings), settings));
    },
  );
});
