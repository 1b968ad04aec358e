/** @file Finds the entries that are missing in a saved state of optimizer and schedule. */
import { asDict } from '../formats/python/dict.js';
import type { PyValue } from '../formats/python/values.js';
import { pairParameters } from './optimizer_state.js';
import type { OptimizerView } from './optimizer_view.js';

/** Describes the entries that are missing in an optimizer's state dict; null if it is complete. */
export function optimizerGap(optimizer: PyValue): string | null {
  return lacking(optimizer, "the optimizer's state", ['param_groups', 'state']);
}

/** Describes the entries that are missing in a schedule's state dict and in every configuration; null if it is complete. */
export function scheduleGap(schedule: PyValue, { positionOnly }: { positionOnly: boolean }): string | null {
  return lacking(schedule, 'the schedule', positionOnly ? ['last_epoch'] : ['last_epoch', 'base_lrs']);
}

function lacking(value: PyValue, what: string, keys: readonly string[]): string | null {
  if (value === null) return what;
  const dict = asDict(value, what.replace('the ', ''));
  const missing = keys.filter((key) => (dict.get(key) ?? null) === null);
  if (missing.length === 0) return null;
  return `${missing.map((key) => `"${key}"`).join(' and ')} of ${what}`;
}

/**
 * Returns the names of the parameters whose state is missing or incomplete in an optimizer's state dict after training. In
 * PyTorch a parameter without a gradient has no state, so the caller decides which of them matter. Throws CheckpointError if
 * the groups are not those of this run.
 */
export function parametersWithoutState(optimizer: OptimizerView, state: PyValue): string[] {
  const dict = asDict(state, 'optimizer state');
  const entries = new Map(
    Array.from(asDict(dict.get('state'), 'optimizer state["state"]'), ([key, entry]) => [Number(key), entry]),
  );
  const needed = [...optimizer.bufferNames, ...(optimizer.countsSteps ? ['step'] : [])];
  const isWhole = (index: number, name: string) => {
    const entry = entries.get(index) ?? null;
    if (entry === null) return false;
    const found = asDict(entry, `optimizer state of ${name}`);
    return needed.every((key) => (found.get(key) ?? null) !== null);
  };
  const { fileGroups, byIndex } = pairParameters(optimizer, dict);
  // The state of another kind of optimizer is reported elsewhere.
  const isOfMethod = fileGroups.every((group) =>
    Object.keys(optimizer.defaults).every((key) => group.has(key)),
  );
  if (!isOfMethod) return [];
  return Array.from(byIndex)
    .filter(([index, { named, fileGroup }]) => optimizer.keepsState(fileGroup) && !isWhole(index, named.name))
    .map(([, { named }]) => named.name);
}
