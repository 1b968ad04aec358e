/** @file Tests of files that are given as a configuration and are something else. */
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { temporaryFiles } from '../../../test/support/temporary_files.js';
import { loadConfig } from '../index.js';

const files = temporaryFiles();

function errorOf(name: string, content: string | Uint8Array): string {
  const path = files.at(name);
  writeFileSync(path, content);
  try {
    loadConfig(path);
  } catch (error) {
    return (error as Error).message.replaceAll(path, name);
  }
  return 'was read';
}

const PYSLOWFAST = `TRAIN:
  ENABLE: True
  DATASET: ava
  BATCH_SIZE: 64
DATA:
  NUM_FRAMES: 32
  SAMPLING_RATE: 2
  INPUT_CHANNEL_NUM: [3, 3]
  PATH_TO_DATA_DIR: x
SLOWFAST:
  ALPHA: 4
RESNET:
  ZERO_INIT_FINAL_BN: True
  DEPTH: 50
BN:
  USE_PRECISE_STATS: False
SOLVER:
  BASE_LR: 0.1
  LR_POLICY: steps_with_relative_lrs
MODEL:
  NUM_CLASSES: 80
  ARCH: slowfast
NUM_GPUS: 8
RNG_SEED: 0
OUTPUT_DIR: .
`;

const CASES: [name: string, file: string, text: string, says: RegExp][] = [
  [
    'PySlowFast',
    'a.yaml',
    PYSLOWFAST,
    /a configuration of PySlowFast \(it has TRAIN\.ENABLE, TRAIN\.DATASET, TRAIN\.BATCH_SIZE, …\)/,
  ],
  [
    'AlphAction',
    'a.yaml',
    'MODEL:\n  BACKBONE: {CONV_BODY: Slowfast-Resnet50}\n  ROI_ACTION_HEAD: {NUM_CLASSES: 80}\n  IA_STRUCTURE: {ACTIVE: True}\nINPUT: {FRAME_NUM: 32}\nDATASETS: {TRAIN: (a,)}\nSOLVER: {MAX_ITER: 90000}\n',
    /a configuration of AlphAction/,
  ],
  [
    'detectron2',
    'a.yaml',
    '_BASE_: ../Base.yaml\nMODEL: {WEIGHTS: a.pkl, MASK_ON: False, RESNETS: {DEPTH: 50}}\nSOLVER: {STEPS: "(6, 8)", MAX_ITER: 90}\n',
    /a configuration of detectron2/,
  ],
  [
    'mmaction2 as YAML',
    'a.yml',
    'model: {type: FastRCNN, backbone: {type: X}}\ndata_root: d\ntrain_cfg: {max_epochs: 2}\n',
    /OpenMMLab/,
  ],
  [
    'mmaction2 as JSON',
    'a.json',
    '{"dataset_type": "AVADataset", "model": {"type": "FastRCNN"}}',
    /OpenMMLab/,
  ],
  [
    'mmaction2',
    'a.py',
    "_base_ = ['x.py']\nmodel = dict(type='FastRCNN')\n",
    /mmaction2.*which is Python source/,
  ],
  [
    'YOWO',
    'a.yaml',
    'TRAIN: {DATASET: ava, LEARNING_RATE: 1.0e-4}\nMODEL: {BACKBONE_3D: resnext101, BACKBONE_2D: darknet}\nBACKUP_DIR: b\n',
    /a configuration of YOWO/,
  ],
  [
    'Ultralytics data',
    'data.yaml',
    'path: d\ntrain: images/train\nval: images/val\nnc: 2\nnames: [walk, run]\n',
    /Ultralytics YOLO .*label map/,
  ],
  [
    'Hugging Face',
    'config.json',
    '{"architectures": ["VideoMAEModel"], "model_type": "videomae", "hidden_size": 768}',
    /Hugging Face.*MODEL\.WEIGHT/,
  ],
  [
    'yacs defaults',
    'defaults.py',
    'from yacs.config import CfgNode as CN\n_C = CN()\n_C.MODEL = CN()\n',
    /default settings of another program/,
  ],
  ['other Python', 'run.py', 'import torch\n\ndef main():\n    pass\n', /Python source/],
  ['a shell script', 'train.sh', '#!/bin/bash\npython train.py --lr 1\n', /a shell script/],
  [
    'a log',
    'log.txt',
    Array.from(
      { length: 5 },
      (_, i) => `2024-01-02 10:00:0${i},123 trainer INFO: eta: 1:00:00 iter: ${i} loss: 2.1 lr: 0.1`,
    ).join('\n'),
    /a training log/,
  ],
  [
    'a log in JSON lines',
    'log.json',
    '{"mode": "train", "epoch": 1, "loss": 2.1}\n{"mode": "train", "epoch": 2, "loss": 2.0}\n',
    /a training log/,
  ],
  ['annotations', 'a.csv', 'a,902,0.1,0.1,0.2,0.2,1,0\nb,902,0.1,0.1,0.2,0.2,1,0\n', /a table \(CSV\)/],
  ['a label map', 'a.pbtxt', 'item {\n  name: "a"\n  id: 1\n}\n', /a label map/],
  ['a web page', 'a.yaml', '<!DOCTYPE html>\n<html><body>Sign in</body></html>', /a web page/],
  [
    'a read-me',
    'README.md',
    '# Title\n\nText: with a colon\n\n- a\n- b: c\n\n```bash\nx\n```\n',
    /a page of text/,
  ],
  [
    'mmaction2 as it stores it',
    'a.yaml',
    'auto_scale_lr: {base_batch_size: 64, enable: false}\nmodel:\n  backbone: {type: X}\n',
    /OpenMMLab/,
  ],
  ['a part of mmaction2', 'a.py', '# Copyright (c) OpenMMLab. All rights reserved.\nurl = 1\n', /OpenMMLab/],
  ['class names', 'a.yaml', 'names:\n  0: walk\n  1: run\n', /a list of class names .*label map/],
  [
    'an unknown program',
    'a.yaml',
    'foo: {alpha_one: 1, beta_two: 2, gamma: 3}\nzoo: {one: 1, two: 2, three: 3, four: 4}\n',
    /another program: 8 of its 9 keys/,
  ],
  [
    'an unknown program with our sections',
    'a.yaml',
    'MODEL: {CLS_NUM: 1, KIND: x, HEADNUM: 2, FUSE: 3, ROI: 4, GRU: 5, POOLING: 6}\n',
    /another program: 7 of its 7 keys/,
  ],
];

