/** @file ONNX Runtime's C functions, called with koffi on the library inside onnxruntime-node. */
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import koffi from 'koffi';
import { EngineError } from '../../errors.js';
import { loadLibrary } from '../../util/native/load_library.js';

/** The release this code was written for; package.json pins it. */
export const ORT_VERSION = '1.30.0';
/** Version of the function table: the first that holds every function below. */
const API_VERSION = 24;

/** A native address; 0 is null. */
export type Pointer = bigint;

type StatusName =
  | 'DisableTelemetryEvents'
  | 'CreateSessionFromArray'
  | 'Run'
  | 'CreateSessionOptions'
  | 'DisableMemPattern'
  | 'SetSessionLogSeverityLevel'
  | 'SetSessionGraphOptimizationLevel'
  | 'SetIntraOpNumThreads'
  | 'CreateCustomOpDomain'
  | 'CustomOpDomain_Add'
  | 'AddCustomOpDomain'
  | 'CreateRunOptions'
  | 'RunOptionsSetRunLogSeverityLevel'
  | 'CreateTensorAsOrtValue'
  | 'CreateTensorWithDataAsOrtValue'
  | 'GetTensorMutableData'
  | 'CreateMemoryInfo'
  | 'CreateCpuMemoryInfo'
  | 'CreateEnvWithGlobalThreadPools'
  | 'DisablePerSessionThreads'
  | 'CreateThreadingOptions'
  | 'AddSessionConfigEntry'
  | 'CreateAllocator'
  | 'CreateAndRegisterAllocator'
  | 'SetGlobalIntraOpNumThreads'
  | 'SetGlobalInterOpNumThreads'
  | 'SetGlobalSpinControl'
  | 'CreateArenaCfgV2'
  | 'SessionOptionsAppendExecutionProvider'
  | 'CopyTensors'
  | 'Session_GetEpGraphAssignmentInfo'
  | 'EpAssignedSubgraph_GetEpName'
  | 'EpAssignedSubgraph_GetNodes'
  | 'EpAssignedNode_GetName';

/** Functions that can also be called on a thread of their own, without blocking the event loop. */
type AsyncName = 'Run' | 'CopyTensors';

/**
 * Functions by their position in the OrtApi table (onnxruntime_c_api.h; positions never change). Those that return a
 * status are wrapped so that a failure throws; the releasing ones return nothing.
 */
const STATUS_FUNCTIONS: Record<StatusName, readonly [position: number, parameters: readonly string[]]> = {
  DisableTelemetryEvents: [6, ['void *']],
  CreateSessionFromArray: [8, ['void *', 'void *', 'size_t', 'void *', '_Out_ void **']],
  Run: [9, ['void *', 'void *', 'void *', 'void *', 'size_t', 'void *', 'size_t', 'void *']],
  CreateSessionOptions: [10, ['_Out_ void **']],
  DisableMemPattern: [17, ['void *']],
  SetSessionLogSeverityLevel: [22, ['void *', 'int']],
  SetSessionGraphOptimizationLevel: [23, ['void *', 'int']],
  SetIntraOpNumThreads: [24, ['void *', 'int']],
  CreateCustomOpDomain: [26, ['str', '_Out_ void **']],
  CustomOpDomain_Add: [27, ['void *', 'void *']],
  AddCustomOpDomain: [28, ['void *', 'void *']],
  CreateRunOptions: [39, ['_Out_ void **']],
  RunOptionsSetRunLogSeverityLevel: [41, ['void *', 'int']],
  CreateTensorAsOrtValue: [48, ['void *', 'void *', 'size_t', 'int', '_Out_ void **']],
  CreateTensorWithDataAsOrtValue: [
    49,
    ['void *', 'void *', 'size_t', 'void *', 'size_t', 'int', '_Out_ void **'],
  ],
  GetTensorMutableData: [51, ['void *', '_Out_ void **']],
  CreateMemoryInfo: [68, ['str', 'int', 'int', 'int', '_Out_ void **']],
  CreateCpuMemoryInfo: [69, ['int', 'int', '_Out_ void **']],
  CreateEnvWithGlobalThreadPools: [119, ['int', 'str', 'void *', '_Out_ void **']],
  DisablePerSessionThreads: [120, ['void *']],
  CreateThreadingOptions: [121, ['_Out_ void **']],
  AddSessionConfigEntry: [130, ['void *', 'str', 'str']],
  CreateAllocator: [131, ['void *', 'void *', '_Out_ void **']],
  CreateAndRegisterAllocator: [144, ['void *', 'void *', 'void *']],
  SetGlobalIntraOpNumThreads: [147, ['void *', 'int']],
  SetGlobalInterOpNumThreads: [148, ['void *', 'int']],
  SetGlobalSpinControl: [149, ['void *', 'int']],
  CreateArenaCfgV2: [164, ['void *', 'void *', 'size_t', '_Out_ void **']],
  SessionOptionsAppendExecutionProvider: [216, ['void *', 'str', 'void *', 'void *', 'size_t']],
  CopyTensors: [386, ['void *', 'void *', 'void *', 'void *', 'size_t']],
  Session_GetEpGraphAssignmentInfo: [407, ['void *', '_Out_ void **', '_Out_ size_t *']],
  EpAssignedSubgraph_GetEpName: [408, ['void *', '_Out_ str *']],
  EpAssignedSubgraph_GetNodes: [409, ['void *', '_Out_ void **', '_Out_ size_t *']],
  EpAssignedNode_GetName: [410, ['void *', '_Out_ str *']],
};

