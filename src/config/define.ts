/** @file Makes a configuration from plain values, for programs. */
import { formatPythonLiteral } from '../formats/python/literals.js';
import { finishConfig, type LoadedConfig } from './load.js';
import { describeValue, meantBy, type Origin, type Problem, throwProblems, unknownKey } from './messages.js';
import type { Assignment } from './overrides.js';
import { assign } from './resolve.js';
import { type Config, defaultConfig, FIELDS, SECTIONS } from './schema/index.js';

/** Sections with some of their keys. Lists are given whole. */
export type ConfigValues<T = Config> = {
  readonly [K in keyof T]?: T[K] extends readonly unknown[] ? T[K] : ConfigValues<T[K]>;
};

const origin: Origin = { source: 'program' };

/** Changes to the official defaults, whose backbone cannot be built: a ViT-B on clips of 16 frames, every 4th of the video. */
const BASE = { 'MODEL.BACKBONE.CONV_BODY': 'MAE-ViT-B', 'DATA.NUM_FRAMES': 16, 'DATA.SAMPLING_RATE': 4 };

/**
 * Makes a configuration from plain values, e.g. `{ ViT: { DEPTH: 2 } }`. Keys that are left out have the official
 * defaults, except that they can run: the model is a ViT-B on clips of 16 frames, every 4th frame of the video, and
 * MODEL.STM.TEMPORAL_POINTS follows from DATA.NUM_FRAMES and ViT.TUBELET_SIZE. Throws a ConfigError that lists
 * everything that is wrong.
 */
export function defineConfig(values: ConfigValues = {}): LoadedConfig {
  const given = flatten(values);
  const assigned = assign(configFromOverrides(BASE), given.assignments);
  return finishConfig(assigned, given.problems, origin);
}

/**
 * Returns `base` with other values at some full paths, e.g. `{ 'ViT.DEPTH': 2 }`. Strings are decoded like those of a
 * command line. Checks each key by itself and no rules across keys, so that a part can be set up alone. Throws a
 * ConfigError that lists everything that is wrong.
 */
export function configFromOverrides(
  overrides: Readonly<Record<string, unknown>>,
  base: Config = defaultConfig(),
): Config {
  const unknown: Problem[] = [];
  const assignments: Assignment[] = [];
  for (const [key, value] of Object.entries(overrides)) {
    if (FIELDS.has(key)) assignments.push({ key, value, origin });
    else unknown.push({ origin, key, message: unknownKey(key) });
  }
  const { config, problems } = assign(base, assignments);
  if (unknown.length || problems.length) throwProblems([...unknown, ...problems]);
  return config;
}

function flatten(values: ConfigValues): { assignments: Assignment[]; problems: Problem[] } {
  const assignments: Assignment[] = [];
  const problems: Problem[] = [];
  const walk = (section: object, prefix: string) => {
    for (const [name, value] of Object.entries(section)) {
      const key = prefix + name;
      if (value === undefined) continue;
      if (FIELDS.has(key)) assignments.push({ key, value: undecoded(value), origin });
      else if (!SECTIONS.has(key))
        problems.push({ origin, key, message: unknownKey(key), meant: meantBy(key) });
      else if (typeof value === 'object' && value !== null && !Array.isArray(value)) walk(value, `${key}.`);
      else
        problems.push({
          origin,
          key,
          message: `is a section: expected its keys, found ${describeValue(value)}`,
        });
    }
  };
  walk(values, '');
  return { assignments, problems };
}

/** Quotes a string, so that it is not decoded to the number or list that it looks like. */
function undecoded(value: unknown): unknown {
  return typeof value === 'string' ? formatPythonLiteral(value) : value;
}
