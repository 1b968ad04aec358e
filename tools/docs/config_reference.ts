/** @file The table of all configuration keys, made from the schema. */
import { describeDefault, describeType } from '../../src/config/messages.js';
import { FIELDS, SECTIONS } from '../../src/config/schema/index.js';
import { code, markdownTable } from './markdown.js';

/** Markdown with a table for each section. The keys without effect come last, in one folded block. */
export function configReference(): string {
  return [
    ...tables('##', (key) => !FIELDS.get(key)!.noEffect),
    '<details><summary>Keys without effect: accepted, so that official files load</summary>',
    ...tables('###', (key) => Boolean(FIELDS.get(key)!.noEffect)),
    '</details>',
  ].join('\n\n');
}

/** A heading and a table for each section that has such keys, in the order of the schema; single keys come first. */
function tables(heading: string, isShown: (key: string) => boolean): string[] {
  const keys = [...FIELDS.keys()].filter(isShown);
  const sections = new Set(['', ...SECTIONS.keys()]);
  return [...sections].flatMap((path) => {
    const rows = keys.filter((key) => key.slice(0, Math.max(0, key.lastIndexOf('.'))) === path).map(keyRow);
    const description = SECTIONS.get(path)?.description;
    const intro = description ? `${heading} ${path}\n\n${description}` : `${heading} Keys outside sections`;
    return rows.length ? [`${intro}\n\n${markdownTable(['key', 'type', 'default', 'meaning'], rows)}`] : [];
  });
}

function keyRow(key: string): string[] {
  const schema = FIELDS.get(key)!;
  const effect = schema.noEffect ? ` *No effect: ${schema.noEffect}.*` : '';
  return [code(key), describeType(schema), code(describeDefault(schema)), schema.description + effect];
}