const RELEASE_FUNCTIONS = {
  ReleaseStatus: 93,
  ReleaseMemoryInfo: 94,
  ReleaseSession: 95,
  ReleaseValue: 96,
  ReleaseSessionOptions: 100,
  ReleaseThreadingOptions: 122,
  ReleaseArenaCfg: 157,
} as const;

const GET_ERROR_MESSAGE = 2;

type StatusFunctions = Record<StatusName, (...args: unknown[]) => void>;
type ReleaseFunctions = Record<keyof typeof RELEASE_FUNCTIONS, (object: Pointer) => void>;

export type OrtApi = StatusFunctions &
  ReleaseFunctions & {
    /** Calls a function on a thread of its own, without blocking the event loop. */
    async(name: AsyncName, ...args: unknown[]): Promise<void>;
    /** Creates an object with a function that stores it in its last argument. */
    create(make: (out: (Pointer | null)[]) => void): Pointer;
  };

/** An error that ONNX Runtime reports. */
export class OrtError extends Error {}

/** Path of the library; null if the package has none for this platform. */
export function libraryPath(platform: string, arch: string, packageFolder: string): string | null {
  const name = {
    linux: 'libonnxruntime.so.1',
    darwin: `libonnxruntime.${ORT_VERSION}.dylib`,
    win32: 'onnxruntime.dll',
  }[platform];
  return name ? join(packageFolder, 'bin', 'napi-v6', platform, arch, name) : null;
}

/** Loads the library and its functions. Throws EngineError if it is another release. */
export function loadOrtApi(path: string): OrtApi {
  disableTelemetry();
  const library = loadLibrary(path);
  const base = library.func('void *OrtGetApiBase()')() as Pointer;
  const version = functionAt(base, 1, 'str', [])() as string;
  if (version !== ORT_VERSION) {
    throw new EngineError(
      `onnxruntime-node holds ONNX Runtime ${version}, this needs ${ORT_VERSION}: run npm ci`,
    );
  }
  return apiOf(functionAt(base, 0, 'void *', ['uint32_t'])(API_VERSION) as Pointer);
}

function functionAt(
  table: Pointer,
  position: number,
  result: string,
  parameters: readonly string[],
): KoffiFunction {
  const address = koffi.decode(table, position * koffi.sizeof('void *'), 'void *') as Pointer;
  return koffi.decode(address, koffi.proto(result, parameters.map(parameterType))) as KoffiFunction;
}

/** The functions of OrtApi's table. */
function apiOf(table: Pointer): OrtApi {
  const release = Object.fromEntries(
    Object.entries(RELEASE_FUNCTIONS).map(([name, position]) => [
      name,
      functionAt(table, position, 'void', ['void *']),
    ]),
  ) as Record<keyof ReleaseFunctions, KoffiFunction>;
  const natives = Object.fromEntries(
    Object.entries(STATUS_FUNCTIONS).map(([name, [position, parameters]]) => [
      name,
      functionAt(table, position, 'void *', parameters),
    ]),
  ) as Record<StatusName, KoffiFunction>;
  const errorMessage = functionAt(table, GET_ERROR_MESSAGE, 'str', ['void *']);
  const check = (status: Pointer | null): void => {
    if (!status) return;
    const message = errorMessage(status) as string;
    release.ReleaseStatus(status);
    throw new OrtError(message);
  };
  const checked = Object.fromEntries(
    Object.entries(natives).map(([name, native]) => [
      name,
      (...args: unknown[]) => check(native(...args) as Pointer | null),
    ]),
  ) as StatusFunctions;
  return {
    ...checked,
    ...release,
    async: (name, ...args) => callAsync(natives[name], args, check),
    create,
  };
}

function callAsync(
  native: KoffiFunction,
  args: readonly unknown[],
  check: (status: Pointer | null) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    native.async(...args, (error: Error | null, status: Pointer | null) => {
      try {
        if (error) throw error;
        check(status);
        resolve();
      } catch (failure) {
        reject(failure);
      }
    });
  });
}

function create(make: (out: (Pointer | null)[]) => void): Pointer {
  const out: (Pointer | null)[] = [null];
  make(out);
  if (!out[0]) throw new OrtError('ONNX Runtime returned no object');
  return out[0];
}

/**
 * Stops the library from contacting its maker, and from storing an identifier of the machine and queued events in the
 * user's cache folder. The library reads this variable when it is loaded. In a worker thread it is set through libc,
 * because process.env is a copy there that native code does not see.
 */
function disableTelemetry(): void {
  process.env.ORT_DISABLE_TELEMETRY = '1';
  if (process.platform === 'win32' || isMainThread) return;
  const setenv = loadLibrary(null).func('int setenv(const char *name, const char *value, int overwrite)');
  setenv('ORT_DISABLE_TELEMETRY', '1', 1);
}

interface KoffiFunction {
  (...args: unknown[]): unknown;
  async(...args: unknown[]): void;
}

function parameterType(text: string) {
  return text.startsWith('_Out_ ') ? koffi.out(koffi.type(text.slice(6))) : koffi.type(text);
}
