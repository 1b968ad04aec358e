/** @file The environment variables that libtensorflow and CUDA read while they load. */
import type { Probe } from '../probe.js';
import { threadCount } from '../threads.js';
import type { DeviceName } from '../types.js';
import { firstVisibleDevice } from './cuda.js';

/** The settings for a run; a variable that the user has set stays as it is, unless the comment says otherwise. */
export function tensorflowEnvironment(
  probe: Probe,
  device: DeviceName,
  verbose: boolean,
): Record<string, string> {
  const { env } = probe;
  const settings: Record<string, string> = {
    // oneDNN's kernels: softmax and its gradient take less than half the time, nothing much more (docs/engines.md).
    TF_ENABLE_ONEDNN_OPTS: '1',
    // Kernels that sum in any order are replaced by, or fall back to, ones that give the same bits every time.
    TF_DETERMINISTIC_OPS: '1',
    TF_CUDNN_DETERMINISTIC: '1',
    TF_CPP_MIN_LOG_LEVEL: verbose ? '0' : '3',
  };
  if (device === 'cuda') {
    // TensorFlow would take the whole memory of every GPU it sees, and compute on the last one.
    settings.TF_FORCE_GPU_ALLOW_GROWTH = 'true';
    settings.CUDA_DEVICE_ORDER = 'PCI_BUS_ID';
    // TF32 keeps 10 bits of a factor's mantissa: too few for PyTorch's numbers.
    settings.NVIDIA_TF32_OVERRIDE = '0';
  }
  const result = Object.fromEntries(
    Object.entries(settings).filter(([name]) => env[name] === undefined || env[name] === ''),
  );
  // Always ours: one process computes on one GPU, or on none; and STMIXER_THREADS goes before TensorFlow's variable.
  result.CUDA_VISIBLE_DEVICES = device === 'cuda' ? (firstVisibleDevice(probe) ?? '0') : '-1';
  result.TF_NUM_INTRAOP_THREADS = String(threadCount(probe));
  return result;
}
