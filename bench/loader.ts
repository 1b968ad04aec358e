/** @file Measures the loader on images of AVA's size: clips per second, work of the main thread, and how long a step waits. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import '../scripts/typescript_threads.mjs';
import { type Config, configFromOverrides } from '../src/config/index.js';
import { createTrainLoader } from '../src/data/loading/loader.js';

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '0,1,2,4' },
    clips: { type: 'string', default: '60' },
    batch: { type: 'string', default: '2' },
    /** Seconds per simulated step: one on a GPU, one on a CPU. */
    steps: { type: 'string', default: '0.5,13' },
  },
});
const numbers = (text: string) => text.split(',').map(Number);
const NUM_CLIPS = Number(values.clips);
const BATCH = Number(values.batch);

// AVA's images: 340 pixels high, here 16:12 as the sample is; key frames a second apart at 30 frames per second.
const [HEIGHT, WIDTH] = [340, 453];
const SECONDS = 60;
const FPS = 30;

/** A video of one minute, made of the sample's frames, scaled and repeated. */
async function makeData(folder: string): Promise<string[]> {
  const source = join(import.meta.dirname, '../sample/frames');
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.jpg'),
  );
  const frames = join(folder, 'frames/v');
  for (const name of ['frames/v', 'frame_lists', 'annotations'])
    mkdirSync(join(folder, name), { recursive: true });
  const scaled = join(folder, 'scaled.jpg');
  const lines = ['original_vido_id video_id frame_id path labels'];
  const paths: string[] = [];
  for (let frame = 0; frame < SECONDS * FPS; frame++) {
    const name = `v_${String(frame + 1).padStart(6, '0')}.jpg`;
    // A tenth of the content is enough, because every frame is a file of its own.
    if (frame % 10 === 0) {
      const input = join(source, files[(frame / 10) % files.length]);
      await sharp(input).resize(WIDTH, HEIGHT, { fit: 'fill' }).jpeg({ quality: 90 }).toFile(scaled);
    }
    cpSync(scaled, join(frames, name));
    paths.push(join(frames, name));
    lines.push(`v 0 ${frame} v/${name} ""`);
  }
  rmSync(scaled);
  writeFileSync(join(folder, 'frame_lists/train.csv'), `${lines.join('\n')}\n`);
  const rows = Array.from(
    { length: SECONDS - 4 },
    (_, i) => `v,${902 + i},0.1,0.2,0.5,0.8,${(i % 80) + 1},0`,
  );
  writeFileSync(join(folder, 'annotations/train.csv'), `${rows.join('\n')}\n`);
  return paths;
}

function config(folder: string, workers: number): Config {
  return configFromOverrides({
    'DATA.PATH_TO_DATA_DIR': folder,
    'DATA.NUM_FRAMES': 16,
    'DATA.SAMPLING_RATE': 4,
    'DATA.TRAIN_MIN_SCALES': [256, 320],
    'AVA.ANNOTATION_DIR': 'annotations',
    'AVA.TRAIN_GT_BOX_LISTS': ['train.csv'],
    'DATALOADER.NUM_WORKERS': workers,
    'SOLVER.VIDEOS_PER_BATCH': BATCH,
    'SOLVER.MAX_EPOCH': 1,
    'SOLVER.ITER_PER_EPOCH': 1_000_000,
  });
}

/** Milliseconds of processor time that all threads took since `before`. */
function cpuMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Decodes the images of `NUM_CLIPS` clips one after the other, and does nothing else. */
async function decoding(paths: readonly string[]) {
  const count = 16 * NUM_CLIPS;
  const before = process.cpuUsage();
  const start = performance.now();
  for (let i = 0; i < count; i++)
    await sharp(paths[(4 * i) % paths.length])
      .raw()
      .toBuffer();
  return { clipsPerSecond: (NUM_CLIPS * 1000) / (performance.now() - start), cpu: cpuMs(before) / NUM_CLIPS };
}

/** Loads as fast as possible: clips per second, and work of the main thread per batch. */
async function throughput(folder: string, workers: number) {
  const loader = createTrainLoader(config(folder, workers), { seed: 0 });
  // By now the threads have started and memory is allocated.
  for (let i = 0; i < 4; i++) await loader.next();
  const count = Math.ceil(NUM_CLIPS / BATCH);
  const start = performance.now();
  const before = process.cpuUsage();
  const idle = performance.eventLoopUtilization();
  for (let i = 0; i < count; i++) await loader.next();
  const { active } = performance.eventLoopUtilization(idle);
  const seconds = (performance.now() - start) / 1000;
  const cpu = cpuMs(before) / (count * BATCH);
  await loader.close();
  return { clipsPerSecond: (count * BATCH) / seconds, cpu, mainMs: active / count };
}

/** Mean and maximum time in ms that a step of `seconds` waits for its batch; the first step does not count. */
async function waits(folder: string, workers: number, seconds: number, blocking: boolean) {
  const loader = createTrainLoader(config(folder, workers), { seed: 0 });
  const waited: number[] = [];
  const count = Math.max(4, Math.min(20, Math.round(20 / seconds)));
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await loader.next();
    waited.push(performance.now() - start);
    const end = performance.now() + seconds * 1000;
    // Some engines block the main thread for the whole step; others leave the event loop running.
    if (blocking) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
    else await new Promise((resolve) => setTimeout(resolve, end - performance.now()));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await loader.close();
  const later = waited.slice(2);
  return {
    first: waited[0],
    mean: later.reduce((a, b) => a + b, 0) / later.length,
    longest: Math.max(...later),
  };
}

const folder = mkdtempSync(join(tmpdir(), 'stmixer-bench-'));
try {
  const paths = await makeData(folder);
  console.log(
    `clips of 16 frames ${WIDTH}×${HEIGHT}, short side 256 or 320, ${BATCH} per batch, Node ${process.version}\n`,
  );
  const alone = await decoding(paths);
  console.log('| workers | clips/s | per worker | processor, ms per clip | main thread, ms per batch |');
  console.log('| --- | --- | --- | --- | --- |');
  console.log(`| decoding alone | ${alone.clipsPerSecond.toFixed(1)} | | ${alone.cpu.toFixed(0)} | |`);
  for (const workers of numbers(values.workers)) {
    const { clipsPerSecond, cpu, mainMs } = await throughput(folder, workers);
    const each = workers > 0 ? (clipsPerSecond / workers).toFixed(1) : '–';
    console.log(
      `| ${workers} | ${clipsPerSecond.toFixed(1)} | ${each} | ${cpu.toFixed(0)} | ${mainMs.toFixed(1)} |`,
    );
  }
  console.log('\n| workers | step | waits, ms (longest) | first |\n| --- | --- | --- | --- |');
  for (const seconds of numbers(values.steps)) {
    for (const workers of numbers(values.workers)) {
      for (const blocking of [false, true]) {
        const { first, mean, longest } = await waits(folder, workers, seconds, blocking);
        const step = `${seconds} s${blocking ? ', main thread held' : ''}`;
        console.log(
          `| ${workers} | ${step} | ${mean.toFixed(1)} (${longest.toFixed(1)}) | ${first.toFixed(0)} |`,
        );
      }
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
