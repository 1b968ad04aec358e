/** @file The CUDA driver's functions (libcuda). */
import type { LibraryHandle } from 'koffi';
import {
  type Address,
  bind,
  cText,
  nativeBytes,
  Out,
  openLibrary,
  textAt,
} from '../../../util/native/native.js';
import type { ArgumentBuffer } from './argument_buffer.js';
import { CudaError } from './error.js';

/** Exported names. Those without a suffix where one exists are the functions of CUDA 3, with 32-bit addresses. */
const FUNCTIONS = {
  cuInit: ['uint32'],
  cuDriverGetVersion: ['void *'],
  cuDeviceGetCount: ['void *'],
  cuDeviceGet: ['void *', 'int'],
  cuDeviceGetName: ['void *', 'int', 'int'],
  cuDeviceGetUuid_v2: ['void *', 'int'],
  cuDeviceGetAttribute: ['void *', 'int', 'int'],
  cuDeviceTotalMem_v2: ['void *', 'int'],
  cuDevicePrimaryCtxRetain: ['void *', 'int'],
  cuDevicePrimaryCtxRelease_v2: ['int'],
  cuCtxSetCurrent: ['uint64'],
  cuCtxSynchronize: [],
  cuMemGetInfo_v2: ['void *', 'void *'],
  cuMemAlloc_v2: ['void *', 'size_t'],
  cuMemFree_v2: ['uint64'],
  cuMemHostAlloc: ['void *', 'size_t', 'uint32'],
  cuMemFreeHost: ['uint64'],
  cuMemcpyHtoDAsync_v2: ['uint64', 'uint64', 'size_t', 'uint64'],
  cuMemcpyDtoHAsync_v2: ['uint64', 'uint64', 'size_t', 'uint64'],
  cuMemcpyDtoDAsync_v2: ['uint64', 'uint64', 'size_t', 'uint64'],
  cuMemsetD8Async: ['uint64', 'uint8', 'size_t', 'uint64'],
  cuMemsetD32Async: ['uint64', 'uint32', 'size_t', 'uint64'],
  cuStreamCreate: ['void *', 'uint32'],
  cuStreamDestroy_v2: ['uint64'],
  cuStreamQuery: ['uint64'],
  cuStreamSynchronize: ['uint64'],
  cuStreamWaitEvent: ['uint64', 'uint64', 'uint32'],
  cuEventCreate: ['void *', 'uint32'],
  cuEventRecord: ['uint64', 'uint64'],
  cuEventQuery: ['uint64'],
  cuEventSynchronize: ['uint64'],
  cuEventElapsedTime: ['void *', 'uint64', 'uint64'],
  cuEventDestroy_v2: ['uint64'],
  cuModuleLoadDataEx: ['void *', 'void *', 'uint32', 'void *', 'void *'],
  cuModuleGetFunction: ['void *', 'uint64', 'str'],
  cuModuleUnload: ['uint64'],
  cuFuncGetAttribute: ['void *', 'int', 'uint64'],
  cuFuncSetAttribute: ['uint64', 'int', 'int'],
  cuLaunchKernel: [
    ...['uint64', 'uint32', 'uint32', 'uint32', 'uint32', 'uint32', 'uint32'],
    ...['uint32', 'uint64', 'uint64', 'uint64'],
  ],
  cuStreamBeginCapture_v2: ['uint64', 'int'],
  cuStreamEndCapture: ['uint64', 'void *'],
  cuGraphInstantiateWithFlags: ['void *', 'uint64', 'uint64'],
  cuGraphLaunch: ['uint64', 'uint64'],
  cuGraphExecDestroy: ['uint64'],
  cuGraphDestroy: ['uint64'],
  cuGetErrorName: ['int', 'void *'],
  cuGetErrorString: ['int', 'void *'],
} as const;

type Name = keyof typeof FUNCTIONS;

const NOT_READY = 600;

const STREAM_NON_BLOCKING = 1;
const EVENT_DISABLE_TIMING = 2;
/** The capture fails if this thread calls a function that is unsafe then, such as cuMemAlloc; other threads may. */
const CAPTURE_THREAD_LOCAL = 1;

/** CUdevice_attribute. */
export const DEVICE_ATTRIBUTE = {
  sharedMemoryPerBlock: 8,
  clockRate: 13,
  multiprocessors: 16,
  memoryClockRate: 36,
  memoryBusWidth: 37,
  l2Bytes: 38,
  computeCapabilityMajor: 75,
  computeCapabilityMinor: 76,
} as const;

/** CUfunction_attribute. */
export const FUNCTION_ATTRIBUTE = {
  maxThreadsPerBlock: 0,
  sharedBytes: 1,
  localBytes: 3,
  registers: 4,
} as const;

