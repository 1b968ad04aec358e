/** @file The processes that an MPI launcher has started. */
import { hostname } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { LocalPlace } from '../../engine/index.js';
import { machineProbe, type Probe } from '../../engine/probe.js';
import { PeerError, UserError } from '../../errors.js';
import { type Json, numberOrNull, stringOr } from '../../util/json.js';
import type { Communicator } from '../communicator.js';
import { allGatherJson } from '../json_values.js';
import type { Launch } from '../launch.js';
import type { ProcessGroup } from '../process_group.js';
import type { MpiFunctions } from './functions.js';
import { Mailbox, type Message } from './mailbox.js';
import { MpiCommunicator } from './mpi_communicator.js';
import { type Operation, Progress } from './progress.js';
import { RollCall } from './roll_call.js';
import { startMpi } from './start.js';

/** Milliseconds between two looks into the mailbox while no operation is under way. */
const LOOK_MS = 250;
/** Milliseconds that a process with an error waits for the others to hear of it. */
const PATIENCE_MS = 5000;
/** Milliseconds that it then waits for process 0 to end, which may be writing a checkpoint. */
const SAVING_MS = 60_000;

/** Joins the other processes of a launch, and waits for all of them. Throws CommunicationError. */
export async function joinMpi(launch: Launch): Promise<ProcessGroup> {
  const probe = machineProbe();
  const group = new MpiProcessGroup(startMpi(launch, probe));
  await group.introduce(allowedCores(probe));
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
  readonly #rollCall: RollCall;
  /** The machine of each process. */
  readonly #hosts: string[] = [];
  /** In the order in which all processes have made them. */
  readonly #communicators: MpiCommunicator[] = [];
  readonly #looking: NodeJS.Timeout;
  #stopListeners: ((reason: string) => void)[] = [];
  #errorListeners: ((error: PeerError) => void)[] = [];
  #isEnding = false;
  /** Process 0 has heard of an error of this process. */
  readonly #heard = new Notice();
  /** Process 0 ends because of an error, and does nothing more. */
  readonly #leaderEnds = new Notice();

  constructor(private readonly mpi: MpiFunctions) {
    const { abi } = mpi;
    const explain = (operation: Operation) => this.#explain(operation);
    this.#progress = new Progress(mpi, () => this.#look(), explain);
    this.communicator = this.#own(new MpiCommunicator(mpi, this.#progress, abi.world).duplicate());
    this.#mailbox = new Mailbox(mpi, mpi.handle('MPI_Comm_dup', abi.world));
    const machine = mpi.handle('MPI_Comm_split_type', abi.world, abi.sharedMemory, 0, abi.noInfo);
    this.local = {
      rank: mpi.integer('MPI_Comm_rank', machine),
      size: mpi.integer('MPI_Comm_size', machine),
      onSameCores: 1,
    };
    this.#rollCall = new RollCall(this.rank, this.#hosts);
    this.description = `process ${this.rank} of ${this.size} on ${hostname()}: ${mpi.version()}`;
    this.#looking = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** Tells all processes on which machine and cores each of them runs. All processes must call this. */
  async introduce(cores: string): Promise<void> {
    const own = { host: hostname(), cores };
    const all = await allGatherJson(this.communicator, own);
    this.#hosts.push(...all.map(({ host }) => host));
    const onSameCores = all.filter((other) => isDeepStrictEqual(other, own)).length;
    this.local = { ...this.local, onSameCores };
  }

  get rank(): number {
    return this.communicator.rank;
  }

  get size(): number {
    return this.communicator.size;
  }

  duplicate(): Communicator {
    return this.#own(this.communicator.duplicate());
  }

  #own(communicator: MpiCommunicator): MpiCommunicator {
    this.#communicators.push(communicator);
    return communicator;
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
    const isFromOther = this.#progress.failure instanceof PeerError;
    this.#isEnding = true;
    if (!isFromOther) {
      const exitCode = error instanceof UserError ? error.exitCode : 1;
      const message = error instanceof Error ? error.message : String(error);
      await this.#tellOthers({ kind: 'error', message, exitCode, isOfOther: error instanceof PeerError });
    }
    if (this.rank === 0) {
      await this.#tellOthers({ kind: 'end' });
      return isFromOther;
    }
    if (!isFromOther && !(await this.#heard.within(PATIENCE_MS))) return false;
    // The launcher ends all processes as soon as one has ended with an error.
    await this.#leaderEnds.within(SAVING_MS);
    return true;
  }

  async close(): Promise<void> {
    await this.communicator.barrier();
    clearInterval(this.#looking);
    this.mpi.call('MPI_Finalize');
  }

  async #explain({ communicator, number }: Operation): Promise<string> {
    const index = this.#communicators.indexOf(communicator as MpiCommunicator);
    return await this.#rollCall.call(() => this.#tellOthers({ kind: 'ask', communicator: index, number }));
  }

  async #tellOthers(content: object): Promise<void> {
    const others = Array.from({ length: this.size }, (_, rank) => rank).filter((rank) => rank !== this.rank);
    await Promise.all(others.map((rank) => this.#mailbox.send(rank, { ...content }, PATIENCE_MS)));
  }

  #look(): void {
    for (const message of this.#mailbox.receive()) this.#hear(message);
  }

  #hear({ sender, content }: Message): void {
    const { kind } = content;
    if (kind === 'heard') this.#heard.give();
    if (kind === 'end') this.#leaderEnds.give();
    if (kind === 'ask') this.#answer(sender, content);
    if (kind === 'answer') this.#rollCall.note(sender, content.hasBegun === true);
    if (kind === 'stop')
      for (const listener of this.#stopListeners) listener(stringOr(content.reason, 'stopped'));
    if (kind === 'error') this.#hearError(sender, content);
  }

  /** Says whether this process has begun an operation. */
  #answer(sender: number, { communicator, number }: Json): void {
    const begun = this.#communicators[numberOrNull(communicator) ?? 0]?.begun ?? 0;
    const hasBegun = begun >= (numberOrNull(number) ?? 0);
    void this.#mailbox.send(sender, { kind: 'answer', hasBegun }, PATIENCE_MS);
  }

  #hearError(sender: number, { message, exitCode, isOfOther }: Json): void {
    const where = isOfOther === true ? '' : `process ${sender} on ${this.#hosts[sender]}: `;
    const error = new PeerError(`${where}${stringOr(message, 'unknown error')}`, numberOrNull(exitCode) ?? 1);
    if (!this.#progress.failure && !this.#isEnding)
      for (const listener of this.#errorListeners) listener(error);
    this.#progress.fail(error);
    if (this.rank === 0) void this.#mailbox.send(sender, { kind: 'heard' }, PATIENCE_MS);
  }
}

/** Something that another process says once. */
class Notice {
  give: () => void = () => {};
  readonly #given = new Promise<true>((resolve) => {
    this.give = () => resolve(true);
  });

  /** Resolves to whether it is said before so many milliseconds have passed. */
  async within(milliseconds: number): Promise<boolean> {
    return await Promise.race([this.#given, setTimeout(milliseconds, false)]);
  }
}
