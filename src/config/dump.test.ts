/** @file Tests of saved configurations: they load back unchanged, here and by the rules of the official code. */
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import yaml from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { formatPythonLiteral } from '../formats/python/literals.js';
import { configFromOverrides, dumpConfig, loadConfig } from './index.js';
import { FIELDS } from './schema/index.js';

const FILE = fileURLToPath(new URL('../../config_files/my_VMAEv2-ViTB-16x4.yaml', import.meta.url));

const files = temporaryFiles();

function reload(text: string) {
  return loadConfig(files.file('config.yaml', text));
}

describe('dumpConfig', () => {
  it('writes a file that loads back with every key', () => {
    const { config } = loadConfig(FILE, [
      'ViT.QK_SCALE',
      '1e-7',
      'SOLVER.STEPS',
      '(2.5, 8)',
      'ViT.NO_WEIGHT_DECAY',
      '[]',
    ]);
    const again = reload(dumpConfig(config));
    expect(again.config).toStrictEqual(config);
    expect(new Set([...again.origins.values()].map(({ source }) => source))).toEqual(new Set(['file']));
    expect(dumpConfig(again.config)).toBe(dumpConfig(config));
  });

  it('writes floats as floats and ints as ints, so that other YAML readers keep their types', () => {
    const text = dumpConfig(loadConfig(FILE, ['SOLVER.GAMMA', '1']).config);
    expect(text).toContain('\n  GAMMA: 1.0\n');
    expect(text).toContain('\n  BASE_LR: 1.0e-05\n');
    expect(text).toContain('\n  MLP_RATIO: 4\n');
    expect(text).toContain('\n  QK_SCALE: null\n');
    expect(text).toContain('\n  STEPS: [5, 8]\n');
    // js-yaml's own reading of YAML agrees, except that it does not tell ints and floats apart.
    expect(yaml.load(text)).toStrictEqual(loadConfig(FILE, ['SOLVER.GAMMA', '1']).config);
  });

  it('writes any text and number so that it loads back', () => {
    const { config } = loadConfig(FILE);
    const strings = fc.oneof(
      fc.string({ unit: 'grapheme', minLength: 1 }),
      fc.constantFrom(
        '12',
        'None',
        "'x'",
        '(5, 8)',
        'yes',
        '~',
        '1e-4',
        '# x',
        'a: b',
        ' x ',
        '"',
        '\u0085\u2028\ufeff',
        '\n',
      ),
    );
    const positive = fc.double({ min: 0, minExcluded: true, noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(strings, fc.array(strings), positive, (text, list, number) => {
        const changed = configFromOverrides(
          {
            OUTPUT_DIR: formatPythonLiteral(text),
            'ViT.NO_WEIGHT_DECAY': list,
            'SOLVER.BASE_LR': number,
            'DATA.MEAN': [number, -number, 0],
          },
          config,
        );
        expect(changed.OUTPUT_DIR).toBe(text);
        expect(reload(dumpConfig(changed)).config).toEqual(changed);
      }),
      { numRuns: 60 },
    );
  });

  it('writes one line for each key', () => {
    const keys = dumpConfig(loadConfig(FILE).config)
      .split('\n')
      .filter((line) => /: ./.test(line));
    expect(keys).toHaveLength(FIELDS.size);
  });
});
