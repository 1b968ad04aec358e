/** @file The parts of the network by the names of their tensors, for any size of the model. */
import { depthWith, isStage, RESNET_NAMES, resnetPartOf } from './resnet_parts.js';

/** Groups by the first word of a name. A file holds a group whole or not at all. */
const GROUPS = new Map([
  ['backbone', 'backbone'],
  ['lateral_convs', 'neck'],
  ['stm_head', 'head'],
]);

/** First words of names that lack the word of their group, as in files of a backbone alone. */
const BACKBONE_WORDS = ['patch_embed', 'pos_embed', 'blocks', 'norm'];
const isBackboneWord = (word: string) => BACKBONE_WORDS.includes(word) || isStage(word);
const HEAD_WORDS = ['decoder_stages', 'init_spatial_queries', 'init_temporal_queries'];

/** The group of a tensor of the model: backbone, neck or head, or else the first word of its name. */
export function groupOf(name: string): string {
  const [first] = name.split('.');
  return GROUPS.get(first) ?? first;
}

/** The group that a name of a file most likely belongs to, also after a prefix; null if unknown. */
export function likelyGroupOf(name: string): string | null {
  const words = name.split('.');
  if (isBackboneWord(words[0])) return 'backbone';
  if (HEAD_WORDS.includes(words[0])) return 'head';
  return GROUPS.get(words.find((word) => GROUPS.has(word)) ?? '') ?? null;
}

/**
 * Whether a name of a file that the model does not have belongs to a network like this group. For a backbone only blocks
 * count: official files also hold a classifier and its norms.
 */
export function isPieceOf(group: string, name: string): boolean {
  const [first] = name.split('.');
  if (group === 'backbone') return isOfBlock(name);
  return GROUPS.get(first) === group || (group === 'head' && HEAD_WORDS.includes(first));
}

/** Whether a name, with or without `backbone.`, is that of a tensor in a block or a stage of a backbone. */
export function isOfBlock(name: string): boolean {
  const [word] = name.replace(/^backbone\./, '').split('.');
  return word === 'blocks' || isStage(word);
}

/** Whether a name is that of a tensor of the head without the word for the head. */
export function isPartOfHead(name: string): boolean {
  return HEAD_WORDS.includes(name.split('.')[0]);
}

/** The name that a tensor of a backbone or a head alone has in a whole model; other names stay. */
export function officialName(name: string): string {
  if (!isKnownName(name)) return name;
  const [first] = name.split('.');
  if (isBackboneWord(first)) return `backbone.${name}`;
  return HEAD_WORDS.includes(first) ? `stm_head.${name}` : name;
}

/** A kind of tensor, `backbone.blocks.N.norm1.weight`, and the index of a name in it; -1 if there is only one. */
export interface NumberedKind {
  readonly kind: string;
  readonly index: number;
}

/** The first number that stands alone between dots counts repetitions: blocks, levels, decoder stages. */
export function kindOf(name: string): NumberedKind {
  const words = name.split('.');
  const place = words.findIndex((word) => /^\d+$/.test(word));
  if (place < 0) return { kind: name, index: -1 };
  const index = Number(words[place]);
  return { kind: words.with(place, 'N').join('.'), index };
}

/** The part of the network, in words, of a tensor of the model. */
export function partOf(name: string): string {
  const words = name.split('.');
  if (words[0] === 'lateral_convs') return `level ${words[1]}`;
  if (words[0] === 'stm_head')
    return words[1] === 'decoder_stages' ? `decoder stage ${words[2]}` : 'queries of the decoder';
  switch (words[1]) {
    case 'patch_embed':
      return 'patch embedding';
    case 'pos_embed':
      return 'position embedding';
    case 'norm':
      return 'norm after the last block';
    default:
      if (isStage(words[1] ?? '')) return resnetPartOf(words.slice(1).join('.'));
      return kindOf(name).kind.replace(/^backbone\./, '');
  }
}

/** Whether a file of a whole backbone may lack the tensor: files fine-tuned for classes have `fc_norm` instead. */
export function isOptional(name: string): boolean {
  return /^backbone\.norm\.(weight|bias)$/.test(name);
}

/** Whether a name of the model or of a file is that of a buffer that changes no result, so that a file may lack it. */
export function isBuffer(name: string): boolean {
  return /^(module\.)?stm_head\.criterion\.|\.num_batches_tracked$/.test(name);
}

/** Whether a tensor belongs to an action classifier, whose rows are the classes. */
export function isClassifier(name: string): boolean {
  return /^stm_head\.decoder_stages\.\d+\.fc_action\.(weight|bias)$/.test(name);
}

const LINEAR = ['weight', 'bias'];
const within = (module: string, names: readonly string[]) => names.map((name) => `${module}.${name}`);
const linear = (...modules: string[]) => modules.flatMap((module) => within(module, LINEAR));

const BLOCK = [
  'gamma_1',
  'gamma_2',
  ...linear('norm1'),
  'attn.q_bias',
  'attn.v_bias',
  'attn.qkv.weight',
  ...linear('attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2'),
];

const LEVELS = [
  [...linear('0', '1', '3'), '4.weight', ...linear('5'), '6.weight'],
  [...linear('0'), '1.weight', ...linear('2'), '3.weight'],
  ['0.weight', ...linear('1'), '2.weight'],
  ['1.weight', ...linear('2'), '3.weight'],
];

