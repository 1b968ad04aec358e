/** @file Whether a value is one that a key accepts. */
import type { Schema } from './schema/index.js';

/** Whether a value, in the form that it has in JSON, is one that a schema describes. */
export function fits(value: unknown, schema: Schema): boolean {
  if (schema.anyOf) return schema.anyOf.some((choice) => fits(value, choice));
  switch (schema.type) {
    case 'integer':
      return Number.isInteger(value) && isInRange(value as number, schema);
    case 'number':
      return Number.isFinite(value) && isInRange(value as number, schema);
    case 'string':
      return typeof value === 'string' && isWord(value, schema);
    case 'array':
      return Array.isArray(value) && isList(value, schema);
    case 'null':
      return value === null;
    default:
      return typeof value === schema.type;
  }
}

function isInRange(
  value: number,
  {
    minimum = -Infinity,
    maximum = Infinity,
    exclusiveMinimum = -Infinity,
    exclusiveMaximum = Infinity,
  }: Schema,
): boolean {
  return value >= minimum && value <= maximum && value > exclusiveMinimum && value < exclusiveMaximum;
}

function isWord(value: string, { enum: words, minLength = 0 }: Schema): boolean {
  return value.length >= minLength && (words === undefined || words.includes(value));
}

function isList(value: readonly unknown[], { items, minItems = 0, maxItems = Infinity }: Schema): boolean {
  return value.length >= minItems && value.length <= maxItems && value.every((entry) => fits(entry, items!));
}
