/**
 * @file Limits of Linux control groups (cgroups, versions 1 and 2), which containers, batch systems and systemd set.
 *
 * The limits of all groups above a process apply too; the smallest one wins. If nothing can be read, there is no limit.
 */
import { join } from 'node:path';
import { readText } from './read_text.js';

/** Returns the text of a file, or null if it cannot be read. */
export type Read = (path: string) => string | null;

export interface Limit {
  /** Processors, possibly a fraction, or bytes. */
  readonly value: number;
  /** File that sets the limit. */
  readonly path: string;
}

type Controller = 'cpu' | 'cpuset' | 'memory';

/** A mounted hierarchy, whose group `root` is visible at `point`. */
interface Mount {
  readonly version: 1 | 2;
  readonly root: string;
  readonly point: string;
  /** Controllers of version 1, among other options. */
  readonly options: readonly string[];
}

/** A group of this process: its own, or one above. */
interface Group {
  readonly version: 1 | 2;
  readonly folder: string;
}

/** Limit on processor time; 0.5 is half of one processor. Null if there is none. */
export function cpuQuota(read: Read = readText): Limit | null {
  return smallest(
    groups('cpu', read).map(({ version, folder }) => {
      const path = join(folder, version === 2 ? 'cpu.max' : 'cpu.cfs_quota_us');
      const [quota, period] = numbers(read(path));
      const per =
        version === 2 ? (period ?? DEFAULT_PERIOD) : numbers(read(join(folder, 'cpu.cfs_period_us')))[0];
      return { value: quota / per, path };
    }),
  );
}

/** Number of processors on which the group may run. Null if there is no limit. */
export function cpusetSize(read: Read = readText): Limit | null {
  return smallest(
    groups('cpuset', read).flatMap(({ folder }) =>
      ['cpuset.cpus.effective', 'cpuset.effective_cpus', 'cpuset.cpus'].map((name) => {
        const path = join(folder, name);
        return { value: listSize(read(path) ?? ''), path };
      }),
    ),
  );
}

/** Limit on memory, in bytes. Null if there is none. */
export function memoryLimit(read: Read = readText): Limit | null {
  return smallest(memoryLimits(read));
}

/** Bytes that the group may still allocate, including memory of cached files, which can be freed. Null without a limit. */
export function memoryLeft(read: Read = readText): Limit | null {
  return smallest(
    memoryLimits(read).map(({ value, path, group }) => {
      const [usage] = numbers(
        read(join(group.folder, group.version === 2 ? 'memory.current' : 'memory.usage_in_bytes')),
      );
      const name = group.version === 2 ? 'inactive_file' : 'total_inactive_file';
      const stat = read(join(group.folder, 'memory.stat')) ?? '';
      const cache = Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0);
      // A group above its limit has no memory left, and `smallest` ignores limits of 0.
      return { value: Math.max(1, value - usage + cache), path };
    }),
  );
}

/** Period of the quota in microseconds, if the file names none. */
const DEFAULT_PERIOD = 100_000;
/** Bytes from which a limit means "no limit". Version 1 writes the largest multiple of a page. */
const NO_LIMIT = 2 ** 60;

function memoryLimits(read: Read): (Limit & { readonly group: Group })[] {
  const all = groups('memory', read).flatMap((group) =>
    (group.version === 2 ? ['memory.max', 'memory.high'] : ['memory.limit_in_bytes']).map((name) => {
      const path = join(group.folder, name);
      return { value: numbers(read(path))[0], path, group };
    }),
  );
  // Version 1 reports the smallest limit of the groups above only here. They may lie outside the container.
  const above = groups('memory', read)
    .filter(({ version }) => version === 1)
    .map((group) => {
      const path = join(group.folder, 'memory.stat');
      const text = /^hierarchical_memory_limit (\d+)$/m.exec(read(path) ?? '')?.[1];
      return { value: Number(text ?? Number.NaN), path, group };
    });
  return [...all, ...above].filter(({ value }) => value > 0 && value < NO_LIMIT);
}