const STREAM = (s: string) =>
  ['in_proj_weight', 'in_proj_bias', ...linear('out_proj')]
    .map((name) => `attention_${s}.attn.${name}`)
    .concat(linear(`attention_norm_${s}`, `ffn_${s}.layers.N.N`, `ffn_${s}.layers.N`, `ffn_norm_${s}`));

const STAGE = [
  'iof_tau',
  ...STREAM('s'),
  ...STREAM('t'),
  ...within('samplingmixing', [
    ...linear('offset_generator.N', 'norm_s', 'norm_t'),
    ...['s', 't'].flatMap((s) => within(`adaptive_mixing_${s}`, linear('parameter_generator.N', 'out_proj'))),
  ]),
  ...linear('human_cls_fcs.N', 'human_fc_cls', 'reg_fcs.N', 'fc_reg', 'action_cls_fcs.N', 'fc_action'),
];

/** The names of all tensors that a model can have; N stands for any number. */
export const TENSOR_NAMES: readonly string[] = [
  ...within('backbone', [
    'pos_embed',
    ...linear('patch_embed.proj'),
    ...within('blocks.N', BLOCK),
    ...linear('norm'),
    ...RESNET_NAMES,
  ]),
  ...linear('lateral_convs.N'),
  ...LEVELS.flatMap((names, level) => within(`lateral_convs.${level}`, names)),
  ...within('stm_head', [
    'init_spatial_queries.weight',
    'init_temporal_queries.weight',
    ...within('decoder_stages.N', STAGE),
    'criterion.empty_weight',
  ]),
];

const KNOWN_NAMES = new RegExp(
  `^(${TENSOR_NAMES.flatMap((name) => [name, ...(/^(backbone|stm_head)\.(.*)/.exec(name)?.slice(2) ?? [])])
    .map((name) => name.replaceAll('.', '\\.').replaceAll('N', '\\d+'))
    .join('|')})$`,
);

/** Whether some model has a tensor of this name, which may lack the first word (`backbone`, `stm_head`). */
export function isKnownName(name: string): boolean {
  return KNOWN_NAMES.test(name);
}

/** A setting that decides whether a model has certain tensors at all. */
interface NamedSetting {
  readonly names: RegExp;
  /** The setting of a model that has such tensors, and of one that has none. */
  readonly having?: string;
  readonly lacking: string;
}

const SETTINGS: readonly NamedSetting[] = [
  { names: /\.attn\.[qv]_bias$/, having: 'ViT.QKV_BIAS True', lacking: 'ViT.QKV_BIAS False' },
  { names: /\.gamma_[12]$/, having: 'ViT.INIT_VALUES above 0', lacking: 'ViT.INIT_VALUES 0' },
  {
    names: /\bpathway\d_nonlocal/,
    having: 'NONLOCAL.LOCATION with the blocks of the file',
    lacking: 'NONLOCAL.LOCATION with the blocks of the file',
  },
  // A table of positions in the file is left out without a message.
  { names: /\bpos_embed$/, lacking: 'ViT.USE_LEARNABLE_POS_EMB False' },
  ...Object.entries({
    'ffn_[st]': 'NUM_FCS',
    human_cls_fcs: 'NUM_CLS',
    reg_fcs: 'NUM_REG',
    action_cls_fcs: 'NUM_ACT',
  }).map(([module, key]) => ({
    names: new RegExp(`\\.${module}\\.`),
    having: `a larger MODEL.STM.${key}`,
    lacking: `a smaller MODEL.STM.${key}`,
  })),
];

/** The settings with which a model has tensors of these names. */
export function settingsWith(names: readonly string[]): string[] {
  return settingsOf(names).flatMap(({ having }) => having ?? []);
}

/** The settings with which a model has no tensors of these names. */
export function settingsWithout(names: readonly string[]): string[] {
  return settingsOf(names).map(({ lacking }) => lacking);
}

/** The settings if they explain every name, else none. */
function settingsOf(names: readonly string[]): NamedSetting[] {
  const settings = SETTINGS.filter((setting) => names.some((name) => setting.names.test(name)));
  const isExplained = (name: string) => settings.some((setting) => setting.names.test(name));
  return names.every(isExplained) ? settings : [];
}

/** A part that a model has several of, and the setting for their number. */
export interface Repetition {
  readonly group: string;
  readonly unit: string;
  readonly setting: string;
  /** The start of the names up to the number, without the first word, as a regular expression. */
  readonly start: string;
  /** The setting for a number of parts, if it is another one; null if no setting gives that number. */
  valueFor?(count: number): number | null;
}

export const REPETITIONS: readonly Repetition[] = [
  { group: 'backbone', unit: 'block', setting: 'ViT.DEPTH', start: 'blocks\\.' },
  {
    group: 'backbone',
    unit: 's4 block',
    setting: 'RESNET.DEPTH',
    start: 's4\\.pathway0_res',
    valueFor: depthWith,
  },
  {
    group: 'head',
    unit: 'decoder stage',
    setting: 'MODEL.STM.NUM_STAGES',
    start: 'decoder_stages\\.',
  },
];

/** The number of parts with these names; null if their numbers do not run from 0 without a gap. */
export function countRepetitions({ start }: Repetition, names: Iterable<string>): number | null {
  const numbered = new RegExp(`^(?:backbone\\.|stm_head\\.)?${start}(\\d+)\\.`);
  const found = new Set<number>();
  for (const name of names) {
    const number = numbered.exec(name)?.[1];
    if (number !== undefined) found.add(Number(number));
  }
  return found.size > 0 && Math.max(...found) === found.size - 1 ? found.size : null;
}
