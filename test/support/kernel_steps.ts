/** @file Runs kernels that are written by hand on the stand-in for CUDA. */
import type { Storage } from '../../src/engine/cuda/storage.js';
import { check, download, functionOf, launch, loadModule, start, upload } from '../cuda_on_cpu/bindings.js';
import type { KernelArgument, RunKernel } from './cuda_interpreter.js';

let isStarted = false;

/** Runs a kernel on the CPU; its arguments are copied to device memory and back. */
export const runOnCpu: RunKernel = ({ source, grid, block }, args) => {
  if (!isStarted) start();
  isStarted = true;
  const kernel = functionOf(loadModule(source('kernel_step')), 'kernel_step');
  const addresses = args.map((argument) => upload(bytesOf(argument)));
  check(launch(kernel, { grid, block, args: addresses }));
  for (const [i, argument] of args.entries()) readBack(argument, addresses[i]);
};

/** An array on memory that does not move. */
const arrayOf = (storage: Storage, length: number) => {
  if (storage === 'float32') return new Float32Array(new ArrayBuffer(4 * length));
  if (storage === 'int32') return new Int32Array(new ArrayBuffer(4 * length));
  return storage === 'bool'
    ? new Uint8Array(new ArrayBuffer(length))
    : new Uint16Array(new ArrayBuffer(2 * length));
};

function bytesOf({ elements, storage }: KernelArgument) {
  const array = arrayOf(storage, elements.length);
  if (storage !== 'bfloat16') array.set(elements);
  else array.set(new Uint32Array(Float32Array.from(elements).buffer).map((bits) => bits >>> 16));
  return array;
}

function readBack({ elements, storage }: KernelArgument, address: number): void {
  const array = download(arrayOf(storage, elements.length), address);
  if (storage !== 'bfloat16') elements.set(array);
  else elements.set(new Float32Array(Uint32Array.from(array, (bits) => bits << 16).buffer));
}
