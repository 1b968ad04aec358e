/** @file Checks a configuration against its schema. The build replaces this module by the code that ajv generates for it. */
import { Ajv } from 'ajv';
import { ConfigSchema, OWN_KEYWORDS } from './schema/index.js';

export const validate = new Ajv({ allErrors: true, messages: false })
  .addVocabulary(OWN_KEYWORDS)
  .compile(ConfigSchema);
