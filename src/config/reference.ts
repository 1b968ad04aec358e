/** @file The table of all keys for the README, made from the schema. */
import type { TSchema } from '@sinclair/typebox';
import { describeDefault, describeType } from './messages.js';
import { ConfigSchema, FIELDS, isSection, SECTIONS } from './schema/index.js';

/** Markdown: a table for each section, first those that have an effect, then the others in one fold. */
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
    ...used.map(([path, keys]) => table(path, keys)),
    '<details><summary>Keys of other backbones and data sets: accepted, without effect</summary>',
    ...unused.map(([path, keys]) => table(path, keys)),
    '</details>',
  ].join('\n\n');
}

function table(path: string, keys: readonly string[]): string {
  const section = SECTIONS.get(path);
  const title = section ? `**${path}**: ${section.description}` : `**${path}**`;
  const rows = keys.map((key) => {
    const schema = FIELDS.get(key)!;
    const effect = schema.noEffect ? ` *No effect: ${schema.noEffect}.*` : '';
    const cells = [
      code(key),
      describeType(schema),
      code(describeDefault(schema)),
      schema.description + effect,
    ];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return `${title}\n\n| Key | Type | Default | Meaning |\n| --- | --- | --- | --- |\n${rows.join('\n')}`;
}

function code(text: string): string {
  return `\`${text}\``;
}

const BEGIN = '<!-- config-reference -->';
const END = '<!-- /config-reference -->';

/** `text` with everything between the two markers replaced by the table. Throws where the markers are not there. */
export function insertReference(text: string): string {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`expected the lines ${BEGIN} and ${END}, in this order`);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${configReference()}\n\n${text.slice(end)}`;
}
