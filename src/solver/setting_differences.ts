/** @file Names the settings in which a checkpoint differs from the configuration. */

export type SettingValue = number | boolean | string | readonly (number | string)[] | undefined;

/** Settings of one parameter group or one schedule. */
export interface NamedSettings {
  readonly name: string;
  readonly settings: Readonly<Record<string, SettingValue>>;
}

/** A setting that loading a checkpoint changed. */
export interface SettingDifference {
  /** PyTorch's name: `weight_decay`, `gamma`, … */
  readonly setting: string;
  readonly configured: string;
  readonly loaded: string;
  /** The parameter groups (or the schedule) where it changed. */
  readonly names: readonly string[];
  /** Whether it changed in all of them. */
  readonly everywhere: boolean;
}

/** Returns the changes from `before` to `after`, which hold the same groups in the same order. Merges equal changes. */
export function settingDifferences(
  before: readonly NamedSettings[],
  after: readonly NamedSettings[],
): SettingDifference[] {
  const found = new Map<string, { setting: string; configured: string; loaded: string; names: string[] }>();
  for (const [i, { name, settings }] of after.entries()) {
    for (const setting of new Set([...Object.keys(before[i].settings), ...Object.keys(settings)])) {
      const configured = settingText(before[i].settings[setting]);
      const loaded = settingText(settings[setting]);
      if (configured === loaded) continue;
      const key = JSON.stringify([setting, configured, loaded]);
      const entry = found.get(key) ?? { setting, configured, loaded, names: [] };
      entry.names.push(name);
      found.set(key, entry);
    }
  }
  return Array.from(found.values(), (entry) => ({
    ...entry,
    everywhere: entry.names.length === after.length,
  }));
}

/** Describes a difference in one line for the log. */
export function describeDifference({
  setting,
  configured,
  loaded,
  names,
  everywhere,
}: SettingDifference): string {
  const shown = names.slice(0, 3).join(', ') + (names.length > 3 ? ` and ${names.length - 3} more` : '');
  const where = everywhere ? '' : ` (${shown})`;
  return `${setting}${where} is ${loaded} from the checkpoint; the configuration asks for ${configured}`;
}

function settingText(value: SettingValue): string {
  if (value === undefined) return 'unset';
  if (typeof value !== 'object') return String(value);
  // Each group has its base learning rate, and most of them are equal.
  if (value.length > 2 && value.every((item) => item === value[0])) return `${value.length} × ${value[0]}`;
  return `[${value.join(', ')}]`;
}
