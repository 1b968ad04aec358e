/** @file The types of schemas, and of the values that they describe. */

/** Limits of a field and what to say about its values: keywords of JSON Schema, and our own. */
export interface FieldOptions {
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  /** Reason why the key is accepted but never read. A value other than the default gets a warning. */
  readonly noEffect?: string;
  /** Advice for a number that is not whole, appended to the error. */
  readonly wholeNumberAdvice?: string;
}

/** The part of JSON Schema in use, and keywords of our own, for values of type `T`. */
export interface Schema<T = unknown> extends FieldOptions {
  /** Missing only beside `anyOf`. */
  readonly type?: 'integer' | 'number' | 'boolean' | 'string' | 'null' | 'array' | 'object';
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly string[];
  /** Accept any letter case, and store the listed spelling. */
  readonly anyCase?: boolean;
  /** The words that errors suggest. */
  readonly usable?: readonly string[];
  readonly minLength?: number;
  /** Of lists only. */
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  /** Of sections only. */
  readonly properties?: Properties;
  readonly additionalProperties?: false;
  readonly default?: T;
  readonly description?: string;
}

export type Properties = Readonly<Record<string, Schema>>;

/** A mapping of keys. */
export interface Section<P extends Properties> extends Schema {
  readonly properties: P;
}

/** The type of the values that a schema describes. */
export type ValueOf<S> =
  S extends Section<infer P> ? { [K in keyof P]: ValueOf<P[K]> } : S extends Schema<infer T> ? T : never;
