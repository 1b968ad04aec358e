/** @file Tests of the label maps. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../test/support/temporary_files.js';
import { readLabelMap, readLabelMapFile } from './label_map.js';

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
    ['a stray brace', '}', /:1: a "}" without a block/],
  ])('refuses %s', (_, text, message) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({ name: 'DataError', message: expect.stringMatching(message) }),
    );
  });
});

const NAMES = ['bend/bow (at the waist)', 'talk to (e.g., self, a person, a group)', 'walk'];
const LABELS = NAMES.map((name, i) => ({ id: i + 1, name }));
const lines = (form: (name: string, id: number) => string) =>
  LABELS.map(({ id, name }) => form(name, id)).join('\n');

describe('a label map', () => {
  it.each([
    ['protobuf text with commas', lines((name, id) => `item {\n  id: ${id},\n  name: "${name}",\n},`)],
    ['protobuf text with semicolons', lines((name, id) => `item { name: '${name}'; id: ${id}; }`)],
    [
      'protobuf text with other fields',
      lines(
        (name, id) =>
          `item { name: "/m/0${id}" id: ${id} display_name: "${name}" keypoints { id: 7 label: "x" } tags: ["a", "b"] }`,
      ),
    ],
    ['protobuf text with angle brackets', lines((name, id) => `item <\n name: "${name}"\n id: ${id}\n>`)],
    [
      'protobuf text in parts',
      lines((name, id) => `item { name: "${name.slice(0, 2)}" "${name.slice(2)}" id: ${id} } # ${name}`),
    ],
    ['txt with colons', lines((name, id) => `${id}: ${name}`)],
    ['txt with points', lines((name, id) => `${id}. ${name}`)],
    ['txt with blanks', lines((name, id) => `${id} ${name}`)],
    ['txt with tabs', lines((name, id) => `${id}\t${name}`)],
    ['txt with the id at the end', lines((name, id) => `${name}: ${id}`)],
    ['csv', lines((name, id) => `${id},"${name}"`)],
    ['csv without quotes', lines((name, id) => `${id},${name}`)],
    ['csv with a header', `id,name\n${lines((name, id) => `${id},"${name}"`)}`],
    ['csv with the name first', `name,id\n${lines((name, id) => `"${name}",${id}`)}`],
    [
      "AVA's csv",
      `label_id,label_name,label_type\n${lines((name, id) => `${id},"${name}",PERSON_MOVEMENT`)}`,
    ],
    ["AVA's csv without a header", lines((name, id) => `${id},"${name}",PERSON_MOVEMENT`)],
    ['csv with semicolons', `id;name\n${lines((name, id) => `${id};${name}`)}`],
    ['a list in JSON', JSON.stringify(NAMES)],
    ['ids and names in JSON', JSON.stringify(Object.fromEntries(LABELS.map(({ id, name }) => [id, name])))],
    ['names and ids in JSON', JSON.stringify(Object.fromEntries(LABELS.map(({ id, name }) => [name, id])))],
    ['objects in JSON', JSON.stringify(LABELS, null, 2)],
    [
      'categories of COCO',
      JSON.stringify({ images: [], categories: LABELS.map((label) => ({ ...label, supercategory: '' })) }),
    ],
    ['id2label', JSON.stringify({ id2label: Object.fromEntries(LABELS.map(({ id, name }) => [id, name])) })],
    ['names', NAMES.join('\n')],
    ['names in quotes', lines((name) => `"${name}",`)],
  ])('is read in the form of %s', (_, text) => {
    expect(read(`\ufeff${text}\n`)).toEqual(LABELS);
    expect(
      read(`# classes\r\n${text.replaceAll('\n', '\r\n')}`.replace(/^# classes\r\n(?=[[{])/, '')),
    ).toEqual(LABELS);
  });

  it('reads bytes and line breaks that are written as escapes', () => {
    expect(read('item { name: "caf\\303\\251 \\"x\\"" id: 1 }')).toEqual([{ id: 1, name: 'café "x"' }]);
  });

  it.each([
    ['a header in another language', '编号,名称\n1,站\n2,"走, 跑"\n3,坐\n', ['站', '走, 跑', '坐']],
    [
      'a header in another language, ids last',
      'Name;Nummer\nstehen;1\ngehen;2\nsitzen;3\n',
      ['stehen', 'gehen', 'sitzen'],
    ],
    ['the names of Ultralytics in one line', 'path: d\nnc: 3\nnames: [a, b, "c: d"]\n', ['a', 'b', 'c: d']],
    ['the names of Ultralytics in lines', 'names:\n- a\n- b\n- c\n', ['a', 'b', 'c']],
    ['the names of Ultralytics with ids', 'nc: 3\nnames:\n  1: a\n  2: b\n  3: c\n', ['a', 'b', 'c']],
    [
      'equals signs',
      'item { name = "a" id = 1 }\nitem { name = "b" id=2 }\nitem { name: "c" id: 3 }',
      ['a', 'b', 'c'],
    ],
  ])('reads %s', (_, text, names) => {
    expect(read(text)).toMatchObject(names.map((name, i) => ({ id: i + 1, name })));
    expect(read(text)).toHaveLength(3);
  });

  it('says that names without ids are counted from 1', () => {
    const path = join(temporaryFolder(), 'names.txt');
    writeFileSync(path, 'walk\n\nrun\n');
    expect(readLabelMapFile(path)).toEqual({
      labels: [
        { id: 1, name: 'walk' },
        { id: 2, name: 'run' },
      ],
      note: `${path}: the label map has names but no ids: its 2 names get ids from 1, in the order of the file`,
    });
    writeFileSync(path, '1: walk\n2: run\n');
    expect(readLabelMapFile(path).note).toBeNull();
  });

  it.each([
    ['annotations', 'a,902,0.1,0.2,0.5,0.8,1,0\n'.repeat(99), /a list of boxes/],
    ['exclusions', 'a,0902\nb,0903\n', /a list of key frames/],
    ['a frame list', 'original_vido_id video_id frame_id path labels\nv 0 0 v/0.jpg ""\n', /a frame list/],
    ['ids from 0', '0: walk\n1: run\n', /ids begin at 1.*"walk" has id 0/],
    ['ids from 0 in JSON', '{"0": "walk", "1": "run"}', /ids begin at 1/],
    ['an id twice', '1,walk\n1,run\n', /id 1 has two names/],
    ['a line without an id', '1: walk\n2: run\noops\n', /this one has no id and name: "oops"/],
    ['broken JSON', '[{"id": 1, "name": "walk"', /the JSON text is broken/],
    ['JSON of something else', '{"a": {"b": 1}, "c": "d"}', /no list of names and ids; a label map is/],
    ['YAML with ids from 0', 'names:\n  0: walk\n  1: run\n', /ids begin at 1.*add 1 to all ids/],
    ['a web page', '<html><body>', /web page/],
  ])('is refused once if it is %s', (_, text, message) => {
    const error = (() => {
      try {
        return JSON.stringify(read(text));
      } catch (thrown) {
        return (thrown as Error).message;
      }
    })();
    expect(error).toMatch(message);
    expect(error).not.toContain('\n');
  });
});
