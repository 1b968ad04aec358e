/**
 * @file The stack machine that runs a pickle: stack, marks and memo, with bounds on the memory that a file may take.
 *
 * Own code instead of a pickle library: none bounds the memory and nesting of a hostile file, and none leaves classes uncalled.
 */
import type { ByteReader } from '../byte_reader.js';
import { NumpyArray, withState } from '../numpy/array.js';
import { StoredBytes, StoredText } from '../numpy/array_data.js';
import { PyFloat, PyOpaque, PyTuple, type PyValue } from '../python/values.js';
import { TensorBudget } from '../tensor_budget.js';
import { callGlobal, isOddNumber, MAX_SMALL_INTEGER, PyGlobal, setState } from './globals.js';

/**
 * Approximate bytes of JavaScript values that one pickle may make, without the data of its tensors. With the costs below it
 * also keeps every Map under the 2^24 entries that JavaScript allows.
 */
const MAX_MEMORY = 256 * 1024 * 1024;

/** Numbers that are not small integers in one pickle. Their buckets in a Map can be predicted, and so made to collide. */
const MAX_ODD_KEYS = 1000;

export const COST = { value: 16, string: 32, list: 72, dict: 240, object: 96, memo: 72 } as const;

/** Data of an array that are longer stay in the file. */
const MAX_ARRAY_BYTES_IN_MEMORY = 4096;

/** The encoding of Python 2's strings, which may be texts or bytes. */
export type StringEncoding = 'utf8' | 'latin1';

export interface MachineOptions {
  /** Makes floats that are whole numbers a PyFloat. */
  readonly keepFloats: boolean;
  readonly strings: StringEncoding;
}

export class PickleMachine {
  readonly #stack: PyValue[] = [];
  /** Heights of the stack at each MARK. Values below the last one cannot be taken. */
  readonly #marks: number[] = [];
  #fence = 0;
  readonly #memo = new Map<number, PyValue>();
  #memory = 0;
  #oddKeys = 0;
  readonly #budget: TensorBudget;

  constructor(
    readonly reader: ByteReader,
    readonly persistentLoad: (id: PyValue) => PyValue,
    private readonly options: MachineOptions,
  ) {
    this.#budget = new TensorBudget(reader.file);
  }

  /** Counts the bytes of an array's tensor. Throws CheckpointError if all of the file's are too many. */
  spend(bytes: number): void {
    this.#budget.spend(bytes);
  }

  /** Throws CheckpointError, with the current position in the file. */
  fail(why: string): never {
    this.reader.fail(why);
  }

  #spend(bytes: number): void {
    this.#memory += bytes;
    if (this.#memory > MAX_MEMORY) this.reader.fail('its pickle would take too much memory');
  }

  push(value: PyValue, cost: number = COST.value): void {
    this.#spend(cost);
    this.#stack.push(value);
  }

  pushFloat(value: number): void {
    this.push(this.options.keepFloats && Number.isInteger(value) ? new PyFloat(value) : value, COST.string);
  }

  pushString(text: string): void {
    this.push(text, COST.string + 2 * text.length);
  }

  /** Reads the next `length` bytes as UTF-8. */
  pushText(length: number): void {
    if (this.#staysInFile(length)) this.#pushStoredText(length);
    else this.#pushText(length, 'utf8');
  }

  /** Reads the next `length` bytes as a string of Python 2. */
  pushPython2String(length: number): void {
    if (this.#staysInFile(length)) this.#pushStoredBytes(length);
    else this.#pushText(length, this.#isArrayData() ? 'latin1' : this.options.strings);
  }

  #pushText(length: number, encoding: StringEncoding): void {
    this.#claim(COST.string + 2 * length, length);
    this.#stack.push(this.reader.take(length).toString(encoding));
  }

  pushBytes(length: number): void {
    if (this.#staysInFile(length)) {
      this.#pushStoredBytes(length);
      return;
    }
    this.#claim(COST.object + length, length);
    // A copy: a view would keep the whole window of the reader alive.
    this.#stack.push(Uint8Array.from(this.reader.take(length)));
  }

  #staysInFile(length: number): boolean {
    return length > MAX_ARRAY_BYTES_IN_MEMORY && this.#isArrayData();
  }

