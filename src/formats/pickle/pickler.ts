/**
 * @file Writes Python values as a pickle of protocol 2, in the subset that torch.load(weights_only=True) accepts.
 *
 * Own code: no library writes tensors as PyTorch does.
 */
import { CheckpointError } from '../../errors.js';
import { type HostTensor, isHostTensor, sizeOf } from '../host_tensor.js';
import { STORAGE_CLASS } from '../pth/torch_storage.js';
import { PyFloat, PyOpaque, PyTuple, type PyValue } from '../python/values.js';
import { MAX_NESTING } from './nesting.js';
import { OP } from './opcodes.js';

/** Maximum bytes of a long integer in one instruction. */
const MAX_INTEGER_BYTES = 255;

/**
 * The pickle of a value, and its tensors. Tensor n is the whole of the storage with key n in the pickle. Strings, containers
 * and tensors that occur again are written once. Throws CheckpointError for a value that no checkpoint can hold: inert
 * objects of other classes, values that contain themselves or nest deeper than MAX_NESTING, integers over 255 bytes.
 */
export function pickle(value: PyValue): { bytes: Buffer; tensors: HostTensor[] } {
  const pickler = new Pickler();
  pickler.op(OP.PROTO, 2);
  pickler.value(value, 'the value', 0);
  pickler.op(OP.STOP);
  return { bytes: pickler.bytes(), tensors: pickler.tensors };
}

class Pickler {
  readonly tensors: HostTensor[] = [];
  #buffer = Buffer.alloc(1 << 16);
  #length = 0;
  /** Memo index of every string, global and object that was written. */
  readonly #memo = new Map<unknown, number>();
  readonly #open = new Set<object>();

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  op(...bytes: number[]): void {
    const at = this.#grow(bytes.length);
    for (const [i, byte] of bytes.entries()) this.#buffer[at + i] = byte;
  }

  value(value: PyValue | undefined, where: string, depth: number): void {
    if (value === null) this.op(OP.NONE);
    else if (typeof value === 'boolean') this.op(value ? OP.NEWTRUE : OP.NEWFALSE);
    else if (typeof value === 'number') this.#number(value);
    else if (typeof value === 'bigint') this.#integer(value, where);
    else if (typeof value === 'string') this.#string(value);
    else if (value instanceof PyFloat) this.#float(value.value);
    else if (value instanceof PyOpaque || typeof value !== 'object') {
      const what = value instanceof PyOpaque ? `an object of class ${value.className}` : typeof value;
      throw new CheckpointError(`${where} is ${what}, which cannot be written to a checkpoint`);
    } else if (!this.#recall(value)) this.#object(value, where, depth);
  }

  #object(value: PyValue & object, where: string, depth: number): void {
    if (depth >= MAX_NESTING)
      throw new CheckpointError(`${where}: values nest more than ${MAX_NESTING} deep`);
    if (this.#open.has(value)) throw new CheckpointError(`${where} contains itself`);
    this.#open.add(value);
    if (isHostTensor(value)) this.#tensor(value);
    else if (value instanceof Uint8Array) this.#bytes(value);
    else if (value instanceof PyTuple) {
      this.op(OP.MARK);
      for (const [i, item] of value.items.entries()) this.value(item, `${where}[${i}]`, depth + 1);
      this.op(OP.TUPLE);
    } else if (Array.isArray(value)) {
      this.op(OP.EMPTY_LIST, OP.MARK);
      for (const [i, item] of value.entries()) this.value(item, `${where}[${i}]`, depth + 1);
      this.op(OP.APPENDS);
    } else {
      this.op(OP.EMPTY_DICT, OP.MARK);
      for (const [key, item] of value instanceof Map ? value : Object.entries(value)) {
        const place = `${where}[${typeof key === 'string' ? `'${key}'` : String(key)}]`;
        this.value(key, place, depth + 1);
        this.value(item, place, depth + 1);
      }
      this.op(OP.SETITEMS);
    }
    this.#open.delete(value);
    this.#remember(value);
  }

  #tensor(tensor: HostTensor): void {
    const count = sizeOf(tensor.shape);
    const strides = tensor.shape.map((_, axis) => sizeOf(tensor.shape.slice(axis + 1)));
    this.#global('torch._utils', '_rebuild_tensor_v2');
    this.op(OP.MARK);
    this.op(OP.MARK);
    this.#string('storage');
    this.#global('torch', STORAGE_CLASS[tensor.dtype]);
    this.#string(String(this.tensors.length));
    this.#string('cpu');
    this.#number(count);
    this.op(OP.TUPLE, OP.BINPERSID);
    this.#number(0);
    this.#numbers(tensor.shape);
    this.#numbers(strides);
    this.op(OP.NEWFALSE);
    this.#global('collections', 'OrderedDict');
    this.op(OP.EMPTY_TUPLE, OP.REDUCE);
    this.op(OP.TUPLE, OP.REDUCE);
    this.tensors.push(tensor);
  }

