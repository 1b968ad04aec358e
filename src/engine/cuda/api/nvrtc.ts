/** @file NVRTC, NVIDIA's compiler of CUDA C at run time. */
import type { LibraryHandle } from 'koffi';
import { EngineError } from '../../../errors.js';
import { type Address, bind, cText, nativeBytes, Out, openLibrary } from '../../../util/native/native.js';
import { CudaError } from './error.js';

const FUNCTIONS = {
  nvrtcVersion: ['void *', 'void *'],
  nvrtcGetNumSupportedArchs: ['void *'],
  nvrtcGetSupportedArchs: ['void *'],
  nvrtcCreateProgram: ['void *', 'str', 'str', 'int', 'void *', 'void *'],
  nvrtcCompileProgram: ['uint64', 'int', 'const char **'],
  nvrtcGetProgramLogSize: ['uint64', 'void *'],
  nvrtcGetProgramLog: ['uint64', 'void *'],
  nvrtcGetCUBINSize: ['uint64', 'void *'],
  nvrtcGetCUBIN: ['uint64', 'void *'],
  nvrtcDestroyProgram: ['void *'],
} as const;

type Name = keyof typeof FUNCTIONS;

/** Sources hold everything they need, so that NVRTC need not read its own headers for each compilation. */
const OPTIONS = ['--minimal', '--fmad=true'];

export interface CompiledSource {
  /** Machine code that the driver loads. */
  readonly cubin: Uint8Array;
  /** Warnings; empty if there are none. */
  readonly log: string;
}

/** Loads NVRTC. libnvrtc-builtins must have been loaded before if the loader cannot find it. Throws EngineError. */
export function loadNvrtc(path: string): Nvrtc {
  return new Nvrtc(openLibrary(path));
}

/** The compiler. Functions throw CudaError. */
export class Nvrtc {
  readonly #native: Record<Name, (...args: unknown[]) => unknown>;
  readonly #errorString: (code: number) => string;
  readonly version: readonly [major: number, minor: number];
  /** Architectures that it makes cubins for, ascending, such as 75 and 90. */
  readonly architectures: readonly number[];

  constructor(library: LibraryHandle) {
    this.#native = bind<Name>(library, 'int', FUNCTIONS);
    const { nvrtcGetErrorString } = bind(library, 'str', { nvrtcGetErrorString: ['int'] });
    this.#errorString = nvrtcGetErrorString as (code: number) => string;
    this.version = this.#readVersion();
    this.architectures = this.#readArchitectures();
  }

  /** The options of every compilation for an architecture. */
  static options(architecture: number): string[] {
    return [`--gpu-architecture=sm_${architecture}`, ...OPTIONS];
  }

  /** Compiles CUDA C for one of `architectures`. An error in the source is a CudaError with the compiler's messages. */
  compile(source: string, architecture: number): CompiledSource {
    const program = new Out();
    this.#call('nvrtcCreateProgram', program.pointer, source, 'stmixer.cu', 0, null, null);
    try {
      const options = Nvrtc.options(architecture);
      const code = this.#native.nvrtcCompileProgram(program.value, options.length, options) as number;
      const log = cText(this.#bytes('nvrtcGetProgramLogSize', 'nvrtcGetProgramLog', program.value)).trim();
      if (code !== 0)
        throw new CudaError('nvrtcCompileProgram', code, this.#errorString(code), log.slice(0, 4000));
      return { cubin: this.#bytes('nvrtcGetCUBINSize', 'nvrtcGetCUBIN', program.value), log };
    } finally {
      this.#native.nvrtcDestroyProgram(program.pointer);
    }
  }

  #readVersion(): readonly [number, number] {
    const [major, minor] = [new Out(), new Out()];
    this.#call('nvrtcVersion', major.pointer, minor.pointer);
    return [major.int32, minor.int32];
  }

  #readArchitectures(): number[] {
    const count = new Out();
    this.#call('nvrtcGetNumSupportedArchs', count.pointer);
    const list = new Int32Array(new ArrayBuffer(4 * count.int32));
    this.#call('nvrtcGetSupportedArchs', list);
    return [...list].sort((a, b) => a - b);
  }

  #bytes(size: Name, content: Name, program: Address): Uint8Array {
    const length = new Out();
    this.#call(size, program, length.pointer);
    const bytes = nativeBytes(length.value);
    this.#call(content, program, bytes);
    return bytes;
  }

  #call(name: Name, ...args: unknown[]): void {
    const code = this.#native[name](...args) as number;
    if (code !== 0) throw new CudaError(name, code, this.#errorString(code), '');
  }
}

/**
 * The architecture to compile for: the GPU's own, or the next older one of the same generation, whose machine code it runs.
 * Throws EngineError if NVRTC knows none.
 */
export function chooseArchitecture(
  { architectures, version }: Pick<Nvrtc, 'architectures' | 'version'>,
  [major, minor]: readonly [major: number, minor: number],
): number {
  const own = 10 * major + minor;
  const best = architectures.findLast((arch) => Math.floor(arch / 10) === major && arch <= own);
  if (best !== undefined) return best;
  const isTooOld = own < Math.min(...architectures);
  throw new EngineError(
    `CUDA ${version.join('.')} cannot compile for this GPU (compute capability ${major}.${minor}): it needs ` +
      (isTooOld
        ? `CUDA ${Math.max(11, version[0] - 1)} or older: npm run setup:cuda -- --cuda ${version[0] - 1}`
        : 'a newer CUDA'),
  );
}
