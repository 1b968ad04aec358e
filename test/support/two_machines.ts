/** @file Two network namespaces with a cable between them, as two machines on which Open MPI starts processes. Needs root. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import type { MpiLauncher } from '../../tools/mpi/launchers.js';
import { temporaryFolderOfFile } from './temporary_files.js';

const ADDRESSES = ['10.77.5.1', '10.77.5.2'] as const;

const ip = (...words: string[]) => execFileSync('ip', words, { encoding: 'utf8', stdio: 'pipe' });

/** Why there can be no such machines here; null if there can. */
export function missingNamespaces(): string | null {
  const name = `stmixer-${process.pid}`;
  try {
    ip('netns', 'add', name);
    ip('netns', 'exec', name, 'unshare', '--uts', 'hostname', name);
    ip('netns', 'del', name);
    return null;
  } catch (error) {
    return (error as Error).message.trim();
  }
}

export class TwoMachines {
  readonly names = ['a', 'b'].map((letter) => `stmixer-${letter}-${process.pid}`) as [string, string];
  readonly #cables = ['a', 'b'].map((letter) => `st${letter}${process.pid}`) as [string, string];
  readonly #agent: string;

  constructor() {
    const [a, b] = this.names;
    const [cableA, cableB] = this.#cables;
    for (const name of this.names) ip('netns', 'add', name);
    ip('link', 'add', cableA, 'netns', a, 'type', 'veth', 'peer', 'name', cableB, 'netns', b);
    for (const [i, name] of this.names.entries()) {
      ip('-n', name, 'addr', 'add', `${ADDRESSES[i]}/24`, 'dev', this.#cables[i]);
      for (const device of ['lo', this.#cables[i]]) ip('-n', name, 'link', 'set', device, 'up');
    }
    // Open MPI calls it as it would call ssh: with the name of a machine, and a command.
    this.#agent = join(temporaryFolderOfFile(), 'agent.sh');
    writeFileSync(
      this.#agent,
      `#!/bin/sh\nshift\nexec ip netns exec ${b} unshare --uts sh -c "hostname ${b}; $*"\n`,
    );
    chmodSync(this.#agent, 0o755);
  }

  /**
   * Starts one process on each machine, from the first. Open MPI's daemons take each other for lost after so many idle seconds, and
   * a few more.
   */
  launcher(keepaliveSeconds: number): MpiLauncher {
    const [a] = this.names;
    const settings = {
      plm_rsh_agent: this.#agent,
      btl: 'tcp,self',
      pml: 'ob1',
      btl_tcp_if_include: '10.77.5.0/24',
      oob_tcp_if_include: '10.77.5.0/24',
      oob_tcp_keepalive_time: `${keepaliveSeconds}`,
      oob_tcp_keepalive_intvl: '1',
      oob_tcp_keepalive_probes: '3',
    };
    const hosts = ADDRESSES.map((address) => `${address}:1`).join(',');
    const mpirun = [
      ...['mpirun.openmpi', '--allow-run-as-root', '--bind-to', 'none', '--host', hosts],
      ...Object.entries(settings).flatMap(([key, value]) => ['--mca', key, value]),
    ];
    const there = ['netns', 'exec', a, 'unshare', '--uts', 'sh', '-c', `hostname ${a}; exec "$@"`, 'sh'];
    return { family: 'Open MPI', program: 'ip', options: [...there, ...mpirun] };
  }

  cutCable(): void {
    this.#setCable('down');
  }

  /** Mends the cable, and waits until each machine reaches the other. */
  async mendCable(): Promise<void> {
    this.#setCable('up');
    for (const i of [0, 1]) {
      // A machine that asked for the other's address while the cable was cut refuses connections for up to three seconds more.
      await vi.waitFor(() => expect(this.#connect(this.names[i], ADDRESSES[1 - i])).toContain('refused'), {
        timeout: 10_000,
        interval: 100,
      });
    }
  }

  #setCable(state: 'up' | 'down'): void {
    ip('-n', this.names[0], 'link', 'set', this.#cables[0], state);
  }

  /** What is said to a connection from a machine to a port where nobody listens. */
  #connect(from: string, address: string): string {
    const words = ['netns', 'exec', from, 'bash', '-c', `: < /dev/tcp/${address}/9`];
    return spawnSync('ip', words, { encoding: 'utf8', timeout: 5000 }).stderr;
  }

  /** The numbers of the processes on both machines. */
  processes(): number[] {
    return this.names.flatMap((name) => ip('netns', 'pids', name).split(/\s+/).filter(Boolean).map(Number));
  }

  killAll(): void {
    for (const pid of this.processes()) process.kill(pid, 'SIGKILL');
  }

  close(): void {
    this.killAll();
    for (const name of this.names) ip('netns', 'del', name);
  }
}
