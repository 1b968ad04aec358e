/** @file Makes the kernels of the native library operators of ONNX Runtime. */
import type { LibraryHandle } from 'koffi';
import { loadLibrary } from '../../../util/native/load_library.js';
import type { OrtApi, Pointer } from '../c_api.js';
import { NATIVE_DOMAIN } from '../model_format.js';
import type { NativeLibrary } from './library.js';

/** The domain of the operators, for the options of sessions, or why there are none. */
export type NativeOperators = { readonly domain: Pointer } | { readonly missing: string };

/** Loads the library. */
export function loadOperators(api: OrtApi, native: NativeLibrary): NativeOperators {
  if ('missing' in native) return native;
  let library: LibraryHandle;
  try {
    library = loadLibrary(native.path);
  } catch (error) {
    // Some systems run no programs from home folders.
    return { missing: `their library cannot be loaded: ${(error as Error).message}` };
  }
  const operatorAt = library.func('void *stmixer_operator(size_t place)');
  const domain = api.create((out) => api.CreateCustomOpDomain(NATIVE_DOMAIN, out));
  for (let place = 0; ; place++) {
    const operator = operatorAt(place) as Pointer | null;
    if (!operator) return { domain };
    api.CustomOpDomain_Add(domain, operator);
  }
}
