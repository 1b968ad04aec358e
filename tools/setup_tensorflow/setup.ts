/** @file Sets up tfjs-node: libtensorflow, the native binding, a trial of both, and one training step. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Probe } from '../../src/engine/probe.js';
import { problemText } from '../../src/engine/problem.js';
import { cudaProblems } from '../../src/engine/tensorflow/cuda.js';
import {
  CPU_PACKAGE,
  findInstall,
  GPU_PACKAGE,
  installProblems,
  recordFile,
  type SetupRecord,
  type TensorflowInstall,
} from '../../src/engine/tensorflow/install.js';
import type { DeviceName } from '../../src/engine/types.js';
import { EngineError } from '../../src/errors.js';
import { makeTemporaryFolder } from '../../src/files/temporary_folder.js';
import { METRICS } from '../../src/run/run_folder.js';
import { buildBinding } from './build.js';
import { errorLines, runCommand } from './command.js';
import { librariesFrom, librariesFromPip, type Say, wheelRequirement, wheelSpace } from './libraries.js';
import {
  ClosedWayError,
  checkFreeSpace,
  checkPlatform,
  findCompiler,
  findNodeHeaders,
  findPython,
} from './requirements.js';

export interface SetupOptions {
  /** Sets up the package for CUDA instead of the one for the CPU. */
  gpu: boolean;
  /** Folder with libtensorflow or with wheels, or a wheel. */
  from?: string;
  /** Uses the npm package's own download. */
  download: boolean;
  /** Repeats all steps, even those that are done. */
  force: boolean;
}

const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Does the steps that are missing. Throws EngineError with the cause and what to do. */
export async function setupTensorflow(probe: Probe, options: SetupOptions, say: Say): Promise<void> {
  const name = options.gpu ? GPU_PACKAGE : CPU_PACKAGE;
  const install = findInstall(probe, name);
  if (!install) {
    const [{ what, remedy }] = installProblems(probe, name);
    throw new EngineError(`${what}; ${remedy}`);
  }
  say(`${name} ${install.version} in ${install.folder}`);
  if (options.force) {
    await rm(join(install.folder, 'deps'), { recursive: true, force: true });
    await rm(join(install.folder, 'lib'), { recursive: true, force: true });
  } else if (await isDone(probe, install, options)) {
    say(`already set up (--force does it anew)`);
    return trainOneStep(trialDevice(probe, options.gpu, say), say);
  }
  if (options.download) await runOwnDownload(install, options.gpu, say);
  else await build(probe, install, options, say);

  const device = trialDevice(probe, options.gpu, say);
  await tryOut(install, device, say);
  await trainOneStep(device, say);
}

async function isDone(probe: Probe, install: TensorflowInstall, options: SetupOptions): Promise<boolean> {
  const asksForSource = options.from !== undefined || options.download;
  if (asksForSource && install.record?.source !== sourceName(options)) return false;
  if (installProblems(probe, install.name).length > 0) return false;
  try {
    await tryOut(install, 'cpu', () => {});
    return true;
  } catch {
    return false;
  }
}

function sourceName({ gpu, from, download }: SetupOptions): string {
  if (download) return "the npm package's own download";
  return from === undefined ? `pip wheel ${wheelRequirement(gpu)}` : resolve(from);
}

/** Builds from pip's libraries or `--from`; for a CPU falls back to the npm package's own download. */
async function build(
  probe: Probe,
  install: TensorflowInstall,
  options: SetupOptions,
  say: Say,
): Promise<void> {
  try {
    await buildFromLibraries(probe, install, options, say);
  } catch (error) {
    // For a GPU the download is useless: it dates from 2022, is made for CUDA 11.2, and supports no newer GPU.
    if (!(error instanceof ClosedWayError) || options.from !== undefined || options.gpu) throw error;
    say(error.message);
    say("using the npm package's own download instead:");
    await runOwnDownload(install, options.gpu, say).catch((second: Error) => {
      throw new EngineError(`${error.message}\n  and ${second.message}`);
    });
  }
}

/** Puts the libraries in place and builds the binding. Keeps complete files of an interrupted set-up. */
async function buildFromLibraries(
  probe: Probe,
  install: TensorflowInstall,
  options: SetupOptions,
  say: Say,
): Promise<void> {
  checkPlatform(probe, options.gpu);
  const compiler = await findCompiler();
  const headers = findNodeHeaders(probe);
  const deps = join(install.folder, 'deps');
  await mkdir(deps, { recursive: true });
  const source = sourceName(options);
  if (install.record?.source === source && existsSync(join(deps, 'lib', 'libtensorflow.so'))) {
    say(`libtensorflow is there (${source})`);
  } else {
    await startOver(install, deps, source);
    if (options.from === undefined || options.from.endsWith('.whl'))
      await checkFreeSpace(deps, wheelSpace(options.gpu));
    const cuda =
      options.from === undefined
        ? await librariesFromPip(await findPython(), options.gpu, deps, say)
        : await librariesFrom(options.from, deps, say);
    if (options.gpu && !cuda) {
      await rm(deps, { recursive: true });
      throw new EngineError(
        `the libtensorflow of ${source} was built without CUDA: --gpu takes the wheel named tensorflow, not tensorflow-cpu`,
      );
    }
    await writeRecord(install, { source, cuda });
    say(`libtensorflow is in place, built ${cuda ? 'with' : 'without'} CUDA`);
  }
  say(`building the binding with ${compiler}`);
  await buildBinding(install, compiler, headers);
}

