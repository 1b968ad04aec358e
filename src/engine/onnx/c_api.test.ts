/** @file Which library file is loaded, and what is said where it is another release's. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { EngineError } from '../../errors.js';
import { machineProbe } from '../probe.js';
import { libraryPath, loadOrtApi, ORT_VERSION } from './c_api.js';

// A process loads one library: this one a pretended one, not the engine's.
process.env.STMIXER_TEST_ENGINE = 'cpu';

describe('libraryPath', () => {
  it.each([
    ['linux', 'x64', 'libonnxruntime.so.1'],
    ['linux', 'arm64', 'libonnxruntime.so.1'],
    ['darwin', 'arm64', 'libonnxruntime.1.30.0.dylib'],
    ['win32', 'x64', 'onnxruntime.dll'],
    ['win32', 'arm64', 'onnxruntime.dll'],
  ])('on %s %s is a file of the package', (platform, arch, name) => {
    const path = libraryPath(platform, arch, '/nm/onnxruntime-node');
    expect(path).toBe(join('/nm/onnxruntime-node/bin/napi-v6', platform, arch, name));
    // The package brings the files of all platforms.
    expect(
      existsSync(
        libraryPath(platform, arch, machineProbe().packageFolder('onnxruntime-node') as string) as string,
      ),
    ).toBe(true);
  });

  it.each(['freebsd', 'aix', 'android'])('on %s is none', (platform) => {
    expect(libraryPath(platform, 'x64', '/nm/onnxruntime-node')).toBeNull();
  });
});

describe('loadOrtApi', () => {
  /** Makes `koffi.load` return a library whose OrtGetApiBase() names a version; its table is never asked for. */
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

  it('refuses another release, with what to do about it', () => {
    pretendVersion('1.29.1');
    // koffi takes settings before everything else, as they come in a program; here it has made callbacks already.
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
