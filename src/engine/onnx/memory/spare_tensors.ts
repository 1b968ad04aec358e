/** @file Small tensors of a GPU that are kept after their release, because making one takes longer than an operation on it. */
import { DTYPE_BYTES, sizeOf } from '../../../formats/host_tensor.js';
import type { ValueInfo } from '../../lazy/value.js';
import type { Pointer } from '../c_api.js';

/** Larger tensors are few, and ONNX Runtime can use their memory for others. */
const MAX_BYTES = 2 ** 20;
/** Bytes that are kept in all. */
const MAX_TOTAL_BYTES = 2 ** 27;

interface Kind {
  readonly bytes: number;
  readonly values: Pointer[];
}

/** OrtValues of undefined content, by type and shape. */
export class SpareTensors {
  readonly #kinds = new Map<string, Kind>();
  /** The results of a run are described by the same objects each time. */
  readonly #known = new WeakMap<ValueInfo, Kind>();
  #bytes = 0;

  /** Returns a tensor, or null if there is none. */
  take(info: ValueInfo): Pointer | null {
    const kind = this.#kindOf(info);
    const value = kind.values.pop();
    if (value === undefined) return null;
    this.#bytes -= kind.bytes;
    return value;
  }

  /** Keeps a tensor, unless it is large or there are enough. */
  keep(value: Pointer, info: ValueInfo): boolean {
    const kind = this.#kindOf(info);
    if (kind.bytes > MAX_BYTES || this.#bytes + kind.bytes > MAX_TOTAL_BYTES) return false;
    kind.values.push(value);
    this.#bytes += kind.bytes;
    return true;
  }

  #kindOf(info: ValueInfo): Kind {
    let kind = this.#known.get(info);
    if (kind) return kind;
    const key = `${info.dtype}[${info.shape}]`;
    kind = this.#kinds.get(key) ?? { bytes: sizeOf(info.shape) * DTYPE_BYTES[info.dtype], values: [] };
    this.#kinds.set(key, kind);
    this.#known.set(info, kind);
    return kind;
  }
}
