/** @file Telling allocations that failed from other errors, and saying what the user can do. */
import { gib } from '../../util/text.js';

/** Smaller lengths that JavaScript refuses are a fault of the program, not a lack of memory. */
const LARGE_LENGTH = 2 ** 28;
const ELEMENT_BYTES: Record<string, number> = {
  double: 8,
  int64: 8,
  half: 2,
  bfloat16: 2,
  bool: 1,
  uint8: 1,
};

/** What was asked for, as each of the libraries says it; null: it does not say. */
const FAILURES: readonly { says: RegExp; what(found: RegExpExecArray): string | null }[] = [
  // ONNX Runtime's arena.
  { says: /requested buffer of size (\d+)/, what: ([, bytes]) => gib(Number(bytes)) },
  // TensorFlow, on CPUs and GPUs.
  {
    says: /OOM when allocating tensor with shape\[([\d,]*)\] and type (\w+)/,
    what: ([, shape, type]) =>
      `${gib(product(shape) * (ELEMENT_BYTES[type] ?? 4))}, a tensor [${shape.split(',').join(', ')}],`,
  },
  { says: /failed to allocate ([\d.]+ ?[KMGT]i?B)/i, what: ([, size]) => size },
  { says: /failed to alloc\w* (?:memory for )?(\d{4,}) bytes/i, what: ([, bytes]) => gib(Number(bytes)) },
  // Kernels that want memory of their own.
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
  /** What was asked for, in words, or null. */
  what: string | null;
}

/** The failed allocation behind an error, or null where it is about something else. */
export function allocationFailure(error: unknown): AllocationFailure | null {
  let found: AllocationFailure | null = null;
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const failure = failureIn(cause);
    // What says the most wins over what comes first.
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
  return length >= LARGE_LENGTH ? { what: `an array of ${length.toLocaleString('en')} elements` } : null;
}