describe('a file of another program', () => {
  it.each(CASES)('is called that in one line: %s', (_, name, text, says) => {
    const error = errorOf(name, text);
    expect(error).toMatch(says);
    expect(error).not.toContain('\n');
    expect(error).toContain('start from config_files/my_VMAEv2-ViTB-16x4.yaml');
  });

  it.each<[string, Buffer]>([
    [
      'a checkpoint of PyTorch',
      Buffer.from(
        'PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0archive/data.pklFB',
        'latin1',
      ),
    ],
    ['a checkpoint of an old PyTorch', Buffer.from('\x80\x02\x8a\nl\xfc\x9cF\xf9 jP\xa8\x19.', 'latin1')],
    ['safetensors', Buffer.from('\x40\0\0\0\0\0\0\0{"__metadata__":{}}', 'latin1')],
  ])('is a weight file if it is %s', (_, bytes) => {
    expect(errorOf('best.pth', bytes)).toMatch(/^best\.pth: is a weight file.* MODEL\.WEIGHT best\.pth$/);
  });

  it('is not seen in a configuration of ours that has keys of another program', () => {
    const text =
      'MODEL: {BACKBONE: {CONV_BODY: MAE-ViT-B}, STM: {NUM_STAGES: 3}}\nNUM_GPUS: 8\nRNG_SEED: 1\n';
    expect(errorOf('a.yaml', text)).toMatch(/^2 problems.*NUM_GPUS: unknown key.*RNG_SEED: unknown key/s);
  });
});

