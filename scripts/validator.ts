/** @file Generates the check of configurations ahead of time, because ajv would take 0.3 s for it at each start of a command. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import { ConfigSchema, OWN_KEYWORDS } from '../src/config/schema/index.js';

/** The generated module imports nothing, but requires helpers of ajv. */
const REQUIRE =
  "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);\n";

/** Writes the code over the compiled src/config/validator.ts in a folder. */
export function writeValidator(folder: string): void {
  const ajv = new Ajv({ allErrors: true, messages: false, code: { source: true, esm: true } }).addVocabulary(
    OWN_KEYWORDS,
  );
  const code = standalone.default(ajv, ajv.compile(ConfigSchema));
  writeFileSync(join(folder, 'config/validator.js'), REQUIRE + code);
}
