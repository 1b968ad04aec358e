/** @file Batch normalisation of maps [B, T, H, W, C] (torch.nn.BatchNorm3d), alone and after a convolution. */
import { feed } from '../engine/programs.js';
import { tf } from '../engine/tfjs.js';
import { type Conv3dOptions, conv3d } from './conv3d.js';
import { reluGrad, sumAxisByAxis, sumOfRows, withResidual } from './functional.js';
import { fused } from './fused.js';
import { ones, zeros } from './init.js';
import { Module, Parameter, StateBuffer } from './module.js';
import { differentiable } from './tape.js';

const EPS = 1e-5;
/** Weight of a new batch in the running statistics. */
const MOMENTUM = 0.1;

/** Statistics of one batch, for the running statistics of a norm. */
export interface BatchStatistics {
  readonly norm: BatchNorm;
  /** [C] */
  readonly mean: tf.Tensor;
  /** Biased, [C]. */
  readonly variance: tf.Tensor;
  /** Number of positions. */
  readonly count: number;
}

/** Puts together what the norms of several processes compute, each from its part of a batch. All must call it in the same order. */
export interface NormExchange {
  /**
   * Takes the means and biased variances [2·C] of `count` positions. Returns those of all processes, and the reciprocal of their
   * number of positions for each channel: [3·C].
   */
  moments(norm: BatchNorm, own: Float32Array, count: number): Float32Array;
  /** Returns the sums of the numbers of all processes. */
  sums(own: Float32Array): Float32Array;
}

/** The step that the norms in training mode are a part of. */
export interface NormScope {
  /** Takes the statistics of a batch. The tensors are kept: the receiver disposes them. Not called if there is an exchange. */
  take(statistics: BatchStatistics): void;
  /** Present if several processes share the batch. */
  readonly exchange?: NormExchange | null;
}

interface NormOptions {
  readonly residual?: tf.Tensor;
  readonly relu?: boolean;
  readonly scope?: NormScope;
}

/**
 * Normalises each channel: in training mode with the statistics of the batch, in evaluation mode, or if it is frozen, with the
 * running ones. Its weight and bias are trained in any case.
 */
export class BatchNorm extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly running_mean: StateBuffer;
  readonly running_var: StateBuffer;
  readonly num_batches_tracked: StateBuffer;

  constructor(
    channels: number,
    readonly options: { readonly frozen?: boolean } = {},
  ) {
    super();
    this.weight = new Parameter([channels], ones);
    this.bias = new Parameter([channels], zeros);
    this.running_mean = new StateBuffer([channels], 0);
    this.running_var = new StateBuffer([channels], 1);
    this.num_batches_tracked = new StateBuffer([], 0, 'int64');
  }

  override buffersInUse(): StateBuffer[] {
    return this.usesBatch ? [] : [this.running_mean, this.running_var];
  }

  /** Whether the statistics are those of the batch. */
  get usesBatch(): boolean {
    return this.training && !this.options.frozen;
  }

  /** Normalises a map, adds `residual`, and ends with a ReLU, if wanted. */
  forward(x: tf.Tensor, { residual, relu = false, scope }: NormOptions = {}): tf.Tensor {
    if (!this.usesBatch) {
      const { scale, shift } = this.#affine();
      return withResidual(x.mul(scale).add(shift), { residual, relu });
    }
    const positions = x.size / x.shape[x.rank - 1];
    if (positions === 1 && !scope?.exchange)
      throw new Error('batch normalisation needs more than one value for each channel');
    if (scope?.exchange) return syncBatchNorm(x, this, { residual, relu, exchange: scope.exchange });
    return batchNorm(x, this.weight.value, this.bias.value, {
      residual,
      relu,
      onStatistics: (mean, variance) =>
        scope?.take({
          norm: this,
          mean: tf.keep(mean.clone()),
          variance: tf.keep(variance.clone()),
          count: positions,
        }),
    });
  }

  /** Convolves and normalises. With running statistics the norm is folded into the convolution, which saves a pass. */
  after(
    x: tf.Tensor,
    weight: tf.Tensor,
    { residual, relu, scope, ...geometry }: NormOptions & Omit<Conv3dOptions, 'bias'>,
  ): tf.Tensor {
    if (this.usesBatch) return this.forward(conv3d(x, weight, geometry), { residual, relu, scope });
    const { scale, shift } = this.#affine();
    const folded = weight.mul(scale.reshape([-1, 1, 1, 1, 1]));
    return conv3d(x, folded, { ...geometry, residual, relu, bias: shift });
  }

  /** y = x·scale + shift, with the running statistics. */
  #affine(): { scale: tf.Tensor; shift: tf.Tensor } {
    const scale = this.weight.value.mul(this.running_var.value.add(EPS).rsqrt());
    return { scale, shift: this.bias.value.sub(this.running_mean.value.mul(scale)) };
  }

  /** Takes a batch into the running statistics. `variance` is the biased one. */
  track(mean: Float32Array, variance: Float32Array, count: number): void {
    const unbiased = count / (count - 1);
    const mix = (old: number, now: number) => (1 - MOMENTUM) * old + MOMENTUM * now;
    this.running_mean.update((old, c) => mix(old, mean[c]));
    this.running_var.update((old, c) => mix(old, variance[c] * unbiased));
    this.num_batches_tracked.update((old) => old + 1);
  }
}

