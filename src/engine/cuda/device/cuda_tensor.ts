/** @file Tensors in the memory of a GPU. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { bytesOf } from '../../../util/bytes.js';
import type { Address } from '../../../util/native/native.js';
import type { DeviceMemory, LazyDtype } from '../../lazy/value.js';
import type { EngineTensor, HostArray, TensorMemory } from '../../record/tensor.js';
import { ELEMENT_BYTES, type Storage } from '../storage.js';
import { fromBfloat16, toBfloat16 } from './bfloat16.js';
import type { CudaDevice } from './device.js';
import type { Block } from './region.js';

const HOST_ARRAY = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

/** The parts of a device that tensors use. */
export type TensorDevice = Pick<CudaDevice, 'allocate' | 'upload' | 'download' | 'downloadSync'>;

/** A tensor on a GPU. A float32 tensor may be stored in bfloat16; the host reads and writes float32. */
export class CudaTensor implements EngineTensor {
  #block: Block | null;
  #isDonated = false;
  readonly dtype: LazyDtype;
  readonly size: number;

  constructor(
    private readonly device: TensorDevice,
    readonly shape: readonly number[],
    readonly storage: Storage,
    block: Block,
  ) {
    this.#block = block;
    this.dtype = storage === 'bfloat16' ? 'float32' : storage;
    this.size = sizeOf(shape);
  }

  /** How the content is stored, where that differs from the dtype. */
  get layout(): string | undefined {
    return this.storage === 'bfloat16' ? this.storage : undefined;
  }

  get bytes(): number {
    return this.size * ELEMENT_BYTES[this.storage];
  }

  /** Throws after `release`. */
  get address(): Address {
    return this.#held.address;
  }

  /** Waits for the GPU. */
  read(): HostArray {
    return this.#toHost(this.device.downloadSync(this.#held, this.bytes));
  }

  /** The tensor may be released before the promise resolves. */
  async readAsync(): Promise<HostArray> {
    return this.#toHost(await this.device.download(this.#held, this.bytes));
  }

  /** Null if the elements are not stored as float32. */
  deviceMemory(): DeviceMemory | null {
    if (this.storage !== 'float32') return null;
    const block = this.#held;
    return { address: block.address, length: this.size, hold: () => block.hold() };
  }

  /** Always null: the content is never on the host. */
  peek(): null {
    return null;
  }

  /** Copies `data`, which may change afterwards. Throws TypeError if its type or length does not fit. */
  write(data: HostArray): void {
    if (!(data instanceof HOST_ARRAY[this.dtype]) || data.length !== this.size)
      throw new TypeError(
        `${data.constructor.name}(${data.length}) for a tensor ${this.dtype} [${this.shape}]`,
      );
    const stored = this.storage === 'bfloat16' ? toBfloat16(data as Float32Array) : data;
    this.device.upload(this.#held, bytesOf(stored));
  }

  lend(data: HostArray): void {
    this.write(data);
  }

  /** Gives the memory back. Throws the second time. */
  release(): void {
    if (this.#isDonated) this.#isDonated = false;
    else this.#held.release();
    this.#block = null;
  }

  /** Gives the memory to another tensor. This one can only be released afterwards. */
  donate(): Block {
    const block = this.#held;
    this.#block = null;
    this.#isDonated = true;
    return block;
  }

  get #held(): Block {
    if (!this.#block) throw new Error('a tensor on the GPU was used after its release');
    return this.#block;
  }

  /** `bytes` must be a whole array buffer. */
  #toHost(bytes: Uint8Array): HostArray {
    if (this.storage === 'bfloat16') return fromBfloat16(new Uint16Array(bytes.buffer, 0, this.size));
    return new HOST_ARRAY[this.storage](bytes.buffer as ArrayBuffer, 0, this.size);
  }
}

/** Makes tensors on a device, each stored as its dtype. */
export class CudaTensorMemory implements TensorMemory {
  constructor(private readonly device: TensorDevice) {}

  allocate(shape: readonly number[], dtype: LazyDtype): CudaTensor {
    return new CudaTensor(
      this.device,
      shape,
      dtype,
      this.device.allocate(sizeOf(shape) * ELEMENT_BYTES[dtype]),
    );
  }
}