/** Where and how a kernel runs. */
export interface LaunchShape {
  /** Blocks. */
  readonly grid: readonly [x: number, y: number, z: number];
  /** Threads of a block. */
  readonly block: number;
}

/** Loads the driver and starts it. Throws EngineError, or CudaError if the driver does not work. */
export function loadDriver(path: string): CudaDriver {
  const driver = new CudaDriver(openLibrary(path));
  driver.init();
  return driver;
}

/**
 * The driver's functions. They throw CudaError. Contexts, streams, events, modules, functions and graphs are handles, and
 * addresses are numbers. Copies and launches run later, in the order of their stream.
 */
export class CudaDriver {
  readonly #native: Record<Name, (...args: unknown[]) => unknown>;
  readonly #out = new Out();
  readonly #second = new Out();

  constructor(library: LibraryHandle) {
    this.#native = bind<Name>(library, 'int', FUNCTIONS);
  }

  init(): void {
    this.#call('cuInit', 0);
  }

  /** The newest CUDA version that the driver supports: 12040 for 12.4. */
  version(): number {
    this.#call('cuDriverGetVersion', this.#out.pointer);
    return this.#out.int32;
  }

  deviceCount(): number {
    this.#call('cuDeviceGetCount', this.#out.pointer);
    return this.#out.int32;
  }

  device(ordinal: number): number {
    this.#call('cuDeviceGet', this.#out.pointer, ordinal);
    return this.#out.int32;
  }

  deviceName(device: number): string {
    const name = nativeBytes(256);
    this.#call('cuDeviceGetName', name, name.length, device);
    return cText(name);
  }

  /** As nvidia-smi writes it, such as GPU-8f2a…. */
  deviceUuid(device: number): string {
    const bytes = nativeBytes(16);
    this.#call('cuDeviceGetUuid_v2', bytes, device);
    const hex = Buffer.from(bytes).toString('hex');
    return `GPU-${hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}`;
  }

  deviceAttribute(device: number, attribute: keyof typeof DEVICE_ATTRIBUTE): number {
    this.#call('cuDeviceGetAttribute', this.#out.pointer, DEVICE_ATTRIBUTE[attribute], device);
    return this.#out.int32;
  }

  /** Bytes. */
  deviceMemory(device: number): number {
    this.#call('cuDeviceTotalMem_v2', this.#out.pointer, device);
    return this.#out.value;
  }

  retainPrimaryContext(device: number): Address {
    this.#call('cuDevicePrimaryCtxRetain', this.#out.pointer, device);
    return this.#out.value;
  }

  releasePrimaryContext(device: number): void {
    this.#call('cuDevicePrimaryCtxRelease_v2', device);
  }

  /** For the calling thread. */
  setCurrentContext(context: Address): void {
    this.#call('cuCtxSetCurrent', context);
  }

  synchronizeContext(): void {
    this.#call('cuCtxSynchronize');
  }

