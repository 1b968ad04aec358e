/**
 * @file Checkpoints there and back between this package and the PyTorch that is installed: STMIXER_PYTHON or python3.
 * Without a Python that has torch these tests are skipped.
 */

import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { convertWeightFile } from '../../src/checkpoint/convert.js';
import { MODEL_INFO, packModelInfo } from '../../src/checkpoint/model_info.js';
import { DTYPE_BYTES, type DType, float32Tensor, type HostTensor } from '../../src/formats/host_tensor.js';
import { readPth } from '../../src/formats/pth/pth_reader.js';
import { writePth } from '../../src/formats/pth/pth_writer.js';
import { PyFloat, PyOpaque, PyTuple, type PyValue } from '../../src/formats/python/values.js';
import { Rng } from '../../src/util/random.js';
import { plain } from '../support/checkpoint_files.js';
import { saveCheckpoint } from '../support/save_checkpoint.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { runPython, torchTitle as title, torchVersion as version } from '../support/torch.js';

let folder: string;
beforeAll(() => {
  folder = temporaryFolderOfFile();
});

const python = (script: string) => runPython(script, folder);

/**
 * The weights-only unpickler of PyTorch 1 knows no floats, so there only plain state dicts can be loaded with it (its own
 * as well as ours); everything else is loaded by Python's pickle.
 */
const MODERN = version !== null && Number.parseInt(version, 10) >= 2;
const LOADING = `weights_only=${MODERN ? 'True' : 'False'}`;

const DTYPES = Object.keys(DTYPE_BYTES) as DType[];

