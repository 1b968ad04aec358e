/** @file Clips picked out of a csv of detections. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary_files.js';
import { pickClips } from './detections_csv.js';

let folder: string;

beforeEach(() => {
  folder = temporaryFolder();
});

function write(text: string): string {
  const file = join(folder, 'detections.csv');
  writeFileSync(file, text);
  return file;
}

/** `count` clips of `persons` with two actions each. */
function clips(count: number, persons: number): string {
  let text = '';
  for (let clip = 0; clip < count; clip++) {
    for (let person = 0; person < persons; person++) {
      const box = `0.1,0.${person + 1},0.5,0.9`;
      text += `v,${900 + clip},${box},1,0.75\r\nv,${900 + clip},${box},2,0.25000\r\n`;
    }
  }
  return text;
}

describe('pickClips', () => {
  it('groups the rows of a clip by person', () => {
    expect(pickClips(write(clips(1, 2)), 4)).toEqual([
      {
        video: 'v',
        second: 900,
        persons: [1, 2].map((y) => ({
          box: [0.1, y / 10, 0.5, 0.9],
          actions: new Map([
            [1, 0.75],
            [2, 0.25],
          ]),
        })),
      },
    ]);
  });

  it('takes whole clips from all over a file', () => {
    const picked = pickClips(write(clips(800, 3)), 4);
    expect(picked).toHaveLength(4);
    for (const { persons } of picked) expect(persons).toHaveLength(3);
    const seconds = picked.map(({ second }) => second);
    expect(seconds[0]).toBe(900);
    expect(seconds.every((second, i) => Math.abs(second - 900 - 200 * i) < 12)).toBe(true);
  });

  it('takes a clip that is larger than one read', () => {
    const many = Array.from({ length: 8_000 }, (_, i) => `v,902,0.1,0.1,0.5,0.${i + 10_000},1,0.5\n`).join(
      '',
    );
    const picked = pickClips(write(`${many}v,903,0.1,0.1,0.5,0.5,1,0.5\n`), 1);
    expect(picked[0].persons).toHaveLength(8_000);
  });

  it('reads names in quotes and skips invalid rows', () => {
    const picked = pickClips(write('junk\n"a, ""b""",902,0.1,0.1,0.5,0.5,1,0.5\n,,,\nv,x,0,0,1,1,1,1\n'), 2);
    expect(picked.map(({ video }) => video)).toEqual(['a, "b"']);
    expect(pickClips(write(''), 3)).toEqual([]);
  });
});
