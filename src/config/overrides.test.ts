/** @file Tests of parsing the `KEY VALUE …` arguments of a command line. */
import { describe, expect, it } from 'vitest';
import { parseOverrides } from './overrides.js';

function problemsOf(...args: string[]): string[] {
  return parseOverrides(args).problems.map(({ key, message }) => `${key}: ${message}`);
}

describe('parseOverrides', () => {
  it('pairs keys with values in order and leaves values as they are', () => {
    const { assignments, problems } = parseOverrides([
      'ViT.DEPTH',
      '2',
      'OUTPUT_DIR',
      'a=b',
      'ViT.DEPTH',
      '-1',
      'MODEL.WEIGHT',
      '',
    ]);
    expect(problems).toEqual([]);
    expect(assignments.map(({ key, value }) => [key, value])).toEqual([
      ['ViT.DEPTH', '2'],
      ['OUTPUT_DIR', 'a=b'],
      ['ViT.DEPTH', '-1'],
      ['MODEL.WEIGHT', ''],
    ]);
  });

  it.each<[string[], string[]]>([
    [['ViT.DEPTH'], ['ViT.DEPTH: expected a value after the key, found nothing']],
    [
      ['ViT.DEPTH', 'SOLVER.GAMMA', '2'],
      ['ViT.DEPTH: expected a value after the key, found the key SOLVER.GAMMA'],
    ],
    [['SOLVER.DEPTH', '2'], ['SOLVER.DEPTH: unknown key; did you mean RESNET.DEPTH or ViT.DEPTH?']],
    [['MODEL.STM', '{}'], ['MODEL.STM: is a section; set its keys one by one, e.g. MODEL.STM.NUM_QUERIES']],
    [
      ['ViT.DEPTH=2', 'SOLVER.STEPS=(5, 8)', 'OUTPUT_DIR=x'],
      [
        'ViT.DEPTH: write the key and its value as two words: ViT.DEPTH 2',
        "SOLVER.STEPS: write the key and its value as two words: SOLVER.STEPS '(5, 8)'",
        'OUTPUT_DIR: write the key and its value as two words: OUTPUT_DIR x',
      ],
    ],
    [['Vit.DEPHT=2'], ['ViT.DEPTH: write the key and its value as two words: ViT.DEPTH 2']],
    [
      ['--seed', '3'],
      [
        'undefined: expected a key, found --seed; flags come before the first KEY VALUE pair',
        '3: expected a value after the key, found nothing',
      ],
    ],
  ])('reports the mistake in %j', (args, problems) => {
    expect(problemsOf(...args)).toEqual(problems);
  });

  it('continues after a mistake', () => {
    const { assignments, problems } = parseOverrides([
      'ViT.DEPHT',
      '1',
      'ViT.DEPTH=2',
      'ViT.DEPTH',
      '3',
      'ViT.NUM_HEADS',
    ]);
    expect(problems).toHaveLength(3);
    expect(assignments.map(({ key, value }) => [key, value])).toEqual([['ViT.DEPTH', '3']]);
  });
});
