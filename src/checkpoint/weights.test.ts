/** @file Tests of matching file entries with the model's weights, and of what the report says. */
import { describe, expect, test } from 'vitest';
import { float32Tensor, type HostTensor, sizeOf } from '../formats/host_tensor.js';
import { nameWeights } from './named_weights.js';
import { type LoadReport, type ModelShapes, matchWeights, summarizeReport } from './weights.js';

const tensor = (...shape: number[]) =>
  float32Tensor(shape, new Float32Array(sizeOf(shape)).fill(shape.length));
const state = (...keys: string[]) => new Map<string, HostTensor | null>(keys.map((key) => [key, tensor(2)]));
const match = (
  file: ReadonlyMap<string, HostTensor | null>,
  shapes: ModelShapes,
  noHead: boolean,
): LoadReport => matchWeights(nameWeights(file), shapes, noHead);
const model = (...names: string[]) => new Map(names.map((name) => [name, { shape: [2] }]));

describe('matching names', () => {
  test('pairs equal names, in the order of the model', () => {
    const report = match(state('b', 'a', 'x'), model('a', 'b', 'c'), false);
    expect(report).toEqual({
      loaded: new Map([
        ['a', 'a'],
        ['b', 'b'],
      ]),
      missing: ['c'],
      unexpected: ['x'],
      skipped: [],
      mismatched: [],
      newClassifiers: [],
    });
  });

  test('pairs the longest suffix of whole words', () => {
    const file = state('norm.weight', 'blocks.0.norm.weight', 'fc_norm.weight', 'eight', 'bias');
    const { loaded, unexpected } = match(
      file,
      model('backbone.blocks.0.norm.weight', 'backbone.norm.weight', 'backbone.blocks.0.attn.q_bias'),
      false,
    );
    expect(Object.fromEntries(loaded)).toEqual({
      'backbone.blocks.0.norm.weight': 'blocks.0.norm.weight',
      'backbone.norm.weight': 'norm.weight',
    });
    expect(unexpected).toEqual(['fc_norm.weight', 'eight', 'bias']);
  });

  test('lets one entry serve several weights, and a longer key none', () => {
    const { loaded, unexpected } = match(
      state('head.weight', 'net.tail.weight'),
      model('a.head.weight', 'b.head.weight', 'tail.weight'),
      false,
    );
    expect([...loaded.values()]).toEqual(['head.weight', 'head.weight']);
    expect(unexpected).toEqual(['net.tail.weight']);
  });

  test('ignores `module.` if all keys have it', () => {
    const names = model('a.w', 'module.b.w');
    const all = match(state('module.a.w', 'module.b.w'), names, false);
    expect(Object.fromEntries(all.loaded)).toEqual({ 'a.w': 'module.a.w', 'module.b.w': 'module.b.w' });
    const some = match(state('module.a.w', 'b.w'), names, false);
    expect(Object.fromEntries(some.loaded)).toEqual({ 'module.b.w': 'b.w' });
  });

  test('ignores `encoder.` of pre-trained VideoMAE unless the plain name exists, too', () => {
    const { loaded, unexpected } = match(
      state('encoder.norm.weight', 'encoder.x', 'x', 'decoder.norm.bias'),
      model('backbone.norm.weight', 'backbone.norm.bias', 'backbone.x'),
      false,
    );
    expect(Object.fromEntries(loaded)).toEqual({
      'backbone.norm.weight': 'encoder.norm.weight',
      'backbone.x': 'x',
    });
    expect(unexpected).toEqual(['encoder.x', 'decoder.norm.bias']);
  });

  test('leaves out the head on request', () => {
    const report = match(
      state('backbone.w', 'stm_head.w', 'stm_head.old', 'roi_heads.w', 'decoder.0.w', 'else'),
      model('backbone.w', 'stm_head.w', 'stm_head.decoder.0.w', 'stm_head.new'),
      true,
    );
    expect([...report.loaded.keys()]).toEqual(['backbone.w']);
    expect(report.skipped).toEqual(['stm_head.w', 'stm_head.old', 'roi_heads.w', 'decoder.0.w']);
    expect(report.missing).toEqual([]);
    expect(report.unexpected).toEqual(['else']);
    const parallel = match(state('module.stm_head.w'), model('stm_head.w'), true);
    expect(parallel.skipped).toEqual(['module.stm_head.w']);
  });

  test('matches no entry that is not a tensor', () => {
    const report = match(new Map([['a', null]]), model('a'), false);
    expect(report.missing).toEqual(['a']);
    expect(report.unexpected).toEqual(['a']);
  });
});

describe('the summary of a match', () => {
  test('is short', () => {
    const report = match(
      state('norm.weight', 'head.weight', 'head.bias', 'stm_head.a'),
      model('backbone.norm.weight', 'm.1', 'm.2', 'm.3', 'm.4', 'stm_head.a'),
      true,
    );
    expect(summarizeReport('v.pth', report)).toBe(
      [
        'loaded 1 tensor from v.pth',
        '  under other names: 1 (norm.weight → backbone.norm.weight)',
        '  not in the file: 4 (m.1, m.2, m.3, …)',
        '  not in the model: 2 (head.weight, head.bias)',
        '  skipped, the head: 1 (stm_head.a)',
      ].join('\n'),
    );
    expect(summarizeReport('v.pth', match(state('a'), model('a'), false))).toBe('loaded 1 tensor from v.pth');
  });

  test('names the parts that an official file leaves out', () => {
    const names = model(
      'backbone.blocks.0.w',
      'backbone.norm.weight',
      'lateral_convs.0.0.weight',
      'stm_head.w',
      'stm_head.criterion.empty_weight',
    );
    const summary = (...keys: string[]) => summarizeReport('v.pth', match(state(...keys), names, false));
    expect(summary('backbone.blocks.0.w')).toMatch(
      /\n {2}the neck and the head are not in the file and start at random\n {2}backbone\.norm is not in the file and starts as ones and zeros$/,
    );
    const all = [...names.keys()];
    expect(summary(...all.slice(0, 3))).toMatch(/\n {2}the head is not in the file and starts at random$/);
    expect(summary(...all.slice(0, 4))).not.toContain('random');
  });
});