  /** Memory of the device in bytes. */
  memory(): { readonly free: number; readonly total: number } {
    this.#call('cuMemGetInfo_v2', this.#out.pointer, this.#second.pointer);
    return { free: this.#out.value, total: this.#second.value };
  }

  allocate(bytes: number): Address {
    this.#call('cuMemAlloc_v2', this.#out.pointer, bytes);
    return this.#out.value;
  }

  free(address: Address): void {
    this.#call('cuMemFree_v2', address);
  }

  /** Allocates pinned memory of the host, which the device copies from and to by itself. */
  allocateHost(bytes: number): Address {
    this.#call('cuMemHostAlloc', this.#out.pointer, bytes, 0);
    return this.#out.value;
  }

  freeHost(address: Address): void {
    this.#call('cuMemFreeHost', address);
  }

  /** Copies from pinned memory, which must not change until the copy is done. */
  copyToDevice(
    to: { readonly address: Address; readonly stream: Address },
    from: Address,
    bytes: number,
  ): void {
    this.#call('cuMemcpyHtoDAsync_v2', to.address, from, bytes, to.stream);
  }

  /** Copies to pinned memory, which holds the content once the copy is done. */
  copyToHost(
    to: Address,
    from: { readonly address: Address; readonly stream: Address },
    bytes: number,
  ): void {
    this.#call('cuMemcpyDtoHAsync_v2', to, from.address, bytes, from.stream);
  }

  copyOnDevice(
    to: { readonly address: Address; readonly stream: Address },
    from: Address,
    bytes: number,
  ): void {
    this.#call('cuMemcpyDtoDAsync_v2', to.address, from, bytes, to.stream);
  }

  /** Sets bytes to zero: by words of 4 bytes where address and number allow it. */
  clear({ address, stream }: { readonly address: Address; readonly stream: Address }, bytes: number): void {
    if (address % 4 === 0 && bytes % 4 === 0) this.#call('cuMemsetD32Async', address, 0, bytes / 4, stream);
    else this.#call('cuMemsetD8Async', address, 0, bytes, stream);
  }

  /** A stream that does not wait for the default stream. */
  createStream(): Address {
    this.#call('cuStreamCreate', this.#out.pointer, STREAM_NON_BLOCKING);
    return this.#out.value;
  }

  destroyStream(stream: Address): void {
    this.#call('cuStreamDestroy_v2', stream);
  }

  /** Whether all work in the stream is done. */
  isStreamDone(stream: Address): boolean {
    return this.#isReady('cuStreamQuery', stream);
  }

  synchronizeStream(stream: Address): void {
    this.#call('cuStreamSynchronize', stream);
  }

  createEvent(kind: 'order' | 'timing' = 'order'): Address {
    this.#call('cuEventCreate', this.#out.pointer, kind === 'order' ? EVENT_DISABLE_TIMING : 0);
    return this.#out.value;
  }

  destroyEvent(event: Address): void {
    this.#call('cuEventDestroy_v2', event);
  }

  recordEvent(event: Address, stream: Address): void {
    this.#call('cuEventRecord', event, stream);
  }

  /** Lets later work of a stream wait for the work before the event's last record; the host does not wait. */
  waitForEvent(stream: Address, event: Address): void {
    this.#call('cuStreamWaitEvent', stream, event, 0);
  }

  /** Whether the work before the event's last record is done; true for an event that was never recorded. */
  isEventDone(event: Address): boolean {
    return this.#isReady('cuEventQuery', event);
  }

  synchronizeEvent(event: Address): void {
    this.#call('cuEventSynchronize', event);
  }

  /** Milliseconds between two events of kind `timing` that are done. */
  elapsedMilliseconds(start: Address, end: Address): number {
    this.#call('cuEventElapsedTime', this.#out.pointer, start, end);
    return this.#out.float32;
  }

  loadModule(cubin: Uint8Array): Address {
    // The library reads the image in this call only, so that small arrays of the JavaScript heap are fine.
    this.#call('cuModuleLoadDataEx', this.#out.pointer, cubin, 0, null, null);
    return this.#out.value;
  }

  unloadModule(module: Address): void {
    this.#call('cuModuleUnload', module);
  }

  moduleFunction(module: Address, name: string): Address {
    this.#call('cuModuleGetFunction', this.#out.pointer, module, name);
    return this.#out.value;
  }

  functionAttribute(fn: Address, attribute: keyof typeof FUNCTION_ATTRIBUTE): number {
    this.#call('cuFuncGetAttribute', this.#out.pointer, FUNCTION_ATTRIBUTE[attribute], fn);
    return this.#out.int32;
  }

  /** Launches a kernel. `args` may be changed as soon as this returns. */
  launch(fn: Address, { grid, block }: LaunchShape, args: ArgumentBuffer, stream: Address): void {
    const [x, y, z] = grid;
    this.#call('cuLaunchKernel', fn, x, y, z, block, 1, 1, 0, stream, 0, args.extra);
  }

  beginCapture(stream: Address): void {
    this.#call('cuStreamBeginCapture_v2', stream, CAPTURE_THREAD_LOCAL);
  }

  /** The graph of the work since `beginCapture`. Ends the capture even when it throws. */
  endCapture(stream: Address): Address {
    this.#call('cuStreamEndCapture', stream, this.#out.pointer);
    return this.#out.value;
  }

  instantiateGraph(graph: Address): Address {
    this.#call('cuGraphInstantiateWithFlags', this.#out.pointer, graph, 0);
    return this.#out.value;
  }

  launchGraph(executable: Address, stream: Address): void {
    this.#call('cuGraphLaunch', executable, stream);
  }

  destroyExecutableGraph(executable: Address): void {
    this.#call('cuGraphExecDestroy', executable);
  }

  destroyGraph(graph: Address): void {
    this.#call('cuGraphDestroy', graph);
  }

  #call(name: Name, ...args: unknown[]): void {
    const code = this.#native[name](...args) as number;
    if (code !== 0) this.#check(name, code);
  }

  #isReady(name: Name, handle: Address): boolean {
    const code = this.#native[name](handle) as number;
    if (code === NOT_READY) return false;
    this.#check(name, code);
    return true;
  }

  #check(name: Name, code: number): void {
    if (code === 0) return;
    const call = name.replace(/_v2$/, '');
    const status = this.#text('cuGetErrorName', code) ?? 'unknown code';
    throw new CudaError(call, code, status, this.#text('cuGetErrorString', code) ?? '');
  }

  #text(name: 'cuGetErrorName' | 'cuGetErrorString', code: number): string | null {
    return this.#native[name](code, this.#out.pointer) === 0 ? textAt(this.#out.value) : null;
  }
}
