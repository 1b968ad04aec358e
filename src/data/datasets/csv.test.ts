/** @file Tests of the forms in which lists are saved. */
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { dataConfig } from '../../../test/support/ava_folder.js';
import { temporaryFiles } from '../../../test/support/temporary_files.js';
import { readDetections, readExclusions } from '../../evaluation/ava_csv.js';
import { readAnnotations } from './ava_annotations.js';
import { splitCsv } from './csv.js';

const { at } = temporaryFiles();

const ROWS = ['vidéo,902,0.1,0.2,0.5,0.8,1,0', 'vidéo,903,0.1,0.2,0.5,0.8,1,0'];
const TEXT = `${ROWS.join('\n')}\n`;

function annotations(content: string | Uint8Array) {
  writeFileSync(at('a.csv'), content);
  return readAnnotations(
    dataConfig({
      'DATA.PATH_TO_DATA_DIR': at(),
      'AVA.ANNOTATION_DIR': '',
      'AVA.TRAIN_GT_BOX_LISTS': ['a.csv'],
    }),
    'train',
  );
}

function errorOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    return (error as Error).message.replaceAll(at(), '');
  }
  return 'was read';
}

const utf16 = (text: string) => Buffer.from(text, 'utf16le');

describe('annotations', () => {
  it.each<[string, string | Uint8Array]>([
    ['UTF-8 with a byte order mark', `\ufeff${TEXT}`],
    ['UTF-16', utf16(`\ufeff${TEXT}`)],
    ['UTF-16 without a byte order mark', utf16(TEXT)],
    ['big-endian UTF-16', utf16(`\ufeff${TEXT}`).swap16()],
    ['big-endian UTF-16 without a byte order mark', utf16(TEXT).swap16()],
    ['lines that end with CR LF', TEXT.replaceAll('\n', '\r\n')],
    ['lines that end with CR', TEXT.replaceAll('\n', '\r')],
    ['lines that end with CR CR LF', TEXT.replaceAll('\n', '\r\r\n')],
    ['quoted fields', TEXT.replace(/[^,\n]+/g, '"$&"')],
    ['quoted fields after blanks', TEXT.replace(/[^,\n]+/g, ' "$&"')],
    ['quoted rows', TEXT.replace(/.+/g, '"$&"')],
    ['quoted rows with quoted fields', TEXT.replace(/[^,\n]+/g, '""$&""').replace(/.+/g, '"$&"')],
  ])('are read in %s', (_, content) => {
    const { videos } = annotations(content);
    expect([...videos.keys()].map((name) => name.trim())).toEqual(['vidéo']);
    expect([...videos.values()][0].rows).toBe(2);
  });

  it('are read across the pieces in which a file is read', () => {
    const many = Array.from({ length: 5000 }, () => ROWS[0]).join('\r\n');
    for (const content of [many, utf16(`\ufeff${many}`), many.replaceAll('\r\n', '\r')])
      expect([...annotations(content).videos.values()][0].rows).toBe(5000);
  });

  const repeated = (line: string) => `${line}\n`.repeat(30);
  it.each<[string, string | Uint8Array, RegExp]>([
    [
      'Latin-1',
      Buffer.from(TEXT, 'latin1'),
      /^\/a\.csv:1: cannot read .*not in UTF-8 but in an older encoding/,
    ],
    ['UTF-32', Uint8Array.of(0xff, 0xfe, 0, 0, 0x61, 0, 0, 0), /UTF-32; save it in UTF-8/],
    ['zero bytes', `${TEXT}\0\0\0`, /^\/a\.csv:3: cannot read .*zero bytes/],
    ['zeros', new Uint8Array(50), /nothing but zeros/],
    [
      'xlsx',
      Buffer.from('PK\x03\x04\x14\0\x06\0[Content_Types].xml', 'latin1'),
      /it is an Excel workbook \(xlsx\).*save it as CSV/,
    ],
    ['xls', Buffer.from('\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 'latin1'), /an Excel workbook \(xls\)/],
    [
      'a zip archive',
      Buffer.from('PK\x03\x04\x14\0\0\0train.csv', 'latin1'),
      /it is an archive.*; unpack it/,
    ],
    ['gzip', Buffer.from('\x1f\x8b\x08\0\0\0', 'latin1'), /it is an archive.*; unpack it/],
    ['a pickle', Buffer.from('\x80\x04\x95', 'latin1'), /a Python pickle; load it in Python/],
    ['HTML', '<!DOCTYPE html>\n<html>', /it is a web page \(HTML\)/],
    ['JSON', '[{"video": "a"}]', /it is a JSON text/],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\n', /Git LFS pointer.*git lfs pull/],
    ['tabs', repeated(ROWS[0].replaceAll(',', '\t')), /separated by tabs/],
    ['semicolons', repeated(ROWS[0].replaceAll(',', ';')), /separated by ";"/],
    ['a line for spreadsheets', `sep=,\n${TEXT}`, /begins with "sep=,", a line for spreadsheets/],
    [
      'single quotes',
      repeated("'a','902','0.1','0.2','0.5','0.8','1','0'"),
      /none of its 30 rows can be read.*must be a number/,
    ],
    [
      'a frame list',
      repeated('v 0 0 v/0.jpg ""'),
      /none of its 30 rows can be read.*expected 7 or 8 columns/,
    ],
    [
      'a header',
      `video_id,frame_timestamp,x1,y1,x2,y2,action_id,person_id\n${TEXT}`,
      /:1: the line looks like a header/,
    ],
  ])('are named as what they are, once: %s', (_, content, says) => {
    const error = errorOf(() => annotations(content));
    expect(error).toMatch(says);
    expect(error).not.toContain('\n');
  });

  it('may have names that begin like an image or an archive', () => {
    for (const name of ['BM123', 'PK', 'ID3', 'P1 x', 'Rar!'])
      expect([...annotations(TEXT.replaceAll('vidéo', name)).videos.keys()]).toEqual([name]);
  });
});

describe('files of an evaluation', () => {
  it.each<[string, string]>([
    ['detections', 'a 902 0.1 0.2'],
    ['exclusions', 'a\t902\tx'],
  ])('are reported once if none of their rows can be read: %s', (kind, line) => {
    writeFileSync(at('a.csv'), `${line}\n`.repeat(30));
    const read = () =>
      kind === 'detections' ? readDetections(at('a.csv'), new Set([1])) : readExclusions(at('a.csv'));
    expect(errorOf(read)).not.toContain('\n');
  });
});

describe('splitCsv', () => {
  it.each([
    ['a,b', ['a', 'b']],
    ['"a,b",c', ['a,b', 'c']],
    ['a,"b ""c"""', ['a', 'b "c"']],
    ['"a,b"', ['a', 'b']],
    ['"a,""b,c"""', ['a', 'b,c']],
    ['a, "b" ,c', ['a', 'b', 'c']],
    ['a"b,c', ['a"b', 'c']],
    ['"a"', ['a']],
    [',"",', ['', '', '']],
  ])('splits %s', (line, fields) => {
    expect(splitCsv(line)).toEqual(fields);
  });
});
