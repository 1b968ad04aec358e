/** @file cuDNN's graph API through its C functions: versions from 9.0, with descriptors that are set attribute by attribute. */
import koffi from 'koffi';
import { loadLibrary } from '../../load_library.js';
import { ATTRIBUTE_TYPE } from './cudnn_constants.js';
import { CudaError } from './error.js';

/** A native address; 0 is null. */
type Pointer = bigint;

/** A handle of cuDNN: its state on a GPU. */
export type CudnnHandle = Pointer;

type NativeFunction = (...args: unknown[]) => unknown;

const MAX_MESSAGE = 4096;

/** Functions that return a status, with their parameters. */
const STATUS_FUNCTIONS = {
  cudnnCreate: 'void **handle',
  cudnnDestroy: 'void *handle',
  cudnnSetStream: 'void *handle, void *stream',
  cudnnBackendCreateDescriptor: 'int kind, void **descriptor',
  cudnnBackendDestroyDescriptor: 'void *descriptor',
  cudnnBackendSetAttribute: 'void *descriptor, int name, int type, int64_t count, void *values',
  cudnnBackendGetAttribute: 'void *descriptor, int name, int type, int64_t size, void *count, void *values',
  cudnnBackendFinalize: 'void *descriptor',
  cudnnBackendExecute: 'void *handle, void *plan, void *variants',
} as const;

type StatusFunction = keyof typeof STATUS_FUNCTIONS;

/** cuDNN, loaded into this process. */
export class Cudnn {
  readonly #functions: Record<StatusFunction, NativeFunction>;
  readonly #nameOf: NativeFunction;
  readonly #lastError: NativeFunction;
  /** Such as 92400 for 9.24.0. */
  readonly version: number;

  /**
   * Loads libcudnn.so.9, which loads its other libraries from its own folder, and NVRTC and libcuda.so.1 by their names: those
   * must have been loaded before, or be where the loader looks. Throws Error if there is no such library.
   */
  constructor(path: string) {
    const library = loadLibrary(path);
    this.#functions = Object.fromEntries(
      Object.entries(STATUS_FUNCTIONS).map(([name, parameters]) => [
        name,
        library.func(`int ${name}(${parameters.replaceAll('void **', '_Out_ void **')})`),
      ]),
    ) as unknown as Record<StatusFunction, NativeFunction>;
    this.#nameOf = library.func('str cudnnGetErrorString(int status)');
    this.#lastError = library.func('void cudnnGetLastErrorString(void *message, size_t size)');
    this.version = Number(library.func('size_t cudnnGetVersion()')());
  }

  /** Calls a function. Throws CudaError if it fails. */
  call(name: StatusFunction, ...args: unknown[]): void {
    const status = this.#functions[name](...args) as number;
    if (status !== 0) throw new CudaError(name, status, this.#nameOf(status) as string, this.#message());
  }

  /** Makes a handle on the GPU whose context is current. */
  createHandle(): CudnnHandle {
    return this.create('cudnnCreate');
  }

  destroyHandle(handle: CudnnHandle): void {
    this.call('cudnnDestroy', handle);
  }

  /** Makes plans that run with `handle` use a stream, which is given by its address. */
  setStream(handle: CudnnHandle, stream: number | bigint): void {
    this.call('cudnnSetStream', handle, BigInt(stream));
  }

  /** Makes an object with a function that stores it in its last argument. */
  create(name: StatusFunction, ...args: unknown[]): Pointer {
    const out: (Pointer | null)[] = [null];
    this.call(name, ...args, out);
    return out[0]!;
  }

  /** What cuDNN says about the failure before. */
  #message(): string {
    const bytes = new Uint8Array(new ArrayBuffer(MAX_MESSAGE));
    this.#lastError(bytes, MAX_MESSAGE);
    return textOf(bytes);
  }
}

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end)).trim();
}

/** Descriptors that are destroyed together. A descriptor needs those that it was made of for as long as it lives. */
export class Descriptors {
  readonly #all: Descriptor[] = [];

  constructor(readonly cudnn: Cudnn) {}

  create(kind: number): Descriptor {
    const descriptor = new Descriptor(this.cudnn, this.cudnn.create('cudnnBackendCreateDescriptor', kind));
    this.#all.push(descriptor);
    return descriptor;
  }

  /** Destroys the descriptors, the last first. */
  release(): void {
    for (const { pointer } of this.#all.splice(0).reverse())
      this.cudnn.call('cudnnBackendDestroyDescriptor', pointer);
  }
}

/** A descriptor of the graph API. The setters return it, so that they can follow each other. All throw CudaError. */
export class Descriptor {
  constructor(
    private readonly cudnn: Cudnn,
    readonly pointer: Pointer,
  ) {}

