/** @file Numbers and types in CUDA C. */
import type { ExprType } from '../ir/expr.js';
import type { Storage } from '../storage.js';

/** The type of an element in memory; bfloat16 numbers are handled by their bits. */
export const STORAGE_TYPE: Readonly<Record<Storage, string>> = {
  float32: 'float',
  int32: 'int',
  bool: 'unsigned char',
  bfloat16: 'unsigned short',
};

/** Four elements in memory. */
export const VECTOR_TYPE: Readonly<Record<Storage, string>> = {
  float32: 'float4',
  int32: 'int4',
  bool: 'uchar4',
  bfloat16: 'ushort4',
};

export function literal(value: number, type: ExprType): string {
  if (type === 'bool') return value ? 'true' : 'false';
  if (type === 'int') return value === -(2 ** 31) ? '(-2147483647 - 1)' : String(value);
  const rounded = Math.fround(value);
  if (Number.isNaN(rounded)) return '__int_as_float(0x7fc00000)';
  if (!Number.isFinite(rounded)) return `__int_as_float(0x${rounded > 0 ? '7f' : 'ff'}800000)`;
  if (Object.is(rounded, -0)) return '-0.0f';
  const text = shortest(rounded);
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

/** The shortest decimal that rounds to this float32. */
function shortest(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = String(Number(value.toPrecision(digits)));
    if (Math.fround(Number(text)) === value) return text;
  }
  return String(Number(value.toPrecision(9)));
}
