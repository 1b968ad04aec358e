/** @file What is said of files that are no whole images: one sentence each, wherever they are read. */
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { type AvaFolder, makeAvaFolder } from '../../../test/support/ava_folder.js';
import { temporaryFiles } from '../../../test/support/temporary_files.js';
import { checkData } from '../../data_tools/check/check.js';
import { showClips } from '../../data_tools/show_clips.js';
import { drawBoxes } from '../../drawing/draw_boxes.js';
import { Rng } from '../../util/random.js';
import { AvaDataset, LEAVE_OUT } from '../datasets/ava_dataset.js';
import { decodeImage } from './frames.js';
import { imageError } from './image_problem.js';
import { readImageSize } from './image_size.js';

const { at, file } = temporaryFiles();

const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * i * 7) & 255);
const image = () => sharp(noise, { raw: { width: 64, height: 64, channels: 3 } });
const cut = (bytes: Buffer) => bytes.subarray(0, Math.floor(bytes.length * 0.6));
const latin = (text: string) => Buffer.from(text, 'latin1');

const CONTENTS: [name: string, bytes: Uint8Array, sentence: RegExp][] = [
  ['an empty file', Buffer.alloc(0), /^the file is empty \(0 bytes\), .*; extract this frame again$/],
  ['a file of zeros', Buffer.alloc(900), /^the file holds nothing but zeros, .*; extract this frame again$/],
  ['a cut JPEG', cut(await image().jpeg().toBuffer()), /^the JPEG image is truncated: .* \d+ bytes.*again$/],
  ['a cut PNG', cut(await image().png().toBuffer()), /^the PNG image is truncated/],
  ['a cut WebP', cut(await image().webp().toBuffer()), /^the WebP image is truncated/],
  [
    'a web page',
    latin('\n<!DOCTYPE html>\n<html>404</html>'),
    /^it is a web page \(HTML\).*download it again/,
  ],
  ['XML', latin('<?xml version="1.0"?><Error>'), /^it is an XML text.*download it again/],
  ['JSON', latin('{"error": "not found"}'), /^it is a JSON text.*download it again/],
  [
    'a Git LFS pointer',
    latin('version https://git-lfs.github.com/spec/v1\noid'),
    /Git LFS pointer.*run git lfs pull/,
  ],
  ['a git-annex pointer', latin('/annex/objects/SHA256E-s1\n'), /git-annex pointer.*run git annex get/],
  ['text', latin('Not found.\n'), /^it is not a JPEG, PNG.* but a text that begins with "Not found\.\\n"/],
  ['a BMP', latin('BM\x36\x10\x0e\0'), /^it is a BMP image, which cannot be read; convert it to JPEG or PNG/],
  ['an SVG', latin('<svg xmlns="http://www.w3.org/2000/svg"/>'), /^it is an SVG drawing/],
  ['a HEIC', latin('\0\0\0\x18ftypheic\0\0\0\0'), /^it is a HEIC image/],
  [
    'a video',
    latin('\0\0\0\x18ftypisom\0\0\0\0'),
    /^it is a video; extract its frames with stmixer data prepare/,
  ],
  ['an archive', latin('PK\x03\x04\x14\0\0\0'), /^it is an archive.*unpack it/],
  ['AppleDouble', latin('\0\x05\x16\x07\0\x02\0\0'), /AppleDouble/],
  ['bytes', latin('\x01\x02\x03\xfa\xfb\xfc\xfd\xfe\xff'), /begins with the bytes 010203fafbfcfdfe; extract/],
];

/** What is wrong with the file: without its place, and without the way to train without it. */
const sentenceOf = (error: unknown) =>
  String((error as Error).message)
    .replace(/^\S+: [^:]+: /, '')
    .replace(`; ${LEAVE_OUT}`, '');

