import { describe, expect, it } from 'vitest';
import { columns, importInto } from '../../../../test/support/imported.js';
import { temporaryFiles } from '../../../../test/support/temporary_files.js';

const { at, file } = temporaryFiles();

const ATTRIBUTE =
  '<attribute><name>action</name><mutable>True</mutable><input_type>select</input_type><default_value>__undefined__</default_value><values>__undefined__\nwalk\nsit</values></attribute>';
const task = (
  name: string,
  {
    id = '1',
    labels = `<label><name>person</name><attributes>${ATTRIBUTE}</attributes></label>`,
    mode = 'interpolation',
  } = {},
) =>
  `<task><id>${id}</id><name>${name}</name><size>100</size><mode>${mode}</mode><start_frame>0</start_frame><stop_frame>99</stop_frame><labels>${labels}</labels>` +
  `<original_size><width>200</width><height>100</height></original_size><source>${name}.mp4</source></task>`;
const document = (body: string, meta = task('clip')) =>
  `<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta>${meta}<dumped>2024-01-01</dumped></meta>\n${body}\n</annotations>\n`;
const box = (
  frame: number,
  x: number,
  { more = 'outside="0" occluded="0" keyframe="1"', action = 'walk' } = {},
) =>
  `<box frame="${frame}" ${more} xtl="${x}" ytl="10" xbr="${x + 40}" ybr="60" z_order="0"><attribute name="action">${action}</attribute></box>\n`;
const track = (boxes: string, more = 'id="0" label="person"') =>
  `<track ${more} source="manual">\n${boxes}</track>\n`;

