/** @file Builds the tensors of a program. The lowerings of the recorded operations use it. */
import { sizeOf } from '../../../formats/host_tensor.js';
import type { LazyDtype } from '../../lazy/value.js';
import type { Storage } from '../storage.js';
import type { Call, Step } from './call.js';
import type { Expr, ExprType } from './expr.js';
import { ExprPool } from './expr_pool.js';
import {
  CHUNK,
  type Definition,
  type ReduceOperator,
  type RowProgram,
  type RowReduction,
  type Tensor,
  type View,
} from './tensor.js';

/** Shape, type and storage of a tensor; it is stored as its type by default. */
export interface TensorInfo {
  readonly shape: readonly number[];
  readonly dtype: LazyDtype;
  readonly storage?: Storage;
}

/** Elements that 32-bit indices can count. */
const MAX_SIZE = 2 ** 31 - 1;
/** Elements that one thread adds up, at most, before a sum is split into parts that are added up later. */
const SERIAL_COUNT = 128;
/** Elements that one thread adds up of a sum that is split, at least. */
const MIN_SERIAL_COUNT = 32;
/** Terms from which on a sum of all of them takes whole blocks. */
const MIN_CHUNKED = 16;
/** Results from which on a reduction has enough threads without being split. */
const MANY_RESULTS = 2 ** 14;
/** Threads up to which a reduction is split: as many as a large GPU runs at a time, so that enough loads are under way. */
const MAX_THREADS = 2 ** 17;
/** Parts of a result, at most: a block adds them up. */
const MAX_PARTS = 2 ** 13;
/** Parts from which on a warp or a block adds up those of a result together. */
const MIN_ROW_PARTS = 32;

/** The expressions of a row, for the results of a row program. */
export interface Row {
  readonly r: Expr;
  readonly c: Expr;
  /** The number of the element (r, c). */
  readonly element: Expr;
  /** Sum over the row. */
  sum(body: Expr): Expr;
  /** Maximum over the row; NaN if there is one. */
  max(body: Expr): Expr;
}

/** A result of a row program: an element for each (r, c), or with `isPerRow` for each r. */
export interface RowResult extends TensorInfo {
  readonly isPerRow?: boolean;
  readonly body: Expr;
}

export class Builder {
  readonly pool = new ExprPool();
  /** All tensors in the order in which they were made. */
  readonly tensors: Tensor[] = [];
  /** Tensors in another storage, by their ids and that storage, so that each is converted once. */
  readonly #stored = new Map<string, View>();
  /** The operation that is being lowered, for messages. */
  label = '';

  input(index: number, info: TensorInfo): View {
    return this.#add(info, { kind: 'input', index });
  }

  /** A tensor whose element `i`, in row-major order, is `body(i)`. */
  map(info: TensorInfo, body: (i: Expr) => Expr): View {
    const i = this.pool.index('i', sizeOf(info.shape));
    return this.#add(info, { kind: 'map', i, body: body(i).cast(exprTypeOf(info.dtype)) });
  }

