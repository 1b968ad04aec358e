/** @file Videos that have other names on the two sides. */
import { describe, expect, it } from 'vitest';
import { changed, fitting, names, warningsOf } from '../../../test/support/mismatched_files.js';

describe('warnings about video names', () => {
  it.each<[string, (name: string) => string, string]>([
    ['an extension', (name) => `${name}.mp4`, 'without ".mp4" 3 of 3 names would fit'],
    ['a folder', (name) => `data/val/${name}`, 'without "data/val/" 3 of 3 names would fit'],
    [
      'a folder and an extension',
      (name) => `C:\\v\\${name}.mkv`,
      'without ".mkv" and without "C:\\\\v\\\\" 3 of 3',
    ],
    ['another case', (name) => name.toUpperCase(), 'in lower case 3 of 3 names would fit'],
    ['hyphens', (name) => name.replace('_', '-'), 'without spaces, "_" and "-" 3 of 3 names would fit'],
    ['no underscores', (name) => name.replace('_', ''), 'without spaces, "_" and "-" 3 of 3 names would fit'],
    ['an addition', (name) => `clip:${name}@30`, 'without "clip:" and "@30" 3 of 3 names would fit'],
  ])('propose what would fit if names differ in %s, and vanish with it', (_, change, advice) => {
    const [warning, ...others] = warningsOf(changed(fitting(), { predictions: names(change) }));
    expect(others).toEqual([]);
    expect(warning).toContain('no video is in both files');
    expect(warning).toContain('"a_one"');
    expect(warning).toContain(JSON.stringify(change('a_one')));
    expect(warning).toContain(advice);
    // The advice followed: the names of the predictions become those of the groundTruth.
    expect(warningsOf(fitting())).toEqual([]);
  });

  it.each([
    ['video1', 'video001', 'without leading zeros of numbers'],
    ['caf\u00e9', 'cafe\u0301', 'in one Unicode form (NFC)'],
    ['Film A', 'film_a', 'in lower case and without spaces, "_" and "-"'],
  ])('recognise %s and %s as one name', (labelled, predicted, advice) => {
    const files = changed(fitting(['v']), {
      groundTruth: names(() => labelled),
      predictions: names(() => predicted),
    });
    expect(warningsOf(files)).toEqual([expect.stringContaining(`${advice} 1 of 1 name would fit`)]);
  });

  it('recognise longer names in the ground truth', () => {
    const files = changed(fitting(), { groundTruth: names((name) => `${name}.avi`) });
    expect(warningsOf(files)[0]).toContain('without ".avi" 3 of 3 names would fit');
  });

  it('show the names of both sides if nothing matches', () => {
    const files = changed(fitting(), { predictions: names((name) => `x${name.length}`) });
    expect(warningsOf(files)).toEqual([
      'no video is in both files: the predictions have "x5", "x7", the ground truth "a_one", "b_two", "c_three"',
    ]);
  });

  it('count the names that do not match', () => {
    const videos = Array.from({ length: 10 }, (_, i) => `film${i}`);
    const files = changed(fitting(videos), {
      predictions: names((name) => (name === 'film0' ? name : `${name}.mp4`)),
    });
    const [warning, ...others] = warningsOf(files);
    expect(others).toEqual([]);
    expect(warning).toContain('9 of 10 videos of the predictions are not in the ground truth ("film1.mp4", ');
    expect(warning).toContain('9 of 10 videos of the ground truth have no predictions ("film1", ');
    expect(warning).toContain('without ".mp4" 9 of 9 names would fit');
  });

  it('name videos without predictions', () => {
    const files = fitting();
    const predictions = files.predictions.filter(({ video }) => video !== 'b_two');
    expect(warningsOf({ ...files, predictions })).toEqual([
      '1 of 3 videos of the ground truth has no predictions ("b_two")',
    ]);
  });
});
