/**
 * @file Event files of processes that end badly; and what TensorBoard itself reads, where STMIXER_PYTHON or python3 has
 * it, with both of its readers: the one in Python and the data server.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventWriter } from '../../src/run/tensorboard/event_writer.js';
import { builtProgram } from '../support/built.js';
import { eventFiles, readEvents, scalarsOf } from '../support/event_file.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';

const SCRIPT = builtProgram('tensorboard_process');
const PYTHON = process.env.STMIXER_PYTHON ?? 'python3';
const found = spawnSync(
  PYTHON,
  ['-W', 'ignore', '-c', 'import tensorboard; print(tensorboard.__version__)'],
  {
    encoding: 'utf8',
  },
);
const title =
  found.status === 0
    ? `with TensorBoard ${found.stdout.trim()}`
    : `skipped: ${PYTHON} has no tensorboard; point STMIXER_PYTHON at a Python that has it`;

let folder: string;
beforeAll(() => {
  folder = temporaryFolderOfFile();
});

/** The last `[step, value]` of the losses in a folder's only file. */
function lastLoss(run: string) {
  const [path] = eventFiles(run);
  return scalarsOf(readEvents(path))['train/loss'].at(-1)!;
}

describe('a process', () => {
  test('leaves everything that it had logged if it is killed', async () => {
    const run = join(folder, 'killed');
    const child = spawn(process.execPath, [SCRIPT, run, '1e9'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let done = 0;
    for await (const line of createInterface(child.stdout)) {
      done = Number(line.replace('done: ', ''));
      if (done >= 300) child.kill('SIGKILL');
    }
    if (child.signalCode === null) await once(child, 'exit');
    expect(child.signalCode).toBe('SIGKILL');
    const [step, value] = lastLoss(run);
    expect(step).toBeGreaterThanOrEqual(done);
    expect(value).toBe(step - 4.5);
  });

  test('reports a full disk once and continues', () => {
    const run = join(folder, 'full');
    // The kernel refuses files of more than 8 blocks, as it does on a full disk, in the middle of a write as well.
    const { stdout, status } = spawnSync(
      'bash',
      ['-c', 'ulimit -f 8 && exec "$@"', '-', process.execPath, SCRIPT, run, '1000'],
      { encoding: 'utf8' },
    );
    expect(status).toBe(0);
    const lines = stdout.trim().split('\n');
    expect(lines.filter((line) => line.startsWith('warning'))).toEqual([
      expect.stringMatching(/TensorBoard events are incomplete: EFBIG.*Training goes on/),
    ]);
    expect(lines.at(-1)).toBe('done: 1000');
    const [path] = eventFiles(run);
    expect(readFileSync(path).length).toBeLessThanOrEqual(8192);
    expect(lastLoss(run)[0]).toBeGreaterThan(50);
  });
});

describe.skipIf(found.status !== 0)(title, () => {
  let picture: Buffer;

  beforeAll(async () => {
    const background = '#0080ff';
    picture = await sharp({ create: { width: 40, height: 30, channels: 3, background } })
      .png()
      .toBuffer();
    const kinds = new EventWriter(join(folder, 'runs', 'kinds'), 1);
    for (const [i, value] of [0, 0.25, -3, Number.NaN, Number.POSITIVE_INFINITY].entries())
      kinds.scalar('train/loss', value, i + 1);
    kinds.scalar('val_AP/bend/bow (at the waist)', 0.5, 7);
    kinds.image('val_detections/v, second 902', { png: picture, width: 40, height: 30 }, 7);
    kinds.histogram('weights/a.b', Float32Array.of(-1, 0.5, 0.5, 0.5), 8);
    kinds.text('config', '```yaml\nSOLVER:\n  BASE_LR: 0.5\n```', 1);
    kinds.close();

    const resumed = join(folder, 'runs', 'resumed');
    const scalars = (writer: EventWriter, from: number, to: number, value: number) => {
      for (let step = from; step <= to; step++) writer.scalar('train/loss', value, step);
      writer.close();
    };
    scalars(new EventWriter(resumed, 1), 1, 9, 1);
    scalars(new EventWriter(resumed, 5), 5, 7, 2);

    const torn = join(folder, 'runs', 'torn');
    scalars(new EventWriter(torn, 1), 1, 5, 1);
    const [path] = eventFiles(torn);
    truncateSync(path, readFileSync(path).length - 10);
  });

  describe.each([
    ['in Python', 'false'],
    ['of the data server', 'true'],
  ])('the reader %s', (_, loadFast) => {
    let server: ChildProcess;
    let address: string;

    beforeAll(async () => {
      const options = [
        '--host',
        '127.0.0.1',
        '--port',
        '0',
        '--reload_interval',
        '1',
        '--load_fast',
        loadFast,
      ];
      const child = spawn(PYTHON, ['-m', 'tensorboard.main', '--logdir', join(folder, 'runs'), ...options], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      server = child;
      for await (const line of createInterface(child.stderr)) {
        const [url] = /http:\S+/.exec(line) ?? [];
        if (!url) continue;
        address = url;
        // The rest is not read, and must not fill the pipe.
        child.stderr.resume();
        break;
      }
    });
    afterAll(() => server.kill());

    const get = (path: string) => fetch(`${address}data/plugin/${path}`);
    /** What the server says at last: it reads the files while it answers. */
    const data = (path: string) =>
      expect.poll(async () => (await get(path)).json().catch(() => null), { timeout: 40_000, interval: 200 });

    test('shows scalars, including values that are not finite', async () => {
      const values = [
        [0, 1],
        [0.25, 2],
        [-3, 3],
        ['NaN', 4],
        ['Infinity', 5],
      ];
      await data('scalars/scalars?run=kinds&tag=train%2Floss').toEqual(
        values.map(([value, step]) => [expect.any(Number), step, value]),
      );
      await data('scalars/tags').toMatchObject({
        kinds: { 'train/loss': {}, 'val_AP/bend/bow (at the waist)': {} },
      });
    });

    test('shows images', async () => {
      const query = `run=kinds&tag=${encodeURIComponent('val_detections/v, second 902')}&sample=0`;
      await data(`images/images?${query}`).toMatchObject([{ step: 7 }]);
      const [{ query: image }] = (await (await get(`images/images?${query}`)).json()) as { query: string }[];
      const bytes = await (await get(`images/individualImage?${image}`)).arrayBuffer();
      expect(Buffer.from(bytes)).toEqual(picture);
    });

    test('shows histograms', async () => {
      const buckets = [
        [-1, expect.any(Number), 1],
        [expect.any(Number), expect.any(Number), 0],
        [expect.any(Number), 0.5, 3],
      ];
      await data('histograms/histograms?run=kinds&tag=weights%2Fa.b').toEqual([
        [expect.any(Number), 8, buckets],
      ]);
    });

    test('shows texts', async () => {
      await data('text/text?run=kinds&tag=config').toMatchObject([
        { step: 1, text: expect.stringContaining('<pre><code>SOLVER:') },
      ]);
    });

    test('forgets the steps that a resumed run repeated', async () => {
      const points = [1, 2, 3, 4, 5, 6, 7].map((step) => [expect.any(Number), step, step < 5 ? 1 : 2]);
      await data('scalars/scalars?run=resumed&tag=train%2Floss').toEqual(points);
    });

    test('reads up to the last whole record of a broken file', async () => {
      const points = [1, 2, 3, 4].map((step) => [expect.any(Number), step, 1]);
      await data('scalars/scalars?run=torn&tag=train%2Floss').toEqual(points);
    });
  });
});
