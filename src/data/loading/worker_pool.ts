/** @file Clips loaded by worker threads; the pixels never travel, the threads write them where the batch is. */
import type { Worker } from 'node:worker_threads';
import { DataError } from '../../errors.js';
import { EXTENSION, startThread } from '../../util/threads.js';
import type { ClipFacts } from '../clip/clip.js';
import type { ClipReader, ClipTask, LoadedClip, Region } from './clip_loader.js';
import type { Reply, Request, ThreadData } from './worker_loop.js';
// sharp must be loaded in the main thread before any other, for libvips is set up once per process.
import '../clip/frames.js';
import type { TransformSettings } from '../clip/transforms.js';

/** Threads that die are started again, this many times in all. */
const RESTARTS = 10;
/** Pixels lie outside the heap of a thread, which therefore stays small unless something is wrong. */
const HEAP_MB = 256;

const PROGRAM = new URL(`./worker${EXTENSION}`, import.meta.url);

/** The threads cannot go on, whatever clip comes next. */
export class ThreadsFailedError extends DataError {}

interface Promised<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

/** A clip between its being asked for and its pixels being written. */
interface Ticket {
  readonly number: number;
  readonly task: ClipTask;
  readonly loaded: Promised<ClipFacts>;
  /** Whether the thread has the pixels; a thread that replaces a dead one has to load them again. */
  held: boolean;
  target: { readonly video: Float32Array; readonly region: Region; readonly written: Promised<void> } | null;
}

interface Thread {
  worker: Worker;
  /** See ThreadData. */
  readonly loading: Int32Array;
  readonly tickets: Map<number, Ticket>;
}

/**
 * Deals clips to the threads in turn and at once: a thread never waits for the main thread, which may be busy for
 * seconds, to get its next clip.
 */
export class ClipThreads implements ClipReader {
  readonly #threads: Thread[];
  #numTickets = 0;
  #restarts = 0;
  #awaited = false;
  /** Why nothing is loaded any more. */
  #end: Error | null = null;

  /** `program` is another one in tests of threads that fail. */
  constructor(
    numThreads: number,
    private readonly settings: TransformSettings,
    private readonly program = PROGRAM,
  ) {
    this.#threads = Array.from({ length: numThreads }, () => {
      const loading = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
      const thread: Thread = { worker: this.#newWorker(loading), loading, tickets: new Map() };
      this.#listen(thread);
      return thread;
    });
  }

  allocate(length: number): Float32Array {
    return new Float32Array(new SharedArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT));
  }

  async load(task: ClipTask): Promise<LoadedClip> {
    if (this.#end) throw this.#end;
    const number = ++this.#numTickets;
    const thread = this.#threads[number % this.#threads.length];
    const facts = await new Promise<ClipFacts>((resolve, reject) => {
      thread.tickets.set(number, { number, task, loaded: { resolve, reject }, held: false, target: null });
      send(thread, { kind: 'load', ticket: number, task });
    });
    const write = (video: Float32Array, region: Region) =>
      new Promise<void>((resolve, reject) => {
        const ticket = thread.tickets.get(number);
        if (!ticket) return reject(this.#end ?? new Error('the clip is gone'));
        ticket.target = { video, region, written: { resolve, reject } };
        this.#write(thread, ticket);
      });
    return { facts, write };
  }

  setAwaited(awaited: boolean): void {
    this.#awaited = awaited;
    // Threads that are ending are waited for.
    if (this.#end) return;
    for (const { worker } of this.#threads) keepAlive(worker, awaited);
  }

  async close(): Promise<void> {
    this.#fail(new Error('the reader is closed'));
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  #newWorker(loading: Int32Array): Worker {
    const data: ThreadData = { settings: this.settings, loading };
    return startThread(this.program, data, { maxOldGenerationSizeMb: HEAP_MB });
  }

  #listen(thread: Thread): void {
    const { worker } = thread;
    let cause: Error | null = null;
    worker.on('message', (reply: Reply) => this.#receive(thread, reply));
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', (code) => {
      if (!this.#end) this.#replace(thread, cause ? cause.message : `exit code ${code}`);
    });
    // After the listeners: Node keeps the process alive again for a new one of messages.
    keepAlive(worker, this.#awaited);
  }

  #receive(thread: Thread, reply: Reply): void {
    const ticket = thread.tickets.get(reply.ticket);
    if (!ticket) return;
    if (reply.kind === 'loaded') {
      ticket.held = true;
      ticket.loaded.resolve(reply.facts);
      this.#write(thread, ticket);
      return;
    }
    thread.tickets.delete(ticket.number);
    if (reply.kind === 'written') ticket.target?.written.resolve();
    else reject(ticket, reply.broken ? new DataError(reply.message) : new Error(reply.message));
  }

  /** Once there are both pixels and a place for them. */
  #write(thread: Thread, { number, held, target }: Ticket): void {
    if (!held || !target) return;
    send(thread, { kind: 'write', ticket: number, video: target.video, region: target.region });
  }

  /** A thread has died: the clip that it was loading fails, all others are loaded by a new one. */
  #replace(thread: Thread, why: string): void {
    const culprit = thread.tickets.get(Atomics.exchange(thread.loading, 0, 0));
    const clip = culprit ? describe(culprit) : 'no clip';
    const message = `a thread that loads clips ended while it had ${clip}: ${why}`;
    if (this.#restarts++ === RESTARTS) {
      this.#fail(
        new ThreadsFailedError(
          `${message}; threads have ended ${RESTARTS} times before, so it is given up${roomFor(why)}`,
        ),
      );
      for (const { worker } of this.#threads) worker.terminate();
      return;
    }
    if (culprit && !culprit.held) {
      thread.tickets.delete(culprit.number);
      reject(culprit, new DataError(message));
    }
    thread.worker = this.#newWorker(thread.loading);
    this.#listen(thread);
    for (const ticket of thread.tickets.values()) {
      ticket.held = false;
      send(thread, { kind: 'load', ticket: ticket.number, task: ticket.task });
    }
  }

  #fail(error: Error): void {
    this.#end ??= error;
    for (const { tickets } of this.#threads) {
      for (const ticket of tickets.values()) reject(ticket, this.#end);
      tickets.clear();
    }
  }
}

/** A remedy where the system refuses what a thread needs. */
function roomFor(why: string): string {
  if (/EMFILE|too many open files/i.test(why))
    return '. Allow more open files, in a new shell, with: ulimit -n 4096';
  if (/EAGAIN|ENOMEM|out of memory/i.test(why)) return '. Set DATALOADER.NUM_WORKERS to a smaller number';
  return '';
}

function send({ worker }: Thread, request: Request): void {
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

function keepAlive(worker: Worker, alive: boolean): void {
  if (alive) worker.ref();
  else worker.unref();
}
