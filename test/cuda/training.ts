/** @file Training of a small model on the cuda engine and the stand-in. */
import { readdirSync } from 'node:fs';
import { startCudaOnCpu } from '../cuda_on_cpu/start.js';
import { TinyTraining } from '../support/tiny_training.js';

/** Half of the tiny model, so that g++ compiles half as many kernels. */
const MODEL = { 'ViT.DEPTH': 1, 'MODEL.STM.NUM_STAGES': 1 };

/** Steps after which nothing is compiled, captured or allocated any more for clips of one size. */
export const WARM_UP = 8;

export const smallTraining = () => new TinyTraining(MODEL);

/** One iteration on a clip of 32 × 32. Returns its losses. */
export async function step(training: TinyTraining): Promise<number[]> {
  const { terms, total, gradNorm } = await training.step(32, 32);
  return [total, gradNorm, ...terms.values()];
}

/** The losses of so many iterations. */
export async function steps(training: TinyTraining, count: number): Promise<number[][]> {
  const losses: number[][] = [];
  for (let n = 0; n < count; n++) losses.push(await step(training));
  return losses;
}

/** Starts the engine with settings of the stand-in, such as CUDA_ON_CPU_MEMORY. */
export function startWith(variables: Readonly<Record<string, string>> = {}) {
  Object.assign(process.env, variables);
  return startCudaOnCpu();
}

/** Open files of this process: libraries of kernels and all else. */
export const openFiles = () => readdirSync('/proc/self/fd').length;
