/** @file The library is found on every platform, and another release of it is refused. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { EngineError } from '../../errors.js';
import { machineProbe } from '../probe.js';
import { libraryPath, loadOrtApi, ORT_VERSION } from './c_api.js';

// A process loads one library. This test loads a fake one, so the engine must not load its own.
process.env.STMIXER_TEST_ENGINE = 'cpu';

describe('libraryPath', () => {
  it.each([
    ['linux', 'x64', 'libonnxruntime.so.1'],
    ['linux', 'arm64', 'libonnxruntime.so.1'],
    ['darwin', 'arm64', 'libonnxruntime.1.30.0.dylib'],
    ['win32', 'x64', 'onnxruntime.dll'],
    ['win32', 'arm64', 'onnxruntime.dll'],
  ])('returns a file of the package on %s %s', (platform, arch, name) => {
    const path = libraryPath(platform, arch, '/nm/onnxruntime-node');
    expect(path).toBe(join('/nm/onnxruntime-node/bin/napi-v6', platform, arch, name));
    // The package brings the files of all platforms.
    expect(
      existsSync(
        libraryPath(platform, arch, machineProbe().packageFolder('onnxruntime-node') as string) as string,
      ),
    ).toBe(true);
  });

  it.each(['freebsd', 'aix', 'android'])('returns null on %s', (platform) => {
    expect(libraryPath(platform, 'x64', '/nm/onnxruntime-node')).toBeNull();
  });
});

describe('loadOrtApi', () => {
  /** Makes `koffi.load` return a library whose OrtGetApiBase() names a version, and whose table is never requested. */
  function pretendVersion(version: string): void {
    const register = (result: string, parameters: string[], f: (...args: unknown[]) => unknown) => {
      const callback = koffi.register(f, koffi.pointer(koffi.proto(result, parameters)));
      onTestFinished(() => koffi.unregister(callback));
      return koffi.address(callback);
    };
    const table = BigUint64Array.of(
      register('void *', ['uint32_t'], () => {
        throw new Error('the functions of another release must not be looked at');
      }),
      register('str', [], () => version),
    );
    const load = vi.spyOn(koffi, 'load').mockReturnValue({
      func: () => () => koffi.address(table),
    } as unknown as ReturnType<typeof koffi.load>);
    onTestFinished(() => load.mockRestore());
  }

  it('refuses another release and says what to do', () => {
    pretendVersion('1.29.1');
    // koffi accepts settings only before its first use, as in a program; here it has already made callbacks.
    const config = vi.spyOn(koffi, 'config').mockReturnValue({});
    onTestFinished(() => config.mockRestore());
    let failure: unknown;
    try {
      loadOrtApi('libonnxruntime.so');
    } catch (error) {
      failure = error;
    }
    expect(failure).toBeInstanceOf(EngineError);
    expect((failure as EngineError).message).toBe(
      `onnxruntime-node holds ONNX Runtime 1.29.1, this needs ${ORT_VERSION}: run npm ci`,
    );
  });
});
