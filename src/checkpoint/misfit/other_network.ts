/** @file Recognises weights of another network: an image model, a ViT of another size, or neither ViT nor ResNet. */
import { type HostTensor, sizeOf } from '../../formats/host_tensor.js';
import { countOf, printable } from '../../util/text.js';
import { isBuffer } from '../model_parts.js';
import type { NamedWeights } from '../origins/named_weights.js';
import { isOfResnet } from '../resnet_parts.js';
import type { LoadReport, ModelShapes } from '../weights.js';
import { otherResnet, resnetTitle } from './other_resnet.js';

type Shapes = ReadonlyMap<string, readonly number[]>;

/** Says which other network the weights belong to, with the sizes found and advice; null if they seem to fit this one. */
export function describeOtherNetwork(
  weights: NamedWeights,
  model: ModelShapes,
  report: LoadReport,
): string | null {
  const inFile = shapesOf(weights);
  const inModel: Shapes = new Map(
    Array.from(model, ([name, { shape }]) => [name.replace(/^backbone\./, ''), shape]),
  );
  const ours = kindOfModel(inModel);
  if (ours === null) return null;
  const isComplete = [...model.keys()].every(
    (name) => !name.startsWith('backbone.') || report.loaded.has(name) || isBuffer(name),
  );
  if (isComplete) return null;
  const title = otherTitle(weights, inFile, ours);
  if (title !== null) return otherArchitecture(title, ours, weights.state);
  return ours === VIT
    ? (imageModel(inFile, inModel) ?? otherSizes(inFile, inModel))
    : otherResnet(inFile, inModel);
}

/** The network of a file, if it is of another kind than the model; else null. */
function otherTitle(weights: NamedWeights, inFile: Shapes, ours: NetworkKind): string | null {
  if (ours === VIT) return architectureOf(weights);
  if (inFile.has(PATCHES)) return VIT.title;
  if ([...inFile.keys()].some(isOfResnet)) return null;
  const title = architectureOf(weights);
  return title && /ResNet|SlowFast/.test(title) ? `${title} of another program` : title;
}

/** Says which network the weights belong to if no model here can have them; null if one could. */
export function describeForeignNetwork(weights: NamedWeights): string | null {
  const other = weights.origin === null ? architectureOf(weights) : null;
  if (other !== null)
    return `weights of ${other} with names that no model of stmixer has, so they do not load`;
  const kernel = shapesOf(weights).get(PATCHES);
  if (kernel?.length !== IMAGE_AXES) return null;
  return `weights of an image model, which do not load: the patch embedding is a 2-D kernel [${kernel}]`;
}

/** Shapes by names without `backbone.`. */
function shapesOf({ state, keyByName }: NamedWeights): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  for (const [name, key] of keyByName) {
    const tensor = state.get(key);
    if (tensor) shapes.set(name.replace(/^backbone\./, ''), tensor.shape);
  }
  return shapes;
}

const PATCHES = 'patch_embed.proj.weight';
const IMAGE_AXES = 4;
const VIDEO_AXES = 5;

/** A kind of network, and where its weights come from. */
interface NetworkKind {
  readonly title: string;
  readonly source: string;
}

const VIT: NetworkKind = {
  title: 'a ViT',
  source: "Use weights of a ViT that was pre-trained on video, such as VideoMAE's",
};

function kindOfModel(inModel: Shapes): NetworkKind | null {
  if (inModel.has(PATCHES)) return VIT;
  const title = resnetTitle(inModel);
  return title === null
    ? null
    : { title, source: `Use weights of ${title} from PySlowFast, a .pkl or .pyth file` };
}

function imageModel(inFile: Shapes, inModel: Shapes): string | null {
  const kernel = inFile.get(PATCHES);
  if (kernel?.length !== IMAGE_AXES || inModel.get(PATCHES)!.length === IMAGE_AXES) return null;
  return (
    `holds weights of an image model: its patch embedding is a 2-D kernel [${kernel}], and this model, which sees several frames at ` +
    `once, has the 3-D kernel [${inModel.get(PATCHES)}]. Use weights that were pre-trained on video, such as VideoMAE's`
  );
}

/** Names that only one kind of network has. */
const ARCHITECTURES: readonly (readonly [names: RegExp, title: string])[] = [
  [/(^|\.)(layers\.\d+\.(blocks\.\d+\.attn|downsample)|features\.\d+\.\d+\.attn)\./, 'a Swin transformer'],
  [/(^|\.)layers\.\d+\.blocks\.\d+\.attention\./, 'a Swin transformer'],
  [/\.attn\.(pool|norm)_[qkv]\.|\.attn\.rel_pos_[hwt]$/, 'an MViT'],
  [/\.(temporal_(attn|attention|fc|dense|norm1|layernorm)|attentions\.1)\./, 'a TimeSformer'],
  [/(^|\.)(s\d|res\d)\.pathway\d_|(^|\.)(slow|fast)(_?path(way)?)?\.(conv1|res|layer)/, 'a SlowFast network'],
  [/(^|\.)(layer[1-4]|res[2-5]|blocks\.\d+\.res_blocks)\.\d+\.|pathway0_/, 'a ResNet'],
  [/(^|\.)resnet\.encoder\.stages\.\d+\./, 'a ResNet'],
  [/(^|\.)(Mixed_\d[a-f]|Conv3d_\d[a-c]_)/, 'an I3D'],
  [/(^|\.)stages\.\d+\.(\d+|(blocks|layers)\.\d+)\./, 'a network of stages, such as ConvNeXt'],
  [/(^|\.)blocks[1-4]\.\d+\./, 'a UniFormer'],
];

