/** @file Messages between processes that are not part of a collective operation. */
import { setTimeout } from 'node:timers/promises';
import { CommunicationError } from '../../errors.js';
import { isObject, type Json } from '../../util/json.js';
import { Out } from '../../util/native/native.js';
import type { Handle } from './abi.js';
import type { MpiFunctions } from './functions.js';

const TAG = 1;
/** Milliseconds between two looks at what was sent. */
const LOOK_MS = 2;

export interface Message {
  readonly sender: number;
  readonly content: Json;
}

export class Mailbox {
  constructor(
    private readonly mpi: MpiFunctions,
    /** A communicator that nothing else uses. */
    private readonly communicator: Handle,
  ) {}

  /** Sends a message. Resolves when MPI has taken it over, or after `patienceMs`: the other process may be dead. */
  async send(to: number, content: Json, patienceMs: number): Promise<void> {
    const bytes = new TextEncoder().encode(JSON.stringify(content));
    const request = new Out();
    const { types } = this.mpi.abi;
    this.mpi.call('MPI_Isend', bytes, bytes.length, types.byte, to, TAG, this.communicator, request.pointer);
    const end = performance.now() + patienceMs;
    while (!this.mpi.test(request) && performance.now() < end) await setTimeout(LOOK_MS);
  }

  /** Returns the messages that have arrived. */
  receive(): Message[] {
    const messages: Message[] = [];
    for (
      let found = this.mpi.probe(TAG, this.communicator);
      found;
      found = this.mpi.probe(TAG, this.communicator)
    ) {
      messages.push({ sender: found.source, content: this.#read(found.source, found.bytes) });
    }
    return messages;
  }

  #read(source: number, length: number): Json {
    const bytes = new Uint8Array(length);
    const request = new Out();
    const { types } = this.mpi.abi;
    this.mpi.call('MPI_Irecv', bytes, length, types.byte, source, TAG, this.communicator, request.pointer);
    // The message is here already.
    while (!this.mpi.test(request)) {}
    const content: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (!isObject(content)) throw new CommunicationError(`process ${source} sent something unknown`);
    return content;
  }
}
