/** @file Tests that commands notice a missing weight file before they read data or build a model. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { stmixerHere } from '../../test/support/cli.js';
import { temporaryFolder } from '../../test/support/temporary_files.js';

test.each(['train', 'test', 'detect'])('%s notices a weight file that is missing first', async (command) => {
  const folder = temporaryFolder();
  const flags = command === 'detect' ? `--input sample/frames/vtest_val --out ${folder}/out` : '';
  // The lists are missing, too, but reading a data set takes longer. Its folders are looked at first.
  for (const part of ['frames', 'frame_lists', 'annotations'])
    mkdirSync(join(folder, 'data', part), { recursive: true });
  const settings = `MODEL.WEIGHT ${folder}/none.pth DATA.PATH_TO_DATA_DIR ${folder}/data AVA.ANNOTATION_DIR annotations OUTPUT_DIR ${folder}/run`;
  const words = `${command} --config-file config_files/tiny.yaml ${flags} ${settings}`;
  const { code, stdout, stderr } = await stmixerHere(words.split(/ +/));
  expect(stderr).toMatch(/^stmixer: MODEL\.WEIGHT: .*none\.pth: no such file\n$/);
  expect(stdout).not.toContain('engine');
  expect(code).toBe(4);
  expect(existsSync(join(folder, 'out'))).toBe(false);
});
