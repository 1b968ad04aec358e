/** @file The parts of PySlowFast's ResNets by the names of their tensors, for any size. */
import { RESNET_BLOCKS } from '../config/schema/choices.js';

const norm = (name: string) =>
  ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'].map((end) => `${name}.${end}`);

const BLOCK = ['branch1', 'branch2.a', 'branch2.b', 'branch2.c'].flatMap((name) => [
  `${name}.weight`,
  ...norm(`${name}_bn`),
]);

const NONLOCAL = [
  ...['theta', 'phi', 'g', 'out'].flatMap((name) => [`conv_${name}.weight`, `conv_${name}.bias`]),
  ...norm('bn'),
];

/** The names of all tensors that a backbone can have, without `backbone.`; N stands for any number. */
export const RESNET_NAMES: readonly string[] = [
  's1.pathwayN_stem.conv.weight',
  ...norm('s1.pathwayN_stem.bn'),
  'sN_fuse.conv_f2s.weight',
  ...norm('sN_fuse.bn'),
  ...BLOCK.map((name) => `sN.pathwayN_resN.${name}`),
  ...NONLOCAL.map((name) => `sN.pathwayN_nonlocalN.${name}`),
];

/** The kernel of the slow pathway's stem, which every backbone has. */
export const STEM = 's1.pathway0_stem.conv.weight';

/** Whether a word is the first of such a name. */
export function isStage(word: string): boolean {
  return /^s[1-5](_fuse)?$/.test(word);
}

/** Whether a name, with or without `backbone.`, is that of a tensor of such a backbone. */
export function isOfResnet(name: string): boolean {
  return isStage(name.replace(/^backbone\./, '').split('.')[0]);
}

/** The part of the network, `s4.pathway0_resN`, of a tensor without `backbone.`. */
export function resnetPartOf(name: string): string {
  const [stage, module] = name.split('.');
  return stage.endsWith('_fuse') ? stage : `${stage}.${module.replace(/(res|nonlocal)\d+$/, '$1N')}`;
}

/** The RESNET.DEPTH with this number of blocks in s4; null if there is none. */
export function depthWith(blocks: number): number | null {
  const found = Object.entries(RESNET_BLOCKS).find(([, [, , count]]) => count === blocks);
  return found ? Number(found[0]) : null;
}
