/** @file Worker threads that load clips. Pixels are never sent: workers write them into the shared memory of the batch. */
import type { Worker } from 'node:worker_threads';
import { DataError } from '../../errors.js';
import { EXTENSION, startThread } from '../../util/threads.js';
import type { ClipMetadata, Region } from '../clip/clip.js';
import type { ClipLoader, ClipTask, LoadedClip } from './clip_loader.js';
import type { Reply, Request, WorkerData } from './worker_loop.js';
// libvips is set up once per process, so the main thread must load sharp before any worker does.
import '../clip/frames.js';
import type { TransformSettings } from '../clip/transforms.js';

/** Number of times in all that workers are started again after they died. */
const RESTARTS = 10;
/** Limit of a worker's heap. Pixels lie outside of it, so it stays small unless something is wrong. */
const HEAP_MB = 256;

const ENTRY = new URL(`./worker${EXTENSION}`, import.meta.url);

/** The workers cannot continue, whatever the next clip is. */
export class WorkersFailedError extends DataError {}

interface Promised<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

/** A clip between the request for it and the writing of its pixels. */
interface Ticket {
  readonly number: number;
  readonly task: ClipTask;
  readonly loaded: Promised<ClipMetadata>;
  /** Whether the worker has the pixels; a worker that replaces a dead one has to load them again. */
  held: boolean;
  target: { readonly video: Float32Array; readonly region: Region; readonly written: Promised<void> } | null;
}

interface Member {
  worker: Worker;
  /** Ticket of the clip being loaded, see `WorkerData`. */
  readonly loading: Int32Array;
  readonly tickets: Map<number, Ticket>;
}

/**
 * Assigns clips to the workers in turn and immediately: a worker never waits for the main thread, which may be busy for
 * seconds, to get its next clip.
 */
export class WorkerPool implements ClipLoader {
  readonly #members: Member[];
  #numTickets = 0;
  #restarts = 0;
  #awaited = false;
  /** The reason why loading has ended. */
  #end: Error | null = null;

  /** `entry` is the script of the workers; tests pass one that fails. */
  constructor(
    numWorkers: number,
    private readonly settings: TransformSettings,
    private readonly entry = ENTRY,
  ) {
    this.#members = Array.from({ length: numWorkers }, () => {
      const loading = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
      const member: Member = { worker: this.#newWorker(loading), loading, tickets: new Map() };
      this.#listen(member);
      return member;
    });
  }

  allocate(length: number): Float32Array {
    return new Float32Array(new SharedArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT));
  }

  async load(task: ClipTask): Promise<LoadedClip> {
    if (this.#end) throw this.#end;
    const number = ++this.#numTickets;
    const member = this.#members[number % this.#members.length];
    const metadata = await new Promise<ClipMetadata>((resolve, reject) => {
      member.tickets.set(number, { number, task, loaded: { resolve, reject }, held: false, target: null });
      send(member, { kind: 'load', ticket: number, task });
    });
    const write = (video: Float32Array, region: Region) =>
      new Promise<void>((resolve, reject) => {
        const ticket = member.tickets.get(number);
        if (!ticket) return reject(this.#end ?? new Error('the clip was written before'));
        ticket.target = { video, region, written: { resolve, reject } };
        this.#write(member, ticket);
      });
    return { metadata, write };
  }

  setAwaited(awaited: boolean): void {
    this.#awaited = awaited;
    // `close` waits for workers that are ending, so they keep the process alive.
    if (this.#end) return;
    for (const { worker } of this.#members) this.#setRef(worker);
  }

  async close(): Promise<void> {
    this.#fail(new Error('the loader is closed'));
    await Promise.all(this.#members.map(({ worker }) => worker.terminate()));
  }

  #newWorker(loading: Int32Array): Worker {
    const data: WorkerData = { settings: this.settings, loading };
    return startThread(this.entry, data, { maxOldGenerationSizeMb: HEAP_MB });
  }

  #listen(member: Member): void {
    const { worker } = member;
    let cause: Error | null = null;
    worker.on('message', (reply: Reply) => this.#receive(member, reply));
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', (code) => {
      if (!this.#end) this.#replace(member, cause ? cause.message : `exit code ${code}`);
    });
    // A listener for messages makes the worker keep the process alive again, so this comes last.
    this.#setRef(worker);
  }

  /** Lets a worker keep the process alive while somebody waits for clips. */
  #setRef(worker: Worker): void {
    if (this.#awaited) worker.ref();
    else worker.unref();
  }

  #receive(member: Member, reply: Reply): void {
    const ticket = member.tickets.get(reply.ticket);
    if (!ticket) return;
    if (reply.kind === 'loaded') {
      ticket.held = true;
      ticket.loaded.resolve(reply.metadata);
      this.#write(member, ticket);
      return;
    }
    member.tickets.delete(ticket.number);
    if (reply.kind === 'written') ticket.target?.written.resolve();
    else reject(ticket, reply.isDataError ? new DataError(reply.message) : new Error(reply.message));
  }

  /** Requests the writing as soon as there are both pixels and a target. */
  #write(member: Member, { number, held, target }: Ticket): void {
    if (!held || !target) return;
    send(member, { kind: 'write', ticket: number, video: target.video, region: target.region });
  }

  /** Replaces a dead worker: the clip that it was loading fails, a new worker loads the others. */
  #replace(member: Member, why: string): void {
    const culprit = member.tickets.get(Atomics.exchange(member.loading, 0, 0));
    const clip = culprit ? describe(culprit) : 'no clip';
    const message = `a worker that loads clips ended while loading ${clip}: ${why}`;
    if (this.#restarts++ === RESTARTS) {
      this.#fail(
        new WorkersFailedError(
          `${message}; workers have ended ${RESTARTS} times before, so loading stops${remedyFor(why)}`,
        ),
      );
      for (const { worker } of this.#members) worker.terminate();
      return;
    }
    if (culprit && !culprit.held) {
      member.tickets.delete(culprit.number);
      reject(culprit, new DataError(message));
    }
    member.worker = this.#newWorker(member.loading);
    this.#listen(member);
    for (const ticket of member.tickets.values()) {
      ticket.held = false;
      send(member, { kind: 'load', ticket: ticket.number, task: ticket.task });
    }
  }

  #fail(error: Error): void {
    this.#end ??= error;
    for (const { tickets } of this.#members) {
      for (const ticket of tickets.values()) reject(ticket, this.#end);
      tickets.clear();
    }
  }
}

/** A remedy if the system refuses the resources of a worker. */
function remedyFor(why: string): string {
  if (/EMFILE|too many open files/i.test(why))
    return '. Allow more open files, in a new shell, with: ulimit -n 4096';
  if (/EAGAIN|ENOMEM|out of memory/i.test(why)) return '. Set DATALOADER.NUM_WORKERS to a smaller number';
  return '';
}

function send({ worker }: Member, request: Request): void {
  worker.postMessage(request);
}

function reject({ loaded, target }: Ticket, error: Error): void {
  loaded.reject(error);
  target?.written.reject(error);
}

function describe({ task }: Ticket): string {
  const { videoName, second } = task.source.info;
  return `video ${videoName}, second ${second}`;
}