describe('CVAT for video', () => {
  const two =
    track(
      box(0, 0) +
        box(20, 40, { action: 'sit' }) +
        box(30, 40, { more: 'outside="1" occluded="0" keyframe="1"' }),
    ) +
    track(
      box(10, 100, { action: '__undefined__' }) +
        box(40, 100, { more: 'outside="0" occluded="1" keyframe="1"', action: '__undefined__' }),
      'id="7" label="person"',
    );

  it('has a key frame wherever someone drew a box, with the boxes of all people', async () => {
    const path = file('a.xml', document(two));
    const { lines, log } = await importInto(at('out'), [path], { fps: 10 });
    expect(columns(lines(), 0, 1, 2, 6, 7)).toEqual([
      'clip,0000,0.0000,1,0',
      'clip,0001,0.1000,1,0',
      'clip,0001,0.5000,,1',
      'clip,0002,0.2000,2,0',
      'clip,0002,0.5000,,1',
      'clip,0004,0.5000,,1',
    ]);
    expect(lines('label_map.pbtxt').filter((line) => line.includes('name'))).toEqual([
      '  name: "walk"',
      '  name: "sit"',
    ]);
    expect(log).toContain(`kept as ordinary boxes: 1 occluded box (${path}:14)`);
  });

  it('interpolates at the times of --step, until the person is outside', async () => {
    const path = file('a.xml', document(two));
    const { lines } = await importInto(at('out'), [path], { fps: 10, step: 0.5 });
    expect(columns(lines(), 1, 2, 7).filter((row) => row.endsWith(',0'))).toEqual([
      '0000,0.0000,0',
      '0000.5,0.0500,0',
      '0001,0.1000,0',
      '0001.5,0.1500,0',
      '0002,0.2000,0',
      '0002.5,0.2000,0',
    ]);
    // The track of the other person has no end, so it stays until the last frame of the task.
    expect(columns(lines(), 1, 7).at(-1)).toBe('0009.5,1');
  });

  it('takes interpolated boxes of the export as they are, and ends with them', async () => {
    const interpolated = 'outside="0" occluded="0" keyframe="0"';
    const path = file(
      'a.xml',
      document(
        track(
          box(0, 0) + box(1, 30, { more: interpolated }) + box(2, 20) + box(3, 20, { more: interpolated }),
        ),
      ),
    );
    const drawn = await importInto(at('drawn'), [path], { fps: 1 });
    expect(columns(drawn.lines(), 1, 2)).toEqual(['0000,0.0000', '0002,0.1000']);
    const all = await importInto(at('all'), [path], { fps: 1, step: 1 });
    expect(columns(all.lines(), 1, 2)).toEqual(['0000,0.0000', '0001,0.1500', '0002,0.1000', '0003,0.1000']);
  });

  it('of a project has several videos, whose labels may be the actions', async () => {
    const labels =
      '<labels><label><name>sit</name><attributes></attributes></label><label><name>person</name></label><label><name>walk</name></label></labels>';
    const meta = `<project><id>3</id><name>all</name><tasks>${task('a', { id: '5', labels: '' })}${task('b', { id: '6', labels: '' })}</tasks>${labels}</project>`;
    const plain = (frame: number) =>
      `<box frame="${frame}" outside="0" keyframe="1" xtl="0" ytl="0" xbr="20" ybr="20"/><box frame="${frame + 1}" outside="1" keyframe="1" xtl="0" ytl="0" xbr="20" ybr="20"/>`;
    const body =
      track(plain(0), 'id="0" label="walk" task_id="5"') +
      track(plain(0), 'id="1" label="sit" task_id="6"') +
      track(plain(5), 'id="2" label="person" task_id="6"');
    const { lines, log } = await importInto(at('out'), [file('a.xml', document(body, meta))], { fps: 5 });
    expect(columns(lines(), 0, 1, 6)).toEqual(['a,0000,2', 'b,0000,1', 'b,0001,']);
    expect(log).toContain(
      'the actions are the labels of the boxes; boxes with the label person have no action',
    );
  });

  it('turns shapes into boxes, and leaves out what has none', async () => {
    const common = 'outside="0" occluded="0" keyframe="1" z_order="0"';
    const end = (name: string, points: string) =>
      `<${name} frame="0" ${common} ${points}><attribute name="action">walk</attribute></${name}>\n`;
    const body = [
      end('polygon', 'points="20.0,10.0;60.0,10.0;40.0,60.0"'),
      end('ellipse', 'cx="100" cy="50" rx="20" ry="10"'),
      end('box', 'xtl="90" ytl="40" xbr="110" ybr="60" rotation="45"'),
      end('points', 'points="1,2;3,4"'),
      end('polyline', 'points="1,2;3,4"'),
      end('skeleton', ''),
    ].map((shape, i) => track(shape, `id="${i}" label="person"`));
    const path = file('a.xml', document(body.join('')));
    const { lines, log } = await importInto(at('out'), [path], { fps: 10 });
    expect(columns(lines(), 2, 3, 4, 5)).toEqual([
      '0.1000,0.1000,0.3000,0.6000',
      '0.4000,0.4000,0.6000,0.6000',
      '0.4293,0.3586,0.5707,0.6414',
    ]);
    for (const note of [
      'bounding boxes: 1 polygon (',
      'bounding boxes: 1 ellipse (',
      'bounding boxes: 1 rotated box (',
      'left out: 1 group of points (',
      'left out: 1 polyline (',
      'left out: 1 skeleton (',
    ])
      expect(log).toContain(note);
  });

  it('has checkboxes whose names are the actions', async () => {
    const flags = (walk: boolean, wave: boolean) =>
      `<attribute name="walk">${walk}</attribute><attribute name="wave">${wave}</attribute>`;
    const labels = `<label><name>person</name><attributes>${['walk', 'wave'].map((name) => `<attribute><name>${name}</name><input_type>checkbox</input_type><values>false</values></attribute>`).join('')}</attributes></label>`;
    const one = (id: number, values: string) =>
      track(
        `<box frame="0" outside="0" keyframe="1" xtl="${id}" ytl="0" xbr="90" ybr="90">${values}</box>`,
        `id="${id}" label="person"`,
      );
    const path = file(
      'a.xml',
      document(one(0, flags(true, true)) + one(1, flags(false, false)), task('clip', { labels })),
    );
    const { lines } = await importInto(at('out'), [path], { fps: 10 });
    expect(columns(lines(), 6, 7)).toEqual(['1,0', '2,0', ',1']);
  });

  it('is refused with file and line if it is cut off or lacks a number', async () => {
    const cut = file('cut.xml', document(two).slice(0, 900));
    await expect(importInto(at('out'), [cut], { fps: 10 })).rejects.toThrow(
      /cut\.xml:\d+: the XML is damaged or cut off/,
    );
    const wrong = file('wrong.xml', document(track('<box frame="" xtl="1" ytl="1" xbr="2" ybr="2"/>')));
    await expect(importInto(at('out'), [wrong], { fps: 10 })).rejects.toThrow(
      `${wrong}:8: <box> needs a number in frame, found ""`,
    );
    const other = file('other.xml', '<annotations><object/></annotations>');
    await expect(importInto(at('out'), [other], { fps: 10 })).rejects.toThrow("has none of CVAT's elements");
  });
});

describe('CVAT for images', () => {
  const image = (name: string, shapes: string, id = 0) =>
    `<image id="${id}" name="${name}" width="200" height="100">${shapes}</image>\n`;
  const shape =
    '<box label="person" source="manual" occluded="0" xtl="20" ytl="10" xbr="60" ybr="60" z_order="0"><attribute name="action">walk</attribute></box>';

  it('counts the frames in folders by their names', async () => {
    const body =
      image('x/frame_000001.png', shape) +
      image('x/frame_000011.png', `${shape}<tag label="person" source="manual"></tag>`) +
      image('y/frame_000001.png', shape);
    const { lines, log } = await importInto(
      at('out'),
      [file('a.xml', document(body, task('clip', { mode: 'annotation' })))],
      { fps: 10 },
    );
    expect(columns(lines(), 0, 1, 7)).toEqual(['x,0000,0', 'x,0001,0', 'y,0000,0']);
    expect(log).toContain('left out: 1 tag (');
  });

  it('counts the frames of a video from 0', async () => {
    const body = image('frame_000010', shape, 10) + image('frame_000020', shape, 20);
    const { lines } = await importInto(at('out'), [file('a.xml', document(body))], { fps: 10 });
    expect(columns(lines(), 0, 1)).toEqual(['clip,0001', 'clip,0002']);
  });
});
