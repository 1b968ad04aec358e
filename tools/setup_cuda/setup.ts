/** @file Fetches and unpacks CUDA's libraries. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import {
  CUDA_MAJORS,
  type CudaMajor,
  findDriver,
  type SearchOptions,
} from '../../src/engine/cuda/libraries.js';
import { SETUP_RECORD } from '../../src/engine/cuda/library_places.js';
import type { Probe } from '../../src/engine/probe.js';
import { problemText } from '../../src/engine/problem.js';
import { visibleGpu } from '../../src/engine/tensorflow/cuda.js';
import { EngineError } from '../../src/errors.js';
import { systemErrorText } from '../../src/files/system_errors.js';
import { checkFreeSpace, findPython } from '../setup_tensorflow/requirements.js';
import { fetchWheel, unpackWheel } from '../setup_tensorflow/wheel.js';
import { type NvidiaPackage, nvidiaPackages, pickLibraries, wheelOf } from './packages.js';

/** Bytes on the disk: the libraries, and with pip the largest wheel beside some of them. */
const SPACE = { pip: 2.6e9, wheels: 2e9 };
/** Notes what an unfinished set-up is about. */
const PROGRESS = 'unfinished.json';
/** GPUs before Turing run on CUDA 12 only. */
const FIRST_CAPABILITY_OF_13 = 7.5;

export interface SetupOptions {
  /** Where the libraries go. */
  readonly folder: string;
  /** The version of CUDA; by default what driver and GPU support. */
  readonly cuda?: CudaMajor;
  /** A folder of wheels, instead of pip. */
  readonly wheels?: string;
  /** Does everything anew. */
  readonly force: boolean;
}

export interface SetupMachine extends Pick<SearchOptions, 'driverVersion'> {
  readonly probe: Probe;
  /** Tries the libraries in a folder, and returns what is to be said about them. Throws EngineError. */
  readonly tryLibraries: (folder: string) => string[];
}

export type Say = (line: string) => void;

/** What is in the folder, or is to be in it. */
interface Content {
  readonly cuda: CudaMajor;
  readonly source: string;
  /** The wheels that are unpacked. */
  readonly wheels: readonly string[];
}

/** Does what is missing. Throws EngineError with the cause and what to do. */
export async function setupCuda(machine: SetupMachine, options: SetupOptions, say: Say): Promise<void> {
  const { probe } = machine;
  if (probe.platform !== 'linux' || !['x64', 'arm64'].includes(probe.arch))
    throw new EngineError(
      `NVIDIA has no packages for ${probe.platform} ${probe.arch}: only for Linux on x64 and arm64`,
    );
  const cuda = options.cuda ?? chooseCuda(machine);
  const source = options.wheels === undefined ? 'pip' : resolve(options.wheels);
  say(`libraries of CUDA ${cuda} go to ${options.folder}`);
  if (isDone(options, { cuda, source })) say('they are there already (--force fetches them anew)');
  else await unpackAll(options, { cuda, source }, say);
  for (const line of machine.tryLibraries(options.folder)) say(line);
  say('done: use it with --engine cuda or auto');
}

/** The newest CUDA that driver and GPU support. */
function chooseCuda({ probe, driverVersion }: SetupMachine): CudaMajor {
  const driver = findDriver(probe, driverVersion);
  if (!('path' in driver))
    throw new EngineError(
      `${problemText(driver.problems[0])}. To set up for another machine, say its version of CUDA with --cuda 12 or --cuda 13`,
    );
  const capability = visibleGpu(probe)?.computeCapability ?? FIRST_CAPABILITY_OF_13;
  const isOld = capability < FIRST_CAPABILITY_OF_13;
  const major = CUDA_MAJORS.find((number) => driver.version >= 1000 * number && !(isOld && number >= 13));
  if (!major)
    throw new EngineError('the NVIDIA driver is too old for CUDA 12: install the driver 525 or newer');
  return major;
}

function isDone({ folder, wheels, force }: SetupOptions, wanted: Pick<Content, 'cuda' | 'source'>): boolean {
  if (force) return false;
  const record = readContent(join(folder, SETUP_RECORD));
  if (record?.cuda !== wanted.cuda) return false;
  // An earlier version of this program fetched fewer libraries.
  if (wheels === undefined && record.source === wanted.source)
    return nvidiaPackages(wanted.cuda).every((nvidia) => wheelOf(nvidia, record.wheels));
  return wheels === undefined || record.source === wanted.source;
}