describe.skipIf(!version)(title, () => {
  test('torch reads a state dict with weights_only=True', async () => {
    await writePth(
      join(folder, 'weights.pth'),
      new Map([
        ['backbone.w', float32Tensor([1, 2], Float32Array.of(1, 2))],
        ['head.b', float32Tensor([], Float32Array.of(3))],
      ]),
    );
    const script = `
import torch, json, sys
json.dump([[k, v.tolist()] for k, v in torch.load('weights.pth', weights_only=True).items()], sys.stdout)`;
    expect(python(script)).toEqual([
      ['backbone.w', [[1, 2]]],
      ['head.b', 3],
    ]);
  });

  test('torch reads weights that say which model they are for, with weights_only=True', async () => {
    const info = {
      settings: new Map<string, unknown>([
        ['ViT.DEPTH', 2],
        ['ViT.QK_SCALE', null],
        ['DATA.MEAN', [0.5, 1, 0.25]],
        ['MODEL.BACKBONE.CONV_BODY', 'MAE-ViT-B'],
      ]),
      classNames: new Map([[12, 'bend/bow']]),
    };
    const model = new Map([['w', float32Tensor([1], Float32Array.of(3))]]);
    await writePth(join(folder, 'info.pth'), { model, [MODEL_INFO]: packModelInfo(info) });
    const script = `
import torch, json, sys
content = torch.load('info.pth', ${LOADING})
info = content['${MODEL_INFO}']
json.dump([list(content), info['settings'], info['class_names'][12], type(info).__name__], sys.stdout)`;
    expect(python(script)).toEqual([
      ['model', MODEL_INFO],
      Object.fromEntries(info.settings),
      'bend/bow',
      'dict',
    ]);
  });

  test('torch rounds as our converted files do, and safetensors reads them if it is installed', async () => {
    const random = new Rng(5);
    const word = () => random.int(2 ** 32);
    const bits = Uint32Array.from({ length: 20_000 }, word);
    // Every second one in float16's range, a quarter of them half way between two values.
    for (let i = 0; i < bits.length; i += 2) {
      bits[i] = (bits[i] & 0x87ffffff) + 0x34000000;
      if (i % 8 === 0) bits[i] = (bits[i] & ~0x1fff) | 0x1000;
    }
    // Exponents around 0, so that few are too large for float32.
    const doubles = BigUint64Array.from({ length: 20_000 }, () => {
      const high = (word() & 0x87ffffff) + 0x3c000000;
      return (BigInt(high >>> 0) << 32n) | BigInt(word());
    });
    const bytesOf = (data: Uint32Array | BigUint64Array) => () => new Uint8Array(data.buffer as ArrayBuffer);
    const model = {
      singles: { dtype: 'float32', shape: [100, 200], bytes: bytesOf(bits) } satisfies HostTensor,
      doubles: { dtype: 'float64', shape: [20_000], bytes: bytesOf(doubles) } satisfies HostTensor,
      'bn.steps': { dtype: 'int64', shape: [], bytes: () => new Uint8Array(8).fill(1) } satisfies HostTensor,
    };
    await writePth(join(folder, 'whole.pth'), { model, iteration: 3 });
    for (const dtype of ['float32', 'float16', 'bfloat16'] as const) {
      for (const ending of ['pth', 'safetensors']) {
        await convertWeightFile(join(folder, 'whole.pth'), join(folder, `${dtype}.${ending}`), {
          dtype,
          weightsOnly: true,
        });
      }
    }
    const script = `
import torch, json, sys
try:
    import safetensors.torch
    load_file = safetensors.torch.load_file
except ImportError:
    load_file = None
whole = torch.load('whole.pth', ${LOADING})['model']
wrong = []
for dtype in ['float32', 'float16', 'bfloat16']:
    files = {'pth': torch.load(dtype + '.pth', ${LOADING})['model']}
    if load_file: files['safetensors'] = load_file(dtype + '.safetensors')
    for ending, model in files.items():
        for name, tensor in whole.items():
            # From float64 to 16 bits torch rounds twice, by way of float32; we do not.
            if name == 'doubles' and dtype != 'float32': continue
            expected = tensor.to(getattr(torch, dtype)) if tensor.is_floating_point() else tensor
            # Through float64, where NaN can be compared.
            same = expected.dtype == model[name].dtype and torch.equal(
                torch.nan_to_num(expected.double(), 0.5, 1e300, -1e300), torch.nan_to_num(model[name].double(), 0.5, 1e300, -1e300))
            if not same: wrong.append([dtype, ending, name])
json.dump({'wrong': wrong, 'names': list(whole)}, sys.stdout)`;
    expect(python(script)).toEqual({ wrong: [], names: ['singles', 'doubles', 'bn.steps'] });
  });

  test('torch reads values of every kind', async () => {
    const shared = float32Tensor([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6));
    const ones: Record<DType, number[]> = {
      float64: [0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
      float32: [0, 0, 0x80, 0x3f],
      float16: [0, 0x3c],
      bfloat16: [0x80, 0x3f],
      int64: [1, 0, 0, 0, 0, 0, 0, 0],
      int32: [1, 0, 0, 0],
      int16: [1, 0],
      int8: [1],
      uint8: [1],
      bool: [1],
    };
    await writePth(join(folder, 'kinds.pth'), {
      shared: [shared, shared],
      types: Object.fromEntries(
        DTYPES.map((dtype) => [dtype, { dtype, shape: [1], bytes: () => Uint8Array.from(ones[dtype]) }]),
      ),
      scalar: float32Tensor([], Float32Array.of(2.5)),
      empty: float32Tensor([0, 4], new Float32Array(0)),
      numbers: [0, 255, 256, 65536, -1, 2 ** 31, -(2 ** 40), 2n ** 70n, new PyFloat(1), 0.1, -0, 1e300],
      others: [null, true, 'é漢😀', new Uint8Array([0, 128, 255]), new PyTuple([1, new PyTuple([])])],
      keys: new Map<PyValue, PyValue>([
        [0, { step: 1 }],
        ['0', null],
      ]),
    });
    expect(
      python(`
import torch, json
d = torch.load('kinds.pth', ${LOADING})
a, b = d['shared']
json.dump({
  'shared': [a.tolist(), a.data_ptr() == b.data_ptr()],
  'types': {k: [str(v.dtype), float(v)] for k, v in d['types'].items()},
  'scalar': [list(d['scalar'].shape), d['scalar'].item()],
  'empty': list(d['empty'].shape),
  'numbers': [repr(n) for n in d['numbers']],
  'others': repr(d['others']),
  'keys': repr(d['keys']),
  'mmap': torch.load('kinds.pth', ${LOADING}${MODERN ? ', mmap=True' : ''})['shared'][0].tolist(),
}, __import__('sys').stdout)`),
    ).toEqual({
      shared: [
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
        true,
      ],
      types: Object.fromEntries(DTYPES.map((dtype) => [dtype, [`torch.${dtype}`, 1]])),
      scalar: [[], 2.5],
      empty: [0, 4],
      numbers: [
        '0',
        '255',
        '256',
        '65536',
        '-1',
        '2147483648',
        '-1099511627776',
        '1180591620717411303424',
        '1.0',
        '0.1',
        '-0.0',
        '1e+300',
      ],
      others: "[None, True, 'é漢😀', b'\\x00\\x80\\xff', (1, ())]",
      keys: "{0: {'step': 1}, '0': None}",
      mmap: [
        [1, 2, 3],
        [4, 5, 6],
      ],
    });
  });

  test('torch continues from our checkpoint: model, AdamW, schedule', async () => {
    const tensor = (shape: number[], ...values: number[]) => float32Tensor(shape, Float32Array.from(values));
    const moments = (shape: number[], value: number) => ({
      step: tensor([], 2),
      exp_avg: tensor(shape, ...new Array<number>(6).fill(value)),
      exp_avg_sq: tensor(shape, ...new Array<number>(6).fill(value * value)),
    });
    const group = (lr: number, decay: number, params: number[]) => ({
      lr: new PyFloat(lr),
      betas: new PyTuple([new PyFloat(0.9), new PyFloat(0.999)]),
      eps: new PyFloat(1e-8),
      weight_decay: new PyFloat(decay),
      amsgrad: false,
      maximize: false,
      foreach: null,
      capturable: false,
      initial_lr: new PyFloat(0.01),
      params,
    });
    const rates = () => [new PyFloat(0.01), new PyFloat(0.01)];
    const path = await saveCheckpoint(folder, 'model_0000002', {
      model: new Map<string, HostTensor>([
        ['a.weight', tensor([2, 3], 1, 2, 3, 4, 5, 6)],
        ['b.bias', tensor([6], 1, 1, 1, 1, 1, 1)],
      ]),
      optimizer: {
        state: new Map<PyValue, PyValue>([
          [0, moments([2, 3], 0.5)],
          [1, moments([6], 0.25)],
        ]),
        param_groups: [group(0.01, 0.1, [0]), group(0.01, 0, [1])],
      },
      scheduler: {
        gamma: new PyFloat(0.1),
        milestones: [3, 5],
        base_lrs: rates(),
        last_epoch: 2,
        _step_count: 3,
        _last_lr: rates(),
      },
      iteration: 2,
    });
    expect(path).toBe(join(folder, 'model_0000002.pth'));
    expect(
      python(`
import torch, json, collections
torch.manual_seed(0)
class Schedule(torch.optim.lr_scheduler._LRScheduler):
  def __init__(self, optimizer):
    self.gamma, self.milestones = 1.0, []
    super().__init__(optimizer)
  def get_lr(self):
    return [b * self.gamma ** sum(self.last_epoch >= m for m in self.milestones) for b in self.base_lrs]
class Model(torch.nn.Module):
  def __init__(self):
    super().__init__()
    self.a = torch.nn.Linear(3, 2, bias=False)
    self.b = torch.nn.Linear(1, 6)
    del self.b.weight
model = Model()
optimizer = torch.optim.AdamW([{'params': [model.a.weight], 'weight_decay': 0.5}, {'params': [model.b.bias]}], lr=1.0)
schedule = Schedule(optimizer)
data = torch.load(open('last_checkpoint').read(), ${LOADING})
missing = model.load_state_dict(data['model'])
optimizer.load_state_dict(data['optimizer'])
schedule.load_state_dict(data['scheduler'])
loss = model.a.weight.sum() + 2 * model.b.bias.sum()
loss.backward()
optimizer.step()
schedule.step()
state = optimizer.state[model.a.weight]
json.dump({
  'iteration': data['iteration'],
  'missing': len(missing.missing_keys) + len(missing.unexpected_keys),
  'a': model.a.weight.flatten().tolist(), 'b': model.b.bias.tolist(),
  'step': float(state['step']), 'exp_avg': state['exp_avg'].flatten().tolist(),
  'lr': [g['lr'] for g in optimizer.param_groups], 'last_epoch': schedule.last_epoch,
  'decay': [g['weight_decay'] for g in optimizer.param_groups],
}, __import__('sys').stdout)`),
    ).toEqual({
      iteration: 2,
      missing: 0,
      a: [1, 2, 3, 4, 5, 6].map((w) => expect.closeTo(adamw(w, 1, 0.5, 0.1), 5)),
      b: new Array(6).fill(expect.closeTo(adamw(1, 2, 0.25, 0), 5)),
      step: 3,
      exp_avg: new Array(6).fill(expect.closeTo(0.55, 6)),
      lr: [expect.closeTo(0.001, 12), expect.closeTo(0.001, 12)],
      last_epoch: 3,
      decay: [0.1, 0],
    });
  });

  test('we read what torch saves, in every format and protocol', () => {
    const expected = python(`
import torch, json, argparse, collections, sys
base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
class Unknown:
  def __init__(self): self.x, self.me = [1, (2,)], self
value = {
  'view': base[1:3, 2:5], 'transposed': base.t(), 'row': base[3], 'whole': base, 'expanded': base[:1].expand(3, 6),
  'channels_last': torch.arange(48, dtype=torch.float32).reshape(2, 2, 3, 4).to(memory_format=torch.channels_last),
  'parameter': torch.nn.Parameter(torch.ones(2)), 'scalar': torch.tensor(2.5), 'empty': torch.empty(0, 3),
  **{str(t).split('.')[1]: torch.tensor([0, 1, 100]).to(t) for t in (torch.float64, torch.float32, torch.float16,
     torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)},
  'negative': torch.tensor([-1, -2**40]), 'big': 2**70, 'float': 1.0, 'text': 'é漢', 'bytes': bytes([0, 200]),
  'tuple': (1, [2, (3,)]), 'size': torch.Size([2, 3]), 'none': None, 'dict': {0: {'step': 1}},
  'default': collections.defaultdict(dict, {1: 2}), 'ordered': collections.OrderedDict(a=1),
}
tensors = {k: [str(v.dtype).split('.')[1], list(v.shape), v.detach().double().flatten().tolist()]
           for k, v in value.items() if isinstance(v, torch.Tensor)}
value['module'] = torch.nn.Linear(2, 1).state_dict()
value['args'], value['object'], value['dtype'] = argparse.Namespace(lr=0.1), Unknown(), torch.float32
value['set'], value['complex'], value['sparse'] = {1}, torch.ones(1, dtype=torch.complex64), base.to_sparse()
try:
  import numpy
  value['numpy'] = [numpy.float64(0.1), numpy.int64(-3), numpy.bool_(True), numpy.float32(1.5)]
except ImportError: pass
for protocol in range(1, 6):
  torch.save(value, f'zip{protocol}.pth', pickle_protocol=protocol)
for protocol in range(1, 6):
  torch.save(value, f'legacy{protocol}.pth', pickle_protocol=protocol, _use_new_zipfile_serialization=False)
json.dump({'tensors': tensors, 'numpy': 'numpy' in value}, sys.stdout)`) as {
      tensors: Record<string, [string, number[], number[]]>;
      numpy: boolean;
    };
    for (const format of ['zip', 'legacy']) {
      for (const protocol of [1, 2, 3, 4, 5]) {
        const name = `${format}${protocol}.pth`;
        const value = readPth(join(folder, name)) as Map<string, PyValue>;
        const got = Object.fromEntries(
          // The object contains itself.
          [...value].filter(([key]) => key !== 'object').map(([key, item]) => [key, plain(item)]),
        );
        for (const [key, [dtype, shape, elements]] of Object.entries(expected.tensors)) {
          const tensor = got[key] as { elements: (number | bigint)[] };
          const numbers = { ...tensor, elements: tensor.elements.map(Number) };
          expect(numbers, `${key} of ${name}`).toEqual({ dtype, shape, elements });
        }
        expect(got, name).toMatchObject({
          big: 2n ** 70n,
          float: 1,
          text: 'é漢',
          bytes: { bytes: [0, 200] },
          tuple: { tuple: [1, [2, { tuple: [3] }]] },
          size: { tuple: [2, 3] },
          none: null,
          dict: { dict: [[0, { dict: [['step', 1]] }]] },
          default: { dict: [[1, 2]] },
          ordered: { dict: [['a', 1]] },
          args: { className: 'argparse.Namespace', state: { dict: [['lr', 0.1]] } },
          dtype: { className: 'torch.float32' },
          set: { className: 'builtins.set' },
          ...(expected.numpy ? { numpy: [0.1, -3, true, 1.5] } : {}),
        });
        expect([...(value.get('module') as Map<string, PyValue>).keys()]).toEqual(['weight', 'bias']);
        expect(value.get('object')).toMatchObject({ className: '__main__.Unknown' });
        for (const key of ['complex', 'sparse']) expect(value.get(key), key).toBeInstanceOf(PyOpaque);
      }
    }
  });

  test('we read a checkpoint that torch saved without checksums', ({ skip }) => {
    const done = python(`
import torch, json, sys
able = hasattr(torch.serialization, 'set_crc32_options')
if able:
  torch.serialization.set_crc32_options(False)
  torch.save({'w': torch.arange(3.)}, 'nocrc.pth')
json.dump(able, sys.stdout)`);
    skip(!done, 'this torch always writes checksums');
    expect(plain(readPth(join(folder, 'nocrc.pth')))).toEqual({
      dict: [['w', { dtype: 'float32', shape: [3], elements: [0, 1, 2] }]],
    });
  });
});

/** One AdamW step with rate 0.01, the third, from equal moments `m` and `m²`. */
function adamw(weight: number, gradient: number, m: number, decay: number): number {
  const first = 0.9 * m + 0.1 * gradient;
  const second = 0.999 * m * m + 0.001 * gradient * gradient;
  const corrected = first / (1 - 0.9 ** 3) / (Math.sqrt(second / (1 - 0.999 ** 3)) + 1e-8);
  return weight * (1 - 0.01 * decay) - 0.01 * corrected;
}
