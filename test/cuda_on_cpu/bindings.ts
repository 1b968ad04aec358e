/** @file The C functions of the stand-in as tests call them: directly, with their codes as results. */
import koffi, { type KoffiFunc } from 'koffi';
import { describe } from 'vitest';
import { loadLibrary } from '../../src/util/native/load_library.js';
import { type CudaOnCpu, canBuildCudaOnCpu, loadCudaOnCpu } from './index.js';

const DRIVER = [
  'int cuInit(uint32_t flags)',
  'int cuDriverGetVersion(_Out_ int *version)',
  'int cuDeviceGetCount(_Out_ int *count)',
  'int cuDeviceGet(_Out_ int *device, int ordinal)',
  'int cuDeviceGetName(void *name, int length, int device)',
  'int cuDeviceGetUuid_v2(void *uuid, int device)',
  'int cuDeviceGetPCIBusId(void *text, int length, int device)',
  'int cuDeviceGetAttribute(_Out_ int *value, int attribute, int device)',
  'int cuDeviceTotalMem_v2(_Out_ size_t *bytes, int device)',
  'int cuDevicePrimaryCtxRetain(_Out_ void **context, int device)',
  'int cuDevicePrimaryCtxRelease_v2(int device)',
  'int cuCtxSetCurrent(void *context)',
  'int cuCtxSynchronize()',
  'int cuMemGetInfo_v2(_Out_ size_t *free, _Out_ size_t *total)',
  'int cuMemAlloc_v2(_Out_ uint64_t *address, size_t bytes)',
  'int cuMemFree_v2(uint64_t address)',
  'int cuMemHostAlloc(_Out_ void **host, size_t bytes, uint32_t flags)',
  'int cuMemFreeHost(void *host)',
  'int cuMemcpyHtoDAsync_v2(uint64_t target, void *source, size_t bytes, void *stream)',
  'int cuMemcpyDtoHAsync_v2(void *target, uint64_t source, size_t bytes, void *stream)',
  'int cuMemcpyDtoDAsync_v2(uint64_t target, uint64_t source, size_t bytes, void *stream)',
  'int cuMemsetD8Async(uint64_t target, uint8_t value, size_t count, void *stream)',
  'int cuMemsetD32Async(uint64_t target, uint32_t value, size_t count, void *stream)',
  'int cuStreamCreate(_Out_ void **stream, uint32_t flags)',
  'int cuStreamDestroy_v2(void *stream)',
  'int cuStreamQuery(void *stream)',
  'int cuStreamSynchronize(void *stream)',
  'int cuEventCreate(_Out_ void **event, uint32_t flags)',
  'int cuEventRecord(void *event, void *stream)',
  'int cuEventQuery(void *event)',
  'int cuEventSynchronize(void *event)',
  'int cuEventElapsedTime(_Out_ float *milliseconds, void *start, void *end)',
  'int cuEventDestroy_v2(void *event)',
  'int cuModuleLoadDataEx(_Out_ void **module, void *image, uint32_t n, void *options, void *values)',
  'int cuModuleGetFunction(_Out_ void **function, void *module, str name)',
  'int cuModuleUnload(void *module)',
  'int cuFuncSetAttribute(void *function, int attribute, int value)',
  'int cuFuncGetAttribute(_Out_ int *value, int attribute, void *function)',
  'int cuLaunchKernel(void *function, uint32_t gx, uint32_t gy, uint32_t gz, uint32_t bx, uint32_t by, uint32_t bz, uint32_t shared, void *stream, void *params, void *extra)',
  'int cuStreamBeginCapture_v2(void *stream, int mode)',
  'int cuStreamEndCapture(void *stream, _Out_ void **graph)',
  'int cuGraphGetNodes(void *graph, void *nodes, _Inout_ size_t *count)',
  'int cuGraphInstantiateWithFlags(_Out_ void **executable, void *graph, uint64_t flags)',
  'int cuGraphLaunch(void *executable, void *stream)',
  'int cuGraphExecDestroy(void *executable)',
  'int cuGraphDestroy(void *graph)',
  'int cuGetErrorName(int code, _Out_ str *name)',
  'int cuGetErrorString(int code, _Out_ str *text)',
];

