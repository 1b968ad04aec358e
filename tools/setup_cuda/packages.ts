/** @file NVIDIA's packages on the package index. */
import { basename } from 'node:path';
import type { CudaMajor } from '../../src/engine/cuda/libraries.js';
import type { EntryPicker } from '../setup_tensorflow/wheel.js';

export interface NvidiaPackage {
  /** As pip takes it. */
  readonly requirement: string;
  /** What it holds, for messages. */
  readonly title: string;
  /** Size of the wheel. */
  readonly megabytes: number;
  /** What is slower without it; null if nothing works. */
  readonly isFor: string | null;
}

/** The largest first, so that its wheel lies beside few other files. */
export function nvidiaPackages(major: CudaMajor): NvidiaPackage[] {
  const suffix = major === 12 ? '-cu12' : '';
  const bounds = major === 12 ? '>=12.8,<13' : '>=13.0,<14';
  return [
    { requirement: `nvidia-cudnn-cu${major}>=9.13,<10`, title: 'cuDNN', megabytes: 560, isFor: 'training' },
    { requirement: `nvidia-cublas${suffix}${bounds}`, title: 'cuBLAS', megabytes: 430, isFor: 'training' },
    {
      requirement: `nvidia-nccl-cu${major}>=2.14,<3`,
      title: 'NCCL',
      megabytes: 220,
      isFor: 'training on several GPUs',
    },
    { requirement: `nvidia-cuda-nvrtc${suffix}${bounds}`, title: 'NVRTC', megabytes: 90, isFor: null },
  ];
}

/** The wheel of a package among files; it may have any version. */
export function wheelOf({ requirement }: NvidiaPackage, files: readonly string[]): string | undefined {
  const name = requirement.split('>')[0].replaceAll('-', '_');
  return files.find((file) => basename(file).toLowerCase().startsWith(`${name}-`) && file.endsWith('.whl'));
}

/** Picks the libraries, such as `nvidia/cu13/lib/libnvrtc.so.13`; the alternative builds of NVRTC are not needed. */
export const pickLibraries: EntryPicker = (name) =>
  /^nvidia\/[^/]+\/lib\/[^/]+\.so(\.\d+)*$/.test(name) && !/\.alt\.so/.test(name) ? name : null;
