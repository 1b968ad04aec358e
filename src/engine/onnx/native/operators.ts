/** @file Makes the kernels of the native library operators of ONNX Runtime. */
import koffi, { type LibraryHandle } from 'koffi';
import type { OrtApi, Pointer } from '../c_api.js';
import { NATIVE_DOMAIN } from '../model_format.js';

/** Libraries in use. When a handle is garbage-collected, it closes the library, and its functions crash. */
const loadedLibraries: LibraryHandle[] = [];

/** Loads the library. Returns the domain of its operators, for the options of sessions. */
export function loadOperators(api: OrtApi, path: string): Pointer {
  const library = koffi.load(path);
  loadedLibraries.push(library);
  const operatorAt = library.func('void *stmixer_operator(size_t place)');
  const domain = api.create((out) => api.CreateCustomOpDomain(NATIVE_DOMAIN, out));
  for (let place = 0; ; place++) {
    const operator = operatorAt(place) as Pointer | null;
    if (!operator) return domain;
    api.CustomOpDomain_Add(domain, operator);
  }
}
