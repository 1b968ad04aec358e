/** @file What the set-up asks of the machine before it downloads anything. */
import { tmpdir } from 'node:os';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { fakeProbe } from '../../test/support/fake_probe.js';
import { errorLines, runCommand } from './command.js';
import { checkFreeSpace, checkPlatform, findCompiler, findNodeHeaders, findPython } from './requirements.js';
import { setupTensorflow } from './setup.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('the requirements', () => {
  it('name the platforms that are supported', () => {
    const check = (platform: string, arch: string, gpu: boolean) => () =>
      checkPlatform(fakeProbe({ platform, arch }), gpu);
    expect(check('linux', 'x64', true)).not.toThrow();
    expect(check('linux', 'arm64', false)).not.toThrow();
    expect(check('linux', 'arm64', true)).toThrow(/no libtensorflow with CUDA for linux arm64/);
    expect(check('darwin', 'arm64', false)).toThrow(/for darwin arm64 .*--download.*--engine cpu/);
  });

  it('name the disk space that is missing', async () => {
    await checkFreeSpace(tmpdir(), 1);
    await expect(checkFreeSpace(tmpdir(), 2 ** 60)).rejects.toThrow(
      /1073741824\.0 GiB are needed in .* GiB are free/,
    );
  });

  it('name a missing compiler or Python', async () => {
    vi.stubEnv('PATH', '/nowhere');
    await expect(findCompiler()).rejects.toThrow(
      /no C\+\+ compiler \(looked for .*g\+\+.*apt-get install g\+\+/,
    );
    await expect(findPython()).rejects.toThrow(/no Python .*--from FILE/);
    vi.stubEnv('CXX', process.execPath);
    expect(await findCompiler()).toBe(process.execPath);
    vi.stubEnv('PYTHON', process.execPath);
    await expect(findPython()).rejects.toThrow(/has no pip: install it/);
  });

  it("accept Node's headers beside Node, in nodedir, in node-gyp's cache, or in the npm package", () => {
    const find = (files: Record<string, string>, env = {}) =>
      findNodeHeaders(fakeProbe({ files, env }), '/opt/node/bin/node');
    expect(find({ '/opt/node/include/node/node_api.h': '' })).toBe('/opt/node/include/node');
    expect(find({ '/n/include/node/node_api.h': '' }, { npm_config_nodedir: '/n' })).toBe('/n/include/node');
    const api = '/nm/node-api-headers';
    expect(find({ [`${api}/package.json`]: '', [`${api}/include/node_api.h`]: '' })).toBe(`${api}/include`);
    expect(() => find({})).toThrow(
      /node_api\.h.*looked in\n {4}\/opt\/node\/include\/node\n[\s\S]*node-api-headers/,
    );
  });
});

it('a package that is not installed ends the set-up with advice', async () => {
  const lines: string[] = [];
  const options = { gpu: true, download: false, force: false };
  await expect(setupTensorflow(fakeProbe(), options, (line) => lines.push(line))).rejects.toThrow(
    /tfjs-node-gpu is not installed.*npm install/,
  );
  expect(lines).toEqual([]);
});

describe('runCommand', () => {
  it('collects the output of a program', async () => {
    const script = "console.log('out'); console.error('err'); process.exitCode = 3";
    expect(await runCommand(process.execPath, ['-e', script])).toMatchObject({
      code: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  it('reports a missing program', async () => {
    const { code, stderr } = await runCommand('/nowhere/program', []);
    expect(code).toBeNull();
    expect(stderr).toContain('ENOENT');
  });

  it('picks the lines that mention an error', () => {
    expect(errorLines('a\nfatal error: x.h\nWARNING: y\n')).toBe('    fatal error: x.h');
    expect(errorLines('a\n\nb\n', 1)).toBe('    b');
  });
});
