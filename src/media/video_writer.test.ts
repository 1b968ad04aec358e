/** @file Videos out of images, and the choice of an encoder. */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolderOfFile } from '../../test/support/temporary_files.js';
import { chooseEncoder, findEncoder, VideoWriter } from './video_writer.js';

const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;

let folder: string;

beforeAll(() => {
  folder = temporaryFolderOfFile();
});

async function writeVideo(path: string): Promise<void> {
  const found = await findEncoder();
  if ('problem' in found) throw new Error(found.problem);
  const [width, height] = [151, 101];
  const writer = new VideoWriter(path, { ...found, fps: 5, width, height });
  for (const value of [30, 200, 90]) await writer.write(Buffer.alloc(width * height * 3, value));
  await writer.close();
}

describe.skipIf(!hasFfmpeg)('VideoWriter (needs ffmpeg)', () => {
  it('writes every frame, also of odd sizes', async () => {
    const path = join(folder, 'odd.mp4');
    await writeVideo(path);
    const flags = ['-f', 'rawvideo', '-pix_fmt', 'gray', 'pipe:1'];
    const grey = execFileSync('ffmpeg', ['-loglevel', 'error', '-i', path, ...flags]);
    expect(grey.length).toBe(3 * 152 * 102);
    [30, 200, 90].forEach((value, frame) => {
      expect(Math.abs(grey[frame * 152 * 102 + 50 * 152 + 70] - value)).toBeLessThan(6);
    });
  });

  it('reports why it cannot write', async () => {
    const path = join(folder, 'no', 'such.mp4');
    await expect(writeVideo(path)).rejects.toThrow(/such\.mp4: the video cannot be written: .*No such file/);
  });
});

describe('chooseEncoder', () => {
  const line = (name: string) => ` V....D ${name}              words about ${name}`;

  it('prefers H.264 and falls back to other encoders', () => {
    expect(chooseEncoder([line('mpeg4'), line('libx264rgb'), line('libx264')].join('\n'))).toBe('libx264');
    expect(chooseEncoder([line('mpeg4'), line('libopenh264')].join('\n'))).toBe('libopenh264');
    expect(chooseEncoder([line('libx264rgb'), line('mpeg4')].join('\n'))).toBe('mpeg4');
    expect(chooseEncoder(' A....D aac                  AAC')).toBeNull();
  });
});