describe('a mistake in YAML', () => {
  it.each([
    [
      'a merge',
      'DATA: {}\n<<<<<<< HEAD\nAVA: {FPS: 30}\n=======\nAVA: {FPS: 25}\n>>>>>>> x\n',
      /^a\.yaml: has conflict markers of git \(.*delete these lines$/,
    ],
    ['two colons', 'SOLVER: BASE_LR: 1\n', /^a\.yaml:1: not valid YAML: .*: SOLVER: BASE_LR: 1$/],
    ['tabs', 'A:\n\tB: 1\n', /^a\.yaml:2: .*; indent with spaces$/],
    [
      'a path of Windows',
      'A: "C:\\data"\n',
      /^a\.yaml:1: .*unknown escape.*use single quotes, or \/ in paths$/,
    ],
    [
      'a value of Python',
      'A: !!python/tuple [1]\n',
      /^a\.yaml:1: .*Python values are not supported; write a plain number/,
    ],
    [
      'no space after colons',
      'SOLVER:\n  BASE_LR:1\n  MAX_EPOCH:3\n',
      /SOLVER: is a section: .*put a space after each colon/,
    ],
    [
      'round brackets between { and }',
      'SOLVER: {STEPS: (6, 8)}\n',
      /SOLVER\.8\): is a part of a list, .*\[1, 2\]/,
    ],
    ['a decimal comma', 'SOLVER: {BASE_LR: "0,01"}\n', /SOLVER\.BASE_LR: .*write a decimal point: 0\.01/],
  ])('is shown with what to do if it is %s', (_, text, says) => {
    expect(errorOf('a.yaml', text)).toMatch(says);
  });

  it('in the letter case of a section hides no mistakes in its keys', () => {
    const error = errorOf('a.yaml', 'model: {stm: {num_queries: 50}}\n');
    expect(error).toMatch(/MODEL\?.*MODEL\.STM\?.*MODEL\.STM\.NUM_QUERIES\?/s);
  });

  it('is listed before a key that is not set', () => {
    expect(errorOf('a.yaml', 'SOLVER: {BASE_LR: x}\n')).toMatch(
      /BASE_LR: expected .*CONV_BODY: must be set to/s,
    );
  });

  it('in the name of a backbone draws only those that can be built', () => {
    expect(errorOf('a.yaml', 'MODEL: {BACKBONE: {CONV_BODY: vit}}\n')).toMatch(
      /expected one of 'MAE-ViT-B', 'MAE-ViT-L', 'PySlowonly', 'PySlowfast-R50', 'PySlowfast-R101', found 'vit'$/,
    );
  });
});

describe('a configuration', () => {
  const TEXT = '# é\nMODEL: {BACKBONE: {CONV_BODY: MAE-ViT-B}}\n';

  it.each<[string, Buffer]>([
    ['UTF-16 with a mark', Buffer.from(`\ufeff${TEXT}`, 'utf16le')],
    ['UTF-16 without a mark', Buffer.from(TEXT, 'utf16le')],
    ['big-endian UTF-16', Buffer.from(`\ufeff${TEXT}`, 'utf16le').swap16()],
    ['UTF-8 with a mark', Buffer.from(`\ufeff${TEXT}`)],
  ])('is read in %s', (_, bytes) => {
    expect(errorOf('a.yaml', bytes)).toBe('was read');
  });

  it.each([
    [
      'config_files/VMAEv2-ViTB-16x4.yaml',
      /; the official VMAEv2-ViTB-16x4\.yaml is here: config_files\/my_VMAEv2-ViTB-16x4\.yaml$/,
    ],
    ['VMAEv2-ViTB-16x4.yaml', /is here: config_files\/my_VMAEv2/],
    [
      '/else/where/vmae-vitb-16x4.yml',
      /; this configuration is here: config_files\/VMAE-ViTB-16x4\.yaml$|the official/,
    ],
    ['tiny.yaml', /; this configuration is here: config_files\/tiny\.yaml$/],
    ['sample', /; this configuration is here: config_files\/sample\.yaml$/],
    ['my_VMAEv2-ViTB-16x4.yaml', /; this configuration is here: config_files\/my_VMAEv2-ViTB-16x4\.yaml$/],
    [
      'else/pyslowfast-r50-k400-8x8.yaml',
      /; this configuration is here: config_files\/PySlowfast-R50-K400-8x8\.yaml$/,
    ],
    ['nothing.yaml', /^nothing\.yaml: no such file$/],
    [
      'https://github.com/a/b/blob/main/x.yaml',
      /^https:\S+: addresses are not read yet; download a file first/,
    ],
  ])('is found where it lies if %s is missing', (name, says) => {
    expect(() => loadConfig(name)).toThrow(says);
  });

  it('is found in the folder of a run', () => {
    const path = files.file('config.yaml', 'MODEL: {}\n');
    expect(() => loadConfig(files.at())).toThrow(`expected a YAML file, such as ${path}`);
  });
});
