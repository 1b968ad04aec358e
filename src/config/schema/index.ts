/** @file The schema of the whole configuration: the one source of its types, defaults, checks and documentation. */
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { AK, AVA, DATA, DATALOADER, KINETICS, OUTPUT_DIR, TEST } from './data.js';
import { MODEL, ViT } from './model.js';
import { NONLOCAL, RESNET, SLOWFAST } from './resnet.js';
import { ENGINE, SOLVER } from './solver.js';

export { DATASET_NAMES } from './data.js';
export { OWN_KEYWORDS } from './fields.js';

export const ConfigSchema = Type.Object(
  {
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
  },
  { additionalProperties: false },
);

/** The resolved configuration, with every key present. */
export type Config = Static<typeof ConfigSchema>;

export function isSection(schema: TSchema): boolean {
  return schema.properties !== undefined;
}

function collect(
  schema: TSchema,
  prefix: string,
  fields: Map<string, TSchema>,
  sections: Map<string, TSchema>,
) {
  for (const [name, child] of Object.entries<TSchema>(schema.properties)) {
    const path = prefix + name;
    if (isSection(child)) {
      sections.set(path, child);
      collect(child, `${path}.`, fields, sections);
    } else {
      fields.set(path, child);
    }
  }
}

const fieldMap = new Map<string, TSchema>();
const sectionMap = new Map<string, TSchema>();
collect(ConfigSchema, '', fieldMap, sectionMap);

/** Schema of every key with a value, by full path, in the order of the schema. */
export const FIELDS: ReadonlyMap<string, TSchema> = fieldMap;

/** Schema of every section, by full path. */
export const SECTIONS: ReadonlyMap<string, TSchema> = sectionMap;

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
