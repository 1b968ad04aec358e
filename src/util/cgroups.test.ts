/** @file Limits of control groups as containers, batch systems and systemd set them, in both versions and both at once. */
import { describe, expect, it } from 'vitest';
import { cpuQuota, cpusetSize, memoryLeft, memoryLimit } from './cgroups.js';

const GIB = 2 ** 30;

/** Reads from an object of paths and contents; `group` and `mounts` are what /proc says. */
function reader(group: string, mounts: string[], files: Record<string, string>) {
  const all: Record<string, string> = {
    ...files,
    '/proc/self/cgroup': `${group}\n`,
    '/proc/self/mountinfo': `24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n${mounts.join('\n')}\n`,
  };
  return (path: string): string | null => all[path] ?? null;
}

const v2 = (root = '/', point = '/sys/fs/cgroup') =>
  `31 23 0:26 ${root} ${point} rw,nosuid shared:4 master:2 - cgroup2 cgroup2 rw,nsdelegate`;
const v1 = (controllers: string, root = '/') =>
  `33 25 0:29 ${root} /sys/fs/cgroup/${controllers} rw,nosuid shared:9 - cgroup cgroup rw,${controllers}`;

describe('cpuQuota', () => {
  it.each<[string, ReturnType<typeof reader>, number | null, string?]>([
    [
      'of version 1',
      reader('4:cpu,cpuacct:/job', [v1('cpu,cpuacct')], {
        '/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us': '150000\n',
        '/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us': '100000\n',
      }),
      1.5,
      '/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us',
    ],
    [
      'of version 1, of the group above',
      reader('4:cpu:/slurm/job_7/step_0', [v1('cpu')], {
        '/sys/fs/cgroup/cpu/slurm/job_7/step_0/cpu.cfs_quota_us': '-1\n',
        '/sys/fs/cgroup/cpu/slurm/job_7/step_0/cpu.cfs_period_us': '100000\n',
        '/sys/fs/cgroup/cpu/slurm/job_7/cpu.cfs_quota_us': '50000\n',
        '/sys/fs/cgroup/cpu/slurm/job_7/cpu.cfs_period_us': '100000\n',
      }),
      0.5,
      '/sys/fs/cgroup/cpu/slurm/job_7/cpu.cfs_quota_us',
    ],
    [
      'of version 2, the smallest of the path',
      reader('0::/user.slice/a.scope', [v2()], {
        '/sys/fs/cgroup/user.slice/a.scope/cpu.max': '400000 100000\n',
        '/sys/fs/cgroup/user.slice/cpu.max': '200000 100000\n',
        '/sys/fs/cgroup/cpu.max': 'max 100000\n',
      }),
      2,
      '/sys/fs/cgroup/user.slice/cpu.max',
    ],
    [
      'of version 1 beside an empty version 2',
      reader('4:cpu:/job\n0::/', [v1('cpu'), v2('/', '/sys/fs/cgroup/unified')], {
        '/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us': '100000',
        '/sys/fs/cgroup/cpu/job/cpu.cfs_period_us': '50000',
      }),
      2,
    ],
    [
      'in a container that sees its own group as the top, under the path of the host',
      reader('4:cpu:/docker/abc', [v1('cpu', '/docker/abc')], {
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '100000',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
      }),
      1,
    ],
    [
      'in a container whose path is not below the mount',
      reader('0::/docker/abc', [v2('/kubepods/pod/x')], { '/sys/fs/cgroup/cpu.max': '300000 100000' }),
      3,
    ],
    [
      'of a group outside the namespace',
      reader('0::/../../job', [v2()], { '/sys/fs/cgroup/cpu.max': '300000 100000' }),
      3,
    ],
    [
      'at a mount point with a space',
      reader('0::/', [v2('/', '/mnt/control\\040groups')], {
        '/mnt/control groups/cpu.max': '100000 100000',
      }),
      1,
    ],
    ['without a limit', reader('0::/', [v2()], { '/sys/fs/cgroup/cpu.max': 'max 100000' }), null],
    [
      'of zero or in words',
      reader('0::/a', [v2()], { '/sys/fs/cgroup/a/cpu.max': '0 0', '/sys/fs/cgroup/cpu.max': 'x' }),
      null,
    ],
    [
      'without a period',
      reader('4:cpu:/', [v1('cpu')], { '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '1000' }),
      null,
    ],
    ['on a system without control groups', reader('', [], {}), null],
    ['where /proc cannot be read', () => null as string | null, null],
  ])('finds the right quota: one %s', (_, read, value, path) => {
    expect(cpuQuota(read)?.value ?? null).toBe(value);
    if (path) expect(cpuQuota(read)?.path).toBe(path);
  });
});

it.each([
  ['0-3,8', 5],
  ['2', 1],
  ['', null],
  ['0-x', null],
])('the size of the cpuset %j is its number of processors', (list, size) => {
  const read = reader('3:cpuset:/job', [v1('cpuset')], {
    '/sys/fs/cgroup/cpuset/job/cpuset.effective_cpus': list,
  });
  expect(cpusetSize(read)?.value ?? null).toBe(size);
});

describe('memoryLimit', () => {
  it.each<[string, ReturnType<typeof reader>, number | null]>([
    [
      'of version 2 is memory.max or memory.high, whichever is smaller',
      reader('0::/job', [v2()], {
        '/sys/fs/cgroup/job/memory.max': `${4 * GIB}`,
        '/sys/fs/cgroup/job/memory.high': `${3 * GIB}`,
      }),
      3 * GIB,
    ],
    [
      'of version 2 may be that of the group above',
      reader('0::/slice/job', [v2()], {
        '/sys/fs/cgroup/slice/job/memory.max': 'max',
        '/sys/fs/cgroup/slice/memory.max': `${2 * GIB}`,
      }),
      2 * GIB,
    ],
    [
      'of version 1 may be that of a group above the container, which only its statistics show',
      reader('4:memory:/docker/abc', [v1('memory', '/docker/abc')], {
        '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
        '/sys/fs/cgroup/memory/memory.stat': `cache 5\nhierarchical_memory_limit ${3 * GIB}\n`,
      }),
      3 * GIB,
    ],
    [
      'of version 1 may be that of the group above',
      reader('4:memory:/slice/job', [v1('memory')], {
        '/sys/fs/cgroup/memory/slice/job/memory.limit_in_bytes': '9223372036854771712',
        '/sys/fs/cgroup/memory/slice/memory.limit_in_bytes': `${GIB}`,
      }),
      GIB,
    ],
    [
      'of version 1 is missing if it is the largest number',
      reader('4:memory:/', [v1('memory')], {
        '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
      }),
      null,
    ],
  ])('finds the right limit: the limit %s', (_, read, value) => {
    expect(memoryLimit(read)?.value ?? null).toBe(value);
  });

  it('memoryLeft returns what the fullest group has left, not counting cached files', () => {
    const read = reader('0::/slice/job', [v2()], {
      '/sys/fs/cgroup/slice/job/memory.max': `${4 * GIB}`,
      '/sys/fs/cgroup/slice/job/memory.current': `${GIB}`,
      '/sys/fs/cgroup/slice/memory.max': `${8 * GIB}`,
      '/sys/fs/cgroup/slice/memory.current': `${7 * GIB}`,
      '/sys/fs/cgroup/slice/memory.stat': `anon 5\ninactive_file ${GIB / 2}\n`,
    });
    expect(memoryLeft(read)).toEqual({ value: 1.5 * GIB, path: '/sys/fs/cgroup/slice/memory.max' });
  });
});
