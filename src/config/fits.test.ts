/** @file Tests that values are checked as JSON Schema says. */
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fits } from './fits.js';
import { FIELDS, type Schema } from './schema/index.js';

const ajv = new Ajv().addVocabulary(['noEffect', 'anyCase', 'wholeNumberAdvice', 'usable']);

/** Every field once for all fields of the same limits. */
const schemas = [
  ...new Map(
    [...FIELDS.values()].map(({ default: _, description, ...limits }) => [JSON.stringify(limits), limits]),
  ).values(),
] as Schema[];

const words = schemas.flatMap((schema) => schema.enum ?? []);

const single = fc.oneof(
  fc.integer({ min: -3, max: 20 }),
  fc.constantFrom(0.5, 0.999, 1.5, -0.25, NaN, Infinity, -Infinity),
  fc.boolean(),
  fc.constantFrom('', 'a', '1', ...words),
  fc.constantFrom(null, undefined, {}, 2n),
);
const list = fc.oneof(
  fc.array(fc.integer({ min: -1, max: 9 }), { maxLength: 6 }),
  fc.array(fc.constantFrom(0, 0.5, 0.999, 1), { maxLength: 3 }),
  fc.array(fc.constantFrom('', 'a', ...words), { maxLength: 3 }),
  fc.array(fc.boolean(), { maxLength: 5 }),
  fc.array(single, { maxLength: 5 }),
);
const value = fc.oneof(single, list, fc.array(list, { maxLength: 5 }));

/** Every default is tried on every field. */
const examples = [...FIELDS.values()].map((schema): [unknown] => [schema.default]);

describe('fits', () => {
  it.each(schemas.map((schema) => [JSON.stringify(schema), schema] as const))(
    'accepts for %s what ajv accepts',
    (_, schema) => {
      const validate = ajv.compile(schema);
      fc.assert(
        fc.property(value, (candidate) => {
          expect(fits(candidate, schema), String(candidate)).toBe(validate(candidate));
        }),
        { numRuns: 200, examples },
      );
    },
  );
});
