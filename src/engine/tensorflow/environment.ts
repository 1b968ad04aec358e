/** @file The environment variables that libtensorflow and CUDA read while they load. */
import type { Probe } from '../probe.js';
import type { DeviceName } from '../types.js';
import { firstVisibleDevice } from './cuda.js';

export interface LoadOptions {
  device: DeviceName;
  /** Threads that one operation may use. */
  threads: number;
  verbose: boolean;
}

/** Returns the variables to set. Variables that the user has set stay as they are, except the last two. */
export function tensorflowEnvironment(
  probe: Probe,
  { device, threads, verbose }: LoadOptions,
): Record<string, string> {
  const { env } = probe;
  const settings: Record<string, string> = {
    // With oneDNN's kernels, softmax and its gradient take less than half the time, and nothing takes much more
    // (docs/engines.md).
    TF_ENABLE_ONEDNN_OPTS: '1',
    // Kernels that sum in any order are replaced by ones that give the same bits every time.
    TF_DETERMINISTIC_OPS: '1',
    TF_CUDNN_DETERMINISTIC: '1',
    TF_CPP_MIN_LOG_LEVEL: verbose ? '0' : '3',
  };
  if (device === 'cuda') {
    // Otherwise TensorFlow takes the whole memory of every visible GPU and computes on the last one.
    settings.TF_FORCE_GPU_ALLOW_GROWTH = 'true';
    settings.CUDA_DEVICE_ORDER = 'PCI_BUS_ID';
    // TF32 has a mantissa of 10 bits, which is too few to match PyTorch's numbers.
    settings.NVIDIA_TF32_OVERRIDE = '0';
  }
  const result = Object.fromEntries(
    Object.entries(settings).filter(([name]) => env[name] === undefined || env[name] === ''),
  );
  // Always set: a process computes on one GPU or none, and STMIXER_THREADS wins over TensorFlow's variable.
  result.CUDA_VISIBLE_DEVICES = device === 'cuda' ? (firstVisibleDevice(probe) ?? '0') : '-1';
  result.TF_NUM_INTRAOP_THREADS = String(threads);
  return result;
}
