/** @file bfloat16 on the host: the upper half of a float32. */

/** Rounds to the nearest number, of two to the even one. NaN stays NaN. */
export function toBfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const result = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i];
    const isNotANumber = (word & 0x7fff_ffff) > 0x7f80_0000;
    // A NaN with bits in the lower half only would become infinite.
    result[i] = isNotANumber ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return result;
}

/** Exact. */
export function fromBfloat16(values: Uint16Array): Float32Array {
  const bits = new Uint32Array(values.length);
  for (let i = 0; i < values.length; i++) bits[i] = values[i] << 16;
  return new Float32Array(bits.buffer);
}
