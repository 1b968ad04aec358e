/** @file Bounds on the bytes of all tensors of a file, which may share stored data and expand it. */
import { CheckpointError } from '../errors.js';
import type { FileSource } from '../files/file_source.js';

const MAX_SHARING = 16;
const MAX_EXPANSION = 512 * 1024 * 1024;

/** Counts the bytes of a file's tensors, so that reading all of them takes bounded time. */
export class TensorBudget {
  #left: number;

  constructor(private readonly file: FileSource) {
    this.#left = MAX_SHARING * file.size + MAX_EXPANSION;
  }

  spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left >= 0) return;
    throw new CheckpointError(
      `${this.file.path}: damaged: its tensors claim more than ${MAX_SHARING} times the file's ${this.file.size} bytes`,
    );
  }
}