  #pushStoredBytes(length: number): void {
    const { file, position } = this.reader;
    this.reader.skip(length);
    this.push(new StoredBytes(file, position, length), COST.object);
  }

  #pushStoredText(length: number): void {
    const { file, position } = this.reader;
    this.reader.skip(length);
    const text = StoredText.at(file, position, length) ?? this.fail('the data of an array are a text');
    this.push(text, COST.object);
  }

  /**
   * Whether the next string or bytes are the data of an array: the fifth value of its state, alone or as the argument of
   * ENCODE, or the first argument of FROM_BUFFER.
   */
  #isArrayData(): boolean {
    const before = this.#stack[this.#fence - 1];
    const values = this.#stack.length - this.#fence;
    if (before instanceof NumpyArray)
      return values === 4 || (values === 5 && isGlobal(this.#stack.at(-1), ENCODE));
    if (values > 0 || !(before instanceof PyGlobal)) return false;
    // Protocols 0 and 1 make every tuple with a mark.
    const outer = this.#marks.at(-2) ?? 0;
    const isInState = this.#stack[outer - 1] instanceof NumpyArray && this.#fence - outer === 5;
    return isGlobal(before, FROM_BUFFER) || (isGlobal(before, ENCODE) && isInState);
  }

  /** Spends memory before anything is read. Missing bytes fail when they are taken. */
  #claim(bytes: number, length: number): void {
    if (length <= this.reader.remaining) this.#spend(bytes);
  }

  top(): PyValue {
    if (this.#stack.length <= this.#fence) this.reader.fail('its stack is empty');
    return this.#stack.at(-1)!;
  }

  pop(): PyValue {
    if (this.#stack.length <= this.#fence) this.reader.fail('its stack is empty');
    return this.#stack.pop()!;
  }

  popMany(count: number): PyValue[] {
    if (this.#stack.length - count < this.#fence) this.reader.fail('its stack is empty');
    return this.#stack.splice(-count);
  }

  mark(): void {
    this.#spend(COST.value);
    this.#fence = this.#stack.length;
    this.#marks.push(this.#fence);
  }

  /** Takes everything above the last mark. */
  popMark(): PyValue[] {
    const start = this.#marks.pop() ?? this.reader.fail('a mark is missing');
    this.#fence = this.#marks.at(-1) ?? 0;
    return this.#stack.splice(start);
  }

  /** Removes the topmost value or mark, as Python does. */
  drop(): void {
    if (this.#stack.length > this.#fence) this.pop();
    else this.popMark();
  }

  get(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) this.reader.fail(`memo ${index} was never set`);
    this.push((value instanceof NumpyArray && value.tensor) || value);
  }

  /** Stores the topmost value in the memo. Pickles count from 0; scattered indices are an attack that makes a Map slow. */
  put(index: number): void {
    this.#spend(COST.memo);
    if (!(index >= 0 && index < MAX_SMALL_INTEGER)) this.reader.fail(`memo index ${index}`);
    this.#memo.set(index, this.top());
  }

  memoize(): void {
    this.put(this.#memo.size);
  }

  /** Adds items to the list on top of the stack, or to an object of a subclass of list or set. */
  append(items: PyValue[]): void {
    const target = this.top();
    if (target instanceof PyOpaque && !(target instanceof PyGlobal)) target.contents ??= [];
    const list = target instanceof PyOpaque ? target.contents : target;
    if (!Array.isArray(list)) this.reader.fail('items for a value that is no list');
    for (const item of items) list.push(item);
  }

  /** Adds alternating keys and values to the dict on top of the stack, or to an object of a subclass of dict. */
  setItems(items: PyValue[]): void {
    const target = this.top();
    if (target instanceof PyOpaque && !(target instanceof PyGlobal)) target.contents ??= new Map();
    const dict = target instanceof PyOpaque ? target.contents : target;
    if (!(dict instanceof Map)) this.reader.fail('entries for a value that is no dict');
    if (items.length % 2) this.reader.fail('a key without a value');
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      if (Array.isArray(key) || key instanceof Map) this.reader.fail('a list or dict as a key');
      if (isOddNumber(key) && ++this.#oddKeys > MAX_ODD_KEYS) this.reader.fail('too many numbers as keys');
      this.#spend(COST.memo);
      dict.set(key, items[i + 1]);
    }
  }

  pushGlobal(module: PyValue, name: PyValue): void {
    if (typeof module !== 'string' || typeof name !== 'string') this.reader.fail('a class without a name');
    this.push(new PyGlobal(module, name), COST.object + 2 * (module.length + name.length));
  }

  /** Pushes the result of a call, which `callGlobal` imitates without running code. */
  call(callee: PyValue, args: PyValue | readonly PyValue[]): void {
    if (!(callee instanceof PyGlobal)) this.reader.fail('a call of something that is no function');
    const items = args instanceof PyTuple ? args.items : args;
    if (!Array.isArray(items)) this.reader.fail('a call without arguments');
    this.#spend(COST.dict + weightOf(items, 2));
    this.#stack.push(callGlobal(callee, items, this));
  }

  /** Gives the value below the topmost one the topmost one as its attributes. */
  build(): void {
    const state = this.pop();
    const target = this.top();
    if (target instanceof NumpyArray) {
      this.#spend(COST.dict + weightOf([state], 2));
      this.#stack[this.#stack.length - 1] = withState(target, state, this);
    } else if (!setState(target, state)) this.fail('attributes for a value that has none');
  }
}

const ENCODE = '_codecs.encode';
const FROM_BUFFER = 'numpy.core.numeric._frombuffer';

function isGlobal(value: PyValue | undefined, name: string): boolean {
  return value instanceof PyGlobal && value.className === name;
}

/** Approximate bytes that a call may copy of its arguments, and of arguments in an argument: see `_rebuild_from_type_v2`. */
function weightOf(args: readonly PyValue[], levels: number): number {
  let weight = 0;
  for (const value of args) {
    weight += COST.value;
    if (typeof value === 'string') weight += 2 * value.length;
    else if (value instanceof Uint8Array) weight += value.length;
    else if (value instanceof Map) weight += COST.memo * value.size;
    else if (Array.isArray(value)) weight += COST.memo * value.length;
    else if (value instanceof PyTuple) {
      weight += levels > 1 ? weightOf(value.items, levels - 1) : COST.memo * value.items.length;
    }
  }
  return weight;
}
