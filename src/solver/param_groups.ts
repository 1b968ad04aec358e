/** @file Sorts parameters into groups that share a weight decay and a factor of the learning rate. */
import { Parameter } from '../nn/module.js';

/** A weight with its full name, e.g. `backbone.blocks.0.attn.qkv.weight`. */
export interface NamedParameter {
  readonly name: string;
  readonly parameter: Parameter;
}

/** A group of parameters. Absent settings default to the optimizer's. */
export interface ParameterGroup {
  /** Default: the group's index. */
  readonly name?: string;
  readonly params: readonly (Parameter | NamedParameter)[];
  readonly lr?: number;
  readonly weight_decay?: number;
  /** Factor of the group's learning rate. */
  readonly lr_scale?: number;
}

/** Parameters for one optimizer: a list, which becomes one group, or several groups. */
export type OptimizerParams = readonly (Parameter | NamedParameter)[] | readonly ParameterGroup[];

/** Gives every group and parameter a name; the default is its index. */
export function toGroups(
  params: OptimizerParams,
): (ParameterGroup & { name: string; params: NamedParameter[] })[] {
  const isGrouped = (items: OptimizerParams): items is readonly ParameterGroup[] =>
    items.some((item) => 'params' in item);
  const groups = isGrouped(params) ? params : [{ params }];
  let index = 0;
  return groups.map(({ name, params: members, ...settings }, g) => ({
    ...settings,
    name: name ?? String(g),
    params: members.map((member) => {
      const named = member instanceof Parameter ? { name: String(index), parameter: member } : member;
      index++;
      return named;
    }),
  }));
}

/** A Module, or anything else with named parameters. */
export interface ParameterSource {
  namedParameters(): Iterable<[string, Parameter]>;
}

/** A group of parameters with the same weight decay and layer. */
export interface DecayGroup {
  readonly name: string;
  readonly params: NamedParameter[];
  readonly weight_decay: number;
  readonly lr_scale: number;
}

export interface ParameterGroupOptions {
  /** Weight decay of all parameters, except biases, one-dimensional ones and those in `skipList`. */
  weightDecay: number;
  /** Names, relative to the module, of further parameters without weight decay. */
  skipList: ReadonlySet<string>;
  /** Layer of a parameter; makes one group per layer. */
  getNumLayer?: (name: string) => number;
  /** Factor of the learning rate of a layer; needs `getNumLayer`. */
  getLayerScale?: (layerId: number) => number;
  /** Factor of the learning rate of everything outside `encoder.`. */
  lrScale?: number;
  /** Prefix that makes the names full names. */
  prefix?: string;
}

/**
 * Groups the parameters that need a gradient, in the order of first use: `decay_encoder`, `no_decay_encoder`,
 * `decay_others`, `no_decay_others`, with the prefix `layer_<id>_` if there is a `getNumLayer`.
 */
export function getParameterGroups(
  module: ParameterSource,
  { weightDecay, skipList, getNumLayer, getLayerScale, lrScale = 1, prefix = '' }: ParameterGroupOptions,
): DecayGroup[] {
  const groups = new Map<string, DecayGroup>();
  for (const [name, parameter] of module.namedParameters()) {
    if (!parameter.requiresGrad) continue;
    const decays = parameter.shape.length !== 1 && !name.endsWith('.bias') && !skipList.has(name);
    const inEncoder = name.startsWith('encoder.');
    const layer = getNumLayer?.(name);
    const groupName = [
      layer === undefined ? '' : `layer_${layer}_`,
      decays ? 'decay' : 'no_decay',
      inEncoder ? '_encoder' : '_others',
    ].join('');
    let group = groups.get(groupName);
    if (!group) {
      const layerScale = layer === undefined ? 1 : (getLayerScale?.(layer) ?? 1);
      group = {
        name: groupName,
        params: [],
        weight_decay: decays ? weightDecay : 0,
        lr_scale: layerScale * (inEncoder ? 1 : lrScale),
      };
      groups.set(groupName, group);
    }
    group.params.push({ name: prefix + name, parameter });
  }
  return [...groups.values()];
}
