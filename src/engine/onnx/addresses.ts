/** @file Arrays of native addresses, which the C functions of ONNX Runtime take. */
import koffi from 'koffi';

/**
 * An array of addresses for native code. The garbage collector moves small typed arrays on the JavaScript heap, but not
 * those made on an ArrayBuffer.
 */
export function addresses(count: number): BigUint64Array {
  return new BigUint64Array(new ArrayBuffer(8 * Math.max(1, count)));
}

/** The bytes of texts whose addresses are in a table, for as long as the table lives. */
const bytesOf = new WeakMap<BigUint64Array, Uint8Array[]>();

/** Addresses of texts as C strings. */
export function cStrings(texts: readonly string[]): BigUint64Array {
  const table = addresses(texts.length);
  const all = texts.map((text) => {
    const encoded = new TextEncoder().encode(`${text}\0`);
    const bytes = new Uint8Array(new ArrayBuffer(encoded.length));
    bytes.set(encoded);
    return bytes;
  });
  for (const [i, bytes] of all.entries()) table[i] = koffi.address(bytes);
  bytesOf.set(table, all);
  return table;
}

/**
 * Addresses of the names i0, i1, … or o0, o1, … as C strings, which `Run` takes. They are made once, because koffi would
 * otherwise encode sixty strings for each run.
 */
export class NameTable {
  #pointers = addresses(0);
  #texts: Uint8Array[] = [];

  constructor(private readonly prefix: string) {}

  /** Addresses of at least the first `count` names. */
  first(count: number): BigUint64Array {
    if (this.#texts.length < count) {
      const grown = addresses(Math.max(64, 2 * count));
      const added = new Uint8Array(new ArrayBuffer(16 * grown.length));
      for (let i = 0; i < grown.length; i++) {
        const text = `${this.prefix}${i}`;
        for (let c = 0; c < text.length; c++) added[16 * i + c] = text.charCodeAt(c);
      }
      const base = koffi.address(added);
      for (let i = 0; i < grown.length; i++) grown[i] = base + BigInt(16 * i);
      this.#texts = Array.from({ length: grown.length }, () => added);
      this.#pointers = grown;
    }
    return this.#pointers;
  }
}
