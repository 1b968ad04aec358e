/** @file The error of NVIDIA's libraries. */
import { EngineError } from '../../../errors.js';

/** What a code of the driver means for the user, where NVIDIA's text does not say it. */
const DRIVER_ADVICE: Readonly<Record<string, string>> = {
  CUDA_ERROR_OUT_OF_MEMORY: 'The GPU has too little free memory.',
  CUDA_ERROR_NO_DEVICE: 'The driver finds no GPU; CUDA_VISIBLE_DEVICES may hide it.',
  CUDA_ERROR_DEVICE_UNAVAILABLE: 'Another process uses the GPU exclusively.',
  CUDA_ERROR_ECC_UNCORRECTABLE: "The GPU's memory is damaged, or needs a restart of the machine.",
  CUDA_ERROR_UNSUPPORTED_PTX_VERSION: 'The driver is older than the CUDA libraries; update one of them.',
  CUDA_ERROR_NO_BINARY_FOR_GPU: 'The kernel was compiled for another GPU.',
  CUDA_ERROR_ILLEGAL_ADDRESS:
    'A kernel read or wrote outside its memory. STMIXER_CUDA_SYNC=1 names the kernel.',
  CUDA_ERROR_MISALIGNED_ADDRESS:
    'A kernel read or wrote at a misaligned address. STMIXER_CUDA_SYNC=1 names the kernel.',
  CUDA_ERROR_LAUNCH_FAILED: 'A kernel failed. STMIXER_CUDA_SYNC=1 names the kernel.',
  CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: 'A kernel needs more registers or shared memory than the GPU has.',
  CUDA_ERROR_LAUNCH_TIMEOUT: 'A kernel ran longer than the system allows on a GPU with a display.',
  CUDA_ERROR_SYSTEM_NOT_READY: "NVIDIA's fabric manager may not be running.",
  CUDA_ERROR_SYSTEM_DRIVER_MISMATCH:
    "The driver's library and its kernel module differ in version; restart the machine.",
  CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE:
    'The library for forward compatibility (cuda-compat) does not work on this GPU; remove it.',
};

/** Codes of failed allocations of GPU memory. */
const OUT_OF_MEMORY = new Set([
  'CUDA_ERROR_OUT_OF_MEMORY',
  'CUBLAS_STATUS_ALLOC_FAILED',
  'CUDNN_STATUS_ALLOC_FAILED',
]);

/** A function of the CUDA driver, NVRTC, cuBLASLt or cuDNN that failed. */
export class CudaError extends EngineError {
  constructor(
    /** Name of the C function. */
    readonly call: string,
    readonly code: number,
    /** The library's name of the code, such as CUDA_ERROR_OUT_OF_MEMORY. */
    readonly status: string,
    /** The library's explanation; may have several lines, and may be empty. */
    readonly text: string,
  ) {
    const reason = text ? `${text} (${status}, ${code})` : `${status} (${code})`;
    const advice = DRIVER_ADVICE[status];
    super(`${call} failed: ${reason}${advice ? `. ${advice}` : ''}`);
  }

  get isOutOfMemory(): boolean {
    return OUT_OF_MEMORY.has(this.status);
  }
}
