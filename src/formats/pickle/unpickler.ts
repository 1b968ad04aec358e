/**
 * @file Reads Python pickles (protocols 0 to 5) without running any code of them.
 *
 * A pickle is a program for a small stack machine. Here its instructions only build data: names of classes and functions
 * stay names, and calling one gives the result of `callGlobal` for a few known PyTorch and NumPy helpers, or else an inert
 * PyOpaque. Files come from the internet, so the memory of a pickle and the nesting of its result are bounded. Own code,
 * since no library has these bounds.
 */

import type { ByteReader } from '../byte_reader.js';
import { narrow } from '../python/integers.js';
import { PyOpaque, PyTuple, type PyValue } from '../python/values.js';
import { COST, PickleMachine, type StringEncoding } from './machine.js';
import { checkNesting } from './nesting.js';
import { OP } from './opcodes.js';

const MAX_PROTOCOL = 5;

/** Maximum digits of an integer in text form, and bytes of a binary one: conversion takes quadratic time. */
const MAX_INTEGER_BYTES = 4096;

export interface ReadOptions {
  /** Returns floats that are whole numbers as PyFloat, so that the value can be written again. */
  readonly keepFloats?: boolean;
}

interface UnpickleOptions extends ReadOptions {
  /** The encoding of Python 2's strings; by default UTF-8, as PyTorch reads them. */
  readonly strings?: StringEncoding;
}

/**
 * Reads one pickle from the position of `reader`, which is then after the pickle. Throws
 * CheckpointError.
 */
export function unpickle(
  reader: ByteReader,
  persistentLoad: (id: PyValue) => PyValue,
  { keepFloats = false, strings = 'utf8' }: UnpickleOptions = {},
): PyValue {
  const machine = new PickleMachine(reader, persistentLoad, { keepFloats, strings });
  for (let op = reader.byte(); op !== STOP; op = reader.byte()) {
    const run = TABLE[op] ?? reader.fail(`0x${op.toString(16)} is no instruction of a checkpoint's pickle`);
    run(machine, reader);
  }
  const value = machine.pop();
  checkNesting(value, (why) => reader.fail(why));
  return value;
}

const STOP = OP.STOP;

type Instruction = (machine: PickleMachine, reader: ByteReader) => void;

