/** @file Loads native libraries with koffi, and keeps them. */
import koffi, { type LibraryHandle } from 'koffi';

/** Libraries in use. When a handle is garbage-collected, it closes the library, and its functions crash. */
const loaded: LibraryHandle[] = [];
let isConfigured = false;

/**
 * Loads a library, which stays until the process ends; null is the process itself. With `global`, libraries that are loaded
 * later find its functions. Throws Error if there is none.
 */
export function loadLibrary(path: string | null, options: { global?: boolean } = {}): LibraryHandle {
  // Compiling a session of ONNX Runtime recurses deeply, on koffi's stack. Its size can be set only before the first load.
  // An attempt that fails counts as one.
  if (!isConfigured) koffi.config({ sync_stack_size: 8 * 2 ** 20, async_stack_size: 2 * 2 ** 20 });
  isConfigured = true;
  const library = koffi.load(path, options);
  loaded.push(library);
  return library;
}
