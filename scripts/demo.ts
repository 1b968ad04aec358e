/** @file `npm run demo`: trains a small model on the clip in sample/ and shows how its loss falls. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reportError } from '../src/cli/errors.js';
import { loadConfig } from '../src/config/index.js';
import { selectEngine } from '../src/engine/index.js';
import type { MetricsLine } from '../src/training/hooks/metrics.js';
import { train } from '../src/training/train.js';
import { lossCurve } from './loss_curve.js';

const OUTPUT_DIR = join('output', 'demo');
const root = fileURLToPath(new URL('..', import.meta.url));

async function demo(overrides: string[]): Promise<number> {
  const { engine } = await selectEngine({ engine: 'auto', device: 'auto' });
  const small = engine === 'cpu';
  if (small) {
    console.log(
      'No fast engine runs here, so this demo trains a tiny model for a few steps in plain JavaScript.\n' +
        '`npx stmixer train --engine onnx …` says what is missing.\n',
    );
  }
  const file = join(root, 'config_files', small ? 'tiny.yaml' : 'sample.yaml');
  // A demo starts afresh; a run would continue from the last checkpoint in its folder.
  rmSync(OUTPUT_DIR, { recursive: true, force: true });
  const longer = small ? ['SOLVER.MAX_EPOCH', '5'] : [];
  const config = loadConfig(file, ['OUTPUT_DIR', OUTPUT_DIR, ...longer, ...overrides]);
  const exitCode = await train(config, {
    engine: 'auto',
    device: 'auto',
    transfer: false,
    noHead: false,
    adjustLr: false,
    resume: false,
    seed: 0,
    verbose: false,
    tensorBoard: false,
    tensorBoardHistograms: null,
    skipFinalTest: true,
    skipValidation: true,
  });
  if (exitCode === 0) showCurve(join(OUTPUT_DIR, 'metrics.jsonl'));
  return exitCode;
}

function showCurve(metricsFile: string): void {
  const lines = readFileSync(metricsFile, 'utf8').trim().split('\n');
  const metrics = lines.map((line) => JSON.parse(line) as MetricsLine);
  const most = Math.max(...metrics.map((line) => line.loss_average));
  console.log('\n iteration   loss (average since the line above)');
  for (const { iteration, loss_average } of metrics) {
    const bar = '█'.repeat(Math.round((40 * loss_average) / most));
    console.log(`${String(iteration).padStart(10)}   ${loss_average.toFixed(3).padStart(7)} ${bar}`);
  }
  const picture = join(OUTPUT_DIR, 'loss.svg');
  writeFileSync(picture, lossCurve(metrics));
  console.log(`\nThe curve as a picture: ${picture}; weights, log and metrics: ${OUTPUT_DIR}`);
}

try {
  process.exitCode = await demo(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportError(error, false);
}