const NVRTC = [
  'int nvrtcCreateProgram(_Out_ void **program, str source, str name, int n, void *headers, void *names)',
  'int nvrtcCompileProgram(void *program, int n, const char **options)',
  'int nvrtcGetProgramLogSize(void *program, _Out_ size_t *bytes)',
  'int nvrtcGetProgramLog(void *program, void *log)',
  'int nvrtcGetCUBINSize(void *program, _Out_ size_t *bytes)',
  'int nvrtcGetCUBIN(void *program, void *image)',
  'int nvrtcDestroyProgram(_Inout_ void **program)',
  'str nvrtcGetErrorString(int code)',
];

/** The same for the real library. */
export const CUBLASLT_DESCRIPTORS = [
  'int cublasLtMatmulDescCreate(_Out_ void **descriptor, int computeType, int scaleType)',
  'int cublasLtMatmulDescSetAttribute(void *descriptor, int attribute, void *value, size_t bytes)',
  'int cublasLtMatmulDescGetAttribute(void *descriptor, int attribute, void *value, size_t bytes, _Out_ size_t *written)',
  'int cublasLtMatmulDescDestroy(void *descriptor)',
  'int cublasLtMatrixLayoutCreate(_Out_ void **layout, int type, uint64_t rows, uint64_t columns, int64_t ld)',
  'int cublasLtMatrixLayoutSetAttribute(void *layout, int attribute, void *value, size_t bytes)',
  'int cublasLtMatrixLayoutGetAttribute(void *layout, int attribute, void *value, size_t bytes, _Out_ size_t *written)',
  'int cublasLtMatrixLayoutDestroy(void *layout)',
  'int cublasLtMatmulPreferenceCreate(_Out_ void **preference)',
  'int cublasLtMatmulPreferenceSetAttribute(void *preference, int attribute, void *value, size_t bytes)',
  'int cublasLtMatmulPreferenceGetAttribute(void *preference, int attribute, void *value, size_t bytes, _Out_ size_t *written)',
  'int cublasLtMatmulPreferenceDestroy(void *preference)',
];

const CUBLASLT = [
  ...CUBLASLT_DESCRIPTORS,
  'int cublasLtCreate(_Out_ void **handle)',
  'int cublasLtDestroy(void *handle)',
  'int cublasLtMatmulAlgoGetHeuristic(void *handle, void *matmul, void *a, void *b, void *c, void *d, void *preference, int requested, void *results, _Out_ int *returned)',
  'int cublasLtMatmul(void *handle, void *matmul, void *alpha, uint64_t a, void *aLayout, uint64_t b, void *bLayout, void *beta, uint64_t c, void *cLayout, uint64_t d, void *dLayout, void *algorithm, uint64_t workspace, size_t workspaceBytes, void *stream)',
];

export type Handle = unknown;
/** Functions by their names; their arguments are as in C. */
// biome-ignore lint/suspicious/noExplicitAny: tests also pass arguments of wrong types
export type Functions = Record<string, KoffiFunc<(...args: any[]) => any>>;

