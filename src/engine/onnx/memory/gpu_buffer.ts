/** @file A buffer of a GPU, which tensors of several shapes and types use one after the other. */
import type { OrtApi, Pointer } from '../c_api.js';
import { ELEMENT_TYPE, type TensorInfo } from '../model_format.js';
import type { HostArray } from '../tensor.js';
import type { PooledBuffer } from './buffer_pool.js';

/** A buffer that has more views than this drops them before its next use. */
const MAX_VIEWS = 64;

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

/** Keys of views. The results and temporaries of a graph are described by the same objects in every run. */
const keys = new WeakMap<TensorInfo, string>();

function keyOf(info: TensorInfo): string {
  let key = keys.get(info);
  if (key === undefined) {
    key = `${info.dtype}[${info.shape}]`;
    keys.set(info, key);
  }
  return key;
}

export class GpuBuffer implements PooledBuffer {
  readonly #place: Place;
  /** OrtValues in the buffer, by type and shape. */
  readonly #views = new Map<string, Pointer>();

  /** Takes over an OrtValue of `bytes` on the GPU, which owns the memory. */
  constructor(
    private readonly api: OrtApi,
    memoryInfo: Pointer,
    private readonly owner: Pointer,
    readonly bytes: number,
  ) {
    this.#place = { memoryInfo, data: api.create((out) => api.GetTensorMutableData(owner, out)), bytes };
  }

  /** Returns the OrtValue of a tensor at the beginning of the buffer. */
  view(info: TensorInfo): Pointer {
    const key = keyOf(info);
    let view = this.#views.get(key);
    if (view === undefined) {
      view = tensorIn(this.api, this.#place, info);
      this.#views.set(key, view);
    }
    return view;
  }

  /** Drops the views of earlier uses if they are many. */
  limitViews(): void {
    if (this.#views.size > MAX_VIEWS) this.#releaseViews();
  }

  release(): void {
    this.#releaseViews();
    this.api.ReleaseValue(this.owner);
  }

  #releaseViews(): void {
    for (const view of this.#views.values()) this.api.ReleaseValue(view);
    this.#views.clear();
  }
}
