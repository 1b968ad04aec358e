/** @file Finds the parts of a model that a weight file does not fit: missing tensors, and tensors beyond the model. */
import {
  countRepetitions,
  groupOf,
  isBuffer,
  isOptional,
  isPieceOf,
  kindOf,
  partOf,
  REPETITIONS,
  settingsWith,
  settingsWithout,
} from '../model_parts.js';
import type { NamedWeights } from '../origins/named_weights.js';
import type { LoadReport, ModelShapes } from '../weights.js';
import { kindsOf, likelyRenamings, type Renaming, type TensorKind } from './renaming.js';

/**
 * How much of the model a file must hold: anything that fits; whole groups in the order backbone, neck, head, of which the
 * last ones may be missing; or the whole model.
 */
export type Coverage = 'any' | 'whole groups' | 'whole model';

/** A part of a group with tensors that do not load. */
export interface IncompletePart {
  readonly name: string;
  readonly loaded: number;
  readonly total: number;
  /** Names in the model. */
  readonly missing: readonly string[];
}

/** A group with tensors that do not load, or with tensors of the file beyond the model. */
export interface MisfitGroup {
  readonly name: string;
  readonly loaded: number;
  readonly total: number;
  readonly incomplete: readonly IncompletePart[];
  /** Names in the file that the model does not have. */
  readonly surplus: readonly string[];
}

/** Different numbers of blocks or decoder stages in the file and in the model. */
export interface OtherCount {
  readonly unit: string;
  readonly setting: string;
  readonly inFile: number;
  readonly inModel: number;
  /** The setting of a model like the file's; null if there is none. */
  readonly value: number | null;
}

/** The reasons why a file does not fit a model. */
export interface Misfit {
  readonly groups: readonly MisfitGroup[];
  readonly renamings: readonly Renaming[];
  readonly counts: readonly OtherCount[];
  /** Other settings with which the model would have the tensors of the file. */
  readonly settings: readonly string[];
}

/** Weights of a file, the model that they are for, and the result of matching them. */
export interface Match {
  readonly weights: NamedWeights;
  readonly model: ModelShapes;
  readonly report: LoadReport;
}

/** Finds the reasons why a file does not fit; null if it holds everything that it must and nothing else. */
export function findMisfit(match: Match, coverage: Coverage): Misfit | null {
  const unexpected = unexpectedTensors(match);
  const likely = likelyNames(match, unexpected);
  const needed = neededGroups(match, coverage, likely);
  const groups = Array.from(groupsToLoad(match), ([name, tensors]): MisfitGroup => {
    const missing = new Set(match.report.missing);
    const isRequired = (tensor: string) =>
      !missing.has(tensor) || coverage === 'whole model' || !isOptional(tensor);
    const required = tensors.filter(isRequired);
    return {
      name,
      loaded: required.filter((tensor) => !missing.has(tensor)).length,
      total: required.length,
      incomplete: needed.has(name) ? incompleteParts(required, missing) : [],
      surplus: [...unexpected.keys()].filter((key) => isPieceOf(name, key)),
    };
  }).filter(({ incomplete, surplus }) => incomplete.length > 0 || surplus.length > 0);
  if (groups.length === 0) return null;
  const renamings = relevantTo(groups, likely);
  const settings = [...new Set(groups.flatMap((group) => otherSettings(group, match, renamings)))];
  return { groups, renamings, counts: otherCounts(match, groups, renamings), settings };
}

/** Returns the names of the model's weights by groups, without a head that is left out. */
function groupsToLoad({ model, report }: Match): Map<string, string[]> {
  const missing = new Set(report.missing);
  const groups = new Map<string, string[]>();
  for (const name of model.keys()) {
    if (isBuffer(name) || !(missing.has(name) || report.loaded.has(name))) continue;
    groups.set(groupOf(name), [...(groups.get(groupOf(name)) ?? []), name]);
  }
  return groups;
}

/**
 * Returns the groups that must be whole: all up to the last one with a tensor that loads, because a trained head needs a
 * trained neck; and later ones that the file seems to hold under other names.
 */
function neededGroups(match: Match, coverage: Coverage, renamings: readonly Renaming[]): Set<string> {
  const groups = [...groupsToLoad(match)];
  const last = groups.findLastIndex(([, names]) => names.some((name) => match.report.loaded.has(name)));
  const needed = groups.filter(([group, names], place) => {
    const renamed = renamings.filter(({ to }) => to.group === group);
    const count = renamed.reduce((sum, { to }) => sum + to.shapes.size, 0);
    return coverage === 'whole model' || place <= Math.max(0, last) || 2 * count >= names.length;
  });
  return new Set(needed.map(([group]) => group));
}

