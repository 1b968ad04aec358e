/** @file The schema of the whole configuration: the one source of its types, defaults, checks and documentation. */
import { AK, AVA, DATA, DATALOADER, KINETICS, OUTPUT_DIR, TEST } from './data.js';
import { section } from './fields.js';
import { MODEL, ViT } from './model.js';
import { NONLOCAL, RESNET, SLOWFAST } from './resnet.js';
import { ENGINE, SOLVER } from './solver.js';
import type { Properties, Schema, Section, ValueOf } from './types.js';

export { BACKBONES } from './choices.js';
export { DATASET_NAMES } from './data.js';
export type { Properties, Schema, Section } from './types.js';

export const ConfigSchema = section('All keys.', {
  DATA,
  AVA,
  KINETICS,
  AK,
  DATALOADER,
  MODEL,
  RESNET,
  NONLOCAL,
  SLOWFAST,
  ViT,
  SOLVER,
  ENGINE,
  TEST,
  OUTPUT_DIR,
});

/** The resolved configuration, with every key present. */
export type Config = ValueOf<typeof ConfigSchema>;

export function isSection(schema: Schema): schema is Section<Properties> {
  return schema.properties !== undefined;
}

function collect(
  { properties }: Section<Properties>,
  prefix: string,
  fields: Map<string, Schema>,
  sections: Map<string, Schema>,
) {
  for (const [name, child] of Object.entries(properties)) {
    const path = prefix + name;
    if (isSection(child)) {
      sections.set(path, child);
      collect(child, `${path}.`, fields, sections);
    } else {
      fields.set(path, child);
    }
  }
}

const fieldMap = new Map<string, Schema>();
const sectionMap = new Map<string, Schema>();
collect(ConfigSchema, '', fieldMap, sectionMap);

/** Schema of every key with a value, by full path, in the order of the schema. */
export const FIELDS: ReadonlyMap<string, Schema> = fieldMap;

/** Schema of every section, by full path. */
export const SECTIONS: ReadonlyMap<string, Schema> = sectionMap;

/** The defaults of the official code, as a new object that the caller may change. Their backbone cannot be built. */
export function defaultConfig(): Config {
  const config = {};
  for (const [path, schema] of FIELDS) setValue(config, path, structuredClone(schema.default));
  return config as Config;
}

/** The value at a full path. */
export function getValue(config: object, path: string): unknown {
  let value: unknown = config;
  for (const name of path.split('.')) value = (value as Record<string, unknown>)[name];
  return value;
}

/** Sets the value at a full path, creating missing sections. */
export function setValue(config: object, path: string, value: unknown): void {
  const names = path.split('.');
  const last = names.pop()!;
  let parent = config as Record<string, unknown>;
  for (const name of names) {
    parent[name] ??= {};
    parent = parent[name] as Record<string, unknown>;
  }
  parent[last] = value;
}
