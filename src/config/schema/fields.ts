/** @file Building blocks of the schema: one function per kind of value, each with its default and description. */
import { type TProperties, type TSchema, Type } from '@sinclair/typebox';

/** What a field may state beside its default and description; JSON Schema keywords and some of our own. */
interface FieldOptions {
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  /** Why the key is accepted but never read; a value other than the default gets a warning. */
  noEffect?: string;
  /** What to do about a number that is not whole; said in the error about it. */
  ofFractions?: string;
}

/** Keywords that are ours, not JSON Schema's. */
export const OWN_KEYWORDS = ['noEffect', 'anyCase', 'ofFractions'];

export const POSITIVE = { exclusiveMinimum: 0 };
export const NOT_NEGATIVE = { minimum: 0 };
export const AT_LEAST_ONE = { minimum: 1 };
/** Drop rates and moment coefficients: 1 would throw everything away. */
export const RATE = { minimum: 0, exclusiveMaximum: 1 };
export const UNIT_INTERVAL = { minimum: 0, maximum: 1 };

/** A Python int. */
export function int(value: number, description: string, options: FieldOptions = {}) {
  return Type.Integer({ default: value, description, ...options });
}

/** A Python float; ints are taken as well. */
export function float(value: number, description: string, options: FieldOptions = {}) {
  return Type.Number({ default: value, description, ...options });
}

export function bool(value: boolean, description: string, options: Pick<FieldOptions, 'noEffect'> = {}) {
  return Type.Boolean({ default: value, description, ...options });
}

export function text(
  value: string,
  description: string,
  options: Pick<FieldOptions, 'noEffect'> & { minLength?: number } = {},
) {
  return Type.String({ default: value, description, ...options });
}

/** One of a few words; `anyCase` accepts every spelling in capitals and small letters and keeps the listed one. */
export function word<const W extends string>(
  words: readonly W[],
  value: NoInfer<W>,
  description: string,
  options: Pick<FieldOptions, 'noEffect'> & { anyCase?: boolean } = {},
) {
  return Type.Unsafe<W>({ type: 'string', enum: [...words], default: value, description, ...options });
}

/** A list or tuple. */
export function list<T extends TSchema>(
  items: T,
  value: T['static'][],
  description: string,
  options: Pick<FieldOptions, 'noEffect'> & { minItems?: number; maxItems?: number } = {},
) {
  return Type.Array(items, { default: value, description, ...options });
}

/** Items of lists: they have no default and no description of their own. */
export const item = {
  int: (options: FieldOptions = {}) => Type.Integer(options),
  float: (options: FieldOptions = {}) => Type.Number(options),
  bool: () => Type.Boolean(),
  text: () => Type.String({ minLength: 1 }),
  list: <T extends TSchema>(items: T, options: { minItems?: number; maxItems?: number } = {}) =>
    Type.Array(items, options),
};

/** A mapping of keys; other keys are not allowed. */
export function section<P extends TProperties>(description: string, properties: P) {
  return Type.Object(properties, { description, additionalProperties: false });
}
