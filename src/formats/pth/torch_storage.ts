/** @file PyTorch's storages, the flat arrays that hold the data of a checkpoint's tensors. */
import type { FileSource } from '../../files/file_source.js';
import { crc32OfRange, DamagedDataError } from '../checksum.js';
import { DTYPE_BYTES, type DType } from '../host_tensor.js';
import { PyOpaque } from '../python/values.js';
import type { TensorBudget } from '../tensor_budget.js';

/** Element types by the class of their storage. A type without tensors here has only a size. */
const STORAGES = new Map<string, { bytes: number; dtype?: DType }>([
  ...(
    [
      ['Double', 'float64'],
      ['Float', 'float32'],
      ['Half', 'float16'],
      ['BFloat16', 'bfloat16'],
      ['Long', 'int64'],
      ['Int', 'int32'],
      ['Short', 'int16'],
      ['Char', 'int8'],
      ['Byte', 'uint8'],
      ['Bool', 'bool'],
      ['Untyped', 'uint8'],
    ] as const
  ).map(([name, dtype]) => [`${name}Storage`, { bytes: DTYPE_BYTES[dtype], dtype }] as const),
  ['ComplexFloatStorage', { bytes: 8 }],
  ['ComplexDoubleStorage', { bytes: 16 }],
  ['QInt8Storage', { bytes: 1 }],
  ['QUInt8Storage', { bytes: 1 }],
  ['QUInt4x2Storage', { bytes: 1 }],
  ['QUInt2x4Storage', { bytes: 1 }],
  ['QInt32Storage', { bytes: 4 }],
]);

/** PyTorch's storage class for each type. */
export const STORAGE_CLASS = Object.fromEntries(
  [...STORAGES].flatMap(([name, { dtype }]) => (dtype && name !== 'UntypedStorage' ? [[dtype, name]] : [])),
) as Record<DType, string>;

/** Element type of `torch.FloatStorage`, `torch.cuda.FloatStorage`, `torch.storage.UntypedStorage`, … */
export function storageType(className: string): { bytes: number; dtype?: DType } | null {
  const [root, ...path] = className.split('.');
  return (root === 'torch' && STORAGES.get(path.at(-1) ?? '')) || null;
}

/** The place of a storage's data in the file. */
export interface StoragePlace {
  readonly offset: number;
  /** Bytes of the data that `crc32` covers. */
  readonly length: number;
  /** Null if none was recorded. */
  readonly crc32: number | null;
}

/** The file of a storage and the storage's place in it. */
export interface StorageSource {
  readonly file: FileSource;
  readonly budget: TensorBudget;
  readonly elementBytes: number;
  readonly elementType: DType | undefined;
  /** Called only when data are read, because a legacy file lists the places after all its pickles. */
  readonly place: () => StoragePlace;
}

/** A storage as a pickle describes it. */
export interface StorageInfo {
  readonly key: string;
  /** Number of elements. */
  readonly length: number;
  readonly source: StorageSource;
  /** First element within the data in the file; default 0. Only the legacy format has views of storages. */
  readonly start?: number;
}

/** A storage of a checkpoint file. Apart from the tensors made of it, it is an inert object. */
export class Storage extends PyOpaque {
  readonly key: string;
  /** Number of elements. */
  readonly length: number;
  readonly source: StorageSource;
  /** First element within the data in the file. */
  readonly start: number;
  #isVerified = false;

  constructor(className: string, { key, length, source, start = 0 }: StorageInfo) {
    super(className, [key]);
    this.key = key;
    this.length = length;
    this.source = source;
    this.start = start;
  }

  get byteLength(): number {
    return this.length * this.source.elementBytes;
  }

  /** Throws CheckpointError if a checksum was recorded and differs from this one. */
  compare(crc: number): void {
    const expected = this.source.place().crc32;
    if (expected === null || crc === expected) return;
    throw new DamagedDataError(
      `${this.source.file.path}: damaged: the data of storage ${this.key} do not match their checksum`,
    );
  }

  /** Compares the whole storage with its checksum, once. */
  verify(): void {
    const { offset, length, crc32: expected } = this.source.place();
    if (this.#isVerified || expected === null) return;
    this.compare(crc32OfRange(this.source.file, offset, length));
    this.#isVerified = true;
  }
}