describe('a file that is not a complete image', () => {
  it.each(CONTENTS)(
    'is named by decoding, drawing and reading of sizes if it is %s',
    async (_, bytes, sentence) => {
      const path = at('frame_000001.jpg');
      writeFileSync(path, bytes);
      const error = await decodeImage(path, 'video v, second 902').catch((e) => e);
      expect(error).toMatchObject({ name: 'DataError', exitCode: 3 });
      expect(error.message.startsWith(`${path}: video v, second 902: `)).toBe(true);
      expect(sentenceOf(error)).toMatch(sentence);
      const drawn = await drawBoxes(path, []).catch((e) => e);
      expect(sentenceOf(drawn)).toBe(sentenceOf(error));
      // A cut image may well have a header.
      if (!/truncated/.test(error.message)) {
        expect(() => readImageSize(path, 'video v')).toThrow(
          expect.objectContaining({ message: `${path}: video v: ${sentenceOf(error)}` }),
        );
      }
    },
  );

  it('has a different sentence for each content', async () => {
    const sentences = new Set<string>();
    for (const [, bytes] of CONTENTS) {
      writeFileSync(at('a.jpg'), bytes);
      sentences.add(sentenceOf(await decodeImage(at('a.jpg'), 'v').catch((e) => e)));
    }
    expect(sentences.size).toBe(CONTENTS.length);
  });

  it('is distinguished from paths that are not files, without waiting for a pipe', async () => {
    const { execFileSync } = await import('node:child_process');
    mkdirSync(at('folder.jpg'));
    symlinkSync('nowhere.jpg', at('link.jpg'));
    symlinkSync('circle.jpg', at('circle.jpg'));
    execFileSync('mkfifo', [at('pipe.jpg')]);
    const expected = {
      'folder.jpg':
        'it is a folder, not an image; extract this frame again under this name, or list the files in the folder',
      'circle.jpg':
        'it is a link to circle.jpg, which is missing; put the file there, or replace the link with the file',
      'link.jpg':
        'it is a link to nowhere.jpg, which is missing; put the file there, or replace the link with the file',
      'pipe.jpg': 'it is a pipe, not an image; extract this frame again under this name',
      'gone.jpg':
        'the file is missing; extract this frame again, or correct its path in the list that names it',
    };
    for (const [name, sentence] of Object.entries(expected)) {
      const error = await decodeImage(at(name), 'v').catch((e) => e);
      expect(error.message).toBe(`${at(name)}: v: ${sentence}`);
      expect(() => readImageSize(at(name), 'v')).toThrow(error.message);
    }
  });

  it('is distinguished from unreadable files and failing disks', async () => {
    const path = file("it's.jpg", 'anything');
    const failure = (code: string) => Object.assign(new Error(`${code}: open`), { code });
    expect(imageError(path, 'v', failure('EACCES')).message).toBe(
      `${path}: v: you have no permission to read it; let its owner run: chmod a+r '${path.replace("'", "'\\''")}'`,
    );
    mkdirSync(at('closed'));
    expect(imageError(at('closed', 'a.jpg'), 'v', failure('EACCES')).message).toContain(
      `enter ${at('closed')}; let its owner run: chmod a+rx ${at('closed')}`,
    );
    writeFileSync(path, await image().jpeg().toBuffer());
    expect(imageError(path, 'v', failure('EIO')).message).toBe(
      `${path}: v: the file cannot be read: EIO: open; check its disk or network share`,
    );
  });
});

describe('a frame of a data set that is not a complete image', () => {
  const BOX = '0.1,0.2,0.5,0.8';
  const make = () =>
    makeAvaFolder({
      videos: { a: { frames: 8, width: 40, height: 24 } },
      annotations: [`a,902,${BOX},1,0`, `a,905,${BOX},1,0`],
    });
  const damages: [name: string, damage: (path: string) => void, sentence: string][] = [
    [
      'that is missing',
      (path) => rmSync(path),
      'the file is missing; extract this frame again, or correct its path in',
    ],
    ['that is empty', (path) => writeFileSync(path, ''), 'the file is empty (0 bytes)'],
    [
      'that is a pointer',
      (path) => writeFileSync(path, 'version https://git-lfs.github.com/spec/v1\n'),
      'it is a Git LFS pointer',
    ],
    [
      'that is a broken link',
      (path) => {
        rmSync(path);
        symlinkSync('elsewhere.jpg', path);
      },
      'it is a link to elsewhere.jpg, which is missing',
    ],
    [
      'that is a folder',
      (path) => {
        rmSync(path);
        mkdirSync(path);
      },
      'it is a folder, not an image',
    ],
  ];

  /** Returns what training says of clip 0, when the data are opened or later. */
  async function saidByTraining(ava: AvaFolder): Promise<string> {
    try {
      await AvaDataset.open(ava.config(), 'train').load(0, new Rng(0));
      return '';
    } catch (error) {
      return sentenceOf(error);
    }
  }

  it.each(damages)(
    'is reported alike by training, data check and data show: one %s',
    async (_, damage, sentence) => {
      const ava = await make();
      damage(ava.framePath('a', 2));
      const said = await saidByTraining(ava);
      expect(said.startsWith(sentence)).toBe(true);
      const { findings } = await checkData(ava.config(), { deep: true });
      const errors = findings.filter(({ kind, split }) => split === 'train' && /frame|picture/.test(kind));
      expect(
        errors.flatMap(({ examples }) => examples.map((example) => sentenceOf({ message: example }))),
      ).toEqual([said]);
      const shown = showClips(ava.config(), { split: 'train', clips: 2, augmented: false, out: at('out') });
      expect(sentenceOf(await shown.catch((e) => e))).toBe(said);
    },
  );

  it('is not reported for a link to an image', async () => {
    const ava = await make();
    const path = ava.framePath('a', 2);
    writeFileSync(at('elsewhere.jpg'), readFileSync(path));
    rmSync(path);
    symlinkSync(at('elsewhere.jpg'), path);
    expect(await saidByTraining(ava)).toBe('');
    expect(dirname(path)).toContain('frames');
  });
});