/** Unpacks what an earlier set-up of the same kind has not unpacked. The record comes last: without it the folder is not used. */
async function unpackAll(options: SetupOptions, wanted: Omit<Content, 'wheels'>, say: Say): Promise<void> {
  const { folder } = options;
  const note = join(folder, PROGRESS);
  const wheels: string[] = [];
  try {
    const earlier = readContent(note) ?? readContent(join(folder, SETUP_RECORD));
    await rm(join(folder, SETUP_RECORD), { force: true });
    if (options.force || earlier?.cuda !== wanted.cuda || earlier.source !== wanted.source)
      await rm(folder, { recursive: true, force: true });
    else wheels.push(...earlier.wheels);
    await mkdir(folder, { recursive: true });
    await checkFreeSpace(folder, spaceFor(options, wheels, wanted.cuda), {
      name: "CUDA's libraries",
      advice: 'Free some, or install a CUDA toolkit on another disk and name it in STMIXER_CUDA_PATH',
    });
    const unpacked = async (wheel: string) => {
      wheels.push(wheel);
      await writeFile(note, JSON.stringify({ ...wanted, wheels }));
    };
    await writeFile(note, JSON.stringify({ ...wanted, wheels }));
    if (options.wheels === undefined) await unpackFromPip({ folder, wanted, wheels, unpacked }, say);
    else await unpackFolder({ folder, wanted, wheels, unpacked }, say);
    await writeFile(join(folder, SETUP_RECORD), `${JSON.stringify({ ...wanted, wheels }, null, 2)}\n`);
    await rm(note);
  } catch (error) {
    if (error instanceof EngineError || !(error as NodeJS.ErrnoException).code) throw error;
    throw new EngineError(`${folder} cannot be written: ${systemErrorText(error)}`, { cause: error });
  }
}

interface Work {
  readonly folder: string;
  readonly wanted: Omit<Content, 'wheels'>;
  /** Names of the wheels that are unpacked. */
  readonly wheels: readonly string[];
  /** Notes that a wheel is unpacked. */
  readonly unpacked: (wheel: string) => Promise<void>;
}

/** Fetches one wheel after the other, and deletes each when it is unpacked. */
async function unpackFromPip({ folder, wanted, wheels, unpacked }: Work, say: Say): Promise<void> {
  const python = await findPython('--wheels FOLDER');
  const downloads = join(folder, 'download');
  for (const nvidia of nvidiaPackages(wanted.cuda)) {
    if (wheelOf(nvidia, wheels)) continue;
    say(`fetching ${nvidia.title} with pip (about ${nvidia.megabytes} MB)`);
    const wheel = await fetchWheel(python, nvidia.requirement, downloads, '--wheels FOLDER');
    say(`unpacking ${basename(wheel)}`);
    await unpackWheel(wheel, folder, pickLibraries);
    await unpacked(basename(wheel));
    await rm(wheel);
  }
  await rm(downloads, { recursive: true, force: true });
}

async function unpackFolder({ folder, wanted, wheels, unpacked }: Work, say: Say): Promise<void> {
  const files = wheelFiles(wanted.source);
  const packages = nvidiaPackages(wanted.cuda);
  for (const nvidia of packages)
    if (nvidia.isFor === null && !wheelOf(nvidia, files)) throw missingWheel(nvidia, wanted.source, files);
  for (const nvidia of packages) {
    const wheel = wheelOf(nvidia, files);
    if (wheel && !wheels.includes(wheel)) {
      say(`unpacking ${wheel}`);
      await unpackWheel(join(wanted.source, wheel), folder, pickLibraries);
      await unpacked(wheel);
    } else if (!wheel)
      say(`no wheel of ${nvidia.title} (${nvidia.requirement}): ${nvidia.isFor} will be slower without it`);
  }
}

function wheelFiles(folder: string): string[] {
  try {
    return readdirSync(folder).filter((file) => file.endsWith('.whl'));
  } catch (error) {
    throw new EngineError(`--wheels ${folder}: ${systemErrorText(error)}`, { cause: error });
  }
}

function missingWheel(
  { title, requirement }: NvidiaPackage,
  folder: string,
  files: readonly string[],
): EngineError {
  const found = files.length > 0 ? files.join(', ') : 'no wheel at all';
  return new EngineError(
    `--wheels ${folder}: the wheel of ${title} is missing; there is ${found}. Fetch it where there is a network: ` +
      `pip download --no-deps '${requirement}'`,
  );
}

/** Bytes that are still needed. */
function spaceFor({ wheels }: SetupOptions, unpacked: readonly string[], cuda: CudaMajor): number {
  const all = nvidiaPackages(cuda);
  const left = all.filter((nvidia) => !wheelOf(nvidia, unpacked));
  const megabytes = (packages: readonly NvidiaPackage[]) =>
    packages.reduce((sum, nvidia) => sum + nvidia.megabytes, 0);
  return (wheels === undefined ? SPACE.pip : SPACE.wheels) * (megabytes(left) / megabytes(all));
}

function readContent(path: string): Content | null {
  if (!existsSync(path)) return null;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Content;
  } catch {
    // Written when the disk was full, or the machine went down.
    return null;
  }
}
