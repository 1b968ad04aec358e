/** @file The optimizer of a configuration, with its parameter groups. */
import { OPTIMIZERS, type OptimizerName } from '../config/schema/choices.js';
import { ConfigError } from '../errors.js';
import { pythonFloat, pythonFloatList, pythonStringSet } from '../formats/python/text.js';
import { type Log, SILENT } from '../util/log.js';
import { Adam, type AdamOptions } from './adam.js';
import { AdamW } from './adamw.js';
import { LayerDecayValueAssigner } from './layer_decay.js';
import type { Optimizer } from './optimizer.js';
import {
  type DecayGroup,
  getParameterGroups,
  type NamedParameter,
  type ParameterGroup,
  type ParameterSource,
} from './param_groups.js';
import { SGD } from './sgd.js';
import { hasLayers, type SolverConfig, usesLayerDecay } from './solver_config.js';

type MakeOptimizer = (groups: readonly ParameterGroup[], solver: SolverConfig['SOLVER']) => Optimizer;

/** The optimizers by their names in SOLVER.OPTIMIZING_METHOD. */
const REGISTRY: Readonly<Record<OptimizerName, MakeOptimizer>> = {
  adamw: (groups, solver) => new AdamW(groups, adamOptions(solver)),
  adam: (groups, solver) => new Adam(groups, adamOptions(solver)),
  sgd: (groups, { MOMENTUM: momentum, DAMPENING: dampening, NESTEROV: nesterov, ...solver }) =>
    new SGD(groups, { ...commonOptions(solver), momentum, dampening, nesterov }),
};

type CommonConfig = Pick<SolverConfig['SOLVER'], 'BASE_LR' | 'WEIGHT_DECAY' | 'APPLY_LR_SCALE'>;

function commonOptions({ BASE_LR, WEIGHT_DECAY, APPLY_LR_SCALE }: CommonConfig) {
  return { lr: BASE_LR, weightDecay: WEIGHT_DECAY, applyLrScale: APPLY_LR_SCALE };
}

function adamOptions(solver: SolverConfig['SOLVER']): AdamOptions {
  return { ...commonOptions(solver), betas: [solver.BETAS[0], solver.BETAS[1]] };
}

/** The parameters of a detector, and those of its backbone. */
export interface DetectorParameters extends ParameterSource {
  readonly backbone: ParameterSource;
}

const BACKBONE_PREFIX = 'backbone.';

/**
 * Makes the optimizer of SOLVER.OPTIMIZING_METHOD for all parameters that need a gradient; they need no values yet. Logs the
 * groups. Throws ConfigError on invalid settings.
 */
export function makeOptimizer(
  cfg: SolverConfig,
  model: DetectorParameters,
  log: Pick<Log, 'info'> = SILENT,
): Optimizer {
  const groups = hasLayers(cfg) ? vitGroups(cfg, model, log) : batchNormGroups(cfg, model);
  const method = cfg.SOLVER.OPTIMIZING_METHOD.toLowerCase();
  const make = REGISTRY[method as OptimizerName] as MakeOptimizer | undefined;
  if (!make)
    throw new ConfigError(
      `SOLVER.OPTIMIZING_METHOD: expected ${OPTIMIZERS.join(', ')} in any letter case, ` +
        `found "${cfg.SOLVER.OPTIMIZING_METHOD}"`,
    );
  return make(groups, cfg.SOLVER);
}

/** Returns the factor of the learning rate for each layer of the backbone; null without layer decay. */
export function layerScalesOf(cfg: SolverConfig): readonly number[] | null {
  return usesLayerDecay(cfg) ? LayerDecayValueAssigner.fromConfig(cfg).values : null;
}

/** Makes the groups of the backbone, then `rest` with every parameter without `backbone` in its name. */
function vitGroups(cfg: SolverConfig, model: DetectorParameters, log: Pick<Log, 'info'>): ParameterGroup[] {
  const assigner = usesLayerDecay(cfg) ? LayerDecayValueAssigner.fromConfig(cfg) : null;
  if (assigner) log.info(`Assigned values = ${pythonFloatList(assigner.values)}`);
  const skipList = new Set(cfg.ViT.NO_WEIGHT_DECAY);
  log.info(`Skip weight decay list: ${pythonStringSet(skipList)}`);
  const backboneGroups = getParameterGroups(model.backbone, {
    weightDecay: cfg.ViT.WEIGHT_DECAY,
    skipList,
    ...(assigner && {
      getNumLayer: (name: string) => assigner.getLayerId(name),
      getLayerScale: (layerId: number) => assigner.getScale(layerId),
    }),
    prefix: BACKBONE_PREFIX,
  });
  log.info(`Param groups = ${describeGroups(backboneGroups)}`);
  const rest = trainable(model).filter(({ name }) => !name.includes('backbone'));
  return [...backboneGroups, { name: 'rest', params: rest }];
}

/** Makes the groups for a convolutional backbone: its batch norms, then everything else. */
function batchNormGroups(cfg: SolverConfig, model: ParameterSource): ParameterGroup[] {
  const isNorm = ({ name }: NamedParameter) => name.includes('backbone') && name.includes('bn');
  const all = trainable(model);
  return [
    { name: 'backbone_bn', params: all.filter(isNorm), weight_decay: cfg.SOLVER.WEIGHT_DECAY_BN },
    { name: 'rest', params: all.filter((named) => !isNorm(named)), weight_decay: cfg.SOLVER.WEIGHT_DECAY },
  ];
}

function trainable(model: ParameterSource): NamedParameter[] {
  return Array.from(model.namedParameters(), ([name, parameter]) => ({ name, parameter })).filter(
    ({ parameter }) => parameter.requiresGrad,
  );
}

/** Formats the groups as the official code prints them, with names relative to the backbone. */
function describeGroups(groups: readonly DecayGroup[]): string {
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
