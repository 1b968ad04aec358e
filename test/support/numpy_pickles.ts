/** @file Pickles of NumPy's arrays: those that numpy_pickles.py wrote, and ones made here with any data and any lies. */
import { readFileSync } from 'node:fs';
import { pickleOf, text } from './checkpoint_files.js';

/** A pickle that Python wrote. */
export interface WrittenPickle {
  /** `Python 3`, `Python 2` or `cPickle of Python 2`. */
  readonly writer: string;
  readonly protocol: number;
  /** What it holds. */
  readonly title: string;
  readonly bytes: Buffer;
}

/** The pickles of numpy_pickles.txt. */
export const WRITTEN_PICKLES: readonly WrittenPickle[] = readFileSync(
  new URL('numpy_pickles.txt', import.meta.url),
  'utf8',
)
  .trimEnd()
  .split('\n')
  .map((line) => {
    const [writer, protocol, title, base64] = line.split('\t');
    return { writer, protocol: Number(protocol), title, bytes: Buffer.from(base64, 'base64') };
  });

/** A part of a pickle, as `pickleOf` takes it. */
type Part = string | number[] | Uint8Array;

export interface ArraySpec {
  /** For example `f4`. */
  readonly code: string;
  /** `<`, `>` or `|`. */
  readonly order?: string;
  readonly shape: readonly number[];
  readonly isFortran?: boolean;
  /** Instructions that push the data. */
  readonly data: Part;
}

const length4 = (length: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(length);
  return bytes;
};

const sizes = (shape: readonly number[]) =>
  pickleOf('(', ...shape.map((size) => pickleOf('J', length4(size >>> 0))), 't');

/** Pushes bytes as Python writes them: as a string of Python 2, as bytes, as text that is encoded, or as a bytearray. */
export const pushed = {
  python2: (data: Uint8Array) => pickleOf('T', length4(data.length), data),
  bytes: (data: Uint8Array) => pickleOf('B', length4(data.length), data),
  text: (data: Uint8Array) =>
    pickleOf('c_codecs\nencode\n', text(Buffer.from(data).toString('latin1')), text('latin1'), [0x86], 'R'),
  /** Protocols 0 and 1 have no tuples without a mark. */
  markedText: (data: Uint8Array) =>
    pickleOf('c_codecs\nencode\n(', text(Buffer.from(data).toString('latin1')), text('latin1'), 'tR'),
  bytearray: (data: Uint8Array) => pickleOf([0x96], length4(data.length), length4(0), data),
};

/** `numpy.dtype(code)` with its state. */
export function dtypePickle(code: string, order = '<'): Buffer {
  const state = pickleOf(
    '(K',
    [3],
    text(order),
    'NNNJ',
    [255, 255, 255, 255],
    'J',
    [255, 255, 255, 255],
    'K',
    [0],
    't',
  );
  return pickleOf('cnumpy\ndtype\n', text(code), [0x89, 0x88, 0x87], 'R', state, 'b');
}

/** An array of `_reconstruct` with its state. */
export function arrayPickle({ code, order, shape, isFortran = false, data }: ArraySpec): Buffer {
  return pickleOf(
    'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK',
    [0, 0x85],
    text('b'),
    [0x87],
    'R(K',
    [1],
    sizes(shape),
    dtypePickle(code, order),
    [isFortran ? 0x88 : 0x89],
    data,
    'tb',
  );
}

/** An array of `_frombuffer`, as protocol 5 has them. */
export function bufferPickle({ code, order, shape, isFortran = false, data }: ArraySpec): Buffer {
  const letter = text(isFortran ? 'F' : 'C');
  return pickleOf(
    'cnumpy.core.numeric\n_frombuffer\n(',
    data,
    dtypePickle(code, order),
    sizes(shape),
    letter,
    'tR',
  );
}
