/** @file How often an epoch passes over the data, in words. */
import { describe, expect, it } from 'vitest';
import { describeDataPasses } from './data_passes.js';
import { TrainSampler } from './sampler.js';

const passesOf = (clips: number, batchSize: number, iterPerEpoch: number, groups = new Uint8Array(clips)) =>
  describeDataPasses(new TrainSampler(groups, batchSize, 10, 0), iterPerEpoch);

describe('describeDataPasses', () => {
  it('counts clips, iterations of a pass and passes of an epoch', () => {
    expect(passesOf(24, 8, 3)).toEqual({
      line: 'data: 24 clips, 8 per iteration: 3 iterations per data pass; an epoch of 3 iterations passes over the data once',
      warning: null,
    });
    expect(passesOf(2000, 2, 1500)).toEqual({
      line:
        'data: 2,000 clips, 2 per iteration: 1,000 iterations per data pass; an epoch of 1,500 iterations passes over the data ' +
        '1.5 times',
      warning: null,
    });
  });

  it('counts clips that are left out of each pass', () => {
    expect(passesOf(25, 8, 3).line).toContain('(1 clip that fills no batch left out of each)');
    const groups = Uint8Array.from({ length: 24 }, (_, i) => (i < 5 ? 1 : 0));
    expect(passesOf(24, 8, 2, groups).line).toContain(
      '2 iterations per data pass (8 clips that fill no batch left out of each)',
    );
  });

  it('warns about an epoch of less than half a data pass', () => {
    expect(passesOf(640, 8, 7).warning).toContain(
      '0.0875 times per epoch; set SOLVER.ITER_PER_EPOCH 80 for one data pass',
    );
  });

  it.each([
    [100, '12.5 times', true],
    [17, '2.13 times', true],
    [16, '2 times', false],
    [4, '0.5 times', false],
    [3, '0.375 times', true],
    [1, '0.125 times', true],
  ])(
    'warns about an epoch of %s iterations (%s) only if it is far from one data pass',
    (iterations, times, warns) => {
      const { line, warning } = passesOf(64, 8, iterations);
      expect(line).toContain(`passes over the data ${times}`);
      if (!warns) return expect(warning).toBeNull();
      expect(warning).toContain(
        `SOLVER.ITER_PER_EPOCH ${iterations} passes over the data ${times} per epoch`,
      );
      const [, proposed] = /set SOLVER\.ITER_PER_EPOCH (\d+) for one data pass/.exec(warning!)!;
      expect(passesOf(64, 8, Number(proposed)).line).toContain('once');
    },
  );
});
