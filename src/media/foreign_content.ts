/** @file What a file holds in place of the image or video that it should be, and what to do about it. */
import { type FileFormat, formatOf } from './signatures.js';

/** What a file should be. */
export type Expected = 'image' | 'video';

/** What to do about a file that has to be made again. */
export const REMAKE: Record<Expected, string> = {
  image: 'extract this frame again',
  video: 'copy or download the video again',
};

const LOOK_INSIDE = 'download it again, and read what it says';

/** What to do about files that stand in for others or contain them, by the id of their format. */
const REMEDIES: Readonly<Record<string, string>> = {
  'git-lfs': 'run git lfs pull in its repository',
  'git-annex': 'run git annex get in its repository',
  html: LOOK_INSIDE,
  xml: LOOK_INSIDE,
  json: LOOK_INSIDE,
  appledouble: 'copy the {} itself, and leave out names that begin with "._"',
  archive: 'unpack it',
};

/** Names of the expected kinds in messages. */
export const EXPECTED_NAMES: Record<Expected, string> = {
  image: 'JPEG, PNG, WebP, TIFF, GIF or AVIF image',
  video: 'video',
};

/** Describes a file that cannot be read as `expected` by its first bytes; null if they say nothing. */
export function foreignContent(head: Buffer, expected: Expected): string | null {
  const again = REMAKE[expected];
  if (head.every((byte) => byte === 0))
    return `the file holds nothing but zeros, as after a crash or a full disk; ${again}`;
  const format = formatOf(head);
  if (format && isConvertible(format)) {
    return expected === 'video'
      ? `it is ${format.name}, not a video; ${again}`
      : `it is ${format.name}, which cannot be read; convert it to JPEG or PNG (it may keep its name: the content decides)`;
  }
  if (format && format.id in REMEDIES)
    return `it is ${format.name}; ${REMEDIES[format.id]}`.replaceAll('{}', expected);
  if (format?.id === 'pdf') return `it is ${format.name}; ${again}`;
  if (expected === 'image' && format?.group === 'video')
    return 'it is a video; extract its frames with stmixer data prepare';
  const text = head.toString('latin1');
  if (!/^[\t\n\r\x20-\x7e]+$/.test(text)) return null;
  return `it is not a ${EXPECTED_NAMES[expected]} but a text that begins with ${JSON.stringify(text.slice(0, 40))}; ${again}`;
}

function isConvertible({ id, group }: FileFormat): boolean {
  return group === 'unsupported image' || id === 'numpy';
}
