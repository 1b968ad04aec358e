/** @file Image files that may be animated: GIF, WebP, PNG. */
import { extname } from 'node:path';
import sharp from 'sharp';
import { withFileBytes } from '../files/file_bytes.js';
import { isAnimatedPng } from './image_header.js';

const MAY_BE_ANIMATED = new Set('.gif .webp .png .apng'.split(' '));

/** Whether the extension belongs to a format that may be animated. */
export function mayBeAnimated(path: string): boolean {
  return MAY_BE_ANIMATED.has(extname(path).toLowerCase());
}

/** Whether a GIF, WebP or PNG file has more than one image; false if it cannot be read. */
export async function isAnimated(path: string): Promise<boolean> {
  try {
    if (isAnimatedPngFile(path)) return true;
    // libvips counts the images of GIF and WebP, but ignores the animation of a PNG.
    return ((await sharp(path).metadata()).pages ?? 1) > 1;
  } catch {
    return false;
  }
}

/** Whether a file is an animated PNG; reads the heads of a few chunks. Throws the error of the operating system. */
export function isAnimatedPngFile(path: string): boolean {
  return withFileBytes(path, isAnimatedPng);
}