  /** A tensor whose element `o` is a reduction of `body(o, k)` over `k` in [0, count). */
  reduce(
    info: TensorInfo,
    { operator, count }: { readonly operator: ReduceOperator; readonly count: number },
    body: (o: Expr, k: Expr) => Expr,
  ): View {
    const size = sizeOf(info.shape);
    if (operator !== 'argMax' && size === 1 && count > MIN_CHUNKED)
      return this.#inChunks(info, { operator, count }, body);
    const parts = operator === 'argMax' ? 1 : partsOf(size, count);
    if (operator === 'argMax' || parts === 1) return this.#reduction(info, { operator, count }, body);
    const length = Math.ceil(count / parts);
    const partial = this.#reduction(
      { shape: [parts, ...info.shape], dtype: info.dtype },
      { operator, count: length },
      (p, k) => {
        const place = p.div(size).mul(length).add(k);
        if (parts * length === count) return body(p.mod(size), place);
        const isInside = place.lt(count);
        const element = body(p.mod(size), isInside.select(place, 0));
        return isInside.select(element, neutral(operator, element));
      },
    );
    const element = (o: Expr, k: Expr) => this.load(partial, k.mul(size).add(o));
    if (parts < MIN_ROW_PARTS) return this.#reduction(info, { operator, count: parts }, element);
    const [result] = this.rows(size, parts, ({ r, c, ...row }) => [
      { ...info, isPerRow: true, body: row[operator](element(r, c)) },
    ]);
    return result;
  }

  /** A reduction of many terms to one number, in chunks whose results are reduced again. */
  #inChunks(
    info: TensorInfo,
    { operator, count }: { readonly operator: 'sum' | 'max'; readonly count: number },
    body: (o: Expr, k: Expr) => Expr,
  ): View {
    const chunks = Math.ceil(count / CHUNK);
    const o = this.pool.index('o', chunks);
    const k = this.pool.index('k', count);
    const reduction = { operator, count, o, k, body: body(this.int(0), k), isInChunks: true };
    const shape = chunks === 1 ? info.shape : [chunks];
    const result = this.#add({ ...info, shape }, { kind: 'reduce', reduction });
    if (chunks === 1) return result;
    return this.#inChunks(info, { operator, count: chunks }, (_, part) => this.load(result, part));
  }

  /** Computes rows of `width` elements; `program` returns the results. */
  rows(rows: number, width: number, program: (row: Row) => readonly RowResult[]): View[] {
    const r = this.pool.index('r', rows);
    const c = this.pool.index('c', width);
    const reductions: RowReduction[] = [];
    const reduce = (operator: 'sum' | 'max') => (body: Expr) => {
      const result = this.pool.variable(`s${reductions.length}`, body.type);
      reductions.push({ operator, body, result });
      return result;
    };
    const element = r.mul(width).add(c);
    const results = program({ r, c, element, sum: reduce('sum'), max: reduce('max') });
    const row: RowProgram = {
      rows,
      width,
      r,
      c,
      reductions,
      results: results.map(({ isPerRow = false, body }) => ({ isPerRow, body })),
    };
    return results.map((info, result) => this.#add(info, { kind: 'row', row, result }));
  }

  /** Adds a call that fills these results. */
  call(results: readonly TensorInfo[], steps: readonly Step[]): View[] {
    const tensors: Tensor[] = [];
    const call: Call = { steps, results: tensors };
    const views = results.map((info, result) => this.#add(info, { kind: 'call', call, result }));
    tensors.push(...views.map(({ tensor }) => tensor));
    return views;
  }

  /** The element of a tensor with this number, which must be in range. */
  load({ tensor }: View, index: Expr): Expr {
    return this.pool.load(tensor, index);
  }

  int(value: number): Expr {
    return this.pool.constant(value, 'int');
  }

  float(value: number): Expr {
    return this.pool.constant(value, 'float');
  }

  /** The same elements in another shape. */
  reshape({ tensor }: View, shape: readonly number[]): View {
    if (sizeOf(shape) !== tensor.size)
      throw new Error(`${tensor.size} elements do not have shape [${shape}]`);
    return { tensor, shape };
  }

  /** The tensor in this storage, which may be itself. */
  stored(view: View, storage: Storage): View {
    const { tensor, shape } = view;
    if (tensor.storage === storage) return view;
    const key = `${tensor.id} ${storage}`;
    const known = this.#stored.get(key);
    if (known) return this.reshape(known, shape);
    const converted = this.map({ shape, dtype: tensor.dtype, storage }, (i) => this.load(view, i));
    this.#stored.set(key, converted);
    return converted;
  }

  #reduction(
    info: TensorInfo,
    { operator, count }: { readonly operator: ReduceOperator; readonly count: number },
    body: (o: Expr, k: Expr) => Expr,
  ): View {
    const o = this.pool.index('o', sizeOf(info.shape));
    const k = this.pool.index('k', count);
    return this.#add(info, { kind: 'reduce', reduction: { operator, count, o, k, body: body(o, k) } });
  }

  #add({ shape, dtype, storage = dtype }: TensorInfo, definition: Definition): View {
    const size = sizeOf(shape);
    if (size > MAX_SIZE) throw new Error(`a tensor of shape [${shape}] has more than ${MAX_SIZE} elements`);
    const { label } = this;
    const tensor: Tensor = { id: this.tensors.length, size, dtype, storage, definition, label };
    this.tensors.push(tensor);
    return { tensor, shape };
  }
}

export function exprTypeOf(dtype: LazyDtype): ExprType {
  return dtype === 'float32' ? 'float' : dtype === 'int32' ? 'int' : 'bool';
}

/** Number of parts that a reduction is split into, so that there are enough threads. */
function partsOf(size: number, count: number): number {
  if (size >= MANY_RESULTS || count <= SERIAL_COUNT || size === 0) return 1;
  return Math.min(Math.ceil(count / MIN_SERIAL_COUNT), Math.ceil(MAX_THREADS / size), MAX_PARTS);
}

/** What a reduction may add without a change. */
function neutral(operator: ReduceOperator, { type, pool }: Expr): Expr {
  if (operator === 'sum') return pool.constant(0, type);
  if (type === 'float') return pool.constant(Number.NEGATIVE_INFINITY, 'float');
  return pool.constant(type === 'int' ? -(2 ** 31) : 0, type);
}
