/** @file Recognises failed allocations by the messages of the libraries. */
import { count, gib } from '../../util/text.js';

/** If JavaScript refuses a smaller length, the program is at fault, not the memory. */
const LARGE_LENGTH = 2 ** 28;
const ELEMENT_BYTES: Record<string, number> = {
  double: 8,
  int64: 8,
  half: 2,
  bfloat16: 2,
  bool: 1,
  uint8: 1,
};

/** Messages of the libraries, and how each names the requested memory; null if it does not. */
const FAILURES: readonly { says: RegExp; what(found: RegExpExecArray): string | null }[] = [
  // ONNX Runtime's arena.
  { says: /requested buffer of size (\d+)/, what: ([, bytes]) => gib(Number(bytes)) },
  // ONNX Runtime on a GPU.
  {
    says: /a buffer of up to ([\d.]+ [KMGT]?i?B) could not be allocated/,
    what: ([, size]) => `up to ${size} on the GPU`,
  },
  {
    says: /a tensor \[([\d,]*)\] of ([\d.]+ ?[KMGT]iB) is larger than a buffer of this GPU/,
    what: ([, shape, size]) => `${size} on the GPU, a tensor [${shape.split(',').join(', ')}],`,
  },
  // The engine cuda.
  {
    says: /the GPU has too little memory: ([\d.]+ ?[KMGT]?i?B) were asked for/,
    what: ([, size]) => `${size} on the GPU`,
  },
  // TensorFlow, on CPUs and GPUs.
  {
    says: /OOM when allocating tensor with shape\[([\d,]*)\] and type (\w+)/,
    what: ([, shape, type]) =>
      `${gib(product(shape) * (ELEMENT_BYTES[type] ?? 4))}, a tensor [${shape.split(',').join(', ')}],`,
  },
  { says: /failed to allocate ([\d.]+ ?[KMGT]i?B)/i, what: ([, size]) => size },
  { says: /failed to alloc\w* (?:memory for )?(\d{4,}) bytes/i, what: ([, bytes]) => gib(Number(bytes)) },
  // Kernels that allocate memory themselves.
  { says: /\bbad[_ ]alloc(ation)?\b/, what: () => null },
  { says: /failed to allocate memory|cannot allocate memory|out of memory(?!\?)/i, what: () => null },
  { says: /RESOURCE_EXHAUSTED|ResourceExhausted|CUDA_ERROR_OUT_OF_MEMORY|ENOMEM/, what: () => null },
  // JavaScript's own buffers.
  { says: /^Array buffer allocation failed$/, what: () => null },
];
const TOO_LONG = /^Invalid (?:typed array|array buffer) length: (\d+)$/;

function product(shape: string): number {
  return shape.split(',').reduce((size, extent) => size * Number(extent), 1);
}

/** An allocation that failed. */
export interface AllocationFailure {
  /** The requested memory in words, or null. */
  what: string | null;
}

/** The failed allocation behind an error, or null where it is about something else. */
export function allocationFailure(error: unknown): AllocationFailure | null {
  let found: AllocationFailure | null = null;
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const failure = failureIn(cause);
    // The first message that names the size wins over earlier ones.
    if (failure?.what) return failure;
    found ??= failure;
  }
  return found;
}

function failureIn({ message }: Error): AllocationFailure | null {
  for (const { says, what } of FAILURES) {
    const match = says.exec(message);
    if (match) return { what: what(match) };
  }
  const length = Number(TOO_LONG.exec(message)?.[1] ?? 0);
  return length >= LARGE_LENGTH ? { what: `an array of ${count(length)} elements` } : null;
}
