/** @file Building blocks of the schema: one function for each kind of value, with default and description. */
import type { FieldOptions, Properties, Schema, Section } from './types.js';

export const POSITIVE = { exclusiveMinimum: 0 };
export const NOT_NEGATIVE = { minimum: 0 };
export const AT_LEAST_ONE = { minimum: 1 };
/** Range of drop rates and moment coefficients. 1 would discard everything. */
export const RATE = { minimum: 0, exclusiveMaximum: 1 };
export const UNIT_INTERVAL = { minimum: 0, maximum: 1 };

/** A Python int. */
export function int(value: number, description: string, options: FieldOptions = {}): Schema<number> {
  return { type: 'integer', default: value, description, ...options };
}

/** A Python float. Ints are accepted too. */
export function float(value: number, description: string, options: FieldOptions = {}): Schema<number> {
  return { type: 'number', default: value, description, ...options };
}

export function bool(
  value: boolean,
  description: string,
  options: Pick<FieldOptions, 'noEffect'> = {},
): Schema<boolean> {
  return { type: 'boolean', default: value, description, ...options };
}

export function text(
  value: string,
  description: string,
  options: Pick<FieldOptions, 'noEffect'> & { minLength?: number } = {},
): Schema<string> {
  return { type: 'string', default: value, description, ...options };
}

/**
 * One of a few words. `anyCase` accepts any letter case and stores the listed spelling. `usable` lists the words that errors
 * suggest, if the others are accepted only so that a later check can say why they cannot be used.
 */
export function word<const W extends string>(
  words: readonly W[],
  value: NoInfer<W>,
  description: string,
  options: Pick<FieldOptions, 'noEffect'> & { anyCase?: boolean; usable?: readonly W[] } = {},
): Schema<W> {
  return { type: 'string', enum: [...words], default: value, description, ...options };
}

/** A list or tuple. */
export function list<T>(
  items: Schema<T>,
  value: NoInfer<T>[],
  description: string,
  options: Pick<FieldOptions, 'noEffect'> & { minItems?: number; maxItems?: number } = {},
): Schema<T[]> {
  return { type: 'array', items, default: value, description, ...options };
}

/** A float or None. */
export function optionalFloat(
  value: number | null,
  description: string,
  options: FieldOptions = {},
): Schema<number | null> {
  return { anyOf: [{ type: 'number', ...options }, { type: 'null' }], default: value, description };
}

/** Items of lists. They have no default and no description. */
export const item = {
  int: (options: FieldOptions = {}): Schema<number> => ({ type: 'integer', ...options }),
  float: (options: FieldOptions = {}): Schema<number> => ({ type: 'number', ...options }),
  bool: (): Schema<boolean> => ({ type: 'boolean' }),
  text: (): Schema<string> => ({ type: 'string', minLength: 1 }),
  list: <T>(items: Schema<T>, options: { minItems?: number; maxItems?: number } = {}): Schema<T[]> => ({
    type: 'array',
    items,
    ...options,
  }),
};

/** A mapping of keys. Other keys are not allowed. */
export function section<P extends Properties>(description: string, properties: P): Section<P> {
  return { type: 'object', properties, additionalProperties: false, description };
}
