/** @file The names of this model: those of the official STMixer, whose backbones have those of VideoMAE and PySlowFast. */
import { isKnownName } from '../model_parts.js';
import type { OriginNames } from './origin.js';

export const stmixer: OriginNames = {
  title: 'STMixer, VideoMAE or PySlowFast',
  rename: (name) => (isKnownName(name) ? name : null),
};
