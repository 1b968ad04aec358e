/** @file Writes .safetensors files that the reference library reads, with a checksum for each tensor. */
import { CheckpointError } from '../../errors.js';
import { replaceFile } from '../../files/atomic_file.js';
import { crc32 } from '../checksum.js';
import { byteLengthOf, DTYPE_BYTES, type HostTensor, piecesOf } from '../host_tensor.js';
import {
  CHECKSUMS,
  headerText,
  METADATA,
  SAFETENSORS_DTYPE,
  type SafetensorsEntry,
} from './safetensors_reader.js';

/** Data begin at multiples of this number of bytes, as in the reference library. */
const ALIGNMENT = 8;

/**
 * Writes tensors by name, one after the other and piece by piece if possible, and replaces `path` when the file is complete:
 * see replaceFile. `metadata` is added to the header. Types with larger elements come first, so that all are aligned;
 * otherwise the order stays. Throws CheckpointError if the disk refuses or a tensor cannot be read.
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  if (tensors.has(METADATA)) throw new CheckpointError(`${path}: a tensor cannot be called ${METADATA}`);
  const order = [...tensors].sort(([, a], [, b]) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype]);
  let end = 0;
  const entries = order.map(([name, { dtype, shape }]): SafetensorsEntry => {
    const begin = end;
    end += byteLengthOf({ dtype, shape });
    return { name, dtype, shape, begin, end };
  });
  const sums = [crc32(Buffer.from(headerText(entries)))];
  const digits = () =>
    Array.from({ length: 1 + entries.length }, (_, i) => (sums[i] ?? 0).toString(16).padStart(8, '0')).join(
      '',
    );
  const header = () => headerOf(entries, { format: 'pt', ...metadata, [CHECKSUMS]: digits() });
  await replaceFile(path, async (sink) => {
    await sink.write(header());
    for (const [i, [name, tensor]] of order.entries()) {
      let crc = 0;
      let length = 0;
      for (const piece of piecesOf(tensor)) {
        crc = crc32(piece, crc);
        length += piece.length;
        await sink.write(piece);
      }
      const { begin, end, dtype, shape } = entries[i];
      if (length !== end - begin) {
        throw new RangeError(`the ${dtype} tensor "${name}" [${shape}] has ${length} bytes`);
      }
      sums.push(crc);
    }
    // The checksums are known only now. They take as many digits as the placeholders.
    await sink.flush();
    const complete = header();
    await sink.handle.write(complete, 0, complete.length, 0);
  });
}

function headerOf(entries: readonly SafetensorsEntry[], metadata: Readonly<Record<string, string>>): Buffer {
  // Names may be "__proto__": pairs, not properties.
  const pairs = entries.map(({ name, dtype, shape, begin, end }) => {
    const entry = { dtype: SAFETENSORS_DTYPE[dtype], shape, data_offsets: [begin, end] };
    return `${JSON.stringify(name)}:${JSON.stringify(entry)}`;
  });
  const text = Buffer.from(`{${[`"${METADATA}":${JSON.stringify(metadata)}`, ...pairs].join(',')}}`);
  const padded = Math.ceil(text.length / ALIGNMENT) * ALIGNMENT;
  const header = Buffer.alloc(8 + padded, ' ');
  header.writeBigUInt64LE(BigInt(padded));
  text.copy(header, 8);
  return header;
}