  setIntegers(name: number, values: readonly number[]): this {
    return this.#set(name, ATTRIBUTE_TYPE.INT64, int64(values));
  }

  setDescriptors(name: number, values: readonly Descriptor[]): this {
    return this.#set(name, ATTRIBUTE_TYPE.BACKEND_DESCRIPTOR, pointersOf(values));
  }

  /** Sets a value of one of C's enumerations. */
  setEnumeration(name: number, type: number, value: number): this {
    const values = new Int32Array(new ArrayBuffer(4));
    values[0] = value;
    return this.#set(name, type, values);
  }

  setBoolean(name: number, value: boolean): this {
    const values = new Uint8Array(new ArrayBuffer(1));
    values[0] = Number(value);
    return this.#set(name, ATTRIBUTE_TYPE.BOOLEAN, values);
  }

  setFloat(name: number, value: number): this {
    const values = new Float32Array(new ArrayBuffer(4));
    values[0] = value;
    return this.#set(name, ATTRIBUTE_TYPE.FLOAT, values);
  }

  /** Sets addresses of memory. */
  setAddresses(name: number, values: readonly (number | bigint)[]): this {
    return this.#set(name, ATTRIBUTE_TYPE.VOID_PTR, int64(values));
  }

  setHandle(name: number, handle: CudnnHandle): this {
    return this.#set(name, ATTRIBUTE_TYPE.HANDLE, int64([handle]));
  }

  setText(name: number, text: string): this {
    const encoded = new TextEncoder().encode(`${text}\0`);
    const bytes = new Uint8Array(new ArrayBuffer(encoded.length));
    bytes.set(encoded);
    return this.#set(name, ATTRIBUTE_TYPE.CHAR, bytes);
  }

  finalize(): this {
    this.cudnn.call('cudnnBackendFinalize', this.pointer);
    return this;
  }

  /** Number of elements of an attribute. */
  count(name: number, type: number): number {
    return this.#get(name, type, 0, null);
  }

  integer(name: number): number {
    const values = int64([0]);
    this.#get(name, ATTRIBUTE_TYPE.INT64, 1, values);
    return Number(values[0]);
  }

  enumerations(name: number, type: number): number[] {
    const size = this.count(name, type);
    if (size === 0) return [];
    const values = new Int32Array(new ArrayBuffer(4 * size));
    return [...values.subarray(0, this.#get(name, type, size, values))];
  }

  /** Fills descriptors, which `make` makes. Returns those that were filled. */
  descriptors(name: number, make: () => Descriptor, limit = Number.POSITIVE_INFINITY): Descriptor[] {
    const type = ATTRIBUTE_TYPE.BACKEND_DESCRIPTOR;
    const size = Math.min(limit, this.count(name, type));
    if (size === 0) return [];
    const made = Array.from({ length: size }, make);
    return made.slice(0, this.#get(name, type, size, pointersOf(made)));
  }

  text(name: number): string {
    const size = this.count(name, ATTRIBUTE_TYPE.CHAR);
    const bytes = new Uint8Array(new ArrayBuffer(Math.max(1, size)));
    this.#get(name, ATTRIBUTE_TYPE.CHAR, size, bytes);
    return textOf(bytes);
  }

  #set(name: number, type: number, values: NodeJS.TypedArray): this {
    this.cudnn.call('cudnnBackendSetAttribute', this.pointer, name, type, values.length, values);
    return this;
  }

  #get(name: number, type: number, size: number, values: NodeJS.TypedArray | null): number {
    const count = int64([0]);
    this.cudnn.call('cudnnBackendGetAttribute', this.pointer, name, type, size, count, values);
    return Number(count[0]);
  }
}

/** Integers for native code. The garbage collector does not move typed arrays on an ArrayBuffer of their own. */
function int64(values: readonly (number | bigint)[]): BigInt64Array {
  const array = new BigInt64Array(new ArrayBuffer(8 * values.length));
  for (const [i, value] of values.entries()) array[i] = BigInt(value);
  return array;
}

const pointersOf = (descriptors: readonly Descriptor[]) => int64(descriptors.map(({ pointer }) => pointer));

/** Address of a typed array on an ArrayBuffer of its own, for memory that native code reads later. */
export const addressOf = (array: NodeJS.TypedArray): bigint => koffi.address(array);