interface Options extends Pick<NormOptions, 'residual' | 'relu'> {
  onStatistics?(mean: tf.Tensor, variance: tf.Tensor): void;
}

/** Normalises each channel with the statistics of the batch; weight and bias [C]. Adds `residual`, and ends with a ReLU, if wanted. */
export function batchNorm(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias: tf.Tensor,
  { residual, relu = false, onStatistics }: Options = {},
): tf.Tensor {
  return differentiable(
    residual ? [x, weight, bias, residual] : [x, weight, bias],
    (save) => {
      const inputs = { x, weight, bias, residual };
      const [y, mean, variance] = fused('BatchNorm', inputs, { eps: EPS, relu }, () => {
        const count = x.size / weight.size;
        const mean = sumAxisByAxis(x).div(count);
        const centred = x.sub(mean);
        const variance = sumAxisByAxis(centred.square()).div(count);
        const normal = centred.mul(variance.add(EPS).rsqrt());
        return [withResidual(normal.mul(weight).add(bias), { residual, relu }), mean, variance];
      });
      onStatistics?.(mean, variance);
      save(relu ? [x, weight, mean, variance, y] : [x, weight, mean, variance]);
      return y;
    },
    (dy, [input, w, mean, variance, y]) => {
      // The residual gets the gradient after the ReLU, too; without one, the kernel applies the ReLU's on the way.
      const dz = relu && residual ? reluGrad(dy, y) : dy;
      const positive = relu && !residual ? y : undefined;
      const inputs = { dy: dz, x: input, weight: w, mean, variance, y: positive };
      const grads = fused('BatchNormGrad', inputs, { eps: EPS }, () => {
        const slope = positive ? reluGrad(dz, positive) : dz;
        const rstd = variance.add(EPS).rsqrt();
        const normal = input.sub(mean).mul(rstd);
        const dbias = sumAxisByAxis(slope);
        const dweight = sumAxisByAxis(slope.mul(normal));
        const count = slope.size / w.size;
        const dx = slope
          .sub(dbias.div(count))
          .sub(normal.mul(dweight.div(count)))
          .mul(w.mul(rstd));
        return [dx, dweight, dbias];
      });
      return residual ? [...grads, dz] : [...grads];
    },
  );
}

interface SyncOptions extends Pick<NormOptions, 'residual' | 'relu'> {
  readonly exchange: NormExchange;
}

/** Does what `batchNorm` does, with the statistics of all processes that share a batch (torch.nn.SyncBatchNorm). */
function syncBatchNorm(x: tf.Tensor, norm: BatchNorm, { residual, relu, exchange }: SyncOptions): tf.Tensor {
  const [weight, bias] = [norm.weight.value, norm.bias.value];
  const { size: C } = weight;
  const rows = (numbers: Float32Array) => tf.unstack(feed(numbers, [numbers.length / C, C]));
  return differentiable(
    residual ? [x, weight, bias, residual] : [x, weight, bias],
    (save) => {
      const count = x.size / C;
      const ownMean = sumOfRows(x).div(count);
      const own = tf.concat([ownMean, sumOfRows(x.sub(ownMean).square()).div(count)]);
      const [mean, variance, share] = rows(exchange.moments(norm, own.dataSync() as Float32Array, count));
      const rstd = variance.add(EPS).rsqrt();
      const y = withResidual(x.sub(mean).mul(rstd.mul(weight)).add(bias), { residual, relu });
      save([x, weight, mean, rstd, share, ...(relu ? [y] : [])]);
      return y;
    },
    (dy, [input, w, mean, rstd, share, y]) => {
      const slope = relu ? reluGrad(dy, y) : dy;
      const normal = input.sub(mean).mul(rstd);
      // The gradients of weight and bias are those of this process, which are added to the others' like all gradients.
      const [dweight, dbias] = [sumOfRows(slope.mul(normal)), sumOfRows(slope)];
      const own = tf.concat([dweight, dbias]).dataSync() as Float32Array;
      const [allWeight, allBias] = rows(exchange.sums(own));
      const dx = slope.sub(allBias.add(normal.mul(allWeight)).mul(share)).mul(w.mul(rstd));
      return [dx, dweight, dbias, ...(residual ? [slope] : [])];
    },
  );
}
