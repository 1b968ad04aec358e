import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { columns, importInto } from '../../../../test/support/imported.js';
import { temporaryFiles } from '../../../../test/support/temporary_files.js';

const { at, file } = temporaryFiles();
const size = { width: 200, height: 100 };

/** Attributes as VIA 3 writes them: text, checkbox, radio and select. */
const ATTRIBUTES = {
  '1': {
    aname: 'action',
    anchor_id: 'FILE1_Z1_XY1',
    type: 2,
    desc: '',
    options: { '0': 'walk', '1': 'wave, both hands' },
    default_option_id: '',
  },
  '2': {
    aname: 'track_id',
    anchor_id: 'FILE1_Z1_XY1',
    type: 1,
    desc: '',
    options: {},
    default_option_id: '',
  },
  '3': {
    aname: 'light',
    anchor_id: 'FILE1_Z0_XY0',
    type: 4,
    desc: '',
    options: { '0': 'day', '1': 'night' },
    default_option_id: '0',
  },
};

function project(
  metadata: Record<string, unknown>,
  files: Record<string, unknown> = { '1': { fid: '1', fname: 'clip one.mp4', type: 4, loc: 1, src: '' } },
): string {
  return JSON.stringify({
    project: { pid: '__VIA_PROJECT_ID__', data_format_version: '3.1.1', vid_list: Object.keys(files) },
    config: { file: { loc_prefix: { '1': '' } }, ui: {} },
    attribute: ATTRIBUTES,
    file: files,
    metadata,
    view: Object.fromEntries(Object.keys(files).map((id) => [id, { fid_list: [Number(id)] }])),
  });
}

describe('a project of VIA 3', () => {
  it('becomes a row per action, with the person and the time of each region', async () => {
    const path = file(
      'via.json',
      project({
        '1_a': { vid: '1', flg: 0, z: [1.5], xy: [2, 20, 10, 40, 50], av: { '1': '0,1', '2': 'anna' } },
        '1_b': { vid: '1', flg: 0, z: [1.5], xy: [2, 100, 10, 20, 50], av: { '1': '', '2': 'bert' } },
        '1_c': { vid: '1', flg: 0, z: [0], xy: [2, 20, 10, 40, 50], av: { '1': '0', '2': 'anna' } },
      }),
    );
    const { lines, log } = await importInto(at('out'), [path], { size });
    expect(lines()).toEqual([
      'clip_one,0000,0.1000,0.1000,0.3000,0.6000,1,0',
      'clip_one,0001.5,0.1000,0.1000,0.3000,0.6000,1,0',
      'clip_one,0001.5,0.1000,0.1000,0.3000,0.6000,2,0',
      'clip_one,0001.5,0.5000,0.1000,0.6000,0.6000,,1',
    ]);
    expect(lines('label_map.pbtxt').join(' ')).toBe(
      'item {   name: "walk"   id: 1 } item {   name: "wave, both hands"   id: 2 }',
    );
    expect(lines('excluded.csv')).toEqual([]);
    expect(log).toContain('VIA 3 project, 1 video; the actions are in the attribute action (2 actions)');
    expect(log).toContain('1 of them without an action');
  });

  it('says what its csv cannot hold', async () => {
    const path = file(
      'via.json',
      project({
        '1_a': { vid: '1', flg: 0, z: [1], xy: [2, 20, 10, 40, 50], av: { '1': '0' } },
        '1_b': { vid: '1', flg: 0, z: [1], xy: [7, 10, 10, 50, 10, 30, 60], av: { '1': '1' } },
        '1_c': { vid: '1', flg: 0, z: [1], xy: [1, 10, 10], av: {} },
        '1_d': { vid: '1', flg: 0, z: [1], xy: [3, 150, 50, 10], av: { '1': '0' } },
        '1_e': { vid: '1', flg: 0, z: [3, 4], xy: [], av: { '1': '0' } },
        '1_f': { vid: '1', flg: 0, z: [1, 2], xy: [], av: { '1': '0' } },
        '1_g': { vid: '1', flg: 0, z: [], xy: [], av: { '3': '1' } },
        '1_h': { vid: '1', flg: 0, z: [1], xy: [2, 190, 90, 20, 20], av: { '1': '7' } },
      }),
    );
    const { log, lines } = await importInto(at('out'), [path], { size });
    expect(lines()).toHaveLength(4);
    expect(lines()).toContain('clip_one,0001,0.0500,0.1000,0.2500,0.6000,2,1');
    for (const note of [
      `replaced by their bounding boxes: 1 polygon (${path}: metadata 1_b)`,
      `replaced by their bounding boxes: 1 circle (${path}: metadata 1_d)`,
      `left out: 1 point (${path}: metadata 1_c)`,
      `left out: 1 stretch of time without a box (${path}: metadata 1_e)`,
      `left out: 1 stretch of time with several people (${path}: metadata 1_f)`,
      `left out: 1 attribute of a whole file (${path}: metadata 1_g)`,
      `left out: 1 value that is not an option of its attribute (${path}: metadata 1_h)`,
      `cut at the edge of the image: 1 box (${path}: metadata 1_h)`,
    ])
      expect(log).toContain(note);
  });

  it('gives a stretch of time to the one person in it, and repeats a box that lasts', async () => {
    const path = file(
      'via.json',
      project({
        '1_a': { vid: '1', flg: 0, z: [0.5, 3], xy: [2, 20, 10, 40, 50], av: {} },
        '1_b': { vid: '1', flg: 0, z: [1, 2], xy: [], av: { '1': '0' } },
      }),
    );
    const { lines } = await importInto(at('out'), [path], { size });
    expect(lines().map((line) => line.split(',').filter((_, i) => i === 1 || i === 6))).toEqual([
      ['0000.5', ''],
      ['0001', '1'],
      ['0002', '1'],
      ['0003', ''],
    ]);
  });

  it('takes images for the frames of a video, whose rate must be given', async () => {
    const files = {
      '1': { fid: '1', fname: 'run_000001.jpg', type: 2 },
      '2': { fid: '2', fname: 'run_000026.jpg', type: 2 },
    };
    const path = file(
      'via.json',
      project(
        {
          '1_a': { vid: '1', flg: 0, z: [], xy: [2, 20, 10, 40, 50], av: { '1': '0' } },
          '2_a': { vid: '2', flg: 0, z: [], xy: [2, 20, 10, 40, 50], av: { '1': '1' } },
        },
        files,
      ),
    );
    await expect(importInto(at('out'), [path], { size })).rejects.toThrow(
      /the frames per second of the frames of run are not known: add --fps <number>/,
    );
    const { lines } = await importInto(at('out'), [path], { size, fps: 10 });
    expect(lines().map((line) => line.slice(0, 10))).toEqual(['run,0000,0', 'run,0002.5']);
  });
});

