/** @file Picture files that may move: GIF, WebP, PNG. */
import { extname } from 'node:path';
import sharp from 'sharp';
import { withFileBytes } from '../files/file_bytes.js';
import { isAnimatedPng } from './image_header.js';

const MAYBE_ANIMATED = new Set('.gif .webp .png .apng'.split(' '));

/** Whether the ending is one of pictures that may be animated. */
export function isAnimatedPictureName(path: string): boolean {
  return MAYBE_ANIMATED.has(extname(path).toLowerCase());
}

/** Whether a GIF, WebP or PNG file has more than one picture; false for a file that cannot be read. */
export async function isAnimated(path: string): Promise<boolean> {
  try {
    if (isAnimatedPngFile(path)) return true;
    // libvips counts the pictures of GIF and WebP, but knows no animation of PNG.
    return ((await sharp(path).metadata()).pages ?? 1) > 1;
  } catch {
    return false;
  }
}

/** Whether a file is an animated PNG; reads the heads of a few chunks. Throws the error of the system. */
export function isAnimatedPngFile(path: string): boolean {
  return withFileBytes(path, isAnimatedPng);
}
