/** @file Matches the tensors of a weight file with the weights of the model, and reports the result. */
import { sameShape } from '../formats/host_tensor.js';
import { countOf, firstNames } from '../util/text.js';
import { groupOf, isBuffer, isClassifier, isOptional } from './model_parts.js';
import type { NamedWeights } from './origins/named_weights.js';
import { isOfResnet } from './resnet_parts.js';

/** The weights of the model in PyTorch's order, with their shapes. */
export type ModelShapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

export interface Mismatch {
  readonly name: string;
  readonly key: string;
  readonly expected: readonly number[];
  readonly found: readonly number[];
}

/** The result for each weight of the model (`name`) and each entry of the file (`key`). */
export interface LoadReport {
  /** Name in the model → key in the file. */
  readonly loaded: ReadonlyMap<string, string>;
  /** Names that the file does not have; these weights keep their values. */
  readonly missing: readonly string[];
  /** Keys that the model does not have. */
  readonly unexpected: readonly string[];
  /** Keys left out because they belong to the head. */
  readonly skipped: readonly string[];
  readonly mismatched: readonly Mismatch[];
  /** Action classifiers of another number of classes, which keep their initial values. */
  readonly newClassifiers: readonly Mismatch[];
}

/** Parts of the model that `noHead` leaves out: STMixer's head, and the name the official code looks for. */
const HEAD_PARTS = ['stm_head', 'roi_heads'];

/**
 * Finds for each weight of the model the longest key that equals its name or the end of its name after a dot, so the key
 * `blocks.0.norm1.weight` loads into `backbone.blocks.0.norm1.weight`.
 */
export function matchWeights(
  { state, keyByName }: Pick<NamedWeights, 'state' | 'keyByName'>,
  model: ModelShapes,
  noHead: boolean,
): LoadReport {
  const keys = [...state.keys()];
  const loaded = new Map<string, string>();
  const missing: string[] = [];
  const skipped = new Set<string>();
  const mismatched: Mismatch[] = [];
  const used = new Set<string>();
  for (const [name, { shape }] of model) {
    const key = longestSuffix(name, keyByName);
    if (noHead && isHead(name)) {
      if (key !== undefined) skipped.add(key);
      continue;
    }
    const tensor = key !== undefined && state.get(key);
    if (!tensor) {
      missing.push(name);
      continue;
    }
    used.add(key);
    if (sameShape(shape, tensor.shape)) loaded.set(name, key);
    else mismatched.push({ name, key, expected: shape, found: tensor.shape });
  }
  if (noHead) for (const key of keys) if (isHead(key)) skipped.add(key);
  for (const key of used) skipped.delete(key);
  const unexpected = keys.filter((key) => !used.has(key) && !skipped.has(key));
  return {
    loaded,
    missing,
    unexpected,
    skipped: keys.filter((key) => skipped.has(key)),
    mismatched,
    newClassifiers: [],
  };
}

/** Numbers of action classes. */
export interface OtherClasses {
  readonly inFile: number;
  readonly inModel: number;
}

/** The numbers of classes if the tensors of other shapes are action classifiers, and differ in nothing else; else null. */
export function otherClasses({ mismatched }: Pick<LoadReport, 'mismatched'>): OtherClasses | null {
  const counts = mismatched.map(({ name, expected: [inModel, ...rest], found: [inFile, ...others] }) =>
    isClassifier(name) && sameShape(rest, others) ? { inFile, inModel } : null,
  );
  const [first] = counts;
  const isSame = (other: OtherClasses | null) => other?.inFile === first?.inFile;
  return first && counts.every(isSame) ? first : null;
}

/** The same report, with the classifiers of another number of classes among those that start anew. */
export function withNewClassifiers(report: LoadReport): LoadReport {
  return { ...report, mismatched: [], newClassifiers: report.mismatched };
}