/** Removes the files of another source; keeps those of an interrupted set-up from the same source. */
async function startOver(install: TensorflowInstall, deps: string, source: string): Promise<void> {
  const note = join(deps, 'source.txt');
  if (!existsSync(note) || readFileSync(note, 'utf8') !== source)
    await rm(deps, { recursive: true, force: true });
  await mkdir(deps, { recursive: true });
  await rm(recordFile(install.folder), { force: true });
  await writeFile(note, source);
}

function writeRecord(install: TensorflowInstall, record: SetupRecord): Promise<void> {
  return writeFile(recordFile(install.folder), `${JSON.stringify(record, null, 2)}\n`);
}

/** Runs the install script of the npm package as npm would have done. */
async function runOwnDownload(install: TensorflowInstall, gpu: boolean, say: Say): Promise<void> {
  say("running the npm package's own install script");
  const bin = [join(install.folder, 'node_modules', '.bin'), join(install.folder, '..', '..', '.bin')];
  const env = {
    ...process.env,
    PATH: [...bin, process.env.PATH].join(process.platform === 'win32' ? ';' : ':'),
  };
  const script = [join('scripts', 'install.js'), gpu ? 'gpu' : 'cpu', 'download'];
  const result = await runCommand(process.execPath, script, { cwd: install.folder, env });
  if (result.code !== 0 || !existsSync(install.binding)) {
    throw new EngineError(
      `the npm package's own download failed:\n${errorLines(result.stdout + result.stderr)}\n` +
        '  Without --download, libtensorflow comes from a pip wheel',
    );
  }
  await writeRecord(install, { source: sourceName({ gpu, download: true, force: false }), cuda: gpu });
}

/** The device of the trial: the CPU if this machine has no GPU, such as the login node of a cluster. */
function trialDevice(probe: Probe, gpu: boolean, say: Say): DeviceName {
  if (!gpu) return 'cpu';
  const problems = cudaProblems(probe);
  if (problems.length === 0) return 'cuda';
  say('no GPU to try it on here; trying it on the CPU:');
  for (const problem of problems) say(`  ${problemText(problem)}`);
  return 'cpu';
}

/** Tries the package in a process of its own, because a broken library ends the process. */
async function tryOut(install: TensorflowInstall, device: DeviceName, say: Say): Promise<void> {
  // Either all files are TypeScript, or all are built; the options of this process bring the loader of TypeScript along.
  const trial = fileURLToPath(new URL(`trial${extname(import.meta.url)}`, import.meta.url));
  const result = await runCommand(process.execPath, [...process.execArgv, trial, install.name, device]);
  if (result.code !== 0) {
    const how =
      result.signal === 'SIGILL' ? 'this processor lacks instructions that libtensorflow was built for' : '';
    throw new EngineError(
      `the trial of ${install.name} failed${result.signal ? ` (${result.signal})` : ''}: ${how}\n${errorLines(result.stderr)}`,
    );
  }
  const { version, gigaflops } = JSON.parse(result.stdout.trim().split('\n').at(-1) ?? '') as {
    version: string;
    gigaflops: number;
  };
  say(
    `libtensorflow ${version} computes on ${device}: matrix product and gradient right, ${gigaflops.toFixed(0)} GFLOP/s`,
  );
}

/** Runs one iteration of tiny.yaml on the engine that has just been set up. */
async function trainOneStep(device: DeviceName, say: Say): Promise<void> {
  const output = makeTemporaryFolder('the results of a trial run');
  try {
    say('one training step of config_files/tiny.yaml');
    const overrides = ['SOLVER.ITER_PER_EPOCH', '1', 'SOLVER.MAX_EPOCH', '1', 'SOLVER.WARMUP_ON', 'False'];
    const args = ['train', '--config-file', join('config_files', 'tiny.yaml'), '--engine', 'tensorflow'];
    const more = [
      '--device',
      device,
      '--skip-val-in-train',
      '--skip-final-test',
      ...overrides,
      'OUTPUT_DIR',
      output,
    ];
    const result = await runCommand(process.execPath, [join('bin', 'stmixer.js'), ...args, ...more], {
      cwd: PACKAGE_ROOT,
    });
    const metrics = join(output, METRICS);
    const line = existsSync(metrics) ? readFileSync(metrics, 'utf8').trim().split('\n').at(-1) : undefined;
    const { loss, seconds } = JSON.parse(line ?? '{}') as { loss?: number; seconds?: number };
    if (result.code !== 0 || !Number.isFinite(loss))
      throw new EngineError(`the training step failed:\n${errorLines(result.stderr + result.stdout)}`);
    say(
      `it trains: loss ${loss?.toPrecision(4)}, ${seconds?.toFixed(2)} s. Use it with --engine tensorflow or auto`,
    );
  } finally {
    rmSync(output, { recursive: true, force: true });
  }
}
