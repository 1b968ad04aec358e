/** @file What weight files say about the model that a configuration builds. */
import { type Config, settingsToStore } from '../config/index.js';
import { readLabelNames } from '../data/datasets/label_names.js';
import { DataError } from '../errors.js';
import type { ModelInfo } from './model_info.js';

/** What to say about the model that a configuration builds. The names come from its label map, if that can be read. */
export function infoOfModel(config: Partial<Config>): ModelInfo {
  return { settings: settingsToStore(config), classNames: namesIn(config) };
}

function namesIn({ DATA, AVA }: Partial<Config>): Map<number, string> | null {
  if (!DATA || !AVA) return null;
  try {
    return readLabelNames({ DATA, AVA });
  } catch (error) {
    // Reading the annotations reports it.
    if (error instanceof DataError) return null;
    throw error;
  }
}
