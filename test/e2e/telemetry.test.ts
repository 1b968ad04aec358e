/** @file A run contacts no host and stores nothing but its results and its compiled kernels. */
import { execFile, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { launch } from '../support/cli.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { MICRO } from '../support/tiny_config.js';

// Other calls go on without a stop.
const STRACE = ['strace', '-f', '--seccomp-bpf'];
const hasStrace = spawnSync(STRACE[0], [...STRACE.slice(1), 'true']).status === 0;
let home: string;
let trace: string;

beforeAll(async () => {
  home = temporaryFolderOfFile();
  trace = join(home, 'trace');
  await train(hasStrace ? [...STRACE, '-e', 'trace=network,openat', '-o', trace] : []);
}, 120_000);

/** Trains with an empty home folder, under the program `wrapper` if there is one. */
async function train(wrapper: string[]): Promise<void> {
  const { program, words } = launch([
    ...['train', '--config-file', 'config_files/tiny.yaml', '--engine', 'onnx'],
    ...['--skip-val-in-train', '--skip-final-test', '--use-tfboard'],
    ...`${MICRO} SOLVER.MAX_EPOCH 1 OUTPUT_DIR ${join(home, 'output')}`.split(' '),
  ]);
  const [first, ...rest] = [...wrapper, program, ...words];
  const env: NodeJS.ProcessEnv = { ...process.env, HOME: home, XDG_CACHE_HOME: join(home, '.cache') };
  // The library sends nothing if one of these is set.
  for (const name of ['CI', 'ORT_DISABLE_TELEMETRY', 'ORT_RUNNING_UNIT_TESTS']) delete env[name];
  await promisify(execFile)(first, rest, { env });
}

it('stmixer stores nothing in the home folder but its compiled kernels', () => {
  const outside = readdirSync(home, { recursive: true })
    .map(String)
    .filter((name) => !name.startsWith('output') && join(home, name) !== trace);
  const kernels = /^\.cache([\\/]stmixer([\\/]kernels-[0-9a-f]{16}\.so)?)?$/;
  expect(outside.filter((name) => !kernels.test(name))).toEqual([]);
  expect(outside.length).toBeLessThanOrEqual(3);
  const stored = readdirSync(join(home, 'output'), { recursive: true }).map(String);
  expect(stored).toContain('model_final.pth');
  expect(stored.filter((name) => /\.ses$|\.db/.test(name))).toEqual([]);
});

it.skipIf(!hasStrace)('stmixer opens no connection and looks up no host (needs strace)', () => {
  const calls = readFileSync(trace, 'utf8').split('\n');
  // Makes sure that the trace shows the library at work.
  expect(calls.some((call) => /openat\(.*libonnxruntime\.so/.test(call))).toBe(true);
  expect(calls.filter((call) => /AF_INET|resolv\.conf|nsswitch\.conf|\/etc\/hosts/.test(call))).toEqual([]);
  expect(calls.filter((call) => /\.ses"|deviceid|onnxruntime\.db/.test(call))).toEqual([]);
});
