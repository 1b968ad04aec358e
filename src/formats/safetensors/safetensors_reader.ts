/**
 * @file Reads .safetensors files as strictly as the reference library, and checks the checksums that we write.
 *
 * Own code: no library for Node reads tensors piece by piece or checks what a header claims.
 */
import { CheckpointError } from '../../errors.js';
import { FileSource } from '../../files/file_source.js';
import { crc32, DamagedDataError } from '../checksum.js';
import { byteLengthOf, type DType, type HostTensor } from '../host_tensor.js';
import { type JsonValue, parseStrictJson } from './strict_json.js';

/** The format's names of our types. */
export const SAFETENSORS_DTYPE: Record<DType, string> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
};

const DTYPES = new Map<unknown, DType>(
  Object.entries(SAFETENSORS_DTYPE).map(([dtype, code]) => [code, dtype as DType]),
);

/** The key of the metadata, an object of strings, in the header. */
export const METADATA = '__metadata__';

/**
 * Our entry in the metadata: checksums of 8 hexadecimal digits each, first that of `headerText`, then those of the tensors
 * in the header's order.
 */
export const CHECKSUMS = 'stmixer.crc32';

/** The reference library's limit. */
const MAX_HEADER_BYTES = 100 * 1024 * 1024;

/** The place of a tensor in a file. Offsets count from the end of the header. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsFile {
  /** Tensors by name, in the header's order. Bytes are read on demand and compared with their checksum. */
  readonly tensors: Map<string, HostTensor>;
  readonly metadata: ReadonlyMap<string, string>;
  /** Whether the file has checksums. */
  readonly checked: boolean;
}

/** Whether the file's first bytes are those of a safetensors file: a plausible header length, then JSON. */
export function looksLikeSafetensors(file: FileSource): boolean {
  if (file.size < 10) return false;
  const start = file.read(0, 9);
  return start.readBigUInt64LE() <= BigInt(file.size - 8) && start[8] === 0x7b;
}

/** The tensors of a safetensors file by name. Throws CheckpointError as `openSafetensors` does. */
export function readSafetensors(path: string): Map<string, HostTensor> {
  return openSafetensors(path).tensors;
}

/**
 * Opens a safetensors file. Throws CheckpointError unless its header describes its content to the last byte: no name twice,
 * no overlap, no hole, no spare bytes.
 */
export function openSafetensors(path: string): SafetensorsFile {
  return openSafetensorsFrom(new FileSource(path));
}

/** Reads the header of an open file as `openSafetensors` does. */
export function openSafetensorsFrom(file: FileSource): SafetensorsFile {
  const fail = (why: string): never => {
    throw new CheckpointError(`${file.path}: not a valid safetensors file: ${why}`);
  };
  if (file.size < 8) fail('shorter than its header');
  const headerBytes = Number(file.read(0, 8).readBigUInt64LE());
  if (headerBytes > file.size - 8) fail(`a header of ${headerBytes} bytes in a file of ${file.size}`);
  if (headerBytes > MAX_HEADER_BYTES) fail(`a header of ${headerBytes} bytes`);
  const header = parseHeader(file.read(8, headerBytes), fail);
  const metadata = parseMetadata(header.get(METADATA), fail);
  header.delete(METADATA);
  const entries = Array.from(header, ([name, entry]) => parseEntry(name, entry, fail));
  checkPlaces(entries, file.size - 8 - headerBytes, fail);

  const sums = metadata.get(CHECKSUMS);
  const checksums = sums === undefined ? null : parseChecksums(sums, entries, fail);
  const tensors = new Map<string, HostTensor>();
  for (const [i, entry] of entries.entries()) {
    tensors.set(entry.name, new PlacedTensor(file, 8 + headerBytes, entry, checksums?.[i] ?? null));
  }
  return { tensors, metadata, checked: checksums !== null };
}

/** The tensors in the header, in a form that does not depend on how the JSON is written. */
export function headerText(entries: readonly SafetensorsEntry[]): string {
  return JSON.stringify(
    entries.map(({ name, dtype, shape, begin, end }) => [name, dtype, shape, begin, end]),
  );
}

