/** @file Writing .pth files that torch.load(weights_only=True) reads, of any size without holding them in memory. */
import { createHash } from 'node:crypto';
import { replaceFile } from '../../files/atomic_file.js';
import { DTYPE_BYTES, type HostTensor, sizeOf } from '../host_tensor.js';
import { pickle } from '../pickle/pickler.js';
import type { PyValue } from '../python/values.js';
import { ZipWriter } from '../zip/zip_writer.js';

/** The folder of all entries inside the archive; PyTorch takes any name, and a fixed one lets files be renamed. */
const ROOT = 'archive';

/**
 * Writes a value as `torch.save` would, in place of `path` once it is complete (see replaceFile). Tensors are taken one
 * after the other, each `bytes()` called once; they must not change until the promise settles. A tensor object that
 * occurs twice is stored once. Throws CheckpointError if the value or the disk does not allow it.
 *
 * Of PyTorch's records two are left out: `.format_version` and `.storage_alignment` promise its exact layout, so that
 * offsets can be computed instead of looked up, and ours has no data descriptors.
 */
export async function writePth(path: string, value: PyValue): Promise<void> {
  await writePickled(path, pickle(value));
}

/** The same for a value that is a pickle already, with the tensors that it refers to. */
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
      const expected = sizeOf(tensor.shape) * DTYPE_BYTES[tensor.dtype];
      if (data.length !== expected) {
        throw new RangeError(`a ${tensor.dtype} tensor [${tensor.shape}] has ${data.length} bytes`);
      }
      await add(`data/${key}`, data);
    }
    await add('version', Buffer.from('3\n'));
    // 40 digits that tell files of different content apart, as PyTorch makes them (by a hash of its own).
    const id = BigInt(`0x${hash.digest('hex')}`) % 10n ** 40n;
    await zip.add(`${ROOT}/.data/serialization_id`, Buffer.from(String(id).padStart(40, '0')));
    await zip.finish();
  });
}
