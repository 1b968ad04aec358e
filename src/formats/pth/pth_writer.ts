/** @file Writes .pth files of any size that torch.load(weights_only=True) reads. */
import { createHash } from 'node:crypto';
import { replaceFile } from '../../files/atomic_file.js';
import { byteLengthOf, type HostTensor } from '../host_tensor.js';
import { pickle } from '../pickle/pickler.js';
import type { PyValue } from '../python/values.js';
import { ZipWriter } from '../zip/zip_writer.js';

/** The folder of all entries inside the archive; PyTorch takes any name, and a fixed one lets files be renamed. */
const ROOT = 'archive';

/**
 * Writes a value as `torch.save` does, and replaces `path` when the file is complete. Tensors are written
 * one after the other, with one call of `bytes()` each, and must not change until the promise settles. A tensor object that
 * occurs twice is stored once. Throws CheckpointError if the value or the disk does not allow it.
 *
 * Two of PyTorch's records are left out, `.format_version` and `.storage_alignment`. They promise a layout in which offsets
 * can be computed, and this one has no data descriptors.
 */
export async function writePth(path: string, value: PyValue): Promise<void> {
  await writePickled(path, pickle(value));
}

/** Writes a pickled value, with the tensors that it refers to, as `writePth` does. */
export async function writePickled(
  path: string,
  { bytes, tensors }: { bytes: Uint8Array; tensors: readonly HostTensor[] },
): Promise<void> {
  await replaceFile(path, async (sink) => {
    const zip = new ZipWriter(sink);
    const hash = createHash('sha256');
    const add = async (name: string, data: Uint8Array) => {
      const crc = await zip.add(`${ROOT}/${name}`, data);
      hash.update(`${name} ${data.length} ${crc}\n`);
    };
    await add('data.pkl', bytes);
    await add('byteorder', Buffer.from('little'));
    for (const [key, tensor] of tensors.entries()) {
      const data = tensor.bytes();
      const expected = byteLengthOf(tensor);
      if (data.length !== expected) {
        throw new RangeError(`a ${tensor.dtype} tensor [${tensor.shape}] has ${data.length} bytes`);
      }
      await add(`data/${key}`, data);
    }
    await add('version', Buffer.from('3\n'));
    // 40 digits that differ with the content. PyTorch makes them by another hash.
    const id = BigInt(`0x${hash.digest('hex')}`) % 10n ** 40n;
    await zip.add(`${ROOT}/.data/serialization_id`, Buffer.from(String(id).padStart(40, '0')));
    await zip.finish();
  });
}
