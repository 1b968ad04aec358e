/** @file What is said of a weight file that fits a model in part: counts part by part, likely names, and what to do. */
import { printable } from '../util/text.js';
import type { Coverage, IncompletePart, Misfit, MisfitGroup } from './fit.js';
import { kindOf } from './model_parts.js';
import { type FusedBias, type Renaming, shownNames, withoutSharedStart } from './renaming.js';

/** More renamings than this are shown by what they have in common. */
const MAX_RENAMINGS = 8;
const MAX_NAMES = 3;

/** The counts and the likely names, a line each, without the file's name and without advice. */
export function describeMisfit(misfit: Misfit): string {
  const lines = misfit.groups.flatMap((group) => describeGroup(group, misfit));
  for (const { unit, inFile, inModel, setting } of misfit.counts)
    lines.push(
      `  the file has ${inFile} ${unit}${inFile === 1 ? '' : 's'}, the model ${inModel} (${setting})`,
    );
  lines.push(...misfit.fused.map((fused) => `  ${describeFused(fused)}`));
  lines.push(...describeRenamings(misfit.renamings));
  return lines.join('\n');
}

/** In a few words, what is wrong. */
export function summarizeMisfit({ groups }: Misfit): string {
  const isLacking = groups.some(({ incomplete }) => incomplete.length > 0);
  return isLacking ? 'its weights fit the model only in part' : 'only a part of its weights fits the model';
}

/** What a user can do about it; only training can go on with a part of the weights. */
export function adviseOn(misfit: Misfit, coverage: Coverage): string {
  const { groups, renamings, fused, counts, settings } = misfit;
  const ways: string[] = [];
  if (renamings.length > 0) ways.push('rename the tensors in the file');
  if (fused.length > 0) ways.push('split the biases in the file');
  const fitting = [...counts.map(({ setting, inFile }) => `${setting} ${inFile}`), ...settings];
  if (fitting.length > 0) ways.push(`use the configuration that fits the file (${fitting.join(', ')})`);
  if (ways.length === 0) ways.push('use a file and a configuration that fit each other');
  if (coverage !== 'whole model') {
    if (!groups.some(({ name }) => name === 'backbone')) ways.push('leave the head out with --no-head');
    ways.push('use --allow-partial to train with what loads, and the rest at random');
  }
  const [first, ...others] = ways;
  return `${[first[0].toUpperCase() + first.slice(1), ...others].join(', or ')}.`;
}

/** The likely names alone, for a file of which nothing loads. */
export function describeRenamings(renamings: readonly Renaming[]): string[] {
  if (renamings.length === 0) return [];
  const lines =
    renamings.length <= MAX_RENAMINGS ? renamings.map(describeRenaming) : sharedRenamings(renamings);
  return [
    '  most likely these are the same under other names, file → model:',
    ...lines.map((line) => `    ${printable(line)}`),
  ];
}

function describeGroup(group: MisfitGroup, misfit: Misfit): string[] {
  const { name, loaded, total, incomplete } = group;
  const lines = [`  ${name}: ${loaded} of ${total} tensors load`];
  lines.push(...incomplete.map((part) => `    ${describePart(part)}`));
  const surplus = unexplained(group, misfit);
  if (surplus.length > 0) {
    const kinds = [...new Set(surplus.map((key) => kindOf(key).kind))];
    lines.push(`    in the file, but not in the model: ${surplus.length} (${some(kinds)})`);
  }
  return lines;
}

function describePart({ name, loaded, total, missing }: IncompletePart): string {
  const count = `${name}: ${loaded} of ${total}`;
  if (loaded === 0) return count;
  const isKind = missing.every((tensor) => kindOf(tensor).kind.endsWith(name));
  return `${count} (without ${isKind ? `N = ${missing.map((tensor) => kindOf(tensor).index).join(', ')}` : some(missing)})`;
}

/** Names of the file that are not among the likely names. */
function unexplained({ surplus }: MisfitGroup, { renamings, fused }: Misfit): string[] {
  const explained = new Set([...renamings, ...fused].map(({ from }) => from.name));
  return surplus.filter((key) => !explained.has(kindOf(key).kind));
}

function describeFused({ from, to }: FusedBias): string {
  const bare = (name: string) => printable(name.replace(/^(backbone\.)?(blocks\.N\.)?/, ''));
  const names = to.map(({ name }) => bare(name)).join(' and ');
  return `${bare(from.name)} holds the biases of q, k and v in one tensor; the model has ${names} (its first and its last third)`;
}

function describeRenaming(renaming: Renaming): string {
  const { start, from, to } = withoutSharedStart(shownNames(renaming));
  return `${from} → ${to}${start === '' ? '' : ` (in every ${start.replace(/\.$/, '')})`}`;
}

/** Many renamings by what differs in them: `layers.N.* → blocks.N.*`. */
function sharedRenamings(renamings: readonly Renaming[]): string[] {
  const shared = renamings.map((renaming) => {
    const shown = shownNames(renaming);
    const [from, to] = [shown.from.split('.'), shown.to.split('.')];
    while (from.length > 0 && to.length > 0 && from.at(-1) === to.at(-1)) {
      from.pop();
      to.pop();
    }
    return `${[...from, '*'].join('.')} → ${[...to, '*'].join('.')}`;
  });
  return [...new Set(shared)];
}

function some(names: readonly string[]): string {
  const first = names.slice(0, MAX_NAMES).map(printable).join(', ');
  return first + (names.length > MAX_NAMES ? ', …' : '');
}
