/** @file The cuda engine from the command line: training, resuming, precisions, the list of engines. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { stmixer } from '../support/cli.js';
import { readJsonLines } from '../support/json_lines.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';
import { MICRO } from '../support/tiny_config.js';

interface Step {
  readonly iteration: number;
  readonly loss: number;
  readonly losses: Readonly<Record<string, number>>;
}

describe('the cuda engine', () => {
  let folder: string;

  beforeAll(() => {
    folder = temporaryFolderOfFile();
  });

  const run = (output: string, engine: string, more = '') =>
    stmixer([
      ...['train', '--config-file', 'config_files/tiny.yaml', '--engine', engine],
      ...['--skip-val-in-train', '--skip-final-test'],
      ...`${MICRO} OUTPUT_DIR ${join(folder, output)} ${more}`.trim().split(/ +/),
    ]);
  const steps = (output: string) => readJsonLines<Step>(join(folder, output, 'metrics.jsonl'));
  const weights = (output: string) => readFileSync(join(folder, output, 'model_final.pth'));

  it('trains with the losses of onnx, and resumes to the same bits', async () => {
    const whole = await run('cuda', 'cuda');
    expect(whole.stdout).toMatch(
      /engine: cuda on CUDA on a CPU \(compute capability 8\.0, CUDA 13\.0, float32; cuBLASLt/,
    );
    expect(whole.stdout).toMatch(/memory: about [\d.]+ GiB of 8\.00 GiB on the GPU at the peak/);
    expect(whole.code, whole.stderr).toBe(0);
    expect((await run('onnx', 'onnx')).code).toBe(0);

    const [cuda, onnx] = [steps('cuda'), steps('onnx')];
    expect(cuda).toHaveLength(4);
    for (const [n, { loss, losses }] of cuda.entries()) {
      expect(Math.abs(loss / onnx[n].loss - 1)).toBeLessThan(1e-4);
      for (const [name, value] of Object.entries(losses))
        expect(Math.abs(value / onnx[n].losses[name] - 1), name).toBeLessThan(1e-4);
    }
    const { engine } = JSON.parse(readFileSync(join(folder, 'cuda', 'environment.json'), 'utf8'));
    expect(engine).toMatchObject({
      engine: 'cuda',
      device: 'cuda',
      precision: 'float32',
      isDeterministic: true,
    });

    const middle = join(folder, 'cuda', 'model_0000002.pth');
    const resumed = await run('resumed', 'cuda', `MODEL.WEIGHT ${middle}`);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(steps('resumed').map(({ iteration }) => iteration)).toEqual([3, 4]);
    expect(steps('resumed').map(({ loss }) => loss)).toEqual(cuda.slice(2).map(({ loss }) => loss));
    expect(weights('resumed').equals(weights('cuda'))).toBe(true);
  });

  it('warns if a run goes on in another precision, which other engines refuse', async () => {
    const middle = `MODEL.WEIGHT ${join(folder, 'cuda', 'model_0000002.pth')}`;
    const other = await run('bfloat16', 'cuda', `${middle} ENGINE.PRECISION bfloat16`);
    expect(other.code, other.stderr).toBe(0);
    expect(other.stdout).toMatch(/ENGINE\.PRECISION bfloat16: the run was made with float32/);
    const refused = await run('refused', 'onnx', 'ENGINE.PRECISION bfloat16');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/ENGINE\.PRECISION bfloat16 is for --engine cuda alone/);
  });

  it('lists the GPU, which auto takes after a self-test', async () => {
    const { stdout } = await stmixer(['engine', 'list', '--json']);
    expect(JSON.parse(stdout)[0]).toMatchObject({
      ...{ engine: 'cuda', device: 'cuda', usable: true, auto: true, problems: [] },
      detail: expect.stringMatching(/^0: CUDA on a CPU, compute capability 8\.0, 8\.00 GiB/),
    });
    const { stdout: report } = await stmixer(['doctor']);
    expect(report).toMatch(/engine\s+cuda on CUDA on a CPU/);
  });
});
