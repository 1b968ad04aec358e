/** @file Tests of the label maps. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../test/support/temporary_files.js';
import { readLabelMap } from './label_map.js';

function read(text: string) {
  const path = join(temporaryFolder(), 'map.pbtxt');
  writeFileSync(path, text);
  return readLabelMap(path);
}

describe('readLabelMap', () => {
  it('reads both forms that AVA publishes', () => {
    expect(
      read(
        'item {\n  name: "bend/bow (at the waist)"\n  id: 1\n}\nitem {\n  name: "crouch/kneel"\n  id: 2\n}\n',
      ),
    ).toEqual([
      { id: 1, name: 'bend/bow (at the waist)' },
      { id: 2, name: 'crouch/kneel' },
    ]);
    expect(
      read(
        'label {\r\n  name: "stand"\r\n  label_id: 12\r\n  label_type: PERSON_MOVEMENT\r\n}\r\n# end\r\n' +
          'label {\r\n  label_id: 3\r\n  name: "play \\"tag\\" # {1}"\r\n}\r\n',
      ),
    ).toEqual([
      { id: 12, name: 'stand' },
      { id: 3, name: 'play "tag" # {1}' },
    ]);
  });

  it('reads blocks on one line', () => {
    expect(read(`item { name: 'a' id: 1 } item{id:2 name:"b"} # c\nitem: { name: "d" id: 4 }`)).toEqual([
      { id: 1, name: 'a' },
      { id: 2, name: 'b' },
      { id: 4, name: 'd' },
    ]);
  });

  it.each([
    ['an empty file', '', /has no labels/],
    ['a label without an id', 'item {\n name: "a"\n}', /map\.pbtxt:1: a label needs a name and an id/],
    ['a label without a name', '\nitem {\n id: 1\n}', /map\.pbtxt:2: a label needs a name and an id/],
    [
      'the same id twice',
      'item { name: "a" id: 1 }\nitem { name: "b" id: 1 }',
      /:2: id 1 is already on line 1/,
    ],
    [
      'an id that is no number',
      'item { name: "a" id: one }',
      /:1: an id must be a whole number from 1, found one/,
    ],
    ['id 0', 'item { name: "a" id: 0 }', /found 0/],
    ['a name without quotes', 'item { name: walk id: 1 }', /:1: a name must be in quotes/],
    ['an open block', 'item {\n name: "a"\n id: 1\n', /:1: the block that begins here has no/],
    ['nested blocks', 'item {\nitem { name: "a" id: 1 }', /:2: a block begins inside the block of line 1/],
    ['a csv file', '1,stand\n2,walk', /:1: expected 'item/],
    ['a stray brace', '}', /:1: a "}" without a block/],
  ])('refuses %s', (_, text, message) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({ name: 'DataError', message: expect.stringMatching(message) }),
    );
  });
});
