/** @file Examines the parts of the machine that decide whether and how fast a training runs. */
import { existsSync, statfsSync } from 'node:fs';
import { cpus, homedir, hostname, release, tmpdir, type, userInfo } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../errors.js';
import { cpuQuota, cpusetSize, memoryLimit } from '../util/cgroups.js';
import { parseObject, stringOr } from '../util/json.js';
import { packageVersion } from '../util/package_version.js';
import { gib } from '../util/text.js';
import { type EngineAvailability, engineAvailability, selectEngine } from './index.js';
import { machineMemory } from './memory.js';
import { machineProbe, type Probe } from './probe.js';
import { chooseCoreThreads, usableCores } from './threads.js';

/** A line of the report. */
export interface MachineFact {
  readonly name: string;
  readonly text: string;
  /** Whether a training cannot run because of it. */
  readonly failed: boolean;
}

/** Number of open files that the program and its threads need. */
const MIN_FILES = 256;

/** Instruction sets on which the speed of an engine depends, as Linux names them. */
const INSTRUCTION_SETS =
  /^(avx|avx2|fma|f16c|avx512f|avx512_vnni|avx512_bf16|avx_vnni|amx_tile|amx_int8|amx_bf16|asimd|asimddp|bf16|i8mm|sve|sve2)$/;

/** Video encoders that stmixer can use, and others that are common. */
const VIDEO_ENCODERS = /\b(libx264|libopenh264|h264_\w+|mpeg4|libx265|libvpx-vp9|libsvtav1)\b/g;

/**
 * Examines the machine and starts the engine that `auto` selects. The report contains no names of people or machines and no paths of home folders.
 * `probe` is for tests.
 */
export async function machineReport(probe: Probe = machineProbe()): Promise<MachineFact[]> {
  // A running engine cannot change its device, so all are listed before one is started.
  const available = engineAvailability();
  const facts = [
    good('stmixer', packageVersion()),
    good('Node', process.version),
    good(
      'libraries',
      ['onnxruntime-node', '@tensorflow/tfjs'].map((name) => library(probe, name)).join(', '),
    ),
    good('system', system(probe)),
    good('processor', processor(probe)),
    await engine(),
    ...available.map(engineFact),
    good('GPUs', gpus(probe)),
    threads(probe),
    good(
      'processors',
      `${cpus().length} in this machine, of which this process can use ${usableCores(probe).threads}`,
    ),
    good('control group', ownGroup(probe)),
    memory(),
    good('current folder', freeSpace('.')),
    temporaryFolder(),
    openFiles(probe),
    ...['ffmpeg', 'ffprobe'].map((program) => version(probe, program)),
    good('video encoders', encoders(probe)),
    good('locale', locale(probe)),
  ];
  return facts.map((fact) => ({ ...fact, text: withoutPrivateData(fact.text) }));
}

/** Replaces home folders, the names of the user and of the machine, and identifiers of containers. */
export function withoutPrivateData(
  text: string,
  owner = { home: homedir(), host: hostname(), user: userName() },
): string {
  const { home, host, user } = owner;
  const known: [name: string, pattern: (name: string) => RegExp, replacement: string][] = [
    [home === '/root' ? '' : home, (name) => new RegExp(`${name}(?![\\w-])`, 'g'), '~'],
    [host, (name) => new RegExp(`(?<![\\w.-])${name}(?![\\w-])`, 'g'), 'HOST'],
    [user === 'root' ? '' : user, (name) => new RegExp(`(?<=[/\\\\])${name}(?![\\w-])`, 'g'), 'USER'],
  ];
  return known
    .filter(([name]) => name.length > 1)
    .reduce((result, [name, pattern, to]) => result.replaceAll(pattern(escaped(name)), to), text)
    .replaceAll(/([/\\](?:home|Users)[/\\])[^/\\\s;,]+/g, '$1USER')
    .replaceAll(/\b[0-9a-f]{12,}\b/g, 'ID');
}

function escaped(name: string): string {
  return name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user without an entry in the system's list, as in many containers.
    return '';
  }
}

function library(probe: Probe, name: string): string {
  const folder = probe.packageFolder(name);
  const description = folder === null ? null : probe.readText(join(folder, 'package.json'));
  return `${name} ${description === null ? 'not installed' : stringOr(parseObject(description)?.version, '?')}`;
}

function system(probe: Probe): string {
  const name = /^PRETTY_NAME="?(.*?)"?$/m.exec(probe.readText('/etc/os-release') ?? '')?.[1];
  return [`${type()} ${release()} ${probe.arch}`, ...(name ? [name] : [])].join(', ');
}

function processor(probe: Probe): string {
  const info = probe.readText('/proc/cpuinfo') ?? '';
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1].split(/\s+/) ?? [];
  const sets = [...new Set(flags.filter((flag) => INSTRUCTION_SETS.test(flag)))];
  const model = cpus()[0]?.model.trim() || 'unknown model';
  return `${model}, instruction sets: ${sets.length === 0 ? 'not known' : sets.join(' ')}`;
}

function engineFact({ engine: name, device, problems, detail }: EngineAvailability): MachineFact {
  const usable = detail === undefined ? 'usable' : `usable: ${detail.replaceAll('\n', '; ')}`;
  return good(`  ${name}/${device}`, problems.length === 0 ? usable : `not usable: ${problems.join('; ')}`);
}

function gpus(probe: Probe): string {
  const query = '--query-gpu=name,memory.total,driver_version,compute_cap';
  const lines = probe.run('nvidia-smi', [query, '--format=csv,noheader'])?.trim();
  return lines ? lines.split('\n').join('; ') : 'none that nvidia-smi lists';
}

function freeSpace(folder: string): string {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return `${gib(bavail * bsize)} free`;
  } catch (error) {
    return `the free space is not known: ${(error as NodeJS.ErrnoException).code}`;
  }
}

function encoders(probe: Probe): string {
  const found = probe.run('ffmpeg', ['-hide_banner', '-encoders'])?.match(VIDEO_ENCODERS) ?? [];
  return found.length === 0 ? 'none' : [...new Set(found)].join(', ');
}

function locale(probe: Probe): string {
  const { LC_ALL, LC_CTYPE, LANG } = probe.env;
  const { locale: name, timeZone } = Intl.DateTimeFormat().resolvedOptions();
  return `${LC_ALL || LC_CTYPE || LANG || 'not set'}, ${name}, time zone ${timeZone}`;
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

/** The group of this process, and the limits that it and the groups above set. */
function ownGroup(probe: Probe): string {
  const lines = (probe.readText('/proc/self/cgroup') ?? '').trim().split('\n');
  const paths = new Set(lines.map((line) => line.split(':').slice(2).join(':')).filter(Boolean));
  if (paths.size === 0) return 'none';
  const read = (path: string) => probe.readText(path);
  const [quota, cpuset, bytes] = [cpuQuota(read), cpusetSize(read), memoryLimit(read)];
  const limits = [
    ...(quota ? [`CPU quota ${quota.value}`] : []),
    ...(cpuset ? [`CPU set of ${cpuset.value}`] : []),
    ...(bytes ? [`memory ${gib(bytes.value)}`] : []),
  ];
  return `${[...paths].join(', ')}; limits: ${limits.length === 0 ? 'none' : limits.join(', ')}`;
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
  return good('TMPDIR', `${folder}, ${freeSpace(folder)}`);
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
