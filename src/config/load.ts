/** @file Loads a configuration: defaults, overridden by a YAML file, overridden by `KEY VALUE …` arguments. */
import { describeValue, type Origin, type Problem, throwProblems, unknownKey } from './messages.js';
import { type Assignment, parseOverrides } from './overrides.js';
import { assign, checkRules } from './resolve.js';
import { type Config, defaultConfig, FIELDS, SECTIONS } from './schema/index.js';
import { findWarnings } from './warnings.js';
import { readYamlFile, YamlMapping } from './yaml_file.js';

export interface LoadedConfig {
  config: Config;
  /** Origin of each value, by full path, with every key present. */
  origins: Map<string, Origin>;
  /** Messages about settings that do not do what they seem to do. */
  warnings: string[];
}

/**
 * Loads a configuration from a YAML file and the `KEY VALUE …` arguments of a command line, which override the file.
 * Throws a ConfigError that lists everything that is wrong.
 */
export function loadConfig(file: string, overrides: readonly string[] = []): LoadedConfig {
  const read = readYamlFile(file);
  if ('problem' in read) throwProblems([read.problem]);
  const fromFile = flatten(read.mapping, file);
  const fromArgs = parseOverrides(overrides);
  const assigned = assign(defaultConfig(), [...fromFile.assignments, ...fromArgs.assignments]);
  return finishConfig(assigned, [...fromFile.problems, ...fromArgs.problems], { source: 'file', file });
}

/** The YAML file that a configuration was loaded from; undefined if no value comes from one. */
export function configFileOf(origins: LoadedConfig['origins']): string | undefined {
  return [...origins.values()].find(({ source }) => source === 'file')?.file;
}

/**
 * Checks the rules across keys. `fallback` is the origin of problems with values that nobody set. Throws a ConfigError that
 * lists the earlier problems and all others.
 */
export function finishConfig(
  { config, origins, problems }: ReturnType<typeof assign>,
  earlier: readonly Problem[],
  fallback: Origin,
): LoadedConfig {
  const wrong = new Set(problems.map(({ key }) => key));
  const all = [...earlier, ...problems, ...checkRules(config, origins, wrong, fallback)];
  if (all.length) throwProblems(all);
  return { config, origins, warnings: findWarnings(config, origins) };
}

/** Number of problems after which no nearest keys are suggested, because finding them is slow. Such a file is no configuration. */
const MAX_SUGGESTIONS = 100;

/** Returns the assignments in a file, and its problems: unknown keys, repeated keys, and sections that are no mappings. */
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
      if (earlier !== undefined) complain(`is set again here, after line ${earlier}; keep one of them`);
      if (FIELDS.has(key)) {
        const plain = value instanceof YamlMapping ? toObject(value) : value;
        assignments.push({ key, value: plain, origin, written });
      } else if (!SECTIONS.has(key)) {
        complain(problems.length < MAX_SUGGESTIONS ? unknownKey(key) : 'unknown key');
      } else if (value instanceof YamlMapping) {
        walk(value, `${key}.`);
      } else if (value !== null) {
        complain(`is a section: expected a mapping of keys, found ${describeValue(value)}`);
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
