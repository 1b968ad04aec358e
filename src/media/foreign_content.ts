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

/** What to do about files that stand in for a file of any kind, by the id of their format; `{}` stands for the kind. */
export const STAND_IN_REMEDIES: Readonly<Record<string, string>> = {
  'git-lfs': 'run git lfs pull in its repository',
  'git-annex': 'run git annex get in its repository',
  appledouble: 'copy the {} itself, and leave out names that begin with "._"',
};

/** What to do about files that stand in for images and videos or contain them. */
const REMEDIES: Readonly<Record<string, string>> = {
  ...STAND_IN_REMEDIES,
  html: LOOK_INSIDE,
  xml: LOOK_INSIDE,
  json: LOOK_INSIDE,
  archive: 'unpack it',
};

/** Commands that convert images, by the id of their format. */
const CONVERTERS: Readonly<Record<string, string>> = {
  heic: 'heif-convert FILE frame.jpg',
  raw: 'darktable-cli FILE frame.jpg',
  svg: 'rsvg-convert -o frame.png FILE',
  numpy: "python -c \"import cv2, numpy; cv2.imwrite('frame.png', numpy.load('FILE'))\"",
  djvu: 'ddjvu -format=tiff FILE frame.tif',
};
/** Formats that ImageMagick converts better than ffmpeg: drawings, layers, and brightness that must be mapped. */
const FOR_MAGICK = new Set('exr hdr pfm psd ico dicom xcf jxr wmf eps xpm dds fits'.split(' '));
/** Formats that neither converts everywhere. */
const WITHOUT_CONVERTER = new Set(['bpg']);

/** The command that converts an image of this format; empty if none is common. */
function converter(id: string): string {
  if (WITHOUT_CONVERTER.has(id)) return '';
  const command =
    CONVERTERS[id] ?? (FOR_MAGICK.has(id) ? 'magick FILE frame.png' : 'ffmpeg -i FILE frame.png');
  return `, e.g. with: ${command}`;
}

/** Formats of images that ffmpeg decodes with the right colours. */
const FFMPEG_DECODES = new Set('bmp tga pnm jp2 jxl pcx sgi ras qoi xbm ico svg dds psd'.split(' '));

/** An image that must be converted before it can be a frame. */
export interface UnsupportedImage {
  /** Whether ffmpeg can convert it. */
  readonly isConvertible: boolean;
  /** The sentence about it. */
  readonly sentence: string;
}

/** Describes an image in a format that frames cannot have; null for anything else. */
export function unsupportedImage(format: FileFormat | null): UnsupportedImage | null {
  if (format?.group !== 'unsupported image') return null;
  return { isConvertible: FFMPEG_DECODES.has(format.id), sentence: unsupportedSentence(format) };
}

function unsupportedSentence({ id, name }: FileFormat): string {
  return (
    `it is ${name}, which cannot be read; convert it to JPEG or PNG${converter(id)} ` +
    '(the file may keep its name, because only its content counts)'
  );
}

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
    return expected === 'video' ? `it is ${format.name}, not a video; ${again}` : unsupportedSentence(format);
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