/** The warning about classifiers that start anew; null if there are none. */
export function newClassifiersWarning({ newClassifiers }: LoadReport): string | null {
  const classes = otherClasses({ mismatched: newClassifiers });
  if (classes === null) return null;
  const names = newClassifiers.map(({ name }) => name).join(', ');
  return (
    `the file has ${classes.inFile} action classes, and MODEL.STM.ACTION_CLASSES is ${classes.inModel}: ` +
    `${countOf(newClassifiers.length, 'tensor')} of the action classifiers start at random (${names}); everything else is loaded`
  );
}

/** A few lines for the log: the number of loaded weights, the first names of the others, and parts left out. */
export function summarizeReport(path: string, report: LoadReport): string {
  const { loaded, unexpected, skipped } = report;
  const missing = report.missing.filter((name) => !isBuffer(name));
  const lines = [`loaded ${countOf(loaded.size, 'tensor')} from ${path}`];
  const renamed = [...loaded].filter(([name, key]) => name !== key);
  if (renamed.length > 0) {
    const [name, key] = renamed[0];
    lines.push(`  under other names: ${renamed.length} (${key} → ${name}${renamed.length > 1 ? ', …' : ''})`);
  }
  if (missing.length > 0) lines.push(`  not in the file: ${missing.length} (${firstNames(missing)})`);
  if (unexpected.length > 0)
    lines.push(`  not in the model: ${unexpected.length} (${firstNames(unexpected)})`);
  if (skipped.length > 0) lines.push(`  skipped, the head: ${skipped.length} (${firstNames(skipped)})`);
  lines.push(...absentParts(report).map((part) => `  ${part}`));
  return lines.join('\n');
}

/** Sentences about parts that the file leaves out, as official files may. */
function absentParts({ loaded, missing }: LoadReport): string[] {
  const begun = new Set(Array.from(loaded.keys(), groupOf));
  const groups = new Set(missing.filter((name) => !isBuffer(name)).map(groupOf));
  const absent = ['neck', 'head'].filter((group) => groups.has(group) && !begun.has(group));
  const are = absent.length > 1 ? 'are not in the file and start' : 'is not in the file and starts';
  const lines = absent.length > 0 ? [`the ${absent.join(' and the ')} ${are} at random`] : [];
  if (begun.has('backbone') && missing.some(isOptional))
    lines.push('backbone.norm is not in the file and starts as ones and zeros');
  return lines;
}

/** The error message for weights of other shapes. `noHeadFlag` is the flag that leaves the head out, if there is one. */
export function describeMismatch(
  path: string,
  { mismatched }: LoadReport,
  noHeadFlag: string | null,
): string {
  const some = mismatched
    .slice(0, 4)
    .map(({ name, expected, found }) => `${name} is [${found}] in the file and [${expected}] in the model`);
  const rest = mismatched.length > some.length ? ` (and ${mismatched.length - some.length} more)` : '';
  const keys = mismatched.some(({ name }) => isOfResnet(name))
    ? 'RESNET.*, SLOWFAST.*'
    : 'ViT.*, MODEL.STM.*';
  const sizes = `Set the sizes in the config (${keys}) to those the weights were trained with`;
  const advice =
    noHeadFlag !== null && mismatched.every(({ name }) => isHead(name))
      ? `Use ${noHeadFlag} to load everything but the head, or set the sizes of the head (MODEL.STM.*) to those of the file`
      : sizes;
  const count = countOf(mismatched.length, 'tensor');
  return `${path}: ${count} with another shape than in the model: ${some.join('; ')}${rest}. ${advice}.`;
}

function longestSuffix(name: string, keyByName: ReadonlyMap<string, string>): string | undefined {
  for (let start = 0; ; ) {
    const key = keyByName.get(name.slice(start));
    if (key !== undefined) return key;
    const dot = name.indexOf('.', start);
    if (dot < 0) return undefined;
    start = dot + 1;
  }
}

export function isHead(name: string): boolean {
  return name.split('.').some((part) => HEAD_PARTS.includes(part));
}
