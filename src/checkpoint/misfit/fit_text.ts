/** @file Messages about a weight file that fits a model in part: counts part by part, likely names, and what to do. */
import { firstNames, printable } from '../../util/text.js';
import { kindOf } from '../model_parts.js';
import type { Coverage, IncompletePart, Misfit, MisfitGroup } from './fit.js';
import { type Renaming, shownNames, withoutSharedStart } from './renaming.js';

/** Up to this number, renamings are listed; more are summarized by their common pattern. */
const MAX_RENAMINGS = 8;

/** The counts and the likely names, a line each, without the file's name and without advice. */
export function describeMisfit(misfit: Misfit): string {
  const lines = misfit.groups.flatMap((group) => describeGroup(group, misfit));
  for (const { unit, inFile, inModel, setting } of misfit.counts)
    lines.push(
      `  the file has ${inFile} ${unit}${inFile === 1 ? '' : 's'}, the model ${inModel} (${setting})`,
    );
  lines.push(...describeRenamings(misfit.renamings));
  return lines.join('\n');
}

/** The misfit in a few words. */
export function summarizeMisfit({ groups }: Misfit): string {
  const isLacking = groups.some(({ incomplete }) => incomplete.length > 0);
  return isLacking ? 'its weights fit the model only in part' : 'only a part of its weights fits the model';
}

/** Advice for the user. Only training can continue with a part of the weights. */
export function adviseOn(misfit: Misfit, coverage: Coverage, withFlag: (flag: string) => string): string {
  const { groups, renamings, counts, settings } = misfit;
  const ways: string[] = [];
  if (renamings.length > 0) ways.push('rename the tensors in the file');
  const numbers = counts.flatMap(({ setting, value }) => (value === null ? [] : `${setting} ${value}`));
  const fitting = [...numbers, ...settings];
  if (fitting.length > 0) ways.push(`use the configuration that fits the file (${fitting.join(', ')})`);
  if (ways.length === 0) ways.push('use a file and a configuration that fit each other');
  if (coverage !== 'whole model') {
    if (groups.every(({ name }) => name === 'head'))
      ways.push(`leave the head out with ${withFlag('--no-head')}`);
    ways.push(`use ${withFlag('--allow-partial')} to train with what loads, and the rest at random`);
  }
  const [first, ...others] = ways;
  return `${[first[0].toUpperCase() + first.slice(1), ...others].join(', or ')}.`;
}

/** Only the likely names, for a file of which nothing loads. */
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
  if (surplus.length > 0)
    lines.push(`    in the file, but not in the model: ${surplus.length} (${some(surplus)})`);
  return lines;
}

function describePart({ name, loaded, total, missing }: IncompletePart): string {
  const count = `${name}: ${loaded} of ${total}`;
  if (loaded === 0) return count;
  const isKind = missing.every((tensor) => kindOf(tensor).kind.endsWith(name));
  return `${count} (without ${isKind ? `N = ${missing.map((tensor) => kindOf(tensor).index).join(', ')}` : some(missing)})`;
}

/** Names of the file that are not among the likely names. */
function unexplained({ surplus }: MisfitGroup, { renamings }: Misfit): string[] {
  const explained = new Set(renamings.map(({ from }) => from.name));
  return surplus.filter((key) => !explained.has(kindOf(key).kind));
}

function describeRenaming(renaming: Renaming): string {
  const { start, from, to } = withoutSharedStart(shownNames(renaming));
  const numbers = [...renaming.to.shapes.keys()];
  const place = start.replace('N.', numbers.length > 1 ? 'N' : String(numbers[0]));
  return `${from} → ${to}${start === '' ? '' : ` (in ${place})`}`;
}

/** Summarizes many renamings by their pattern, e.g. `layers.N.* → blocks.N.*`. */
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
  return firstNames(names.map(printable));
}
