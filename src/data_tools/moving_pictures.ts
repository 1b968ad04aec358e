/** @file Picture files that may move: GIF, WebP, PNG. */
import { closeSync, openSync, readSync } from 'node:fs';
import { extname } from 'node:path';
import sharp from 'sharp';

const MAYBE_ANIMATED = new Set('.gif .webp .png .apng'.split(' '));

/** Whether the ending is one of pictures that may be animated. */
export function isAnimatedPictureName(path: string): boolean {
  return MAYBE_ANIMATED.has(extname(path).toLowerCase());
}

/** Whether a GIF, WebP or PNG file has more than one picture; false for a file that cannot be read. */
export async function isAnimated(path: string): Promise<boolean> {
  try {
    if (isAnimatedPng(path)) return true;
    // libvips counts the pictures of GIF and WebP, but knows no animation of PNG.
    return ((await sharp(path).metadata()).pages ?? 1) > 1;
  } catch {
    return false;
  }
}

const PNG_SIGNATURE = '89504e470d0a1a0a';

/**
 * Whether a file is an animated PNG: the chunk that says so comes before the pixels. Reads the heads of a few chunks. Throws the
 * error of the system.
 */
export function isAnimatedPng(path: string): boolean {
  const fd = openSync(path, 'r');
  try {
    const head = Buffer.alloc(8);
    if (readSync(fd, head, 0, 8, 0) < 8 || head.toString('hex') !== PNG_SIGNATURE) return false;
    for (let at = 8; readSync(fd, head, 0, 8, at) === 8; at += 12 + head.readUInt32BE(0)) {
      const chunk = head.toString('latin1', 4);
      if (chunk === 'acTL') return true;
      if (chunk === 'IDAT') return false;
    }
    return false;
  } finally {
    closeSync(fd);
  }
}
