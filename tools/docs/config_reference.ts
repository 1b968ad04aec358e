/** @file The table of all configuration keys, made from the schema. */
import type { TSchema } from '@sinclair/typebox';
import { describeDefault, describeType } from '../../src/config/messages.js';
import { ConfigSchema, FIELDS, isSection, SECTIONS } from '../../src/config/schema/index.js';
import { code, markdownTable } from './markdown.js';

/** Markdown with a table for each section: first those with an effect, then the others in one folded block. */
export function configReference(): string {
  const groups = new Map<string, string[]>();
  for (const [name, schema] of Object.entries<TSchema>(ConfigSchema.properties)) {
    if (!isSection(schema)) groups.set(name, [name]);
  }
  for (const path of SECTIONS.keys()) {
    const keys = [...FIELDS.keys()].filter((key) => key.slice(0, key.lastIndexOf('.')) === path);
    if (keys.length) groups.set(path, keys);
  }
  const isUnused = ([, keys]: [string, string[]]) => keys.every((key) => FIELDS.get(key)!.noEffect);
  const used = [...groups].filter((group) => !isUnused(group));
  const unused = [...groups].filter(isUnused);
  return [
    ...used.map(([path, keys]) => section(path, keys)),
    '<details><summary>Keys of other backbones and data sets: accepted, without effect</summary>',
    ...unused.map(([path, keys]) => section(path, keys)),
    '</details>',
  ].join('\n\n');
}

function section(path: string, keys: readonly string[]): string {
  const schema = SECTIONS.get(path);
  const title = `## ${path}${schema ? `\n\n${schema.description}` : ''}`;
  return `${title}\n\n${markdownTable(['key', 'type', 'default', 'meaning'], keys.map(keyRow))}`;
}

function keyRow(key: string): string[] {
  const schema = FIELDS.get(key)!;
  const effect = schema.noEffect ? ` *No effect: ${schema.noEffect}.*` : '';
  return [code(key), describeType(schema), code(describeDefault(schema)), schema.description + effect];
}
