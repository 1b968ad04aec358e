/** @file Sizes of the buffers that ONNX Runtime's WebGPU provider makes. */

/** Sizes up to the largest are rounded up to one of these, so that buffers can be used again (buffer_manager.cc). */
const BUCKETS = [
  64, 128, 256, 512, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288, 1048576, 2097152, 4194304,
  8388608, 12582912, 16777216, 26214400, 33554432, 44236800, 58982400, 67108864, 134217728, 167772160,
];
const ALIGNMENT = 16;

/** Bytes of the buffer that is made for a tensor. */
export function bufferBytes(bytes: number): number {
  const bucket = BUCKETS.find((size) => size >= bytes);
  return bucket ?? Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
