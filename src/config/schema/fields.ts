/** @file Building blocks of the schema: one function for each kind of value, with default and description. */
import { type TProperties, type TSchema, Type } from '@sinclair/typebox';

/** Options of a field besides default and description: keywords of JSON Schema, and our own. */
interface FieldOptions {
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  /** Reason why the key is accepted but never read. A value other than the default gets a warning. */
  noEffect?: string;
  /** Advice for a number that is not whole, appended to the error. */
  wholeNumberAdvice?: string;
}

/** Keywords that JSON Schema does not have. */
export const OWN_KEYWORDS = ['noEffect', 'anyCase', 'wholeNumberAdvice', 'usable'];

export const POSITIVE = { exclusiveMinimum: 0 };
export const NOT_NEGATIVE = { minimum: 0 };
export const AT_LEAST_ONE = { minimum: 1 };
/** Range of drop rates and moment coefficients. 1 would discard everything. */
export const RATE = { minimum: 0, exclusiveMaximum: 1 };
export const UNIT_INTERVAL = { minimum: 0, maximum: 1 };

/** A Python int. */
export function int(value: number, description: string, options: FieldOptions = {}) {
  return Type.Integer({ default: value, description, ...options });
}

/** A Python float. Ints are accepted too. */
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

/**
 * One of a few words. `anyCase` accepts any letter case and stores the listed spelling. `usable` lists the words that errors
 * suggest, if the others are accepted only so that a later check can say why they cannot be used.
 */
export function word<const W extends string>(
  words: readonly W[],
  value: NoInfer<W>,
  description: string,
  options: Pick<FieldOptions, 'noEffect'> & { anyCase?: boolean; usable?: readonly W[] } = {},
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

/** Items of lists. They have no default and no description. */
export const item = {
  int: (options: FieldOptions = {}) => Type.Integer(options),
  float: (options: FieldOptions = {}) => Type.Number(options),
  bool: () => Type.Boolean(),
  text: () => Type.String({ minLength: 1 }),
  list: <T extends TSchema>(items: T, options: { minItems?: number; maxItems?: number } = {}) =>
    Type.Array(items, options),
};

/** A mapping of keys. Other keys are not allowed. */
export function section<P extends TProperties>(description: string, properties: P) {
  return Type.Object(properties, { description, additionalProperties: false });
}
