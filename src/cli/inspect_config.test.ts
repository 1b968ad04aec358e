/** @file Tests of `inspect config`. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { dumpConfig, loadConfig } from '../config/index.js';
import { inspectConfig } from './inspect_config.js';

const FILE = fileURLToPath(new URL('../../config_files/my_VMAEv2-ViTB-16x4.yaml', import.meta.url));
const loaded = loadConfig(FILE, ['SOLVER.BASE_LR', '2e-5']);

describe('inspectConfig', () => {
  it('prints the saved configuration with the origin of each value', () => {
    const text = inspectConfig(loaded, false);
    expect(text.replaceAll(/ +# .*$/gm, '')).toBe(dumpConfig(loaded.config));
    expect(text).toMatch(/^ {2}BASE_LR: 2\.0e-05 +# command line$/m);
    expect(text).toMatch(/^ {2}GAMMA: 0\.1 +# default$/m);
    expect(text).toMatch(/^ {4}CONV_BODY: "MAE-ViT-B" +# .*my_VMAEv2-ViTB-16x4\.yaml:\d+$/m);
  });

  it('prints values and origins by full path as JSON', () => {
    const { config, origins } = JSON.parse(inspectConfig(loaded, true));
    expect(config).toEqual(loaded.config);
    expect(origins['SOLVER.BASE_LR']).toEqual({ source: 'override' });
    expect(origins['SOLVER.GAMMA']).toEqual({ source: 'default' });
    expect(origins['ViT.DEPTH']).toEqual({ source: 'file', file: FILE, line: expect.any(Number) });
    expect(Object.keys(origins)).toHaveLength(loaded.origins.size);
  });
});
