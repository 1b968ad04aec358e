/** @file NumPy's element types, by their codes in pickles. */
import type { DType } from '../host_tensor.js';
import { PyOpaque, PyTuple, type PyValue } from '../python/values.js';

/** The bytes of an element in the file, and the type of a tensor that holds all its values. */
export interface ElementType {
  readonly bytes: number;
  readonly dtype: DType;
}

const TYPES: Readonly<Record<string, ElementType>> = {
  f8: { bytes: 8, dtype: 'float64' },
  f4: { bytes: 4, dtype: 'float32' },
  f2: { bytes: 2, dtype: 'float16' },
  i8: { bytes: 8, dtype: 'int64' },
  i4: { bytes: 4, dtype: 'int32' },
  i2: { bytes: 2, dtype: 'int16' },
  i1: { bytes: 1, dtype: 'int8' },
  u1: { bytes: 1, dtype: 'uint8' },
  b1: { bytes: 1, dtype: 'bool' },
  // Tensors have no such types, so the numbers take more bytes there.
  u2: { bytes: 2, dtype: 'int32' },
  u4: { bytes: 4, dtype: 'int64' },
};

/** What the elements of other types are, by the first letter of the code. */
const OTHER_TYPES: Readonly<Record<string, string>> = {
  O: 'objects',
  S: 'texts',
  a: 'texts',
  U: 'texts',
  T: 'texts',
  V: 'records',
  c: 'complex numbers',
  M: 'dates',
  m: 'durations',
};

/** `numpy.dtype('f8')`. */
export class NumpyDtype extends PyOpaque {
  /** The kind and the bytes of an element, for example `f8`. */
  readonly code: string;
  bigEndian: boolean;
  #isPlain = true;

  constructor(args: readonly PyValue[]) {
    super('numpy.dtype', args);
    const text = typeof args[0] === 'string' ? args[0] : '';
    this.code = text.replace(/^[<>=|]/, '');
    this.bigEndian = text.startsWith('>');
  }

  /** Takes the state of its pickle: version, byte order, the type of sub-arrays, names and types of fields, and more. */
  setState(state: PyValue): void {
    const [, order, part, names, fields] = state instanceof PyTuple ? state.items : [];
    this.bigEndian = order === '>';
    this.#isPlain = [part, names, fields].every((value) => value === null || value === undefined);
  }

  /** The type of the elements; null if no tensor can hold them. */
  get elementType(): ElementType | null {
    return this.#isPlain && Object.hasOwn(TYPES, this.code) ? TYPES[this.code] : null;
  }

  /** What the elements are, in words. */
  get title(): string {
    if (!this.#isPlain) return OTHER_TYPES.V;
    const [kind = ''] = this.code;
    return Object.hasOwn(OTHER_TYPES, kind) ? OTHER_TYPES[kind] : `numbers of the type ${this.code}`;
  }
}
