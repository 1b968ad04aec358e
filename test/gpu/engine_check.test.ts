/** @file `stmixer engine check` on a GPU. */
import { expect, it } from 'vitest';
import { stmixerHere } from '../support/cli.js';
import { describeOnGpu } from '../support/gpu.js';

describeOnGpu('engine check on a GPU', () => {
  it('finds nothing wrong, and measures the speed', async () => {
    const { code, stdout } = await stmixerHere([
      ...['engine', 'check', '--engine', 'onnx', '--device', 'gpu', '--json'],
    ]);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ ok: true, failures: [], warnings: [] });
    expect(code).toBe(0);
    expect(report.engine).toMatchObject({ engine: 'onnx', device: 'gpu' });
    const { families, training, speed, memory } = report;
    expect(families.length).toBeGreaterThan(15);
    for (const { name, cases } of families) expect(cases.length, name).toBeGreaterThan(0);
    expect(training.kinds.map(({ kind }: { kind: string }) => kind)).toEqual([
      ...['losses', 'gradient norms', 'gradients', 'weights'],
    ]);
    expect(speed.rates.mat_mul.rate).toBeGreaterThan(0);
    expect(speed.step.seconds).toBeGreaterThan(0);
    expect(speed.share).toBeGreaterThan(0);
    // Nothing that was made for the check is left.
    expect(memory.tensors).toBe(0);
  });
});