function architectureOf({ state, keyByName }: NamedWeights): string | null {
  const names = [...keyByName].flatMap(([name, key]) => (state.get(key) ? [key, name] : []));
  return ARCHITECTURES.find(([pattern]) => names.some((name) => pattern.test(name)))?.[1] ?? null;
}

function otherArchitecture(title: string, ours: NetworkKind, state: NamedWeights['state']): string {
  const tensors = [...state].filter((entry): entry is [string, HostTensor] => entry[1] !== null);
  const numbers = tensors.reduce((sum, [, { shape }]) => sum + sizeOf(shape), 0);
  const [name, { shape }] = tensors.find(([, tensor]) => tensor.shape.length >= IMAGE_AXES) ?? tensors[0];
  return (
    `holds weights of ${title}, and this model is ${ours.title}: the file has ${countOf(tensors.length, 'tensor')} with ` +
    `${countOf(numbers, 'number')}, and its first kernel is ${printable(name)} [${shape}]. ${ours.source}`
  );
}

/** The sizes of a ViT that its tensors show. */
interface Sizes {
  readonly dim: number;
  readonly depth: number;
  readonly hidden: number | null;
  /** [time, height, width] of a patch; null if the file has no patch embedding. */
  readonly patch: readonly number[] | null;
}

/** The usual sizes, with the number of attention heads, which the tensors do not show. */
const VARIANTS: readonly (readonly [title: string, dim: number, depth: number, heads: number])[] = [
  ['ViT-Ti', 192, 12, 3],
  ['ViT-S', 384, 12, 6],
  ['ViT-B', 768, 12, 12],
  ['ViT-L', 1024, 24, 16],
  ['ViT-H', 1280, 32, 16],
  ['ViT-g', 1408, 40, 16],
  ['ViT-G', 1664, 48, 16],
];

function otherSizes(inFile: Shapes, inModel: Shapes): string | null {
  const [theirs, ours] = [sizesOf(inFile), sizesOf(inModel)];
  if (theirs === null || ours === null) return null;
  const isSame = (a: readonly number[] | null, b: readonly number[] | null) =>
    a === null || b === null || String(a) === String(b);
  const isSameWidth = theirs.dim === ours.dim && (theirs.hidden === null || theirs.hidden === ours.hidden);
  if (isSameWidth && isSame(theirs.patch, ours.patch)) return null;
  const settings = settingsFor(theirs, ours);
  const advice = settings
    ? `Use weights of that size, or set the sizes in the config to those of the file: ${settings}`
    : 'Use weights of that size';
  return `holds weights of ${describe(theirs)}; this model is ${describe(ours)}. ${advice}`;
}

function sizesOf(shapes: Shapes): Sizes | null {
  const blocks = new Set([...shapes.keys()].flatMap((name) => /^blocks\.(\d+)\./.exec(name)?.[1] ?? []));
  const kernel = shapes.get(PATCHES);
  const dim = shapes.get('blocks.0.norm1.weight')?.[0];
  if (dim === undefined) return null;
  return {
    dim,
    depth: blocks.size,
    hidden: shapes.get('blocks.0.mlp.fc1.weight')?.[0] ?? null,
    patch: kernel?.length === VIDEO_AXES ? kernel.slice(2) : null,
  };
}

function describe(sizes: Sizes): string {
  const { dim, depth, patch } = sizes;
  const title = variantOf(sizes)?.[0];
  const blocks = `${countOf(depth, 'block')} of ${dim} channels`;
  const patches = patch ? `, patches of ${patch.join(' × ')}` : '';
  return title === undefined ? `a ViT with ${blocks}${patches}` : `a ${title} (${blocks}${patches})`;
}

function variantOf({ dim, depth }: Sizes) {
  return VARIANTS.find(([, width, blocks]) => width === dim && blocks === depth);
}

/** The settings of a model like the file's; empty if no settings make one. */
function settingsFor(theirs: Sizes, ours: Sizes): string {
  const ratio = theirs.hidden === null ? null : theirs.hidden / theirs.dim;
  if (ratio !== null && !Number.isInteger(ratio)) return '';
  const heads = variantOf(theirs)?.[3];
  const [tubelet, patch] = theirs.patch ?? [];
  const settings: [string, number | null | undefined, number | null | undefined][] = [
    ['ViT.EMBED_DIM', theirs.dim, ours.dim],
    ['ViT.DEPTH', theirs.depth, ours.depth],
    ['ViT.NUM_HEADS', heads, variantOf(ours)?.[3]],
    ['ViT.MLP_RATIO', ratio, ours.hidden === null ? null : ours.hidden / ours.dim],
    ['ViT.TUBELET_SIZE', tubelet, ours.patch?.[0]],
    ['ViT.PATCH_SIZE', patch, ours.patch?.[1]],
  ];
  return settings
    .filter(([, inFile, inModel]) => inFile !== undefined && inFile !== null && inFile !== inModel)
    .map(([key, inFile]) => `${key} ${inFile}`)
    .join(' ');
}
