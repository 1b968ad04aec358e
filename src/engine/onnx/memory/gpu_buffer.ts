/** @file A buffer of a GPU, which tensors of several shapes and types use one after the other. */
import type { OrtApi, Pointer } from '../c_api.js';
import { ELEMENT_TYPE, type TensorInfo } from '../model_format.js';
import type { HostArray } from '../tensor.js';
import type { PooledBuffer } from './buffer_pool.js';

/** Memory on the host or a GPU. */
interface Place {
  readonly memoryInfo: Pointer;
  /** Address of the memory, or the array that owns it. */
  readonly data: Pointer | HostArray;
  readonly bytes: number;
}

/** Makes an OrtValue of a tensor in memory that it does not own. */
export function tensorIn(
  api: OrtApi,
  { memoryInfo, data, bytes }: Place,
  { shape, dtype }: TensorInfo,
): Pointer {
  const dimensions = BigInt64Array.from(shape.length ? shape : [0], BigInt);
  const type = ELEMENT_TYPE[dtype];
  return api.create((out) =>
    api.CreateTensorWithDataAsOrtValue(memoryInfo, data, bytes, dimensions, shape.length, type, out),
  );
}

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
