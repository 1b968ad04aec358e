/** @file cuDNN's graph API through its C functions, from version 9 on: descriptors, whose attributes are set one by one. */
import {
  type Address,
  bind,
  cText,
  type NativeFunction,
  nativeBytes,
  Out,
  openLibrary,
} from '../../../util/native/native.js';
import { ATTRIBUTE_TYPE } from './cudnn_constants.js';
import { CudaError } from './error.js';

/** cuDNN's state on a GPU. */
export type CudnnHandle = Address;

const STATUS_FUNCTIONS = {
  cudnnCreate: ['void *'],
  cudnnDestroy: ['uint64'],
  cudnnSetStream: ['uint64', 'uint64'],
  cudnnBackendCreateDescriptor: ['int', 'void *'],
  cudnnBackendDestroyDescriptor: ['uint64'],
  cudnnBackendSetAttribute: ['uint64', 'int', 'int', 'int64', 'void *'],
  cudnnBackendGetAttribute: ['uint64', 'int', 'int', 'int64', 'void *', 'void *'],
  cudnnBackendFinalize: ['uint64'],
  cudnnBackendExecute: ['uint64', 'uint64', 'uint64'],
} as const;

type StatusFunction = keyof typeof STATUS_FUNCTIONS;

const MAX_MESSAGE = 4096;

/** cuDNN, loaded into this process. */
export class Cudnn {
  /** Such as 92400 for 9.24.0. */
  readonly version: number;
  readonly #functions: Readonly<Record<StatusFunction, NativeFunction>>;
  readonly #nameOf: NativeFunction;
  readonly #lastError: NativeFunction;

  /**
   * Loads libcudnn.so.9, which finds its parts in its own folder. They load libcuda.so.1, NVRTC and cuBLASLt by name: load those
   * before, unless they are where the loader looks. Throws EngineError.
   */
  constructor(path: string) {
    const library = openLibrary(path);
    this.#functions = bind(library, 'int', STATUS_FUNCTIONS);
    this.#nameOf = bind(library, 'str', { cudnnGetErrorString: ['int'] }).cudnnGetErrorString;
    const { cudnnGetLastErrorString } = bind(library, 'void', {
      cudnnGetLastErrorString: ['void *', 'size_t'],
    });
    this.#lastError = cudnnGetLastErrorString;
    this.version = Number(bind(library, 'size_t', { cudnnGetVersion: [] }).cudnnGetVersion());
  }

  /** Calls a function. Throws CudaError. */
  call(name: StatusFunction, ...args: unknown[]): void {
    const status = this.#functions[name](...args) as number;
    if (status === 0) return;
    const message = nativeBytes(MAX_MESSAGE);
    this.#lastError(message, MAX_MESSAGE);
    throw new CudaError(name, status, this.#nameOf(status) as string, cText(message).trim());
  }

  /** Makes a handle on the GPU whose context is current. Its plans use `stream`. */
  createHandle(stream: Address): CudnnHandle {
    const out = new Out();
    this.call('cudnnCreate', out.pointer);
    this.call('cudnnSetStream', out.value, stream);
    return out.value;
  }

  destroyHandle(handle: CudnnHandle): void {
    this.call('cudnnDestroy', handle);
  }
}

/** Descriptors that are destroyed together. A descriptor needs those that it was made of for as long as it lives. */
export class Descriptors {
  readonly #all: Descriptor[] = [];

  constructor(readonly cudnn: Cudnn) {}

  create(kind: number): Descriptor {
    const out = new Out();
    this.cudnn.call('cudnnBackendCreateDescriptor', kind, out.pointer);
    const descriptor = new Descriptor(this.cudnn, out.value);
    this.#all.push(descriptor);
    return descriptor;
  }

  /** Destroys the descriptors, the last first. */
  release(): void {
    for (const { address } of this.#all.splice(0).reverse())
      this.cudnn.call('cudnnBackendDestroyDescriptor', address);
  }
}

/** A descriptor of the graph API. The setters return it, so that they can follow each other. All methods throw CudaError. */
export class Descriptor {
  constructor(
    private readonly cudnn: Cudnn,
    readonly address: Address,
  ) {}