/** Returns names and shapes of the file that the model does not have, without the prefixes that do not count. */
function unexpectedTensors({ weights, report }: Match): Map<string, readonly number[]> {
  const { state, keyByName } = weights;
  const nameByKey = new Map(Array.from(keyByName, ([name, key]) => [key, name]));
  const found = new Map<string, readonly number[]>();
  for (const key of report.unexpected) {
    const tensor = state.get(key);
    const name = nameByKey.get(key) ?? key;
    if (tensor && !isBuffer(name)) found.set(name, tensor.shape);
  }
  return found;
}

function likelyNames(
  { model, report }: Match,
  unexpected: ReadonlyMap<string, readonly number[]>,
): Renaming[] {
  const required = report.missing.filter((name) => !isBuffer(name) && !isOptional(name));
  const missing = kindsOf(
    required.map((name) => [name, model.get(name)!.shape]),
    groupOf,
  );
  const found = kindsOf(unexpected);
  const explained = new Set<TensorKind>();
  const renamings: Renaming[] = [];
  // Group by group, because the backbone of a file without a head must not lose names to that head.
  for (const group of new Set(missing.map((kind) => kind.group))) {
    const lacking = missing.filter((kind) => kind.group === group);
    const likely = likelyRenamings(
      lacking,
      found.filter((kind) => !explained.has(kind)),
    );
    for (const { from } of likely) explained.add(from);
    renamings.push(...likely);
  }
  return renamings;
}

function incompleteParts(names: readonly string[], missing: ReadonlySet<string>): IncompletePart[] {
  const parts = new Map<string, string[]>();
  for (const name of names) parts.set(partOf(name), [...(parts.get(partOf(name)) ?? []), name]);
  return Array.from(parts, ([name, tensors]) => {
    const lacking = tensors.filter((tensor) => missing.has(tensor));
    return { name, loaded: tensors.length - lacking.length, total: tensors.length, missing: lacking };
  }).filter((part) => part.missing.length > 0);
}

/** Keeps only the renamings in groups that do not fit. */
function relevantTo(groups: readonly MisfitGroup[], renamings: readonly Renaming[]): Renaming[] {
  const lacking = new Set(groups.flatMap(({ name, incomplete }) => (incomplete.length > 0 ? [name] : [])));
  return renamings.filter(({ to }) => lacking.has(to.group ?? ''));
}

function otherCounts(
  { weights, model }: Match,
  groups: readonly MisfitGroup[],
  renamings: readonly Renaming[],
): OtherCount[] {
  const names = [...weights.keyByName.keys()];
  // Blocks under other names are blocks, too.
  for (const { from, to } of renamings)
    names.push(...Array.from(from.shapes.keys(), (index) => to.name.replace(/\bN\b/, String(index))));
  return REPETITIONS.filter(({ group }) => groups.some(({ name }) => name === group)).flatMap(
    (repetition) => {
      const inFile = countRepetitions(repetition, names);
      const inModel = countRepetitions(repetition, model.keys());
      if (inFile === null || inModel === null || inFile === inModel) return [];
      const value = repetition.valueFor ? repetition.valueFor(inFile) : inFile;
      return [{ unit: repetition.unit, setting: repetition.setting, inFile, inModel, value }];
    },
  );
}

/** Returns settings that explain all missing tensors of a group, or all tensors that the file has beyond the model. */
function otherSettings(
  { incomplete, surplus }: MisfitGroup,
  { model, report }: Match,
  renamings: readonly Renaming[],
): string[] {
  const bare = (name: string) => kindOf(name).kind.replace(/^(backbone|stm_head)\./, '');
  const found = new Set(renamings.map(({ to }) => bare(to.name)));
  const used = new Set(renamings.map(({ from }) => from.name));
  const loaded = new Set(Array.from(report.loaded.keys(), bare));
  const known = new Set(Array.from(model.keys(), bare));
  const lacking = incomplete.flatMap(({ missing }) => missing).filter((name) => !found.has(bare(name)));
  const beyond = surplus.filter((name) => !used.has(kindOf(name).kind) && !known.has(bare(name)));
  return [
    ...(lacking.some((name) => loaded.has(bare(name))) ? [] : settingsWithout(lacking)),
    ...settingsWith(beyond),
  ];
}
