/** @file The optimizer that a configuration asks for, with its parameter groups. */
import { ConfigError } from '../errors.js';
import { pythonFloat, pythonFloatList, pythonStringSet } from '../formats/python/text.js';
import { ADAM_EPS, Adam } from './adam.js';
import { AdamW } from './adamw.js';
import { LayerDecayValueAssigner } from './layer_decay.js';
import type { Optimizer } from './optimizer.js';
import { getParameterGroups, type ParameterGroup, type ParameterSource } from './param_groups.js';
import { SGD } from './sgd.js';
import { hasVitBackbone, type SolverConfig, usesLayerDecay } from './solver_config.js';

/** Known values of SOLVER.OPTIMIZING_METHOD, in any letter case. */
export const OPTIMIZING_METHODS = ['sgd', 'adam', 'adamw'] as const;

/** A model as the solver sees it: all its parameters, and those of its backbone. */
export interface DetectorParameters extends ParameterSource {
  readonly backbone: ParameterSource;
}

export type LogLine = (line: string) => void;

const BACKBONE_PREFIX = 'backbone.';

/**
 * The optimizer of SOLVER.OPTIMIZING_METHOD over all parameters that need a gradient. The parameters need no values
 * yet. What the groups are made of goes to `log`.
 */
export function makeOptimizer(
  cfg: SolverConfig,
  model: DetectorParameters,
  log: LogLine = () => {},
): Optimizer {
  const groups = hasVitBackbone(cfg) ? vitGroups(cfg, model, log) : batchNormGroups(cfg, model);
  const { BASE_LR, BETAS, WEIGHT_DECAY, MOMENTUM, DAMPENING, NESTEROV } = cfg.SOLVER;
  const { OPTIMIZING_METHOD, APPLY_LR_SCALE } = cfg.SOLVER;
  const common = { lr: BASE_LR, weight_decay: WEIGHT_DECAY };
  const adam = { ...common, betas: [BETAS[0], BETAS[1]] as const, eps: ADAM_EPS };
  switch (OPTIMIZING_METHOD.toLowerCase()) {
    case 'sgd':
      return new SGD(
        groups,
        { ...common, momentum: MOMENTUM, dampening: DAMPENING, nesterov: NESTEROV },
        APPLY_LR_SCALE,
      );
    case 'adam':
      return new Adam(groups, adam, APPLY_LR_SCALE);
    case 'adamw':
      return new AdamW(groups, adam, APPLY_LR_SCALE);
    default:
      throw new ConfigError(
        `SOLVER.OPTIMIZING_METHOD: expected ${OPTIMIZING_METHODS.join(', ')} in any letter case, ` +
          `found "${OPTIMIZING_METHOD}"`,
      );
  }
}

/** Factors of the learning rate by layer of the backbone, or null without layer decay. */
export function layerScalesOf(cfg: SolverConfig): readonly number[] | null {
  return usesLayerDecay(cfg) ? LayerDecayValueAssigner.fromConfig(cfg).values : null;
}

/** The backbone's groups, then `rest`: every parameter without `backbone` in its name, biases and norms included. */
function vitGroups(cfg: SolverConfig, model: DetectorParameters, log: LogLine): ParameterGroup[] {
  const assigner = usesLayerDecay(cfg) ? LayerDecayValueAssigner.fromConfig(cfg) : null;
  if (assigner) log(`Assigned values = ${pythonFloatList(assigner.values)}`);
  const skipList = new Set(cfg.ViT.NO_WEIGHT_DECAY);
  log(`Skip weight decay list: ${pythonStringSet(skipList)}`);
  const backboneGroups = getParameterGroups(model.backbone, {
    weightDecay: cfg.ViT.WEIGHT_DECAY,
    skipList,
    ...(assigner && {
      getNumLayer: (name: string) => assigner.getLayerId(name),
      getLayerScale: (layerId: number) => assigner.getScale(layerId),
    }),
    prefix: BACKBONE_PREFIX,
  });
  log(`Param groups = ${describeGroups(backboneGroups)}`);
  const rest: ParameterGroup = { name: 'rest', params: [] };
  for (const [name, parameter] of model.namedParameters()) {
    if (parameter.requiresGrad && !name.includes('backbone')) rest.params.push({ name, parameter });
  }
  return [...backboneGroups, rest];
}

/** Groups for a convolutional backbone: its batch norms, then everything else. */
function batchNormGroups(cfg: SolverConfig, model: ParameterSource): ParameterGroup[] {
  const norms: ParameterGroup = { name: 'backbone_bn', params: [], weight_decay: cfg.SOLVER.WEIGHT_DECAY_BN };
  const rest: ParameterGroup = { name: 'rest', params: [], weight_decay: cfg.SOLVER.WEIGHT_DECAY };
  for (const [name, parameter] of model.namedParameters()) {
    if (!parameter.requiresGrad) continue;
    const group = name.includes('backbone') && name.includes('bn') ? norms : rest;
    group.params.push({ name, parameter });
  }
  return [norms, rest];
}

/** The groups in the layout of the official code's print-out, names relative to the backbone. */
function describeGroups(groups: ReturnType<typeof getParameterGroups>): string {
  const entries = groups.map(({ name, weight_decay, params, lr_scale }) => {
    const names = params.map((param) => `      ${JSON.stringify(param.name.slice(BACKBONE_PREFIX.length))}`);
    return [
      `  ${JSON.stringify(name)}: {`,
      `    "weight_decay": ${pythonFloat(weight_decay)},`,
      `    "params": [\n${names.join(',\n')}\n    ],`,
      `    "lr_scale": ${pythonFloat(lr_scale)}`,
      '  }',
    ].join('\n');
  });
  return `{\n${entries.join(',\n')}\n}`;
}
