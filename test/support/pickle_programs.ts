/** @file Arbitrary pickles: values as Python writes them, and instructions that no Python would write among them. */
import fc from 'fast-check';
import { OP } from '../../src/formats/pickle/opcodes.js';
import { int, pickleOf, tensorPickle, text } from './checkpoint_files.js';
import { arrayPickle, bufferPickle, pushed } from './numpy_pickles.js';

const GLOBALS = [
  'torch._utils\n_rebuild_tensor_v2',
  'torch._utils\n_rebuild_tensor_v3',
  'torch._utils\n_rebuild_parameter',
  'torch._tensor\n_rebuild_from_type_v2',
  'torch\nSize',
  'torch\nFloatStorage',
  'torch\nfloat16',
  'collections\nOrderedDict',
  'collections\nCounter',
  '_codecs\nencode',
  'builtins\nbytearray',
  'numpy\ndtype',
  'numpy.core.multiarray\nscalar',
  'numpy.core.multiarray\n_reconstruct',
  'numpy.core.numeric\n_frombuffer',
  'numpy\nndarray',
  'copy_reg\n_reconstructor',
  'os\nsystem',
];

const small = fc.nat(6);
const extent = fc.oneof(small, fc.constantFrom(-1, 2 ** 31 - 1, 2 ** 40, 2 ** 53 - 1));

const tensor = fc
  .record({
    type: fc.constantFrom(
      'FloatStorage',
      'HalfStorage',
      'LongStorage',
      'BoolStorage',
      'ComplexFloatStorage',
      'XStorage',
    ),
    key: fc.constantFrom('0', '1', 'x'),
    length: fc.oneof(fc.constant(4), extent),
    offset: fc.oneof(fc.constant(0), extent),
    size: fc.array(extent, { maxLength: 4 }),
    stride: fc.array(extent, { maxLength: 4 }),
  })
  .map(tensorPickle);

/** An array whose data may not fit its shape, and are sometimes longer than what stays in memory. */
const array = fc
  .record({
    code: fc.constantFrom('f8', 'f4', 'f2', 'i8', 'i2', 'u4', 'u2', 'b1', 'O8', 'V4', '', 'f16'),
    order: fc.constantFrom('<', '>', '|', ''),
    shape: fc.oneof(fc.constant([6]), fc.constant([2, 3]), fc.array(extent, { maxLength: 4 })),
    isFortran: fc.boolean(),
    push: fc.constantFrom(...Object.values(pushed)),
    length: fc.oneof(fc.constantFrom(6, 12, 24, 48), fc.integer({ min: 4000, max: 5000 })),
    make: fc.constantFrom(arrayPickle, bufferPickle),
  })
  .map(({ push, length, make, ...spec }) => {
    const rows: readonly number[] = length > 48 && spec.shape[0] === 6 ? [length >> 2] : spec.shape;
    const data = push(Uint8Array.from({ length: length & ~3 }, (_, i) => 37 * i));
    return make({ ...spec, shape: rows, data });
  });

const scalar = fc.oneof(
  fc
    .constantFrom('N', [OP.NEWTRUE], [OP.NEWFALSE], 'I01\n', 'F1e300\n', 'Fnan\n', ']', '}', ')', [
      OP.EMPTY_SET,
    ])
    .map((op) => pickleOf(op)),
  fc.maxSafeInteger().map(int),
  fc.string({ maxLength: 8 }).map(text),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => pickleOf([OP.SHORT_BINBYTES, bytes.length], bytes)),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => pickleOf([OP.LONG1, bytes.length], bytes)),
  fc.constantFrom(...GLOBALS).map((name) => pickleOf(`c${name}\n`)),
  small.map((index) => pickleOf('h', [index])),
  tensor,
  array,
);

/** Any byte, or an instruction with operands that ask for much. */
const junk = fc.oneof(
  fc.constantFrom(...Object.values(OP)).map((op) => pickleOf([op])),
  fc
    .tuple(
      fc.constantFrom(
        OP.BINUNICODE,
        OP.BINBYTES,
        OP.LONG4,
        OP.LONG_BINPUT,
        OP.LONG_BINGET,
        OP.BINUNICODE8,
        OP.BYTEARRAY8,
      ),
      fc.uint8Array({ minLength: 4, maxLength: 8 }),
    )
    .map(([op, operand]) => pickleOf([op], operand)),
  fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
);

const { value } = fc.letrec<{ value: Buffer }>((tie) => {
  const values = fc.array(tie('value'), { maxLength: 4 }).map((items) => Buffer.concat(items));
  return {
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      { weight: 6, arbitrary: scalar },
      { weight: 1, arbitrary: junk },
      values.map((items) => pickleOf('](', items, 'e')),
      values.map((items) => pickleOf('(', items, 't')),
      fc
        .array(fc.tuple(fc.oneof(fc.string({ maxLength: 4 }).map(text), scalar), tie('value')), {
          maxLength: 4,
        })
        .map((pairs) => pickleOf('}(', ...pairs.flat(), 'u')),
      fc.tuple(tie('value'), small).map(([item, index]) => pickleOf(item, 'q', [index])),
      fc
        .tuple(fc.constantFrom(...GLOBALS), values)
        .map(([name, args]) => pickleOf(`c${name}\n(`, args, 'tR')),
      fc.tuple(fc.constantFrom(...GLOBALS), values).map(([name, args]) => pickleOf('(', args, `i${name}\n`)),
      fc.tuple(tie('value'), tie('value')).map(([object, state]) => pickleOf(object, state, 'b')),
      fc
        .tuple(tie('value'), fc.integer({ min: 1, max: 300 }))
        .map(([item, depth]) => pickleOf(item, new Uint8Array(depth).fill(OP.TUPLE1))),
    ),
  };
});

/** A whole pickle, often of a state dict. */
export const pickleProgram = fc.oneof(
  value.map((item) => pickleOf([OP.PROTO, 2], item, '.')),
  value.map((item) => pickleOf([OP.PROTO, 2], '}(', text('model'), '}(', text('w'), item, 'uu.')),
  fc.array(fc.oneof(scalar, junk), { maxLength: 40 }).map((ops) => pickleOf(...ops, '.')),
);
