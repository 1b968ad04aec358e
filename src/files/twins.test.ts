/** @file Files that are there under nearly the name that was asked for. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { Names, Twins, twinClause } from './twins.js';

const { at } = temporaryFiles();

function make(...paths: string[]): void {
  for (const path of paths) {
    const parts = path.split('/');
    mkdirSync(at(...parts.slice(0, -1)), { recursive: true });
    writeFileSync(at(...parts), '');
  }
}

const NFD = 'caf\u0065\u0301';
const NFC = NFD.normalize('NFC');

describe('twinClause', () => {
  it.each([
    [
      'letter case',
      'Frames/v/v_000001.JPG',
      'frames/v/v_000001.jpg',
      'letter case: write that name, or rename it',
    ],
    ['its ending', 'f/v/v_1.jpeg', 'f/v/v_1.png', 'its ending: write that name, or rename it'],
    ['zero padding', 'f/v/v_000012.jpg', 'f/v/v_12.jpg', 'leading zeros: write that name, or rename it'],
    ['the padding of a folder', 'f/007/1.jpg', 'f/7/1.jpg', 'leading zeros: write that name, or rename it'],
    [
      'its Unicode form',
      `f/${NFD}/1.jpg`,
      `f/${NFC}/1.jpg`,
      'the Unicode form of its letters (NFC or NFD, which look alike): copy its name from the folder, or rename it',
    ],
    ['its separators', 'f/v/v_1.jpg', 'f\\v\\v_1.jpg', '"\\" in place of "/": write that path, with "/"'],
    [
      'several at once',
      'f/V/v_01.PNG',
      'f\\v\\v_1.jpg',
      '"\\" in place of "/" and letter case and leading zeros and its ending: write that path, with "/"',
    ],
  ])('names a similar path that differs in %s', (_, there, missing, how) => {
    make(there);
    expect(twinClause(at(missing))).toBe(`, but there is ${at(there)}, which differs only in ${how}`);
  });

  it('returns an empty text if no name is similar, or if the path exists', () => {
    make('f/v/v_000001.jpg');
    for (const path of [
      'f/v/v_000002.jpg',
      'f/w/v_000001.jpg',
      'g',
      'f/v/v_000001.jpg',
      'f/v/v_000001.jpg/x',
    ]) {
      expect(twinClause(at(path))).toBe('');
    }
  });

  it('takes the most similar name', () => {
    make('f/A_01.jpg', 'f/a_01.png', 'f/a_1.png');
    expect(twinClause(at('f', 'a_01.jpg'))).toContain(
      `${at('f', 'A_01.jpg')}, which differs only in letter case`,
    );
    expect(twinClause(at('f', 'a_1.jpg'))).toContain(
      `${at('f', 'a_1.png')}, which differs only in its ending`,
    );
  });

  it('reads a folder once for many files', () => {
    make('f/A_1.jpg');
    const twins = new Twins();
    expect(twins.clause(at('f', 'a_1.jpg'))).not.toBe('');
    // It is not seen any more, as the listing is kept.
    make('f/A_2.jpg');
    expect(twins.clause(at('f', 'a_2.jpg'))).toBe('');
  });
});

describe('Names', () => {
  it('finds names of videos that differ in spelling alone', () => {
    const names = new Names(['Vid_007.mp4', NFC]);
    expect(names.twinOf('vid_7')).toEqual({
      name: 'Vid_007.mp4',
      how: 'letter case and leading zeros and its ending',
    });
    expect(names.twinOf(NFD)?.name).toBe(NFC);
    expect(names.twinOf('vid_8')).toBeNull();
  });
});
