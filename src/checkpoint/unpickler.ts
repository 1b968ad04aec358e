/**
 * @file Reading Python pickles (protocols 0 to 5) without running anything of them.
 *
 * A pickle is a program for a small stack machine. Here its instructions only build data: names of classes and functions
 * stay names, and calling one gives what `callGlobal` makes of it (a handful of known PyTorch and NumPy helpers) or an
 * inert PyOpaque. Files come from the internet, so the memory a pickle may claim and the nesting of its result are bounded.
 */
import { PyOpaque, PyTuple, type PyValue } from '../util/python_values.js';
import type { ByteReader } from './file_source.js';
import { checkNesting } from './nesting.js';
import { OP } from './pickle_opcodes.js';
import { callGlobal, narrow, PyGlobal, setState } from './python_globals.js';

/**
 * Rough bytes of JavaScript values that one pickle may make; its tensors' data do not count. With the costs below it also
 * keeps every Map under the 2^24 entries that JavaScript allows.
 */
const MAX_MEMORY = 1 << 30;
const COST = { value: 16, string: 32, list: 72, dict: 240, object: 96, memo: 72 } as const;

/** Digits of an integer in text form, and bytes of a binary one: converting is quadratic in places. */
const MAX_INTEGER_BYTES = 4096;

/** Reads one pickle from where `reader` stands; it stands behind it afterwards. Throws CheckpointError. */
export function unpickle(reader: ByteReader, persistentLoad: (id: PyValue) => PyValue): PyValue {
  const value = new Unpickler(reader, persistentLoad).run();
  checkNesting(value, (why) => reader.fail(why));
  return value;
}

class Unpickler {
  readonly #stack: PyValue[] = [];
  /** Heights of the stack where MARK stood; nothing below the last one may be taken. */
  readonly #marks: number[] = [];
  #fence = 0;
  readonly #memo = new Map<number, PyValue>();
  #memory = 0;

  constructor(
    readonly reader: ByteReader,
    readonly persistentLoad: (id: PyValue) => PyValue,
  ) {}

