/** @file The list of engines on machines made of facts. */
import { describe, expect, it } from 'vitest';
import { engineAvailability } from '../engine/index.js';
import { engineListText, listEngines } from './engine_list.js';

const AVAILABLE = [
  { engine: 'tensorflow', device: 'cuda', problems: ['no driver (install it)'], isForAuto: false },
  { engine: 'onnx', device: 'gpu', problems: [], isForAuto: false, detail: '0: H100\n1: llvmpipe' },
  { engine: 'onnx', device: 'cpu', problems: [], isForAuto: true },
  { engine: 'cpu', device: 'cpu', problems: [], isForAuto: true },
] as const;

describe('the list of engines', () => {
  it('says what every engine of this version is', () => {
    for (const { description, engine } of listEngines()) expect(description, engine).toMatch(/; /);
    expect(listEngines()).toHaveLength(engineAvailability().length);
  });

  it('marks the engine that auto tries first', () => {
    const engines = listEngines(AVAILABLE);
    expect(engines.map(({ usable }) => usable)).toEqual([false, true, true, true]);
    expect(engines.map(({ auto }) => auto)).toEqual([false, false, true, false]);
  });

  it('prints devices, and what is missing with its remedy', () => {
    const text = engineListText(listEngines(AVAILABLE), (isGood) => (isGood ? '+' : '-'));
    expect(text.split('\n')).toEqual([
      expect.stringMatching(/^- tensorflow\/cuda {2}TensorFlow on an NVIDIA GPU/),
      '    no driver (install it)',
      expect.stringMatching(/^\+ onnx\/gpu {9}ONNX Runtime/),
      '    0: H100',
      '    1: llvmpipe',
      expect.stringMatching(/^\+ onnx\/cpu {9}ONNX Runtime/),
      expect.stringMatching(/^\+ cpu\/cpu {10}plain JavaScript/),
      '',
      'auto tries onnx/cpu first',
    ]);
  });
});
