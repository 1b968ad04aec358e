/** @file The functions of an MPI library. */
import type { LibraryHandle } from 'koffi';
import { CommunicationError } from '../../errors.js';
import { bind, cText, type NativeFunction, nativeBytes, Out } from '../../util/native/native.js';
import { abiOf, type MpiAbi } from './abi.js';

/** Parameters of each function; `handle` stands for the family's type of handles. */
const SIGNATURES = {
  MPI_Init_thread: ['void *', 'void *', 'int', 'void *'],
  MPI_Finalize: [],
  MPI_Comm_rank: ['handle', 'void *'],
  MPI_Comm_size: ['handle', 'void *'],
  MPI_Comm_dup: ['handle', 'void *'],
  MPI_Comm_split_type: ['handle', 'int', 'int', 'handle', 'void *'],
  MPI_Comm_free: ['void *'],
  MPI_Comm_set_errhandler: ['handle', 'handle'],
  MPI_Error_string: ['int', 'void *', 'void *'],
  MPI_Get_library_version: ['void *', 'void *'],
  MPI_Iallreduce: ['uintptr_t', 'void *', 'int', 'handle', 'handle', 'handle', 'void *'],
  MPI_Ibcast: ['void *', 'int', 'handle', 'int', 'handle', 'void *'],
  MPI_Igatherv: [
    'void *',
    'int',
    'handle',
    'void *',
    'void *',
    'void *',
    'handle',
    'int',
    'handle',
    'void *',
  ],
  MPI_Ibarrier: ['handle', 'void *'],
  MPI_Isend: ['void *', 'int', 'handle', 'int', 'int', 'handle', 'void *'],
  MPI_Irecv: ['void *', 'int', 'handle', 'int', 'int', 'handle', 'void *'],
  MPI_Iprobe: ['int', 'int', 'handle', 'void *', 'void *'],
  MPI_Get_count: ['void *', 'handle', 'void *'],
  MPI_Test: ['void *', 'void *', 'void *'],
} as const;

export type MpiFunction = keyof typeof SIGNATURES;

/** Bytes of MPI_MAX_LIBRARY_VERSION_STRING in MPICH, the longest text. */
const TEXT_BYTES = 8192;
/** Bytes that hold an MPI_Status of any family. */
const STATUS_BYTES = 64;

/** An MPI library. Methods throw CommunicationError if a call fails. */
export class MpiFunctions {
  readonly abi: MpiAbi;
  readonly #functions: Record<MpiFunction, NativeFunction>;
  readonly #flag = new Out();
  readonly #status = nativeBytes(STATUS_BYTES);

  constructor(library: LibraryHandle) {
    this.abi = abiOf(library);
    const typed = Object.entries(SIGNATURES).map(([name, types]) => [
      name,
      types.map((type) => (type === 'handle' ? this.abi.handleType : type)),
    ]);
    this.#functions = bind(library, 'int', Object.fromEntries(typed) as Record<MpiFunction, string[]>);
  }

  call(name: MpiFunction, ...args: unknown[]): void {
    const code = this.#functions[name](...args) as number;
    if (code !== 0) throw new CommunicationError(`${name} failed: ${this.#errorText(code)}`);
  }

  /** The first line of the library's own description. */
  version(): string {
    const text = nativeBytes(TEXT_BYTES);
    this.call('MPI_Get_library_version', text, this.#flag.pointer);
    return cText(text).split('\n')[0].replaceAll(/\s+/g, ' ').trim();
  }

  /** A number that a function writes to its last parameter. */
  integer(name: MpiFunction, ...args: unknown[]): number {
    const out = new Out();
    this.call(name, ...args, out.pointer);
    return out.int32;
  }

  /** A handle that a function writes to its last parameter. */
  handle(name: MpiFunction, ...args: unknown[]): number {
    const out = new Out();
    this.call(name, ...args, out.pointer);
    return this.abi.handleType === 'int' ? out.int32 : out.value;
  }

  /** Whether a request has been completed, which then is no request any more. */
  test(request: Out): boolean {
    this.call('MPI_Test', request.pointer, this.#flag.pointer, this.#status);
    return this.#flag.int32 !== 0;
  }

  /** The sender and the length of a message that has arrived; null if none has. */
  probe(tag: number, communicator: number): { readonly source: number; readonly bytes: number } | null {
    const { anySource, statusSource, types } = this.abi;
    this.call('MPI_Iprobe', anySource, tag, communicator, this.#flag.pointer, this.#status);
    if (this.#flag.int32 === 0) return null;
    const source = new Int32Array(this.#status.buffer)[statusSource];
    return { source, bytes: this.integer('MPI_Get_count', this.#status, types.byte) };
  }

  #errorText(code: number): string {
    const text = nativeBytes(TEXT_BYTES);
    this.#functions.MPI_Error_string(code, text, this.#flag.pointer);
    return cText(text) || `error ${code}`;
  }
}
