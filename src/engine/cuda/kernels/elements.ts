/** @file What lowerings have in common: results whose elements are computed one by one. */
import { sizeOf } from '../../../formats/host_tensor.js';
import type { LazyDtype, ValueInfo } from '../../lazy/value.js';
import { type Builder, exprTypeOf, type TensorInfo } from '../ir/builder.js';
import type { Expr } from '../ir/expr.js';
import type { View } from '../ir/tensor.js';
import type { Storage } from '../storage.js';

/** A tensor whose element `i` is `body(i)`. Without elements it reads nothing, because its operands may have none either. */
export function elementsOf(builder: Builder, info: TensorInfo, body: (i: Expr) => Expr): View {
  return builder.map(info, sizeOf(info.shape) === 0 ? () => builder.int(0) : body);
}

/** A result that is stored in `storage` if it is of float32. */
export function storedIn(storage: Storage, { shape, dtype }: ValueInfo): TensorInfo {
  return { shape, dtype, storage: dtype === 'float32' ? storage : dtype };
}

/** A result of elements of `sources`, of any number each: in bfloat16 if all of them are. */
export function storedLike(sources: readonly View[], result: ValueInfo): TensorInfo {
  return storedIn(
    sources.every(({ tensor }) => tensor.storage === 'bfloat16') ? 'bfloat16' : 'float32',
    result,
  );
}

/** A number, and a boolean as 0 or 1. */
export const asNumber = (x: Expr): Expr => (x.type === 'bool' ? x.cast('int') : x);

/** A number as an element of a tensor of this type. */
export const constantOf = (builder: Builder, value: number, dtype: LazyDtype): Expr =>
  builder.pool.constant(value, exprTypeOf(dtype));
