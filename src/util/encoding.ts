/** @file The encoding of a text file, from its first bytes. */

export type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'utf-32';

/** Number of bytes that are looked at. */
const HEAD = 1024;
/** Smallest share of zeros among every second byte of a text in UTF-16 without a mark. Letters of Latin scripts have one each. */
const MIN_ZEROS = 0.4;
const MIN_BYTES = 16;

/** The encoding that a byte order mark names, or that zeros in every second byte show; UTF-8 without either. */
export function encodingOf(bytes: Uint8Array): Encoding {
  const [a, b, c, d] = bytes;
  if ((a === 0xff && b === 0xfe && c === 0 && d === 0) || (a === 0 && b === 0 && c === 0xfe && d === 0xff))
    return 'utf-32';
  if (a === 0xff && b === 0xfe) return 'utf-16le';
  if (a === 0xfe && b === 0xff) return 'utf-16be';
  const head = bytes.subarray(0, Math.min(HEAD, bytes.length - (bytes.length % 2)));
  if (head.length < MIN_BYTES) return 'utf-8';
  const [even, odd] = [zerosAt(head, 0), zerosAt(head, 1)];
  if (even === 0 && odd >= MIN_ZEROS) return 'utf-16le';
  if (odd === 0 && even >= MIN_ZEROS) return 'utf-16be';
  return 'utf-8';
}

/** Share of zeros among every second byte. */
function zerosAt(bytes: Uint8Array, offset: number): number {
  let zeros = 0;
  for (let i = offset; i < bytes.length; i += 2) if (bytes[i] === 0) zeros++;
  return zeros / (bytes.length / 2);
}
