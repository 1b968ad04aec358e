/** @file Label maps that are not there. */
import { expect, it } from 'vitest';
import { makeAvaFolder } from '../../../test/support/ava_folder.js';
import { noLabelMap, readLabelNames } from './label_names.js';

it('names a label map with a similar name if the label map is missing', async () => {
  const ava = await makeAvaFolder({ videos: {}, annotations: [] });
  const cfg = ava.config({ 'AVA.LABEL_MAP_FILE': 'Labels.pbtxt' });
  expect(readLabelNames(cfg)).toBeNull();
  expect(noLabelMap(cfg)).toMatch(
    /^there is no label map \S+Labels\.pbtxt \(AVA\.LABEL_MAP_FILE\): actions have numbers/,
  );
  const there = ava.write('annotations_v2.2/labels.pbtxt', 'item { name: "walk" id: 1 }\n');
  expect(noLabelMap(cfg)).toContain(`, but there is ${there}, which differs only in letter case`);
});