  /** Protocol 2 has no bytes, so Python writes them as text with one character per byte. */
  #bytes(bytes: Uint8Array): void {
    this.#global('_codecs', 'encode');
    this.op(OP.MARK);
    this.#string(Buffer.from(bytes).toString('latin1'));
    this.#string('latin1');
    this.op(OP.TUPLE, OP.REDUCE);
  }

  #numbers(items: readonly number[]): void {
    this.op(OP.MARK);
    for (const item of items) this.#number(item);
    this.op(OP.TUPLE);
  }

  /** Writes exact whole numbers as ints and all others as floats. */
  #number(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) this.#float(value);
    else if (value >= 0 && value < 0x100) this.op(OP.BININT1, value);
    else if (value === (value | 0)) {
      this.op(OP.BININT);
      const at = this.#grow(4);
      this.#buffer.writeInt32LE(value, at);
    } else this.#integer(BigInt(value), '');
  }

  #float(value: number): void {
    this.op(OP.BINFLOAT);
    const at = this.#grow(8);
    this.#buffer.writeDoubleBE(value, at);
  }

  #integer(value: bigint, where: string): void {
    const magnitude = value < 0n ? -value - 1n : value;
    const length = Math.floor(magnitude.toString(2).length / 8) + 1;
    if (length > MAX_INTEGER_BYTES) {
      throw new CheckpointError(`${where} is an integer of ${length} bytes, too large for a checkpoint`);
    }
    this.op(OP.LONG1, length);
    const at = this.#grow(length);
    let rest = BigInt.asUintN(8 * length, value);
    for (let i = 0; i < length; i++, rest >>= 8n) this.#buffer[at + i] = Number(rest & 0xffn);
  }

  #string(text: string): void {
    if (this.#recall(text)) return;
    const bytes = Buffer.from(text);
    this.op(OP.BINUNICODE);
    const at = this.#grow(4 + bytes.length);
    this.#buffer.writeUInt32LE(bytes.length, at);
    this.#buffer.set(bytes, at + 4);
    this.#remember(text);
  }

  #global(module: string, name: string): void {
    const line = `${module}\n${name}\n`;
    // A symbol, so that it is not the string of the same text.
    const key = Symbol.for(line);
    if (this.#recall(key)) return;
    this.op(OP.GLOBAL);
    const at = this.#grow(line.length);
    this.#buffer.write(line, at, 'latin1');
    this.#remember(key);
  }

  #remember(key: unknown): void {
    const index = this.#memo.size;
    this.#memo.set(key, index);
    this.#indexed(OP.BINPUT, OP.LONG_BINPUT, index);
  }

  #recall(key: unknown): boolean {
    const index = this.#memo.get(key);
    if (index !== undefined) this.#indexed(OP.BINGET, OP.LONG_BINGET, index);
    return index !== undefined;
  }

  #indexed(short: number, long: number, index: number): void {
    if (index < 0x100) this.op(short, index);
    else {
      this.op(long);
      const at = this.#grow(4);
      this.#buffer.writeUInt32LE(index, at);
    }
  }

  /** Makes room for `count` more bytes and returns their offset. */
  #grow(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(2 * this.#buffer.length, this.#length));
      larger.set(this.#buffer.subarray(0, at));
      this.#buffer = larger;
    }
    return at;
  }
}
