/** @file The size of a JPEG or PNG image, from the header of its file. */
import { DataError } from '../../errors.js';
import { type ByteSource, withFileBytes } from '../../files/file_bytes.js';
import { readJpegHeader, readPngSize, type Size } from '../../media/image_header.js';
import { imageFormat } from '../../media/signatures.js';
import { imageError } from './image_problem.js';

/**
 * Size of a JPEG or PNG image as it is shown, after an EXIF rotation. Throws DataError that names the file and `what`, e.g.
 * the video that it belongs to.
 */
export function readImageSize(path: string, what: string): Size {
  try {
    return withFileBytes(path, sizeIn);
  } catch (error) {
    if (error instanceof UnknownSize)
      throw new DataError(`${path}: ${what}: ${error.message}`, { cause: error });
    throw imageError(path, what, error);
  }
}

class UnknownSize extends Error {}

function sizeIn(bytes: ByteSource): Size {
  const format = imageFormat(bytes);
  if (format !== null && format !== 'jpeg' && format !== 'png') {
    throw new UnknownSize(
      'only JPEG and PNG images show their shape without being decoded: set ' +
        'DATALOADER.ASPECT_RATIO_GROUPING to False, or extract the frames as JPEG',
    );
  }
  const size = format === 'jpeg' ? readJpegHeader(bytes)?.size : readPngSize(bytes);
  if (format !== null && size && size.width > 0 && size.height > 0) return size;
  throw new Error('its header has no size');
}
