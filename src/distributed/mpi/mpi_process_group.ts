/** @file The processes that an MPI launcher has started. */
import { hostname } from 'node:os';
import type { Probe } from '../../engine/probe.js';
import { PeerError, UserError } from '../../errors.js';
import { numberOrNull, stringOr } from '../../util/json.js';
import type { Communicator } from '../communicator.js';
import { broadcastJson } from '../first_of.js';
import type { Launch } from '../launch.js';
import type { LocalPlace, ProcessGroup } from '../process_group.js';
import type { MpiFunctions } from './functions.js';
import { Mailbox, type Message } from './mailbox.js';
import { MpiCommunicator } from './mpi_communicator.js';
import { Progress } from './progress.js';
import { startMpi } from './start.js';

/** Milliseconds between two looks into the mailbox while no operation is under way. */
const LOOK_MS = 250;
/** Milliseconds that a process with an error waits for the others to hear of it. */
const PATIENCE_MS = 2000;

/** Joins the other processes of a launch, and waits for all of them. Throws CommunicationError. */
export async function joinMpi(
  launch: Launch,
  probe: Pick<Probe, 'env' | 'exists' | 'readLink' | 'readText'>,
): Promise<ProcessGroup> {
  const group = new MpiProcessGroup(startMpi(launch, probe));
  await group.compareCores(allowedCores(probe));
  return group;
}

/** The cores that this process may use; empty if the system does not say. */
function allowedCores(probe: Pick<Probe, 'readText'>): string {
  return /^Cpus_allowed_list:\s*(\S+)/m.exec(probe.readText('/proc/self/status') ?? '')?.[1] ?? '';
}

class MpiProcessGroup implements ProcessGroup {
  readonly communicator: MpiCommunicator;
  local: LocalPlace;
  readonly description: string;
  readonly #progress: Progress;
  readonly #mailbox: Mailbox;
  readonly #looking: NodeJS.Timeout;
  #stopListeners: ((reason: string) => void)[] = [];
  #errorListeners: ((error: PeerError) => void)[] = [];
  /** Resolves when process 0 has heard of an error of this process. */
  #onHeard: () => void = () => {};

  constructor(private readonly mpi: MpiFunctions) {
    const { abi } = mpi;
    this.#progress = new Progress(mpi, () => this.#look());
    this.communicator = new MpiCommunicator(mpi, this.#progress, abi.world).duplicate();
    this.#mailbox = new Mailbox(mpi, mpi.handle('MPI_Comm_dup', abi.world));
    const machine = mpi.handle('MPI_Comm_split_type', abi.world, abi.sharedMemory, 0, abi.noInfo);
    this.local = {
      rank: mpi.integer('MPI_Comm_rank', machine),
      size: mpi.integer('MPI_Comm_size', machine),
      onSameCores: 1,
    };
    this.description = `process ${this.rank} of ${this.size} on ${hostname()}: ${mpi.version()}`;
    this.#looking = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** Finds the processes of this machine that may use the same cores. All processes must call this. */
  async compareCores(cores: string): Promise<void> {
    const own = `${hostname()} ${cores}`;
    const all = await this.communicator.gather(new TextEncoder().encode(own));
    const texts = await broadcastJson(
      this.communicator,
      (all ?? []).map((bytes) => new TextDecoder().decode(bytes)),
    );
    this.local = { ...this.local, onSameCores: texts.filter((text) => text === own).length };
  }

  get rank(): number {
    return this.communicator.rank;
  }

  get size(): number {
    return this.communicator.size;
  }

  duplicate(): Communicator {
    return this.communicator.duplicate();
  }

  limitWaits(seconds: number): void {
    this.#progress.timeoutMs = 1000 * seconds;
  }

  onStop(listener: (reason: string) => void): void {
    this.#stopListeners.push(listener);
  }

  onError(listener: (error: PeerError) => void): void {
    this.#errorListeners.push(listener);
  }

  async announceStop(reason: string): Promise<void> {
    await this.#tellOthers({ kind: 'stop', reason });
  }

  async announceError(error: unknown): Promise<boolean> {
    // The others know of an error that came from one of them.
    if (error instanceof PeerError) return true;
    const exitCode = error instanceof UserError ? error.exitCode : 1;
    const message = error instanceof Error ? error.message : String(error);
    const isHeard = new Promise<boolean>((resolve) => {
      this.#onHeard = () => resolve(true);
      setTimeout(() => resolve(false), PATIENCE_MS);
    });
    await this.#tellOthers({ kind: 'error', message, exitCode, host: hostname() });
    return this.rank !== 0 && (await isHeard);
  }

  async close(): Promise<void> {
    await this.communicator.barrier();
    clearInterval(this.#looking);
    this.mpi.call('MPI_Finalize');
  }

  async #tellOthers(content: object): Promise<void> {
    const others = Array.from({ length: this.size }, (_, rank) => rank).filter((rank) => rank !== this.rank);
    await Promise.all(others.map((rank) => this.#mailbox.send(rank, { ...content }, PATIENCE_MS)));
  }

  #look(): void {
    for (const message of this.#mailbox.receive()) this.#hear(message);
  }

  #hear({ sender, content }: Message): void {
    if (content.kind === 'heard') this.#onHeard();
    if (content.kind === 'stop')
      for (const listener of this.#stopListeners) listener(stringOr(content.reason, 'stopped'));
    if (content.kind !== 'error') return;
    const { message, host, exitCode } = content;
    const error = new PeerError(
      `process ${sender} on ${stringOr(host, 'an unknown machine')}: ${stringOr(message, 'unknown error')}`,
      numberOrNull(exitCode) ?? 1,
    );
    if (!this.#progress.failure) for (const listener of this.#errorListeners) listener(error);
    this.#progress.fail(error);
    if (this.rank === 0) void this.#mailbox.send(sender, { kind: 'heard' }, PATIENCE_MS);
  }
}
