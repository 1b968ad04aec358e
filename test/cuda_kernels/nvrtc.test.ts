/**
 * @file NVIDIA's compiler takes the kernels that other tests have made, for GPUs of every generation. STMIXER_NVIDIA_WHEELS
 * names a folder with its unpacked wheel, and STMIXER_CUDA_SOURCE one with the sources, which the cuda engine writes there.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadNvrtc } from '../../src/engine/cuda/api/nvrtc.js';
import { kernelResources } from '../support/cubin.js';
import { nvrtcPath, wheelsFolder } from '../support/nvidia_wheels.js';

const ARCHITECTURES = [75, 80, 86, 89, 90, 120];
const FOLDER = process.env.STMIXER_CUDA_SOURCE;
/** The sources that are compiled for every architecture; the others are for one of them in turn. */
const FOR_ALL = 6;
/** From here on a multiprocessor holds fewer than two blocks of 256 threads. */
const MAX_REGISTERS = 128;
const WARNING = /warning #/;
/** Local memory that sines and cosines of large numbers need. */
const SINE_BYTES = 32;
/** The compiler spills up to eight registers of a few kernels with many tensors, rather than start fewer blocks. */
const SPILLED_BYTES = 32;
/** Where the list of registers goes, if it is set. */
const LIST = process.env.STMIXER_LIST_REGISTERS;

describe.runIf(wheelsFolder && FOLDER)('the kernels of the cuda engine', () => {
  const sources = FOLDER ? readdirSync(FOLDER).map((name) => readFileSync(join(FOLDER, name), 'utf8')) : [];
  // The largest have kernels of all kinds.
  sources.sort((a, b) => b.length - a.length);
  const nvrtc = wheelsFolder ? loadNvrtc(nvrtcPath()) : null;

  it('are there', () => {
    expect(sources.length).toBeGreaterThan(100);
  });

  it.each(ARCHITECTURES)(
    'compile for sm_%i without warnings, and spill hardly any registers',
    (architecture) => {
      const lines: string[] = [];
      const wrong: string[] = [];
      for (const [n, source] of sources.entries()) {
        if (n >= FOR_ALL && ARCHITECTURES[n % ARCHITECTURES.length] !== architecture) continue;
        const { cubin, log } = nvrtc!.compile(source, architecture);
        if (WARNING.test(log)) wrong.push(log);
        for (const { name, registers, localBytes } of kernelResources(cubin)) {
          const line = `sm_${architecture} source ${n} ${name}: ${registers} registers, ${localBytes} bytes of local memory`;
          lines.push(line);
          const allowed = SPILLED_BYTES + (/\b(?:sin|cos)f\(/.test(source) ? SINE_BYTES : 0);
          if (localBytes > allowed || registers > MAX_REGISTERS) wrong.push(line);
        }
      }
      if (LIST) writeFileSync(`${LIST}.sm_${architecture}`, `${lines.join('\n')}\n`);
      expect(lines.length).toBeGreaterThan(100);
      expect(wrong).toEqual([]);
    },
    1_200_000,
  );
});