type Fail = (why: string) => never;

function parseHeader(bytes: Buffer, fail: Fail): Map<string, JsonValue> {
  let header: JsonValue;
  try {
    header = parseStrictJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    return fail(`its header is no JSON: ${error instanceof SyntaxError ? error.message : 'no UTF-8'}`);
  }
  return header instanceof Map ? header : fail('its header is not a JSON object');
}

function parseMetadata(value: JsonValue | undefined, fail: Fail): Map<string, string> {
  if (value === undefined) return new Map();
  if (!(value instanceof Map)) return fail(`its ${METADATA} is no object`);
  for (const [name, text] of value)
    if (typeof text !== 'string') fail(`"${name}" of its ${METADATA} is no text`);
  return value as Map<string, string>;
}

function parseEntry(name: string, entry: JsonValue, fail: Fail): SafetensorsEntry {
  const field = (key: string) => (entry instanceof Map ? entry.get(key) : undefined);
  const dtype =
    DTYPES.get(field('dtype')) ?? fail(`"${name}" has the unknown type ${JSON.stringify(field('dtype'))}`);
  const shape = field('shape');
  if (!isSizes(shape)) return fail(`"${name}" has the impossible shape ${JSON.stringify(shape)}`);
  const offsets = field('data_offsets');
  if (!isSizes(offsets) || offsets.length !== 2) return fail(`"${name}" has no place in the file`);
  const [begin, end] = offsets;
  if (end - begin !== byteLengthOf({ dtype, shape })) {
    return fail(`"${name}" [${shape}] does not fit its place in the file`);
  }
  return { name, dtype, shape, begin, end };
}

/** Checks that the tensors lie one after the other and fill the file. */
function checkPlaces(entries: readonly SafetensorsEntry[], dataBytes: number, fail: Fail): void {
  let at = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < at) fail(`"${name}" overlaps the tensor before it`);
    if (begin > at) fail(`${begin - at} bytes before "${name}" belong to no tensor`);
    at = end;
  }
  if (at > dataBytes) fail(`${at - dataBytes} bytes are missing at its end (is the file complete?)`);
  if (at < dataBytes) fail(`${dataBytes - at} bytes at its end belong to no tensor`);
}

function parseChecksums(text: string, entries: readonly SafetensorsEntry[], fail: Fail): number[] {
  const sums = text.match(/[0-9a-f]{8}/g) ?? [];
  if (8 * sums.length !== text.length) fail(`its ${CHECKSUMS} is no list of checksums`);
  const [header, ...rest] = sums.map((digits) => Number.parseInt(digits, 16));
  if (header !== crc32(Buffer.from(headerText(entries))) || rest.length !== entries.length) {
    fail(
      `its header does not match its checksum: it is damaged, or another program changed it and kept ` +
        `${CHECKSUMS} in its metadata`,
    );
  }
  return rest;
}

class PlacedTensor implements HostTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly #name: string;
  readonly #offset: number;
  readonly #length: number;

  constructor(
    private readonly file: FileSource,
    dataOffset: number,
    { name, dtype, shape, begin, end }: SafetensorsEntry,
    private readonly crc32: number | null,
  ) {
    this.#name = name;
    this.dtype = dtype;
    this.shape = shape;
    this.#offset = dataOffset + begin;
    this.#length = end - begin;
  }

  bytes(): Uint8Array {
    const bytes = this.file.read(this.#offset, this.#length);
    if (this.crc32 !== null) this.#compare(crc32(bytes));
    return bytes;
  }

  *pieces(): Generator<Uint8Array> {
    let crc = 0;
    for (const piece of this.file.pieces(this.#offset, this.#length)) {
      if (this.crc32 !== null) crc = crc32(piece, crc);
      yield piece;
    }
    this.#compare(crc);
  }

  #compare(crc: number): void {
    if (this.crc32 === null || crc === this.crc32) return;
    throw new DamagedDataError(
      `${this.file.path}: damaged: the data of "${this.#name}" do not match their checksum`,
    );
  }
}

function isSizes(value: JsonValue | undefined): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
}