describe('the csv export of VIA 3', () => {
  const csv = (rows: string[], attribute = `# ATTRIBUTE = ${JSON.stringify(ATTRIBUTES)}`) =>
    [
      '# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)',
      '# SHAPE_ID = {"POINT":1,"RECTANGLE":2,"CIRCLE":3,"ELLIPSE":4,"LINE":5,"POLYLINE":6,"POLYGON":7}',
      attribute,
      '# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata',
      ...rows,
    ].join('\r\n');

  it('is read like the project, in UTF-16 too', async () => {
    const text = csv([
      '"1_a","[""clip.mp4""]",0,"[2.04]","[2,20,10,40,50]","{""1"":""1"",""2"":""7""}"',
      '"1_b","[""clip.mp4""]",0,"[1,2.5]","[]","{""1"":""0""}"',
    ]);
    const path = at('via.csv');
    writeFileSync(path, Buffer.from(`\ufeff${text}`, 'utf16le'));
    const { lines, log } = await importInto(at('out'), [path], { size });
    expect(lines()).toEqual(['clip,0002.04,0.1000,0.1000,0.3000,0.6000,2,0']);
    expect(log).toContain('VIA 3 csv');
  });

  it('of an old version has only the names of attributes', async () => {
    const path = file(
      'via.csv',
      csv(
        ['"1_a","[""clip.mp4""]",0,"[2]","[2,20,10,40,50]","{""1"":""walk, talk""}"'],
        '# ATTRIBUTES = {"1":"activity"}',
      ),
    );
    const { lines } = await importInto(at('out'), [path], { size });
    expect(columns(lines(), 6)).toEqual(['1', '2']);
  });

  it('without boxes is refused with its line or column', async () => {
    const old = file(
      'old.csv',
      '# Exported using VGG Image Annotator\n# CSV_HEADER = metadata_id,file_list,temporal_segment_start,temporal_segment_end,metadata\n',
    );
    await expect(importInto(at('out'), [old], { size })).rejects.toThrow(
      'has no column temporal_coordinates, so it holds no boxes',
    );
    const torn = file('torn.csv', csv(['"1_a","[""clip.mp4""]",0,"[2","[2,20,10,40,50]","{}"']));
    await expect(importInto(at('out'), [torn], { size })).rejects.toThrow(
      `${torn}:5: the column temporal_coordinates cannot be read`,
    );
  });
});

describe('VIA 2', () => {
  const REGION = { name: 'rect', x: 20, y: 10, width: 40, height: 50 };

  it('exports a csv of images', async () => {
    const quoted = (value: unknown) => `"${JSON.stringify(value).replaceAll('"', '""')}"`;
    const path = file(
      'via2.csv',
      [
        'filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes',
        `walk_0000.jpg,100,"{}",2,0,${quoted(REGION)},${quoted({ action: { walk: true, carry: true, sit: false } })}`,
        `walk_0000.jpg,100,"{}",2,1,${quoted({ name: 'point', cx: 3, cy: 4 })},"{}"`,
        'walk_0005.jpg,100,"{}",0,0,"{}","{}"',
        `walk_0010.jpg,100,"{}",1,0,${quoted({ ...REGION, name: 'ellipse', cx: 50, cy: 50, rx: 10, ry: 20 })},${quoted({ action: { sit: true } })}`,
      ].join('\n'),
    );
    const { lines, log } = await importInto(at('out'), [path], { size, fps: 10 });
    expect(lines()).toEqual([
      'walk,0000,0.1000,0.1000,0.3000,0.6000,1,0',
      'walk,0000,0.1000,0.1000,0.3000,0.6000,2,0',
      'walk,0001,0.2000,0.3000,0.3000,0.7000,3,0',
    ]);
    expect(log).toContain(`left out: 1 point (${path}:3)`);
  });

  it('has a json with the same regions', async () => {
    const image = (filename: string, action: string) => ({
      filename,
      size: 1,
      regions: [{ shape_attributes: REGION, region_attributes: { action } }],
      file_attributes: {},
    });
    const path = file(
      'via2.json',
      JSON.stringify({
        _via_settings: {},
        _via_img_metadata: { 'a/01.jpg1': image('a/01.jpg', 'walk'), 'b/01.jpg1': image('b/01.jpg', 'sit') },
        _via_attributes: { region: { action: { type: 'dropdown', options: { sit: '', walk: '' } } } },
      }),
    );
    const { lines } = await importInto(at('out'), [path], { size, fps: 10 });
    expect(columns(lines(), 0, 6)).toEqual(['a,2', 'b,1']);
  });
});
