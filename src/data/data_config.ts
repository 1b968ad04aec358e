/** @file The part of the configuration that the data code reads. */
import { resolve } from 'node:path';
import type { Config } from '../config/index.js';

export type DataConfig = Pick<Config, 'DATA' | 'AVA' | 'DATALOADER' | 'MODEL' | 'SOLVER' | 'TEST'>;

/** Clips in the batch of one training step. */
export function clipsPerStep({ SOLVER }: Pick<Config, 'SOLVER'>): number {
  return SOLVER.VIDEOS_PER_BATCH * SOLVER.ACCUMULATE;
}

/** The path of a file in AVA.ANNOTATION_DIR. */
export function annotationPath({ DATA, AVA }: Pick<Config, 'DATA' | 'AVA'>, name: string): string {
  return resolve(DATA.PATH_TO_DATA_DIR, AVA.ANNOTATION_DIR, name);
}

export type Split = 'train' | 'test';
