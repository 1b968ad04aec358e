/** @file The parts of this folder that other folders use. */
export { type ConfigValues, configFromOverrides, defineConfig } from './define.js';
export { configLines, dumpConfig } from './dump.js';
export { configFileOf, type LoadedConfig, loadConfig } from './load.js';
export type { Origin } from './messages.js';
export type { Precision } from './schema/choices.js';
export { type Config, defaultConfig, getValue, setValue } from './schema/index.js';
export {
  configOfSettings,
  differingSettings,
  type StoredSettings,
  settingsToStore,
} from './stored.js';
