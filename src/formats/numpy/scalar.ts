/** @file Single numbers of NumPy, such as learning rates of its schedules, as plain numbers. */
import { elementsOf } from '../host_tensor.js';
import { narrow } from '../python/integers.js';
import type { PyValue } from '../python/values.js';
import { NumpyDtype } from './dtype.js';

/** The value of `numpy.core.multiarray.scalar(dtype, data)`; undefined if it is no number. */
export function numpyScalar(dtype: PyValue | undefined, data: PyValue | undefined): PyValue | undefined {
  if (!(dtype instanceof NumpyDtype)) return undefined;
  // Python 2 pickled the bytes as text.
  const bytes = typeof data === 'string' ? Uint8Array.from(Buffer.from(data, 'latin1')) : data;
  if (!(bytes instanceof Uint8Array) || bytes.length !== Number(dtype.code.slice(1))) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = !dtype.bigEndian;
  switch (dtype.code) {
    case 'f8':
      return view.getFloat64(0, little);
    case 'f4':
      return view.getFloat32(0, little);
    case 'f2': {
      const half = Uint16Array.of(view.getUint16(0, little));
      return elementsOf({ dtype: 'float16', shape: [1], bytes: () => new Uint8Array(half.buffer) })[0];
    }
    case 'i8':
      return narrow(view.getBigInt64(0, little));
    case 'u8':
      return narrow(view.getBigUint64(0, little));
    case 'i4':
      return view.getInt32(0, little);
    case 'u4':
      return view.getUint32(0, little);
    case 'i2':
      return view.getInt16(0, little);
    case 'u2':
      return view.getUint16(0, little);
    case 'i1':
      return view.getInt8(0);
    case 'u1':
      return view.getUint8(0);
    case 'b1':
      return view.getUint8(0) !== 0;
  }
  return undefined;
}