  run(): PyValue {
    const { reader } = this;
    for (;;) {
      const op = reader.byte();
      switch (op) {
        case OP.STOP:
          return this.#pop();
        case OP.PROTO: {
          const protocol = reader.byte();
          if (protocol > 5) reader.fail(`pickle protocol ${protocol} is unknown`);
          break;
        }
        case OP.FRAME:
          reader.take(8);
          break;

        case OP.NONE:
          this.#push(null);
          break;
        case OP.NEWTRUE:
          this.#push(true);
          break;
        case OP.NEWFALSE:
          this.#push(false);
          break;
        case OP.BININT:
          this.#push(reader.take(4).readInt32LE());
          break;
        case OP.BININT1:
          this.#push(reader.byte());
          break;
        case OP.BININT2:
          this.#push(reader.take(2).readUInt16LE());
          break;
        case OP.LONG1:
          this.#push(this.#decodeLong(reader.take(reader.byte())));
          break;
        case OP.LONG4: {
          const length = reader.take(4).readUInt32LE();
          if (length > MAX_INTEGER_BYTES) reader.fail(`an integer of ${length} bytes`);
          this.#push(this.#decodeLong(reader.take(length)));
          break;
        }
        case OP.INT: {
          const text = this.#line();
          this.#push(text === '00' ? false : text === '01' ? true : this.#parseInteger(text));
          break;
        }
        case OP.LONG:
          this.#push(this.#parseInteger(this.#line().replace(/L$/, '')));
          break;
        case OP.BINFLOAT:
          this.#push(reader.take(8).readDoubleBE());
          break;
        case OP.FLOAT:
          this.#push(this.#parseFloat(this.#line()));
          break;

        case OP.BINUNICODE:
        case OP.BINSTRING:
          this.#pushString(reader.take(reader.take(4).readUInt32LE()).toString('utf8'));
          break;
        case OP.SHORT_BINUNICODE:
        case OP.SHORT_BINSTRING:
          this.#pushString(reader.take(reader.byte()).toString('utf8'));
          break;
        case OP.BINUNICODE8:
          this.#pushString(reader.take(this.#length8()).toString('utf8'));
          break;
        case OP.UNICODE:
          this.#pushString(unescapeText(this.#line(), /\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g));
          break;
        case OP.STRING: {
          const quoted = /^(['"])(.*)\1$/s.exec(this.#line());
          if (!quoted) return reader.fail('a string without quotes');
          this.#pushString(unescapeText(quoted[2], /\\x([0-9a-fA-F]{2})|\\(.)/g));
          break;
        }
        case OP.BINBYTES:
          this.#pushBytes(reader.take(4).readUInt32LE());
          break;
        case OP.SHORT_BINBYTES:
          this.#pushBytes(reader.byte());
          break;
        case OP.BINBYTES8:
        case OP.BYTEARRAY8:
          this.#pushBytes(this.#length8());
          break;

        case OP.EMPTY_LIST:
          this.#push([], COST.list);
          break;
        case OP.LIST:
          this.#push(this.#popMark(), COST.list);
          break;
        case OP.APPEND: {
          const item = this.#pop();
          this.#append([item]);
          break;
        }
        case OP.APPENDS:
        case OP.ADDITEMS:
          this.#append(this.#popMark());
          break;
        case OP.EMPTY_SET:
          this.#push(new PyOpaque('builtins.set', []), COST.object);
          break;
        case OP.FROZENSET:
          this.#push(new PyOpaque('builtins.frozenset', [this.#popMark()]), COST.object);
          break;
        case OP.EMPTY_TUPLE:
          this.#push(new PyTuple([]), COST.list);
          break;
        case OP.TUPLE:
          this.#push(new PyTuple(this.#popMark()), COST.list);
          break;
        case OP.TUPLE1:
        case OP.TUPLE2:
        case OP.TUPLE3:
          this.#push(new PyTuple(this.#popMany(op - OP.TUPLE1 + 1)), COST.list);
          break;
        case OP.EMPTY_DICT:
          this.#push(new Map(), COST.dict);
          break;
        case OP.DICT: {
          const items = this.#popMark();
          this.#push(new Map(), COST.dict);
          this.#setItems(items);
          break;
        }
        case OP.SETITEM:
          this.#setItems(this.#popMany(2));
          break;
        case OP.SETITEMS:
          this.#setItems(this.#popMark());
          break;

        case OP.MARK:
          this.#spend(COST.value);
          this.#fence = this.#stack.length;
          this.#marks.push(this.#fence);
          break;
        case OP.POP:
          // Python's own unpickler also drops a MARK this way.
          if (this.#stack.length > this.#fence) this.#pop();
          else this.#popMark();
          break;
        case OP.POP_MARK:
          this.#popMark();
          break;
        case OP.DUP:
          this.#push(this.#top());
          break;

        case OP.GET:
          this.#get(Number(this.#line()));
          break;
        case OP.BINGET:
          this.#get(reader.byte());
          break;
        case OP.LONG_BINGET:
          this.#get(reader.take(4).readUInt32LE());
          break;
        case OP.PUT:
          this.#put(Number(this.#line()));
          break;
        case OP.BINPUT:
          this.#put(reader.byte());
          break;
        case OP.LONG_BINPUT:
          this.#put(reader.take(4).readUInt32LE());
          break;
        case OP.MEMOIZE:
          this.#put(this.#memo.size);
          break;

        case OP.GLOBAL: {
          const module = this.#line();
          this.#push(new PyGlobal(module, this.#line()), COST.object);
          break;
        }
        case OP.STACK_GLOBAL: {
          const [module, name] = this.#popMany(2);
          if (typeof module !== 'string' || typeof name !== 'string')
            return reader.fail('a class without a name');
          this.#push(new PyGlobal(module, name), COST.object);
          break;
        }
        case OP.REDUCE:
        case OP.NEWOBJ: {
          const [callee, args] = this.#popMany(2);
          if (!(args instanceof PyTuple)) return reader.fail('a call without arguments');
          this.#call(callee, args.items);
          break;
        }
        case OP.NEWOBJ_EX: {
          const [callee, args, keywords] = this.#popMany(3);
          if (!(args instanceof PyTuple)) return reader.fail('a call without arguments');
          this.#call(callee, [...args.items, keywords]);
          break;
        }
        case OP.OBJ: {
          const [callee, ...args] = this.#popMark();
          this.#call(callee, args);
          break;
        }
        case OP.INST: {
          const module = this.#line();
          const name = this.#line();
          this.#call(new PyGlobal(module, name), this.#popMark());
          break;
        }
        case OP.BUILD: {
          const state = this.#pop();
          if (!setState(this.#top(), state)) reader.fail('attributes for a value that has none');
          break;
        }
        case OP.BINPERSID:
          this.#push(this.persistentLoad(this.#pop()), COST.object);
          break;
        case OP.PERSID:
          this.#push(this.persistentLoad(this.#line()), COST.object);
          break;

        default:
          reader.fail(`0x${op.toString(16)} is not a pickle instruction that a checkpoint has`);
      }
    }
  }

  #spend(bytes: number): void {
    this.#memory += bytes;
    if (this.#memory > MAX_MEMORY) this.reader.fail('its pickle would take too much memory');
  }

  #push(value: PyValue, cost: number = COST.value): void {
    this.#spend(cost);
    this.#stack.push(value);
  }

  #pushString(text: string): void {
    this.#push(text, COST.string + 2 * text.length);
  }

  #pushBytes(length: number): void {
    // A copy: a view would keep the whole window of the reader alive.
    const bytes = Uint8Array.from(this.reader.take(length));
    this.#push(bytes, COST.object + length);
  }

  #pop(): PyValue {
    if (this.#stack.length <= this.#fence) this.reader.fail('its stack is empty');
    return this.#stack.pop()!;
  }

  #popMany(count: number): PyValue[] {
    if (this.#stack.length - count < this.#fence) this.reader.fail('its stack is empty');
    return this.#stack.splice(-count);
  }

  #popMark(): PyValue[] {
    const start = this.#marks.pop() ?? this.reader.fail('a mark is missing');
    this.#fence = this.#marks.at(-1) ?? 0;
    return this.#stack.splice(start);
  }

  #top(): PyValue {
    if (this.#stack.length <= this.#fence) this.reader.fail('its stack is empty');
    return this.#stack.at(-1)!;
  }

  #get(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) this.reader.fail(`memo ${index} was never set`);
    this.#push(value);
  }

