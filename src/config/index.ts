/** @file Configuration: a YAML file over the defaults, `KEY VALUE …` words over the file, everything checked. */
import { describeValue, type Origin, type Problem, throwProblems, unknownKey } from './messages.js';
import { type Assignment, parseOverrides } from './overrides.js';
import { assign, checkRules } from './resolve.js';
import { type Config, defaultConfig, FIELDS, SECTIONS } from './schema/index.js';
import { findWarnings } from './warnings.js';
import { readYamlFile, YamlMapping } from './yaml_file.js';

export { dumpConfig } from './dump.js';
export type { Origin } from './messages.js';
export { type Config, defaultConfig } from './schema/index.js';

export interface LoadedConfig {
  config: Config;
  /** Where each value comes from, by full path, every key present. */
  origins: Map<string, Origin>;
  /** Sentences about settings that do not do what they seem to. */
  warnings: string[];
}

/**
 * Reads a YAML file and the `KEY VALUE …` words of a command line. Throws a ConfigError that lists everything that is
 * wrong with either.
 */
export function loadConfig(file: string, overrides: readonly string[] = []): LoadedConfig {
  const read = readYamlFile(file);
  if ('problem' in read) throwProblems([read.problem]);
  const fromFile = flatten(read.mapping, file);
  const fromWords = parseOverrides(overrides);
  const { config, origins, problems } = assign(defaultConfig(), [
    ...fromFile.assignments,
    ...fromWords.assignments,
  ]);
  const wrong = new Set(problems.map(({ key }) => key));
  const all = [
    ...fromFile.problems,
    ...fromWords.problems,
    ...problems,
    ...checkRules(config, origins, wrong, file),
  ];
  if (all.length) throwProblems(all);
  return { config, origins, warnings: findWarnings(config, origins) };
}

/**
 * `base` with other values at some full paths, e.g. `{ 'ViT.DEPTH': 2 }`; strings are decoded like those of a command
 * line. Checks each key by itself, not what a whole run needs, so that parts can be set up alone.
 */
export function configFromOverrides(
  overrides: Readonly<Record<string, unknown>>,
  base: Config = defaultConfig(),
): Config {
  const origin: Origin = { source: 'override' };
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

/** Looking for the nearest key takes a while; a file with more unknown keys than this is not a configuration. */
const MAX_SUGGESTIONS = 100;

/** The assignments in a file, and keys that are unknown, stand twice, or are sections without being mappings. */
function flatten(root: YamlMapping, file: string): { assignments: Assignment[]; problems: Problem[] } {
  const assignments: Assignment[] = [];
  const problems: Problem[] = [];
  const walk = (mapping: YamlMapping, prefix: string) => {
    const first = new Map<string, number>();
    for (const { key: name, line, value, written } of mapping.entries) {
      const key = prefix + name;
      const origin: Origin = { source: 'file', file, line };
      const complain = (message: string) => problems.push({ origin, key, message });
      const earlier = first.get(name);
      first.set(name, line);
      if (earlier !== undefined) complain(`stands here again, after line ${earlier}; keep one of them`);
      if (FIELDS.has(key)) {
        const plain = value instanceof YamlMapping ? toObject(value) : value;
        assignments.push({ key, value: plain, origin, written });
      } else if (!SECTIONS.has(key)) {
        complain(problems.length < MAX_SUGGESTIONS ? unknownKey(key) : 'unknown key');
      } else if (value instanceof YamlMapping) {
        walk(value, `${key}.`);
      } else if (value !== null) {
        complain(`is a section: expected a mapping of its keys, found ${describeValue(value)}`);
      }
    }
  };
  walk(root, '');
  return { assignments, problems };
}

function toObject(mapping: YamlMapping): Map<string, unknown> {
  return new Map(
    mapping.entries.map(({ key, value }) => [key, value instanceof YamlMapping ? toObject(value) : value]),
  );
}
