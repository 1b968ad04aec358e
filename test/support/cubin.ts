/** @file What a cubin says of its kernels: registers and local memory. */

export interface KernelResources {
  readonly name: string;
  readonly registers: number;
  /** Bytes of each thread in local memory: registers that were spilled, and arrays with computed indices. */
  readonly localBytes: number;
}

interface Section {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

// Attributes of `.nv.info`; each is followed by the index of a symbol and a number.
const FRAME_SIZE = 0x11;
const REGISTER_COUNT = 0x2f;
/** The format of attributes with a size and that many bytes. */
const SIZED = 4;

const SYMBOL_BYTES = 24;

/** Reads a cubin, which is an ELF file for 64 bits. */
export function kernelResources(cubin: Uint8Array): KernelResources[] {
  const view = new DataView(cubin.buffer, cubin.byteOffset, cubin.byteLength);
  const sections = sectionsOf(view);
  const numbers = new Map<string, { registers?: number; localBytes?: number }>();
  for (const [attribute, symbol, value] of attributesOf(view, sectionNamed(sections, '.nv.info'))) {
    const name = symbolName(view, sections, symbol);
    const known = numbers.get(name) ?? {};
    if (attribute === REGISTER_COUNT) known.registers = value;
    else if (attribute === FRAME_SIZE) known.localBytes = value;
    numbers.set(name, known);
  }
  // Functions that kernels call, such as divisions, have no number of registers.
  return Array.from(numbers).flatMap(([name, { registers, localBytes = 0 }]) =>
    registers === undefined ? [] : [{ name, registers, localBytes }],
  );
}

function sectionsOf(view: DataView): Section[] {
  const start = Number(view.getBigUint64(0x28, true));
  const [entryBytes, count, names] = [0x3a, 0x3c, 0x3e].map((at) => view.getUint16(at, true));
  const at = (n: number, field: number) => start + n * entryBytes + field;
  const offsetOf = (n: number) => Number(view.getBigUint64(at(n, 0x18), true));
  return Array.from({ length: count }, (_, n) => ({
    name: textAt(view, offsetOf(names) + view.getUint32(at(n, 0), true)),
    offset: offsetOf(n),
    size: Number(view.getBigUint64(at(n, 0x20), true)),
  }));
}

function sectionNamed(sections: readonly Section[], name: string): Section {
  const section = sections.find((other) => other.name === name);
  if (!section) throw new Error(`the cubin has no section ${name}`);
  return section;
}

function* attributesOf(view: DataView, { offset, size }: Section): Generator<[number, number, number]> {
  for (let at = offset; at < offset + size; ) {
    const [format, attribute, bytes] = [
      view.getUint8(at),
      view.getUint8(at + 1),
      view.getUint16(at + 2, true),
    ];
    at += 4;
    if (format !== SIZED) continue;
    const isOfKernel = attribute === REGISTER_COUNT || attribute === FRAME_SIZE;
    if (isOfKernel) yield [attribute, view.getUint32(at, true), view.getUint32(at + 4, true)];
    at += bytes;
  }
}

function symbolName(view: DataView, sections: readonly Section[], index: number): string {
  const name = view.getUint32(sectionNamed(sections, '.symtab').offset + index * SYMBOL_BYTES, true);
  return textAt(view, sectionNamed(sections, '.strtab').offset + name);
}

function textAt(view: DataView, start: number): string {
  let end = start;
  while (view.getUint8(end) !== 0) end++;
  return Buffer.from(view.buffer, view.byteOffset + start, end - start).toString('latin1');
}
