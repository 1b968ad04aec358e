/** @file A buffer of a GPU, which tensors of several shapes and types use one after the other. */
import type { OrtApi, Pointer } from '../c_api.js';
import type { TensorInfo } from '../model_format.js';
import type { PooledBuffer } from './buffer_pool.js';
import { type Place, tensorIn } from './ort_values.js';

export class GpuBuffer implements PooledBuffer {
  readonly #place: Place;
  /** OrtValues in the buffer. */
  readonly #views = new Map<TensorInfo, Pointer>();

  /** Takes over an OrtValue of `bytes` on the GPU, which owns the memory. */
  constructor(
    private readonly api: OrtApi,
    memoryInfo: Pointer,
    private readonly owner: Pointer,
    readonly bytes: number,
  ) {
    this.#place = { memoryInfo, data: api.create((out) => api.GetTensorMutableData(owner, out)), bytes };
  }

  /** Returns the OrtValue of a tensor at the beginning of the buffer. `info` must come from `sharedInfo`. */
  view(info: TensorInfo): Pointer {
    let view = this.#views.get(info);
    if (view === undefined) {
      view = tensorIn(this.api, this.#place, info);
      this.#views.set(info, view);
    }
    return view;
  }

  get numViews(): number {
    return this.#views.size;
  }

  release(): void {
    for (const view of this.#views.values()) this.api.ReleaseValue(view);
    this.#views.clear();
    this.api.ReleaseValue(this.owner);
  }
}
