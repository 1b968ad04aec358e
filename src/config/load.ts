/** @file Loads a configuration: defaults, overridden by a YAML file, overridden by `KEY VALUE …` arguments. */
import { plainName } from '../util/similar.js';
import { featureFrames } from './backbone_rules.js';
import { foreignConfig } from './foreign/config.js';
import { describeValue, meantBy, type Origin, type Problem, throwProblems, unknownKey } from './messages.js';
import { type Assignment, parseOverrides } from './overrides.js';
import { assign, checkRules } from './resolve.js';
import { type Config, defaultConfig, FIELDS, SECTIONS, setValue } from './schema/index.js';
import { findWarnings } from './warnings.js';
import { readYamlFile } from './yaml_file.js';
import { YamlMapping } from './yaml_mapping.js';

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
  const foreign = foreignConfig(read.mapping);
  if (foreign !== null) throwProblems([{ origin: { source: 'file', file }, message: foreign }]);
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
 * Checks the rules across keys, and sets the time steps of the feature maps if nobody did. `fallback` is the origin of
 * problems with values that nobody set. Throws a ConfigError that lists the earlier problems and all others.
 */
export function finishConfig(
  { config, origins, problems }: ReturnType<typeof assign>,
  earlier: readonly Problem[],
  fallback: Origin,
): LoadedConfig {
  const wrong = doubtfulKeys([...earlier, ...problems]);
  const steps = featureFrames(config);
  if (steps !== null && origins.get(TIME_STEPS)!.source === 'default' && !wrong.has(TIME_STEPS))
    setValue(config, TIME_STEPS, steps);
  const all = [...earlier, ...problems, ...checkRules(config, origins, wrong, fallback)];
  if (all.length) throwProblems(all);
  return { config, origins, warnings: findWarnings(config, origins) };
}

/** The key whose value is computed from other keys if nobody sets it. */
const TIME_STEPS = 'MODEL.STM.TEMPORAL_POINTS';

/** Keys with a wrong value, and keys that an unknown key was probably meant to set. */
function doubtfulKeys(problems: readonly Problem[]): Set<string> {
  const doubtful = new Set<string>();
  for (const { key, meant = [] } of problems) {
    for (const name of key === undefined ? meant : [key, ...meant]) {
      doubtful.add(name);
      if (!SECTIONS.has(name)) continue;
      for (const field of FIELDS.keys()) if (field.startsWith(`${name}.`)) doubtful.add(field);
    }
  }
  return doubtful;
}

/** Number of problems after which no nearest keys are suggested, because finding them is slow. Such a file is not a configuration. */
const MAX_SUGGESTIONS = 100;

/** Returns the assignments in a file, and its problems: unknown keys, repeated keys, and sections that are not mappings. */
function flatten(root: YamlMapping, file: string): { assignments: Assignment[]; problems: Problem[] } {
  const assignments: Assignment[] = [];
  const problems: Problem[] = [];
  const walk = (mapping: YamlMapping, prefix: string) => {
    const first = new Map<string, number>();
    for (const { key: name, line, value, written } of mapping.entries) {
      const key = prefix + name;
      const origin: Origin = { source: 'file', file, line };
      const complain = (message: string, meant: readonly string[] = []) =>
        problems.push({ origin, key, message, meant });
      const earlier = first.get(name);
      first.set(name, line);
      if (earlier !== undefined) complain(`is set again here, after line ${earlier}; keep one of them`);
      if (FIELDS.has(key)) {
        const plain = value instanceof YamlMapping ? toObject(value) : value;
        assignments.push({ key, value: plain, origin, written });
      } else if (!SECTIONS.has(key)) {
        const meant = problems.length < MAX_SUGGESTIONS ? meantBy(key) : null;
        complain(meant === null ? 'unknown key' : unknownKey(key), meant ?? []);
        // A section in lower case usually has keys in lower case, too: report them all at once.
        const section = meant?.find((one) => SECTIONS.has(one) && plainName(one) === plainName(key));
        if (section !== undefined && value instanceof YamlMapping) walk(value, `${section}.`);
      } else if (value instanceof YamlMapping) {
        walk(value, `${key}.`);
      } else if (value !== null) {
        const hint = typeof value === 'string' && /\w:\S/.test(value) ? '; put a space after each colon' : '';
        complain(`is a section: expected a mapping of keys, found ${describeValue(value)}${hint}`);
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
