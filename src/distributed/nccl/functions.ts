/**
 * @file The functions of NCCL (libnccl), of version 2.14 and later.
 *
 * They were tried without a GPU, and with a stand-in library.
 */
import koffi from 'koffi';
import { CommunicationError } from '../../errors.js';
import {
  type Address,
  bind,
  type NativeFunction,
  nativeBytes,
  Out,
  openLibrary,
} from '../../util/native/native.js';

/** Bytes of a unique id, which is passed by value. */
const ID_BYTES = 128;
koffi.struct('ncclUniqueId', { internal: koffi.array('uint8', ID_BYTES, 'Typed') });

/** Communicators, streams and memory of a GPU are addresses. */
const FUNCTIONS = {
  ncclGetVersion: ['void *'],
  ncclGetUniqueId: ['void *'],
  ncclCommInitRankConfig: ['void *', 'int', 'ncclUniqueId', 'int', 'void *'],
  ncclCommGetAsyncError: ['uint64', 'void *'],
  ncclCommFinalize: ['uint64'],
  ncclCommDestroy: ['uint64'],
  ncclCommAbort: ['uint64'],
  ncclAllReduce: ['uint64', 'uint64', 'size_t', 'int', 'int', 'uint64', 'uint64'],
  ncclGroupStart: [],
  ncclGroupEnd: [],
} as const;
const TEXTS = { ncclGetErrorString: ['int'], ncclGetLastError: ['uint64'] } as const;

type Name = keyof typeof FUNCTIONS;

const SUCCESS = 0;
const REMOTE_ERROR = 6;
const IN_PROGRESS = 7;
const FLOAT32 = 7;
const SUM = 0;

/** The beginning of ncclConfig_t, which all versions know: size, mark, version, and whether calls block. */
const CONFIG = { bytes: 24, mark: 0xcafebeef, version: 21_400, undefined: -(2 ** 31) };

/** Float32 numbers in the memory of a GPU. */
export interface DeviceNumbers {
  readonly address: Address;
  readonly length: number;
}

/** A call of NCCL that failed. */
export class NcclError extends CommunicationError {
  constructor(
    message: string,
    /** Whether another process has ended, or the network is down. */
    readonly isRemote: boolean,
  ) {
    super(message);
  }
}

/**
 * NCCL, whose calls do not block this thread: what they begin is under way until `isIdle` says otherwise. The context
 * of the GPU must be the current one of this thread. Methods throw NcclError.
 */
export class NcclFunctions {
  readonly #native: Record<Name, NativeFunction>;
  readonly #texts: Record<keyof typeof TEXTS, NativeFunction>;
  readonly #out = new Out();

  /** Throws EngineError if the library cannot be loaded or is too old. */
  constructor(path: string) {
    const library = openLibrary(path);
    this.#native = bind<Name>(library, 'int', FUNCTIONS);
    this.#texts = bind<keyof typeof TEXTS>(library, 'str', TEXTS);
  }

  /** Such as 23007 for 2.30.7. */
  version(): number {
    this.#call('ncclGetVersion', this.#out.pointer);
    return this.#out.int32;
  }

  /** Identifies a new communicator. This process has to stay until all have joined it. */
  uniqueId(): Uint8Array {
    const id = nativeBytes(ID_BYTES);
    this.#call('ncclGetUniqueId', id);
    return id;
  }

  /** Begins to join a communicator of `size` processes, each with a GPU of its own. Returns its handle. */
  join(id: Uint8Array, rank: number, size: number): Address {
    const config = nonBlocking();
    this.#call('ncclCommInitRankConfig', this.#out.pointer, size, { internal: id }, rank, config);
    return this.#out.value;
  }

  /** Whether a communicator has done what was begun. Sums are then queued on their stream. */
  isIdle(communicator: Address): boolean {
    this.#call('ncclCommGetAsyncError', communicator, this.#out.pointer);
    const state = this.#out.int32;
    this.#check('ncclCommGetAsyncError', state, communicator);
    return state !== IN_PROGRESS;
  }

  /** Begins to sum arrays over all processes, each in place, as one operation of a stream. The communicator must be idle. */
  sum(communicator: Address, arrays: readonly DeviceNumbers[], stream: Address): void {
    this.#call('ncclGroupStart');
    try {
      for (const { address, length } of arrays)
        this.#call('ncclAllReduce', address, address, length, FLOAT32, SUM, communicator, stream);
    } finally {
      this.#call('ncclGroupEnd');
    }
  }

  /** Begins to end a communicator, which all processes must do. */
  finalize(communicator: Address): void {
    this.#call('ncclCommFinalize', communicator);
  }

  /** Releases a communicator that is finalized and idle. */
  destroy(communicator: Address): void {
    this.#call('ncclCommDestroy', communicator);
  }

  /** Ends the sums that are under way, and releases the communicator. Never throws. */
  abort(communicator: Address): void {
    this.#native.ncclCommAbort(communicator);
  }

  #call(name: Name, ...args: unknown[]): void {
    this.#check(name, this.#native[name](...args) as number);
  }

  #check(name: Name, code: number, communicator: Address = 0): void {
    if (code === SUCCESS || code === IN_PROGRESS) return;
    const meaning = this.#texts.ncclGetErrorString(code);
    const details = this.#texts.ncclGetLastError(communicator);
    throw new NcclError(
      `NCCL: ${name} failed: ${meaning}${details ? `: ${details}` : ''}`,
      code === REMOTE_ERROR,
    );
  }
}

/** The configuration of a communicator whose calls do not block. */
function nonBlocking(): Uint8Array {
  const bytes = nativeBytes(CONFIG.bytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(CONFIG.bytes), true);
  view.setUint32(8, CONFIG.mark, true);
  view.setUint32(12, CONFIG.version, true);
  view.setInt32(16, 0, true);
  view.setInt32(20, CONFIG.undefined, true);
  return bytes;
}

/** 2.30.7 */
export function versionText(version: number): string {
  return [Math.floor(version / 10_000), Math.floor((version % 10_000) / 100), version % 100].join('.');
}
