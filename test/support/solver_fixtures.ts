/** @file Solver settings, parameters and Python values for tests. */
import * as tf from '@tensorflow/tfjs';
import { isHostTensor, toFloat32 } from '../../src/formats/host_tensor.js';
import { PyFloat, PyTuple, type PyValue } from '../../src/formats/python/values.js';
import { Parameter } from '../../src/nn/module.js';
import type { DetectorParameters } from '../../src/solver/make_optimizer.js';
import type { ParameterSource } from '../../src/solver/param_groups.js';
import type { SolverConfig } from '../../src/solver/solver_config.js';

/** The solver's part of my_VMAEv2-ViTB-16x4.yaml, with changes like `{ 'SOLVER.GAMMA': 0.5 }`. */
export function solverConfig(changes: Record<string, unknown> = {}): SolverConfig {
  const cfg: SolverConfig = {
    MODEL: { BACKBONE: { CONV_BODY: 'MAE-ViT-B' } },
    ViT: { DEPTH: 12, LAYER_DECAY: 1, WEIGHT_DECAY: 1e-4, NO_WEIGHT_DECAY: ['pos_embed'] },
    SOLVER: {
      ITER_PER_EPOCH: 23048,
      MAX_EPOCH: 12,
      BASE_LR: 1e-5,
      BETAS: [0.9, 0.999],
      WEIGHT_DECAY: 1e-4,
      WEIGHT_DECAY_BN: 0,
      OPTIMIZING_METHOD: 'adamw',
      MOMENTUM: 0.9,
      DAMPENING: 0,
      NESTEROV: true,
      APPLY_LR_SCALE: true,
      SCHEDULER: 'warmup_multi_step',
      GAMMA: 0.1,
      STEPS: [5, 8],
      WARMUP_ON: true,
      WARMUP_FACTOR: 0.1,
      WARMUP_EPOCH: 2,
      WARMUP_METHOD: 'linear',
    },
  };
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split('.');
    const last = keys.pop()!;
    let section = cfg as unknown as Record<string, Record<string, unknown>>;
    for (const key of keys) {
      section[key] ??= {};
      section = section[key] as typeof section;
    }
    (section as Record<string, unknown>)[last] = value;
  }
  return cfg;
}

/** A parameter without a value on the engine. */
export function bareParameter(shape: readonly number[]): Parameter {
  return new Parameter(shape, (data) => data.fill(0));
}

export function parameterOf(
  values: ArrayLike<number>,
  shape: readonly number[] = [values.length],
): Parameter {
  const parameter = bareParameter(shape);
  parameter.set(Float32Array.from(values));
  return parameter;
}

/** Gives a parameter its gradient, or none. */
export function setGrad(parameter: Parameter, values: ArrayLike<number> | null): void {
  parameter.grad?.dispose();
  parameter.grad = values && tf.tensor(Float32Array.from(values), [...parameter.shape], 'float32');
}

/** A model that is nothing but names and parameters, in this order. */
export function fakeModel(parameters: Iterable<[string, Parameter]>): DetectorParameters {
  const all = [...parameters];
  const source = (entries: [string, Parameter][]): ParameterSource => ({ namedParameters: () => entries });
  const prefix = 'backbone.';
  const inBackbone = all.filter(([name]) => name.startsWith(prefix));
  return {
    ...source(all),
    backbone: source(inBackbone.map(([name, parameter]) => [name.slice(prefix.length), parameter])),
  };
}

/** Python values as plain JSON-like ones; tensors as `{ shape, values }`. */
export function plain(value: PyValue): unknown {
  if (value instanceof PyFloat) return value.value;
  if (value instanceof PyTuple) return value.items.map(plain);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return Object.fromEntries(Array.from(value, ([k, v]) => [String(k), plain(v)]));
  if (isHostTensor(value)) return { shape: [...value.shape], values: [...toFloat32(value)] };
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v as PyValue)]));
  }
  return value;
}