/** The smallest of the limits that are positive numbers. */
function smallest(limits: readonly Limit[]): Limit | null {
  const real = limits.filter(({ value }) => value > 0 && Number.isFinite(value));
  return real.reduce<Limit | null>((min, limit) => (min && min.value <= limit.value ? min : limit), null);
}

/** Parses the words of a file as numbers. "max" and other words are NaN. */
function numbers(text: string | null): number[] {
  const words = (text ?? '').trim().split(/\s+/);
  return words.map((word) => (/^\d+$/.test(word) ? Number(word) : Number.NaN));
}

/** Counts the elements of a list such as `0-3,8`. Returns 0 for any other text. */
function listSize(text: string): number {
  const parts = text.trim().split(',');
  if (!parts.every((part) => /^\d+(-\d+)?$/.test(part))) return 0;
  return parts.reduce((sum, part) => {
    const [first, last = first] = part.split('-').map(Number);
    return sum + Math.max(0, last - first + 1);
  }, 0);
}

/** Groups of this process for a controller, from its own up to the highest visible one. */
function groups(controller: Controller, read: Read): Group[] {
  const mounts = mountsOf(read('/proc/self/mountinfo'));
  const paths = (read('/proc/self/cgroup') ?? '').split('\n').map((line) => /^\d+:([^:]*):(.*)$/.exec(line));
  return ([1, 2] as const).flatMap((version) => {
    const own = paths.find((match) =>
      version === 2 ? match?.[1] === '' : match?.[1].split(',').includes(controller),
    );
    const isOf = (mount: Mount) =>
      mount.version === version && (version === 2 || mount.options.includes(controller));
    return foldersOf(own?.[2] ?? '/', mounts.filter(isOf)).map((folder) => ({ version, folder }));
  });
}

/** Folders of a group and of the groups above it, as far as a mount shows them. */
function foldersOf(group: string, mounts: readonly Mount[]): string[] {
  const isBelow = ({ root }: Mount) => root === '/' || group === root || group.startsWith(`${root}/`);
  // In a container the path may be that of the host, while the mount shows the container's own group at its top.
  const mount = mounts.find(isBelow) ?? mounts[0];
  if (!mount) return [];
  const below = isBelow(mount) && mount.root !== '/' ? group.slice(mount.root.length) : group;
  const names = below.split('/').filter((name) => name !== '' && name !== '.');
  // A group outside the namespace of this process has a path with `..`, and nothing of it is visible.
  const visible = names.includes('..') ? [] : names;
  return Array.from({ length: visible.length + 1 }, (_, i) =>
    join(mount.point, ...visible.slice(0, visible.length - i)),
  );
}

/** Usual mount points of the hierarchies, for systems without /proc/self/mountinfo. */
const USUAL_MOUNTS: readonly Mount[] = [
  { version: 2, root: '/', point: '/sys/fs/cgroup', options: [] },
  ...['cpu', 'cpuset', 'memory'].map(
    (name): Mount => ({ version: 1, root: '/', point: `/sys/fs/cgroup/${name}`, options: [name] }),
  ),
];

function mountsOf(mountinfo: string | null): readonly Mount[] {
  if (mountinfo === null) return USUAL_MOUNTS;
  return mountinfo.split('\n').flatMap((line): Mount[] => {
    const [before, after] = line.split(' - ');
    const [, , , root, point] = before.split(' ');
    const [type, , options = ''] = (after ?? '').split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    const version = type === 'cgroup' ? 1 : 2;
    return [{ version, root: unescaped(root), point: unescaped(point), options: options.split(',') }];
  });
}

/** Decodes a path in mountinfo, in which blanks and some other characters are octal numbers. */
function unescaped(path: string): string {
  return path.replace(/\\(\d{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
