/** @file The part of the configuration that the data code reads; the whole `Config` satisfies it. */
import { resolve } from 'node:path';

export interface DataConfig {
  readonly DATA: {
    readonly PATH_TO_DATA_DIR: string;
    readonly NUM_FRAMES: number;
    readonly SAMPLING_RATE: number;
    readonly MEAN: readonly number[];
    readonly STD: readonly number[];
    readonly TRAIN_MIN_SCALES: readonly number[];
    readonly TEST_MIN_SCALES: readonly number[];
    readonly RANDOM_FLIP: boolean;
    readonly REVERSE_INPUT_CHANNEL: boolean;
    readonly DATASETS: readonly string[];
  };
  readonly AVA: {
    readonly FPS: number;
    readonly FRAME_DIR: string;
    readonly FRAME_LIST_DIR: string;
    readonly ANNOTATION_DIR: string;
    readonly TRAIN_LISTS: readonly string[];
    readonly TEST_LISTS: readonly string[];
    readonly TRAIN_GT_BOX_LISTS: readonly string[];
    readonly TEST_GT_BOX_LISTS: readonly string[];
    readonly BGR: boolean;
    readonly TRAIN_USE_COLOR_AUGMENTATION: boolean;
    readonly TRAIN_PCA_JITTER_ONLY: boolean;
    readonly TRAIN_PCA_EIGVAL: readonly number[];
    readonly TRAIN_PCA_EIGVEC: readonly (readonly number[])[];
    readonly TEST_FORCE_FLIP: boolean;
  };
  readonly DATALOADER: {
    readonly NUM_WORKERS: number;
    readonly SIZE_DIVISIBILITY: number;
    readonly ASPECT_RATIO_GROUPING: boolean;
    readonly ON_ERROR: 'stop' | 'skip';
  };
  readonly MODEL: { readonly STM: { readonly ACTION_CLASSES: number } };
  readonly SOLVER: {
    readonly MAX_EPOCH: number;
    readonly ITER_PER_EPOCH: number;
    readonly VIDEOS_PER_BATCH: number;
    readonly ACCUMULATE: number;
  };
  readonly TEST: { readonly VIDEOS_PER_BATCH: number };
}

/** Clips that one training step learns from: the batch that the loader makes. */
export function clipsPerStep({ SOLVER }: Pick<DataConfig, 'SOLVER'>): number {
  return SOLVER.VIDEOS_PER_BATCH * SOLVER.ACCUMULATE;
}

/** The path of a file in AVA.ANNOTATION_DIR. */
export function annotationPath(
  cfg: {
    readonly DATA: { readonly PATH_TO_DATA_DIR: string };
    readonly AVA: { readonly ANNOTATION_DIR: string };
  },
  name: string,
): string {
  return resolve(cfg.DATA.PATH_TO_DATA_DIR, cfg.AVA.ANNOTATION_DIR, name);
}

export type Split = 'train' | 'test';
