/** @file Writes a configuration as YAML that stmixer and the official code read back as the same configuration. */
import type { TSchema } from '@sinclair/typebox';
import { formatFloat, formatPythonLiteral, parsePythonLiteral } from '../formats/python/literals.js';
import { type Config, ConfigSchema, getValue, isSection } from './schema/index.js';

/** Formats the whole configuration as YAML. */
export function dumpConfig(config: Config): string {
  return configLines(config)
    .map(({ text }) => `${text}\n`)
    .join('');
}

/** Returns one indented line for each section and key, in the order of the schema. Sections have no `key`. */
export function configLines(config: Config): { text: string; key?: string }[] {
  const lines: { text: string; key?: string }[] = [];
  const walk = (schema: TSchema, prefix: string, indent: string) => {
    for (const [name, child] of Object.entries<TSchema>(schema.properties)) {
      const key = prefix + name;
      if (isSection(child)) {
        lines.push({ text: `${indent}${name}:` });
        walk(child, `${key}.`, `${indent}  `);
      } else {
        lines.push({ text: `${indent}${name}: ${scalar(getValue(config, key), child)}`, key });
      }
    }
  };
  walk(ConfigSchema, '', '');
  return lines;
}

function scalar(value: unknown, schema: TSchema): string {
  // The official code requires a float if its default is one.
  if (typeof value === 'number' && schema.type === 'number') return formatFloat(value);
  if (typeof value === 'string') {
    // Text that looks like a Python literal would be read as one, so it is quoted for Python too.
    return JSON.stringify(parsePythonLiteral(value) === undefined ? value : formatPythonLiteral(value));
  }
  return flow(value);
}

function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value === 'number' && !Number.isInteger(value)) return formatFloat(value);
  return JSON.stringify(value);
}
