/** @file The names of this model: those of the official STMixer, whose backbone has VideoMAE's names. */
import { isKnownName } from '../model_parts.js';
import type { OriginNames } from './origin.js';

export const stmixer: OriginNames = {
  title: 'STMixer or VideoMAE',
  rename: (name) => (isKnownName(name) ? name : null),
};
