/** @file The model and the training of small_model.py, made of this package's layers, optimizers and schedules. */
import { loadCheckpoint } from '../../../src/checkpoint/checkpoint_parts.js';
import { tf } from '../../../src/engine/tfjs.js';
import { float32Tensor, type HostTensor, sizeOf, toFloat32 } from '../../../src/formats/host_tensor.js';
import type { PyDict, PyValue } from '../../../src/formats/python/values.js';
import { Block } from '../../../src/model/vit.js';
import { LayerNorm, Linear } from '../../../src/nn/layers.js';
import { type Initializer, Module, Parameter } from '../../../src/nn/module.js';
import { backward } from '../../../src/nn/tape.js';
import {
  type LrSchedule,
  makeLrScheduler,
  makeOptimizer,
  type Optimizer,
} from '../../../src/solver/index.js';
import { solverConfig } from '../../support/solver_fixtures.js';

const [FEATURES, HEADS, DEPTH, RATIO, TOKENS, INPUTS, OUTPUTS] = [8, 2, 2, 2, 5, 6, 3];

/** Every weight comes from a file. */
const unset: Initializer = (data) => data.fill(Number.NaN);

class Embedding extends Module {
  readonly proj = new Linear(INPUTS, FEATURES);
}

class Backbone extends Module {
  readonly pos_embed = new Parameter([1, TOKENS, FEATURES], unset);
  readonly patch_embed = new Embedding();
  readonly blocks = Array.from(
    { length: DEPTH },
    () =>
      new Block({
        dim: FEATURES,
        heads: HEADS,
        mlpRatio: RATIO,
        qkvBias: true,
        qkScale: null,
        initValues: 0,
        drop: 0,
        attnDrop: 0,
        dropPath: 0,
      }),
  );
  readonly norm = new LayerNorm(FEATURES, 1e-6);

  forward(x: tf.Tensor): tf.Tensor {
    const embedded = this.patch_embed.proj.forward(x).add(this.pos_embed.value);
    return this.norm.forward(this.blocks.reduce((tokens, block) => block.forward(tokens), embedded));
  }
}

class SmallModel extends Module {
  readonly backbone = new Backbone();
  readonly head = new Linear(FEATURES, OUTPUTS);

  forward(x: tf.Tensor): tf.Tensor {
    return this.head.forward(this.backbone.forward(x));
  }
}

/** The settings of small_model.py's cases: an epoch is one iteration. */
const COMMON = {
  'ViT.DEPTH': DEPTH,
  'ViT.LAYER_DECAY': 0.75,
  'ViT.WEIGHT_DECAY': 0.05,
  'SOLVER.BASE_LR': 1e-2,
  'SOLVER.WEIGHT_DECAY': 1e-3,
  'SOLVER.ITER_PER_EPOCH': 1,
  'SOLVER.MAX_EPOCH': 8,
};
export const CASES = {
  multi_step: { 'SOLVER.STEPS': [4], 'SOLVER.WARMUP_EPOCH': 2, 'SOLVER.APPLY_LR_SCALE': false },
  cosine: { 'SOLVER.SCHEDULER': 'half_period_cosine', 'SOLVER.WARMUP_EPOCH': 4 },
} as const;
export type Case = keyof typeof CASES;

export class SmallTraining {
  readonly model = new SmallModel();
  readonly optimizer: Optimizer;
  readonly scheduler: LrSchedule;
  iteration = 0;

  constructor(name: Case) {
    const cfg = solverConfig({ ...COMMON, ...CASES[name] });
    this.optimizer = makeOptimizer(cfg, this.model);
    this.scheduler = makeLrScheduler(cfg, this.optimizer);
  }

  /** Takes everything that a checkpoint holds. */
  load(path: string): this {
    const parameters = new Map(this.model.namedParameters());
    const file = loadCheckpoint({ path, transfer: false, noHead: false }, parameters, (name, data) =>
      parameters.get(name)?.set(data),
    );
    if (file.optimizer !== null) this.optimizer.loadStateDict(file.optimizer);
    if (file.scheduler !== null) this.scheduler.loadStateDict(file.scheduler);
    this.iteration = file.iteration ?? 0;
    return this;
  }

  /** Trains to iteration `end` on `data` of <case>_start.pth. Returns the groups' rates in each step, before layer decay. */
  train(end: number, data: PyDict): number[][] {
    const [inputs, targets] = ['inputs', 'targets'].map((key) => data.get(key) as HostTensor);
    const part = (tensor: HostTensor) => {
      const [, ...shape] = tensor.shape;
      const size = sizeOf(shape);
      return tf.tensor(toFloat32(tensor).slice(this.iteration * size, (this.iteration + 1) * size), shape);
    };
    const rates: number[][] = [];
    for (; this.iteration < end; this.iteration++) {
      const parameters = this.model.parameters();
      const { value, grads } = backward(
        () => this.model.forward(part(inputs)).sub(part(targets)).square().mean() as tf.Scalar,
        parameters.map((parameter) => parameter.value),
      );
      value.dispose();
      for (const [i, parameter] of parameters.entries()) parameter.grad = grads[i];
      rates.push(this.optimizer.paramGroups.map(({ lr }) => lr));
      this.optimizer.step();
      this.optimizer.zeroGrad();
      this.scheduler.step();
    }
    return rates;
  }

  /** The contents of a checkpoint. */
  state() {
    const tensors = Array.from(
      this.model.namedParameters(),
      ([name, { shape, value }]) =>
        [name, float32Tensor([...shape], value.dataSync().slice() as Float32Array)] as const,
    );
    return {
      model: new Map<string, HostTensor>(tensors),
      optimizer: this.optimizer.stateDict() as PyValue,
      scheduler: this.scheduler.stateDict() as PyValue,
      iteration: this.iteration,
    };
  }

  dispose(): void {
    this.model.dispose();
    this.optimizer.dispose();
  }
}
