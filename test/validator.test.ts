/** @file The check of configurations that the build generates finds what ajv finds. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Config, defaultConfig, FIELDS, setValue } from '../src/config/schema/index.js';
import { validate } from '../src/config/validator.js';
import { BUILT } from './support/built.js';

const { validate: generated } = (await import(
  pathToFileURL(join(BUILT, 'config/validator.js')).href
)) as typeof import('../src/config/validator.js');

const words = [...FIELDS.values()].flatMap((schema) => (schema.enum as unknown[] | undefined) ?? []);
const single = fc.oneof(
  fc.integer({ min: -3, max: 20 }),
  fc.constantFrom(0.5, 0.999, 1.5, -0.25, '', 'a', ...words, null, {}),
  fc.boolean(),
);
const value = fc.oneof(
  single,
  fc.array(single, { maxLength: 6 }),
  fc.array(fc.array(single), { maxLength: 4 }),
);
const changes = fc.array(fc.tuple(fc.constantFrom(...FIELDS.keys()), value), { minLength: 1, maxLength: 8 });

/** What a check says about a configuration. */
function errorsOf(check: typeof validate, config: Config): unknown {
  return [check(config), check.errors?.map(({ instancePath, keyword }) => `${instancePath} ${keyword}`)];
}

it('the generated check of configurations finds what ajv finds', () => {
  expect(errorsOf(generated, defaultConfig())).toEqual([true, undefined]);
  fc.assert(
    fc.property(changes, (list) => {
      const config = defaultConfig();
      for (const [key, changed] of list) setValue(config, key, changed as never);
      expect(errorsOf(generated, config)).toEqual(errorsOf(validate, config));
    }),
    { numRuns: 300 },
  );
});
