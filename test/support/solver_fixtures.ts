/** @file Solver settings, parameters and Python values for tests. */
import { defaultConfig } from '../../src/config/index.js';
import { tf } from '../../src/engine/tfjs.js';
import { isHostTensor, toFloat32 } from '../../src/formats/host_tensor.js';
import { PyFloat, PyTuple, type PyValue } from '../../src/formats/python/values.js';
import { Parameter } from '../../src/nn/module.js';
import type { DetectorParameters } from '../../src/solver/make_optimizer.js';
import type { ParameterSource } from '../../src/solver/param_groups.js';
import type { SolverConfig } from '../../src/solver/solver_config.js';

/** Settings of my_VMAEv2-ViTB-16x4.yaml that matter to the solver. */
const SETTINGS = {
  'MODEL.BACKBONE.CONV_BODY': 'MAE-ViT-B',
  'ViT.DEPTH': 12,
  'ViT.LAYER_DECAY': 1,
  'ViT.WEIGHT_DECAY': 1e-4,
  'ViT.NO_WEIGHT_DECAY': ['pos_embed'],
  'SOLVER.ITER_PER_EPOCH': 23048,
  'SOLVER.MAX_EPOCH': 12,
  'SOLVER.BASE_LR': 1e-5,
  'SOLVER.WEIGHT_DECAY': 1e-4,
  'SOLVER.WEIGHT_DECAY_BN': 0,
  'SOLVER.OPTIMIZING_METHOD': 'adamw',
  'SOLVER.MOMENTUM': 0.9,
  'SOLVER.DAMPENING': 0,
  'SOLVER.NESTEROV': true,
  'SOLVER.SCHEDULER': 'warmup_multi_step',
  'SOLVER.GAMMA': 0.1,
  'SOLVER.STEPS': [5, 8],
  'SOLVER.WARMUP_ON': true,
  'SOLVER.WARMUP_FACTOR': 0.1,
  'SOLVER.WARMUP_EPOCH': 2,
  'SOLVER.WARMUP_METHOD': 'linear',
};

/** Those settings with changes like `{ 'SOLVER.GAMMA': 0.5 }`, which need not be valid. */
export function solverConfig(changes: Record<string, unknown> = {}): SolverConfig {
  const cfg = defaultConfig();
  for (const [path, value] of Object.entries({ ...SETTINGS, ...changes })) {
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
