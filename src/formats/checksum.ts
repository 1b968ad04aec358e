/**
 * @file CRC-32, the checksum of zip and of our safetensors files.
 *
 * Own code for Node before 20.15 and 22.2, which lack `zlib.crc32`; the package supports Node 20 from its first version.
 */
import * as zlib from 'node:zlib';
import { CheckpointError } from '../errors.js';
import type { FileSource } from '../files/file_source.js';

/** Data do not match their recorded checksum. */
export class DamagedDataError extends CheckpointError {}

type Crc32 = (data: Uint8Array, start?: number) => number;

let table: Uint32Array | undefined;

/** The table method, one byte at a time, at about 300 MB/s. `start` is the CRC of the bytes before. */
export function crc32Portable(data: Uint8Array, start = 0): number {
  table ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    return crc;
  });
  const entries = table;
  let crc = ~start;
  for (let i = 0; i < data.length; i++) crc = entries[(crc ^ data[i]) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** zlib's function is ten times faster. */
const crc32OfPiece: Crc32 = (zlib as { crc32?: Crc32 }).crc32 ?? crc32Portable;

/** Bytes per call, as zlib counts them in 32 bits. */
const PIECE_BYTES = 1 << 30;

/** The CRC-32 of data of any length. `start` is the CRC of the bytes before. */
export function crc32(data: Uint8Array, start = 0): number {
  let crc = start;
  for (let at = 0; at < data.length; at += PIECE_BYTES) {
    crc = crc32OfPiece(data.subarray(at, at + PIECE_BYTES), crc);
  }
  return crc;
}

/** The CRC-32 of a range of a file, read piece by piece. */
export function crc32OfRange(file: FileSource, offset: number, length: number): number {
  let crc = 0;
  for (const piece of file.pieces(offset, length)) crc = crc32(piece, crc);
  return crc;
}
