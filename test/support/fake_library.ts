/** @file A native library made of JavaScript functions, for the tests of bindings. */
import type { LibraryHandle } from 'koffi';

/** Functions by name. They get the arguments as they are passed to koffi; pointers to results are typed arrays. */
export type FakeFunctions = Record<string, (...args: never[]) => unknown>;

export interface FakeLibrary {
  readonly handle: LibraryHandle;
  /** Calls in order: the name and a copy of the arguments. */
  readonly calls: { readonly name: string; readonly args: readonly unknown[] }[];
}

/** Functions that are not given return `otherwise`. */
export function fakeLibrary(functions: FakeFunctions, otherwise: unknown = 0): FakeLibrary {
  const calls: { name: string; args: unknown[] }[] = [];
  const func = (name: string) => {
    const implementation = functions[name] as ((...args: unknown[]) => unknown) | undefined;
    return (...args: unknown[]) => {
      calls.push({ name, args: args.map(copy) });
      return implementation ? implementation(...args) : otherwise;
    };
  };
  return { handle: { func } as unknown as LibraryHandle, calls };
}

function copy(value: unknown): unknown {
  return ArrayBuffer.isView(value) && !(value instanceof DataView) ? (value as Uint8Array).slice() : value;
}