  #put(index: number): void {
    this.#spend(COST.memo);
    this.#memo.set(index, this.#top());
  }

  #append(items: PyValue[]): void {
    const target = this.#top();
    if (target instanceof PyOpaque && !(target instanceof PyGlobal)) target.contents ??= [];
    const list = target instanceof PyOpaque ? target.contents : target;
    if (!Array.isArray(list)) this.reader.fail('items for a value that is no list');
    for (const item of items) list.push(item);
  }

  #setItems(items: PyValue[]): void {
    const target = this.#top();
    if (target instanceof PyOpaque && !(target instanceof PyGlobal)) target.contents ??= new Map();
    const dict = target instanceof PyOpaque ? target.contents : target;
    if (!(dict instanceof Map)) this.reader.fail('entries for a value that is no dict');
    if (items.length % 2) this.reader.fail('a key without a value');
    for (let i = 0; i < items.length; i += 2) {
      if (Array.isArray(items[i]) || items[i] instanceof Map) this.reader.fail('a list or dict as a key');
      this.#spend(COST.memo);
      dict.set(items[i], items[i + 1]);
    }
  }

  #call(callee: PyValue, args: readonly PyValue[]): void {
    if (!(callee instanceof PyGlobal)) this.reader.fail('a call of something that is no function');
    this.#push(callGlobal(callee, args), COST.dict);
  }

  #line(): string {
    return this.reader.line().toString('latin1');
  }

  #length8(): number {
    return Number(this.reader.take(8).readBigUInt64LE());
  }

  /** Two's complement, little-endian. */
  #decodeLong(bytes: Buffer): number | bigint {
    if (bytes.length === 0) return 0;
    if (bytes.length <= 6) return bytes.readIntLE(0, bytes.length);
    const hex = Buffer.from(bytes).reverse().toString('hex');
    return narrow(BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex}`)));
  }

  #parseInteger(text: string): number | bigint {
    if (!/^[+-]?\d+$/.test(text) || text.length > MAX_INTEGER_BYTES)
      this.reader.fail('an integer that is none');
    return narrow(BigInt(text.replace('+', '')));
  }

  #parseFloat(text: string): number {
    if (text === 'nan') return Number.NaN;
    const value = Number(text.replace(/^([+-]?)inf$/, '$1Infinity') || 'nothing');
    return Number.isNaN(value) ? this.reader.fail('a float that is none') : value;
  }
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', '\n': '' };

function unescapeText(text: string, pattern: RegExp): string {
  return text.replace(pattern, (whole, first: string | undefined, second: string | undefined) => {
    const hex = first ?? (second && second.length === 8 ? second : undefined);
    if (hex !== undefined) {
      const code = Number.parseInt(hex, 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    }
    return ESCAPES[second!] ?? second!;
  });
}
