/**
 * @file Measures time and memory to convert, describe and verify a weight file, each in a process of its own.
 *
 *   npm run bench:files -- [--mib 1024] [--tensors 16]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { convertWeightFile } from '../src/checkpoint/convert.js';
import { describeWeightFile } from '../src/checkpoint/describe.js';
import type { HostTensor } from '../src/formats/host_tensor.js';
import { readPth } from '../src/formats/pth/pth_reader.js';
import { writePth } from '../src/formats/pth/pth_writer.js';
import { verifyWeightFile } from '../src/formats/weight_file.js';
import { Rng } from '../src/util/random.js';

const flags = new Command('bench:files')
  .option('--mib <n>', 'size of the file', '1024')
  .option('--tensors <n>', 'of equal size', '16')
  .option('--work <name>', 'what a process of its own does')
  .option('--folder <path>', 'where')
  .parse()
  .opts();
const folder: string = flags.folder ?? mkdtempSync(join(tmpdir(), 'stmixer-bench-'));
const at = (name: string) => join(folder, name);

async function makeFile(): Promise<void> {
  const count = Math.floor((flags.mib * 2 ** 20) / 4 / flags.tensors);
  const rng = new Rng(7);
  const data = Float32Array.from({ length: count }, () => rng.uniform());
  const tensor = (): HostTensor => ({
    dtype: 'float32',
    shape: [count],
    bytes: () => new Uint8Array(data.buffer),
  });
  const model = Object.fromEntries(
    Array.from({ length: Number(flags.tensors) }, (_, i) => [`w${i}`, tensor()]),
  );
  await writePth(at('in.pth'), { model });
}

const convert = (to: string, dtype: 'keep' | 'float16') =>
  convertWeightFile(at('in.pth'), at(to), { dtype, weightsOnly: false });

const WORK: Record<string, () => unknown> = {
  'reading the structure': () => readPth(at('in.pth')),
  verifying: () => verifyWeightFile(at('in.pth')),
  'inspect checkpoint': () => describeWeightFile(at('in.pth')),
  'convert to .safetensors': () => convert('out.safetensors', 'keep'),
  'convert to .safetensors, float16': () => convert('out.safetensors', 'float16'),
  'convert to .pth, float16': () => convert('out.pth', 'float16'),
};

if (flags.work) {
  const [begin, cpu] = [performance.now(), process.cpuUsage()];
  await WORK[flags.work]();
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - begin) / 1000;
  const peak = process.resourceUsage().maxRSS / 1024;
  console.log(
    `${flags.work.padEnd(34)} ${seconds.toFixed(2)} s, processor ${((user + system) / 1e6).toFixed(2)} s, peak ${Math.round(peak)} MiB`,
  );
} else {
  try {
    await makeFile();
    console.log(`${flags.mib} MiB of float32 in ${flags.tensors} tensors, in the page cache`);
    for (const work of Object.keys(WORK)) {
      const args = ['--import', 'tsx', fileURLToPath(import.meta.url), '--work', work, '--folder', folder];
      process.stdout.write(execFileSync(process.execPath, args));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