/** Binds the functions of a library by their names. */
export function bind(path: string, declarations: readonly string[]): Functions {
  const library = loadLibrary(path);
  return Object.fromEntries(
    declarations.map((declaration) => [/(\w+)\(/.exec(declaration)![1], library.func(declaration)]),
  );
}

const canRun = canBuildCudaOnCpu();

/** A group of tests that needs the stand-in. */
export const describeStandIn: ReturnType<typeof describe.runIf> = describe.runIf(canRun);

export const standIn: CudaOnCpu = canRun ? loadCudaOnCpu() : ({} as CudaOnCpu);
export const cu: Functions = canRun
  ? {
      ...bind(`${standIn.folder}/libcuda.so.1`, DRIVER),
      ...bind(`${standIn.folder}/libnvrtc.so.13`, NVRTC),
      ...bind(`${standIn.folder}/libcublasLt.so.13`, CUBLASLT),
    }
  : {};

/** Throws unless a call succeeded. */
export function check(code: number): void {
  if (code !== 0) throw new Error(`code ${code}: ${standIn.lastProblem()}`);
}

/** The first result of a call that succeeds, which comes through a pointer. */
export function result<T = Handle>(call: (out: [T]) => number): T {
  const out: [T] = [null as T];
  check(call(out));
  return out[0];
}

/** Starts from nothing, with variables of the environment that hold until the next start. */
export function start(variables: Record<string, string> = {}): void {
  for (const name of Object.keys(process.env)) {
    if (/^CUDA_ON_CPU_(CAPABILITY|MEMORY|DEVICES|QUEUE|SEED|THREADS|CUDNN)$/.test(name))
      delete process.env[name];
  }
  Object.assign(process.env, variables);
  standIn.reset();
  check(cu.cuInit(0));
  check(cu.cuCtxSetCurrent(result((out) => cu.cuDevicePrimaryCtxRetain(out, 0))));
}

export function allocate(bytes: number): number {
  return Number(result<number>((out) => cu.cuMemAlloc_v2(out, bytes)));
}

/** Device memory with the content of an array. */
export function upload(data: ArrayBufferView, stream: Handle = null): number {
  const address = allocate(data.byteLength);
  check(cu.cuMemcpyHtoDAsync_v2(address, data, data.byteLength, stream));
  return address;
}

/** Fills an array from device memory. */
export function download<T extends ArrayBufferView>(data: T, address: number, stream: Handle = null): T {
  check(cu.cuMemcpyDtoHAsync_v2(data, address, data.byteLength, stream));
  return data;
}

/** The code of NVRTC, its log, and the image. */
export function compile(source: string, options: readonly string[] = ['--gpu-architecture=sm_80']) {
  const program = result((out) => cu.nvrtcCreateProgram(out, source, 'test.cu', 0, null, null));
  const code: number = cu.nvrtcCompileProgram(program, options.length, options);
  const log = Buffer.alloc(Number(result((out) => cu.nvrtcGetProgramLogSize(program, out))));
  check(cu.nvrtcGetProgramLog(program, log));
  const image = Buffer.alloc(Number(result((out) => cu.nvrtcGetCUBINSize(program, out))));
  if (image.length > 0) check(cu.nvrtcGetCUBIN(program, image));
  check(cu.nvrtcDestroyProgram([program]));
  return { code, log: log.toString('utf8', 0, log.length - 1), image };
}

export function loadModule(source: string): Handle {
  const { code, log, image } = compile(source);
  if (code !== 0) throw new Error(log);
  return result((out) => cu.cuModuleLoadDataEx(out, image, 0, null, null));
}

export function functionOf(module: Handle, name: string): Handle {
  return result((out) => cu.cuModuleGetFunction(out, module, name));
}

export interface Launch {
  readonly grid: readonly [number, number, number];
  readonly block?: number;
  readonly args: readonly number[];
  readonly stream?: Handle;
}

const BUFFER_POINTER = 1n;
const BUFFER_SIZE = 2n;

/** Launches a kernel with addresses, and other numbers of 8 bytes, by `extra`; gives the code. */
export function launch(kernel: Handle, { grid, block = 256, args, stream = null }: Launch): number {
  // Buffers of their own do not move.
  const buffer = new BigUint64Array(new ArrayBuffer(8 * args.length)).map((_, i) => BigInt(args[i]));
  const size = new BigUint64Array(new ArrayBuffer(8)).fill(BigInt(buffer.byteLength));
  const extra = new BigUint64Array(new ArrayBuffer(40));
  extra.set([BUFFER_POINTER, koffi.address(buffer), BUFFER_SIZE, koffi.address(size), 0n]);
  return cu.cuLaunchKernel(kernel, ...grid, block, 1, 1, 0, stream, null, extra);
}
