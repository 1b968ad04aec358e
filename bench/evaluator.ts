/**
 * @file `npm run bench:evaluator [-- DIR]`: times AVA's evaluator on a validation set of AVA's size, 57,000 key frames with 20
 * detections each, and the search for the cause if predictions name frames instead of seconds and videos with extensions.
 * The csv files stay in DIR, so that `bench/official_evaluator.py` can be timed on the same ones.
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { evaluateFiles } from '../src/evaluation/evaluate_files.js';
import { summary } from '../src/evaluation/results.js';
import { Rng } from '../src/util/random.js';

const VIDEOS = 64;
const KEY_FRAMES = 57_000;
const DETECTIONS = 20;
const CLASSES = 60;
/** Labelled persons of a key frame, and actions of each: about as many rows as AVA's validation set has. */
const PERSONS = 3;
const ACTIONS = 2;

const kept = process.argv[2];
const folder = kept ?? mkdtempSync(join(tmpdir(), 'stmixer-bench-'));
try {
  writeFiles(folder);
  console.log(`Node ${process.version}, ${availableParallelism()} cores`);
  const { results, seconds } = timed('detections.csv');
  console.log(`${KEY_FRAMES} key frames × ${DETECTIONS} detections: ${summary(results)}`);
  console.log(
    `reading and evaluating ${seconds.toFixed(2)} s, peak memory ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`,
  );
  const misfits = timed('frame_numbers.csv');
  console.log(`with frame numbers for seconds: ${misfits.seconds.toFixed(2)} s`);
  for (const warning of misfits.results.warnings) console.log(`  ${warning}`);
} finally {
  if (kept === undefined) rmSync(folder, { recursive: true });
}

function timed(predictions: string) {
  const path = (name: string) => join(folder, name);
  const begin = performance.now();
  const results = evaluateFiles(
    { groundTruth: [path('gt.csv')], labelMap: path('label_map.pbtxt'), exclude: path('excluded.csv') },
    path(predictions),
  );
  return { results, seconds: (performance.now() - begin) / 1000 };
}

/** Ground truth, and detections around it or anywhere, with many tied scores. */
function writeFiles(target: string): void {
  mkdirSync(target, { recursive: true });
  const rng = Rng.forName(0, 'evaluator');
  const item = (id: number) => `item {\n  name: "action ${id}"\n  id: ${id}\n}\n`;
  writeFileSync(
    join(target, 'label_map.pbtxt'),
    Array.from({ length: CLASSES }, (_, i) => item(i + 1)).join(''),
  );
  writeFileSync(join(target, 'excluded.csv'), 'video00,0902\n');
  const truth = openSync(join(target, 'gt.csv'), 'w');
  const found = openSync(join(target, 'detections.csv'), 'w');
  const misfits = openSync(join(target, 'frame_numbers.csv'), 'w');
  for (let frame = 0; frame < KEY_FRAMES; frame++) {
    const video = String(frame % VIDEOS).padStart(2, '0');
    const second = 902 + Math.floor(frame / VIDEOS);
    const key = `video${video},${String(second).padStart(4, '0')}`;
    const misfit = `video${video}.mp4,${30 * (second - 900)}`;
    const persons = Array.from({ length: PERSONS }, () => randomBox(rng));
    const actions = persons.map(() => Array.from({ length: ACTIONS }, () => 1 + rng.int(CLASSES)));
    const truths = persons.flatMap((box, p) =>
      actions[p].map((id) => `${key},${decimals(box, 3)},${id},${p}\n`),
    );
    writeSync(truth, truths.join(''));
    const rows = Array.from({ length: DETECTIONS }, (_, i) => {
      const p = i % PERSONS;
      const near = rng.uniform() < 0.5;
      const box = near ? persons[p].map((value) => value + rng.uniformBetween(-0.03, 0.03)) : randomBox(rng);
      const id = near ? actions[p][rng.int(ACTIONS)] : 1 + rng.int(CLASSES);
      return `,${decimals(box, 5)},${id},${rng.uniform().toFixed(5)}\r\n`;
    });
    writeSync(found, rows.map((row) => key + row).join(''));
    writeSync(misfits, rows.map((row) => misfit + row).join(''));
  }
  closeSync(truth);
  closeSync(found);
  closeSync(misfits);
}

function randomBox(rng: Rng): number[] {
  const x = rng.uniformBetween(0, 0.7);
  const y = rng.uniformBetween(0, 0.5);
  return [x, y, x + rng.uniformBetween(0.1, 0.3), y + rng.uniformBetween(0.2, 0.5)];
}

function decimals(box: readonly number[], digits: number): string {
  return box.map((value) => value.toFixed(digits)).join();
}
