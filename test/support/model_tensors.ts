/** @file State dicts of models of any size, and changes to their names, for tests of loading. */
import type { Config } from '../../src/config/index.js';
import { float32Tensor, type HostTensor, sizeOf } from '../../src/formats/host_tensor.js';
import { Detector } from '../../src/model/detector.js';
import { tinyConfig } from './tiny_config.js';

export type StateDict = Map<string, HostTensor>;

/** A tensor of these sizes, filled with small values. */
export function smallTensor(...shape: number[]): HostTensor {
  return float32Tensor(shape, new Float32Array(sizeOf(shape)).fill(0.01));
}

/** All weights of a model of this configuration. */
export function modelTensors(cfg: Config = tinyConfig()): StateDict {
  const parameters = new Detector(cfg).namedParameters();
  return new Map(Array.from(parameters, ([name, { shape }]) => [name, smallTensor(...shape)]));
}

/** Renames tensors; those to which `rename` gives no name are left out. */
export function renamed(state: StateDict, rename: (name: string) => string | null): StateDict {
  const entries = Array.from(state, ([name, tensor]) => [rename(name), tensor] as const);
  return new Map(entries.filter((entry): entry is [string, HostTensor] => entry[0] !== null));
}

/** Only the tensors whose names match. */
export function only(state: StateDict, pattern: RegExp): StateDict {
  return renamed(state, (name) => (pattern.test(name) ? name : null));
}

/** All but the tensors whose names match. */
export function without(state: StateDict, pattern: RegExp): StateDict {
  return renamed(state, (name) => (pattern.test(name) ? null : name));
}

/** The names that mmaction2 gives the tensors of a VideoMAE. */
export function mmactionName(name: string): string {
  return name
    .replace('patch_embed.proj', 'patch_embed.projection')
    .replace('mlp.fc1', 'mlp.layers.0.0')
    .replace('mlp.fc2', 'mlp.layers.1');
}

/** Names of a VideoMAE that no table of names has. */
export function strangeName(name: string): string {
  return name
    .replace('patch_embed.proj', 'patch_embed.conv')
    .replace('mlp.fc1', 'mlp.lin1')
    .replace('mlp.fc2', 'mlp.lin2');
}

/** With `attn.qkv.bias` in place of the biases of queries and values. */
export function withFusedBias(state: StateDict): StateDict {
  const fused = renamed(state, (name) => name.replace('q_bias', 'qkv.bias'));
  for (const [name, tensor] of fused)
    if (name.endsWith('qkv.bias')) fused.set(name, smallTensor(3 * tensor.shape[0]));
  return without(fused, /v_bias$/);
}
