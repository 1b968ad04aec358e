/** @file Tensors made of others without reading them first: some rows of a tensor, or several tensors in one. */
import { byteLengthOf, type HostTensor, piecesOf } from './host_tensor.js';

/** The rows from `begin` to before `end` of a tensor. */
export function rowsOf(tensor: HostTensor, begin: number, end: number): HostTensor {
  const [rows, ...others] = tensor.shape;
  if (!(begin >= 0 && begin <= end && end <= rows))
    throw new RangeError(`rows ${begin} to ${end} of ${rows}`);
  const rowBytes = byteLengthOf({ dtype: tensor.dtype, shape: others });
  return {
    dtype: tensor.dtype,
    shape: [end - begin, ...others],
    bytes: () => tensor.bytes().subarray(begin * rowBytes, end * rowBytes),
  };
}

/** Tensors of one dtype, one after the other along the first axis. Their other axes must be equal. */
export function joined(tensors: readonly HostTensor[]): HostTensor {
  const [{ dtype, shape }] = tensors;
  const whole: HostTensor = {
    dtype,
    shape: [tensors.reduce((sum, tensor) => sum + tensor.shape[0], 0), ...shape.slice(1)],
    bytes() {
      const bytes = new Uint8Array(byteLengthOf(whole));
      let at = 0;
      for (const tensor of tensors) {
        const part = tensor.bytes();
        bytes.set(part, at);
        at += part.length;
      }
      return bytes;
    },
    *pieces() {
      for (const tensor of tensors) yield* piecesOf(tensor);
    },
  };
  return whole;
}
