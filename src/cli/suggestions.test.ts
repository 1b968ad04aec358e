/** @file Tests of what is said about mistyped commands and options. */
import { describe, expect, it } from 'vitest';
import { stmixerHere } from '../../test/support/cli.js';

describe('a mistyped command line', () => {
  it.each([
    ['train --confg-file x', 'Did you mean --config-file?'],
    ['test --config_file x', 'Did you mean --config-file?'],
    ['detect --configfile x', 'Did you mean --config-file?'],
    ['detect -config-file x', 'Did you mean --config-file?'],
    ['inspect config --config x', 'Did you mean --config-file?'],
    ['data check --cfg x', 'Did you mean --config-file?'],
    ['data prepare --video-folder x', 'unknown option'],
    ['evaluate --labelmap x', 'Did you mean --label-map?'],
    ['report --prot 1', 'Did you mean --port?'],
    ['trian', 'Did you mean stmixer train?'],
    ['eval', 'Did you mean stmixer evaluate?'],
    ['data chek', 'Did you mean stmixer data check?'],
    ['check', 'Did you mean stmixer data check?'],
    ['data-check', 'Did you mean stmixer data check?'],
    ['inspect confg', 'Did you mean stmixer inspect config?'],
    ['test --transfer', '--transfer is an option of: stmixer train)'],
    ['--config-file x', '--config-file is an option of: stmixer train, '],
    ['train', "required option '--config-file <file>' not specified"],
  ])('%s gets a hint, and exit code 2', async (line, hint) => {
    const { code, stderr } = await stmixerHere(line.split(' '));
    expect(stderr).toContain(hint);
    expect(code).toBe(2);
  });

  it('gets no hint if nothing is close', async () => {
    for (const line of ['frobnicate', 'train --frobnicate', 'data zzz']) {
      const { stderr } = await stmixerHere(line.split(' '));
      expect(stderr).toMatch(/unknown/);
      expect(stderr).not.toMatch(/mean|is an option/);
    }
  });
});
