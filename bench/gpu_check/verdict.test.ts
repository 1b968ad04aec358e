/** @file Tests of the goals, the table and the exit code of `bench/gpu_check.sh`. */
import { describe, expect, it } from 'vitest';
import { MATRIX_RATE, ourStep, torchStep } from './steps.js';
import { exitCode, goalsOf, type Outcome, timeTable } from './verdict.js';

const passed = (name: string, report: Outcome['report']): Outcome => ({
  ...{ name, state: 'passed', seconds: 1, text: '', report },
});
const rate = (gpu: string) => passed(MATRIX_RATE, { gpu, flops_per_second: 800e12 });
/** 8 TFLOP take 10 ms at the matrix rate. */
const ours = (precision: 'float32' | 'bfloat16', seconds: number) =>
  passed(ourStep(precision, 1, 'graphs'), { median_seconds: seconds, necessary_gflop: 8000 });
const theirs = (mode: 'eager float32' | 'compiled bfloat16', seconds: number) =>
  passed(torchStep(mode, 1), { median_seconds: seconds });

const states = (outcomes: readonly Outcome[]) => goalsOf(outcomes, [1]).map(({ state }) => state);

describe('the verdict of the GPU check', () => {
  it('has met goals for a fast step, and missed ones for a slow step', () => {
    const torch = [theirs('compiled bfloat16', 0.02), theirs('eager float32', 0.1)];
    const gpu = rate('NVIDIA H200');
    expect(states([gpu, ours('bfloat16', 0.019), ours('float32', 0.09), ...torch])).toEqual(
      Array(4).fill('met'),
    );
    expect(states([gpu, ours('bfloat16', 0.021), ours('float32', 0.11), ...torch])).toEqual(
      Array(4).fill('missed'),
    );
  });

  it('leaves open what was not measured, what failed, and the limit on other GPUs', () => {
    const failed: Outcome = { ...theirs('compiled bfloat16', 0.02), state: 'failed' };
    expect(states([rate('NVIDIA A100-SXM4-80GB'), ours('bfloat16', 0.019), failed])).toEqual([
      'not measured',
      'not measured',
      'met',
      'not measured',
    ]);
  });

  it('puts times and shares of the matrix rate in a table', () => {
    const table = timeTable([rate('NVIDIA H200'), ours('bfloat16', 0.02)], [1]);
    expect(table).toContain('| stmixer bfloat16, graphs | 20.0 ms | 50.0 % |');
    expect(table).toContain('| PyTorch compiled bfloat16 | – | – |');
  });

  it('tells failed steps from missed goals in the exit code', () => {
    const outcomes = [rate('NVIDIA H200'), ours('bfloat16', 0.019)];
    expect(exitCode(outcomes, goalsOf(outcomes, [1]))).toBe(0);
    const slow = [rate('NVIDIA H200'), ours('bfloat16', 0.021)];
    expect(exitCode(slow, goalsOf(slow, [1]))).toBe(2);
    const late: Outcome = { name: 'goldens', state: 'skipped', seconds: 0, text: '' };
    expect(exitCode([...slow, late], goalsOf(slow, [1]))).toBe(1);
  });
});
