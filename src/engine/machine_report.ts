/** @file Examines the parts of the machine that decide whether and how fast a training runs. */
import { existsSync, statfsSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { EngineError } from '../errors.js';
import { gib } from '../util/text.js';
import { selectEngine } from './index.js';
import { machineMemory } from './memory.js';
import { machineProbe, type Probe } from './probe.js';
import { chooseCoreThreads, usableCores } from './threads.js';

/** One line of the report. */
export interface MachineFact {
  readonly name: string;
  readonly text: string;
  /** Whether a training cannot run because of it. */
  readonly failed: boolean;
}

/** Number of open files that the program and its threads need. */
const MIN_FILES = 256;

/** Examines the machine and starts the engine that `auto` selects. `probe` is for tests. */
export async function machineReport(probe: Probe = machineProbe()): Promise<MachineFact[]> {
  return [
    good('Node', process.version),
    await engine(),
    threads(probe),
    good(
      'processors',
      `${cpus().length} in this machine, of which this process can use ${usableCores(probe).threads}`,
    ),
    good('control group', ownGroup(probe)),
    memory(),
    temporaryFolder(),
    openFiles(probe),
    ...['ffmpeg', 'ffprobe'].map((program) => version(probe, program)),
  ];
}

function good(name: string, text: string): MachineFact {
  return { name, text, failed: false };
}

async function engine(): Promise<MachineFact> {
  try {
    const { description } = await selectEngine();
    return good('engine', description);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return { name: 'engine', text: error.message, failed: true };
  }
}

function threads(probe: Probe): MachineFact {
  try {
    const { threads: count, reason } = chooseCoreThreads(probe);
    return good('threads', `${count}: ${reason}`);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return { name: 'threads', text: error.message, failed: true };
  }
}

function ownGroup(probe: Probe): string {
  const lines = (probe.readText('/proc/self/cgroup') ?? '').trim().split('\n');
  const paths = new Set(lines.map((line) => line.split(':').slice(2).join(':')).filter(Boolean));
  return paths.size === 0 ? 'none' : [...paths].join(', ');
}

function memory(): MachineFact {
  const { totalBytes, freeBytes, limitedBy } = machineMemory();
  const limit = limitedBy === null ? 'no limit below what the machine has' : `the limit in ${limitedBy}`;
  return good('memory', `${gib(totalBytes)} (${limit}), ${gib(freeBytes)} of them free`);
}

function temporaryFolder(): MachineFact {
  const folder = tmpdir();
  if (!existsSync(folder))
    return good('TMPDIR', `${folder} does not exist; detect needs it for videos: set TMPDIR`);
  const { bavail, bsize } = statfsSync(folder);
  return good('TMPDIR', `${folder}, ${gib(bavail * bsize)} free`);
}

function openFiles(probe: Probe): MachineFact {
  const limit = /^Max open files +(\S+)/m.exec(probe.readText('/proc/self/limits') ?? '')?.[1];
  if (limit === undefined) return good('open files', 'not known on this system');
  const isFew = Number(limit) < MIN_FILES;
  return good(
    'open files',
    `${limit} at most${isFew ? ', which may be too few; in a new shell, ulimit -n 1024 allows more' : ''}`,
  );
}

function version(probe: Probe, program: string): MachineFact {
  const line = probe.run(program, ['-version'])?.split('\n')[0];
  return good(program, line?.replace(/ Copyright.*/, '') ?? 'not on the PATH; only videos need it');
}