const INSTRUCTIONS: Partial<Record<keyof typeof OP, Instruction>> = {
  PROTO: (_, reader) => {
    const protocol = reader.byte();
    if (protocol > MAX_PROTOCOL) reader.fail(`pickle protocol ${protocol} is unknown`);
  },
  FRAME: (_, reader) => {
    reader.take(8);
  },

  NONE: (machine) => machine.push(null),
  NEWTRUE: (machine) => machine.push(true),
  NEWFALSE: (machine) => machine.push(false),
  BININT: (machine, reader) => machine.push(reader.take(4).readInt32LE()),
  BININT1: (machine, reader) => machine.push(reader.byte()),
  BININT2: (machine, reader) => machine.push(reader.take(2).readUInt16LE()),
  LONG1: (machine, reader) => pushLong(machine, reader, reader.byte()),
  LONG4: (machine, reader) => {
    const length = reader.take(4).readUInt32LE();
    if (length > MAX_INTEGER_BYTES) reader.fail(`an integer of ${length} bytes`);
    pushLong(machine, reader, length);
  },
  INT: (machine, reader) => {
    const text = lineOf(reader);
    if (text === '00' || text === '01') machine.push(text === '01');
    else pushInteger(machine, reader, text);
  },
  LONG: (machine, reader) => pushInteger(machine, reader, lineOf(reader).replace(/L$/, '')),
  BINFLOAT: (machine, reader) => machine.pushFloat(reader.take(8).readDoubleBE()),
  FLOAT: (machine, reader) => machine.pushFloat(parseFloatText(lineOf(reader), reader)),

  BINUNICODE: (machine, reader) => machine.pushText(reader.take(4).readUInt32LE()),
  SHORT_BINUNICODE: (machine, reader) => machine.pushText(reader.byte()),
  BINUNICODE8: (machine, reader) => machine.pushText(length8(reader)),
  BINSTRING: (machine, reader) => machine.pushPython2String(reader.take(4).readUInt32LE()),
  SHORT_BINSTRING: (machine, reader) => machine.pushPython2String(reader.byte()),
  UNICODE: (machine, reader) => machine.pushString(unescapeUnicode(lineOf(reader))),
  STRING: (machine, reader) => {
    const quoted = /^(['"])(.*)\1$/s.exec(lineOf(reader)) ?? reader.fail('a string without quotes');
    machine.pushString(unescapeString(quoted[2]));
  },
  BINBYTES: (machine, reader) => machine.pushBytes(reader.take(4).readUInt32LE()),
  SHORT_BINBYTES: (machine, reader) => machine.pushBytes(reader.byte()),
  BINBYTES8: (machine, reader) => machine.pushBytes(length8(reader)),
  BYTEARRAY8: (machine, reader) => machine.pushBytes(length8(reader)),

  EMPTY_LIST: (machine) => machine.push([], COST.list),
  LIST: (machine) => machine.push(machine.popMark(), COST.list),
  APPEND: (machine) => machine.append([machine.pop()]),
  APPENDS: (machine) => machine.append(machine.popMark()),
  EMPTY_SET: (machine) => machine.push(new PyOpaque('builtins.set', []), COST.object),
  ADDITEMS: (machine) => machine.append(machine.popMark()),
  FROZENSET: (machine) => machine.push(new PyOpaque('builtins.frozenset', [machine.popMark()]), COST.object),
  EMPTY_TUPLE: (machine) => machine.push(new PyTuple([]), COST.list),
  TUPLE: (machine) => machine.push(new PyTuple(machine.popMark()), COST.list),
  TUPLE1: (machine) => machine.push(new PyTuple(machine.popMany(1)), COST.list),
  TUPLE2: (machine) => machine.push(new PyTuple(machine.popMany(2)), COST.list),
  TUPLE3: (machine) => machine.push(new PyTuple(machine.popMany(3)), COST.list),
  EMPTY_DICT: (machine) => machine.push(new Map(), COST.dict),
  DICT: (machine) => {
    const items = machine.popMark();
    machine.push(new Map(), COST.dict);
    machine.setItems(items);
  },
  SETITEM: (machine) => machine.setItems(machine.popMany(2)),
  SETITEMS: (machine) => machine.setItems(machine.popMark()),

  MARK: (machine) => machine.mark(),
  POP: (machine) => machine.drop(),
  POP_MARK: (machine) => {
    machine.popMark();
  },
  DUP: (machine) => machine.push(machine.top()),
  GET: (machine, reader) => machine.get(Number(lineOf(reader))),
  BINGET: (machine, reader) => machine.get(reader.byte()),
  LONG_BINGET: (machine, reader) => machine.get(reader.take(4).readUInt32LE()),
  PUT: (machine, reader) => machine.put(Number(lineOf(reader))),
  BINPUT: (machine, reader) => machine.put(reader.byte()),
  LONG_BINPUT: (machine, reader) => machine.put(reader.take(4).readUInt32LE()),
  MEMOIZE: (machine) => machine.memoize(),

  GLOBAL: (machine, reader) => machine.pushGlobal(lineOf(reader), lineOf(reader)),
  STACK_GLOBAL: (machine) => {
    const [module, name] = machine.popMany(2);
    machine.pushGlobal(module, name);
  },
  REDUCE: call,
  NEWOBJ: call,
  NEWOBJ_EX: (machine) => {
    const [callee, args, keywords] = machine.popMany(3);
    machine.call(callee, args instanceof PyTuple ? [...args.items, keywords] : args);
  },
  OBJ: (machine) => {
    const [callee, ...args] = machine.popMark();
    machine.call(callee, args);
  },
  INST: (machine, reader) => {
    const args = machine.popMark();
    machine.pushGlobal(lineOf(reader), lineOf(reader));
    machine.call(machine.pop(), args);
  },
  BUILD: (machine) => machine.build(),
  BINPERSID: (machine) => machine.push(machine.persistentLoad(machine.pop()), COST.dict),
  PERSID: (machine, reader) => machine.push(machine.persistentLoad(lineOf(reader)), COST.dict),
};

/** The instructions by opcode. */
const TABLE: (Instruction | undefined)[] = [];
for (const [name, run] of Object.entries(INSTRUCTIONS)) TABLE[OP[name as keyof typeof OP]] = run;

function call(machine: PickleMachine): void {
  const [callee, args] = machine.popMany(2);
  machine.call(callee, args);
}

function lineOf(reader: ByteReader): string {
  return reader.line().toString('latin1');
}

function length8(reader: ByteReader): number {
  return Number(reader.take(8).readBigUInt64LE());
}

function pushLong(machine: PickleMachine, reader: ByteReader, length: number): void {
  machine.push(decodeLong(reader.take(length)), COST.value + length);
}

/** A number in two's complement, little-endian. */
function decodeLong(bytes: Buffer): number | bigint {
  if (bytes.length === 0) return 0;
  if (bytes.length <= 6) return bytes.readIntLE(0, bytes.length);
  const hex = Buffer.from(bytes).reverse().toString('hex');
  return narrow(BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex}`)));
}

function pushInteger(machine: PickleMachine, reader: ByteReader, text: string): void {
  if (!/^[+-]?\d+$/.test(text) || text.length > MAX_INTEGER_BYTES) reader.fail('an integer that is none');
  machine.push(narrow(BigInt(text.replace('+', ''))), COST.value + text.length);
}

function parseFloatText(text: string, reader: ByteReader): number {
  if (text === 'nan') return Number.NaN;
  const value = Number(text.replace(/^([+-]?)inf$/, '$1Infinity') || 'nothing');
  return Number.isNaN(value) ? reader.fail('a float that is none') : value;
}

/** Decodes Python's raw-unicode-escape. */
function unescapeUnicode(text: string): string {
  return text.replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, (whole, short, long) => {
    const code = Number.parseInt(short ?? long, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t' };

/** Decodes the escapes of a string's repr in Python 2. */
function unescapeString(text: string): string {
  return text.replace(/\\x([0-9a-fA-F]{2})|\\(.)/g, (_, hex, character) =>
    hex ? String.fromCharCode(Number.parseInt(hex, 16)) : (ESCAPES[character] ?? character),
  );
}