  setIntegers(name: number, values: readonly number[]): this {
    return this.#set(name, ATTRIBUTE_TYPE.INT64, int64(values));
  }

  setDescriptors(name: number, values: readonly Descriptor[]): this {
    return this.#set(name, ATTRIBUTE_TYPE.BACKEND_DESCRIPTOR, addressesOf(values));
  }

  /** Sets a value of one of C's enumerations. */
  setEnumeration(name: number, type: number, value: number): this {
    const values = new Int32Array(new ArrayBuffer(4));
    values[0] = value;
    return this.#set(name, type, values);
  }

  setBoolean(name: number, value: boolean): this {
    const values = nativeBytes(1);
    values[0] = Number(value);
    return this.#set(name, ATTRIBUTE_TYPE.BOOLEAN, values);
  }

  setFloat(name: number, value: number): this {
    const values = new Float32Array(new ArrayBuffer(4));
    values[0] = value;
    return this.#set(name, ATTRIBUTE_TYPE.FLOAT, values);
  }

  setAddresses(name: number, values: readonly Address[]): this {
    return this.#set(name, ATTRIBUTE_TYPE.VOID_PTR, int64(values));
  }

  setHandle(name: number, handle: CudnnHandle): this {
    return this.#set(name, ATTRIBUTE_TYPE.HANDLE, int64([handle]));
  }

  setText(name: number, text: string): this {
    const encoded = new TextEncoder().encode(`${text}\0`);
    const bytes = nativeBytes(encoded.length);
    bytes.set(encoded);
    return this.#set(name, ATTRIBUTE_TYPE.CHAR, bytes);
  }

  finalize(): this {
    this.cudnn.call('cudnnBackendFinalize', this.address);
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

  /** Values of one of C's enumerations. */
  enumerations(name: number, type: number): number[] {
    const size = this.count(name, type);
    if (size === 0) return [];
    const values = new Int32Array(new ArrayBuffer(4 * size));
    return [...values.subarray(0, this.#get(name, type, size, values))];
  }

  /** Lets cuDNN fill descriptors that `make` makes, and returns those that it filled. */
  descriptors(name: number, make: () => Descriptor, limit = Number.POSITIVE_INFINITY): Descriptor[] {
    const type = ATTRIBUTE_TYPE.BACKEND_DESCRIPTOR;
    const size = Math.min(limit, this.count(name, type));
    if (size === 0) return [];
    const made = Array.from({ length: size }, make);
    return made.slice(0, this.#get(name, type, size, addressesOf(made)));
  }

  text(name: number): string {
    const size = this.count(name, ATTRIBUTE_TYPE.CHAR);
    const bytes = nativeBytes(Math.max(1, size));
    this.#get(name, ATTRIBUTE_TYPE.CHAR, size, bytes);
    return cText(bytes);
  }

  #set(name: number, type: number, values: NodeJS.TypedArray): this {
    this.cudnn.call('cudnnBackendSetAttribute', this.address, name, type, values.length, values);
    return this;
  }

  /** Returns the number of elements that there are, or that were written if `size` is not 0. */
  #get(name: number, type: number, size: number, values: NodeJS.TypedArray | null): number {
    const count = new Out();
    this.cudnn.call('cudnnBackendGetAttribute', this.address, name, type, size, count.pointer, values);
    return count.value;
  }
}

/** The garbage collector does not move typed arrays on an ArrayBuffer of their own. */
function int64(values: readonly number[]): BigInt64Array {
  const array = new BigInt64Array(new ArrayBuffer(8 * values.length));
  for (const [i, value] of values.entries()) array[i] = BigInt(value);
  return array;
}

const addressesOf = (descriptors: readonly Descriptor[]) => int64(descriptors.map(({ address }) => address));
