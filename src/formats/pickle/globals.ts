/** @file The few Python classes and functions that a checkpoint's pickle may "call", as plain data transformations. */
import { DTYPE_BYTES, type DType, isHostTensor } from '../host_tensor.js';
import { type ArrayFile, arrayFromBuffer, NumpyArray } from '../numpy/array.js';
import { StoredText } from '../numpy/array_data.js';
import { NumpyDtype } from '../numpy/dtype.js';
import { numpyScalar } from '../numpy/scalar.js';
import { makeTensor } from '../pth/stored_tensor.js';
import { Storage } from '../pth/torch_storage.js';
import { type PyDict, PyOpaque, PyTuple, type PyValue } from '../python/values.js';

const RENAMED = new Map([
  ['__builtin__', 'builtins'],
  ['copy_reg', 'copyreg'],
  ['numpy._core.multiarray', 'numpy.core.multiarray'],
  ['numpy._core.numeric', 'numpy.core.numeric'],
]);

/** A class or function, by name. In the result of a file, for example `torch.float32`, it is an inert object. */
export class PyGlobal extends PyOpaque {
  constructor(module: string, name: string) {
    super(`${RENAMED.get(module) ?? module}.${name}`, []);
  }
}

const FROM_TYPE = 'torch._tensor._rebuild_from_type_v2';

type Handler = (args: readonly PyValue[], file: ArrayFile) => PyValue | undefined;

/** The result of each known callable; undefined if it does not take these arguments, so that the call stays inert. */
const HANDLERS = new Map<string, Handler>([
  ['torch._utils._rebuild_tensor', (args) => rebuildTensor(args)],
  ['torch._utils._rebuild_tensor_v2', (args) => rebuildTensor(args)],
  ['torch._utils._rebuild_tensor_v3', (args) => rebuildTensor(args, torchDtype(args[6]))],
  ['torch._utils._rebuild_parameter', onlyTensor],
  ['torch._utils._rebuild_parameter_with_state', onlyTensor],
  ['torch.nn.parameter.Parameter', onlyTensor],
  // Tensors with attributes or of a subclass: (function, class, arguments, attributes).
  [
    FROM_TYPE,
    ([callee, , args], file) =>
      // A direct recursion could be nested deeper than our stack by a file.
      callee instanceof PyGlobal && callee.className !== FROM_TYPE && args instanceof PyTuple
        ? callGlobal(callee, args.items, file)
        : undefined,
  ],
  ['torch.Size', ([items]) => new PyTuple(itemsOf(items) ?? [])],
  ['collections.OrderedDict', ([items]) => dictOf(items)],
  ['collections.Counter', ([items]) => dictOf(items)],
  ['collections.defaultdict', () => new Map()],
  ['_codecs.encode', ([text, encoding]) => encode(text, encoding)],
  ['builtins.bytes', ([text, encoding]) => encode(text ?? '', encoding)],
  ['builtins.bytearray', ([text, encoding]) => (isBytes(text) ? text : encode(text ?? '', encoding))],
  ['numpy.dtype', (args) => new NumpyDtype(args)],
  ['numpy.core.multiarray.scalar', ([dtype, data]) => numpyScalar(dtype, data)],
  [
    'numpy.core.multiarray._reconstruct',
    (args) => (isNumpyClass(args[0]) ? new NumpyArray(args) : undefined),
  ],
  ['numpy.core.numeric._frombuffer', arrayFromBuffer],
  // Objects of old pickles: (class, base class, state of the base).
  [
    'copyreg._reconstructor',
    ([cls, , state]) =>
      cls instanceof PyGlobal ? new PyOpaque(cls.className, state === null ? [] : [state]) : undefined,
  ],
]);

/** The value of calling a class or function. Unknown ones become inert objects. `file` is what arrays need of their file. */
export function callGlobal(callee: PyGlobal, args: readonly PyValue[], file: ArrayFile): PyValue {
  return HANDLERS.get(callee.className)?.(args, file) ?? new PyOpaque(callee.className, args);
}

/** Sets the attributes that a pickle gives a value; false if the value can have none. */
export function setState(target: PyValue, state: PyValue): boolean {
  if (target instanceof NumpyDtype) {
    target.setState(state);
    return true;
  }
  if (target instanceof PyGlobal || target instanceof Storage) return false;
  if (target instanceof PyOpaque) {
    target.state = state;
    return true;
  }
  // Attributes of an OrderedDict (`_metadata` of a state dict) or of a tensor carry no weights.
  return target instanceof Map || isHostTensor(target);
}

function rebuildTensor([storage, offset, size, stride]: readonly PyValue[], dtype?: DType | null) {
  if (!(storage instanceof Storage) || dtype === null) return undefined;
  return makeTensor(storage, { offset, size, stride, dtype }) ?? undefined;
}

/** The type of a tensor; null for types that we have no tensors of. */
function torchDtype(value: PyValue): DType | null {
  const name = value instanceof PyGlobal && /^torch\.(\w+)$/.exec(value.className)?.[1];
  return name && Object.hasOwn(DTYPE_BYTES, name) ? (name as DType) : null;
}

function onlyTensor([tensor]: readonly PyValue[]): PyValue | undefined {
  return isHostTensor(tensor) ? tensor : undefined;
}

function itemsOf(value: PyValue | undefined): readonly PyValue[] | undefined {
  if (value instanceof PyTuple) return value.items;
  return Array.isArray(value) ? (value as PyValue[]) : undefined;
}

/** A dict made from nothing, a dict, or a list of pairs, as Python 2 pickled an OrderedDict. */
function dictOf(source: PyValue | undefined): PyDict | undefined {
  if (source === undefined) return new Map();
  if (source instanceof Map) return new Map(source);
  const dict: PyDict = new Map();
  for (const pair of itemsOf(source) ?? [null]) {
    const [key, value, ...rest] = itemsOf(pair) ?? [];
    if (key === undefined || value === undefined || rest.length) return undefined;
    if (Array.isArray(key) || key instanceof Map || isOddNumber(key)) return undefined;
    dict.set(key, value);
  }
  return dict;
}

/** A bound above any real index. Below it, few numbers share a bucket of a Map. */
export const MAX_SMALL_INTEGER = 2 ** 24;

/** Whether a value is a number other than a small whole one. */
export function isOddNumber(value: PyValue): boolean {
  if (typeof value === 'bigint') return true;
  return typeof value === 'number' && !(Number.isInteger(value) && Math.abs(value) < MAX_SMALL_INTEGER);
}

function isBytes(value: PyValue | undefined): value is Uint8Array {
  return value instanceof Uint8Array;
}

function isNumpyClass(value: PyValue | undefined): boolean {
  return value instanceof PyGlobal && value.className.startsWith('numpy.');
}

function encode(text: PyValue | undefined, encoding: PyValue | undefined): PyValue | undefined {
  // It stands for the bytes already.
  if (text instanceof StoredText) return text;
  if (typeof text !== 'string') return undefined;
  if (text === '') return new Uint8Array(0);
  if (encoding === 'latin1' || encoding === 'latin-1') return Uint8Array.from(Buffer.from(text, 'latin1'));
  return encoding === 'utf-8' || encoding === 'utf8' ? Uint8Array.from(Buffer.from(text, 'utf8')) : undefined;
}
