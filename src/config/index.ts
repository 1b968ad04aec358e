/** @file The parts of this folder that other folders use. */
export { type ConfigValues, configFromOverrides, defineConfig } from './define.js';
export { dumpConfig } from './dump.js';
export { configFileOf, type LoadedConfig, loadConfig } from './load.js';
export type { Origin } from './messages.js';
export { type Config, defaultConfig } from './schema/index.js';
export {
  configOfSettings,
  differingSettings,
  type StoredSettings,
  settingsToStore,
} from './stored.js';
