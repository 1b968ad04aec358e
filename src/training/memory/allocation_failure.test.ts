/** @file Tests of telling failed allocations from other errors, by the words of the libraries. */
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../errors.js';
import { allocationFailure } from './allocation_failure.js';

describe('allocationFailure', () => {
  it.each([
    [
      'Non-zero status code returned while running MatMul node. Status Message: bfc_arena.cc:360 Failed to allocate ' +
        'memory for requested buffer of size 4294967296',
      '4.00 GiB',
    ],
    [
      'Invalid TF_Status: 8\nMessage: OOM when allocating tensor with shape[2,1024,1024] and type float on CPU:0',
      '0.01 GiB, a tensor [2, 1024, 1024],',
    ],
    [
      'OOM when allocating tensor with shape[1024,1024,1024] and type double on GPU:0',
      '8.00 GiB, a tensor [1024, 1024, 1024],',
    ],
    ['failed to allocate 2.50GiB (2684354560 bytes) from device: CUDA_ERROR_OUT_OF_MEMORY', '2.50GiB'],
    ['Non-zero status code returned while running Gather node. Status Message: std::bad_alloc', null],
    [
      'the GPU has too little memory: 1.5 GiB were asked for. Of 8.0 GiB, 1.0 GiB are free',
      '1.5 GiB on the GPU',
    ],
    ['CUDA out of memory', null],
    ['RESOURCE_EXHAUSTED: out of memory while computing', null],
    ['spawn ENOMEM', null],
  ])('recognises the message: %s', (message, what) => {
    expect(allocationFailure(new Error(message))).toEqual({ what });
  });

  it("recognises JavaScript's own errors", () => {
    const caught = (work: () => unknown) => {
      try {
        work();
      } catch (error) {
        return error;
      }
      return null;
    };
    expect(allocationFailure(caught(() => new Float32Array(2 ** 50)))).toEqual({
      what: 'an array of 1,125,899,906,842,624 elements',
    });
    expect(allocationFailure(caught(() => new ArrayBuffer(2 ** 52)))).toEqual({ what: null });
    // A negative or small length is a fault of the program.
    expect(allocationFailure(caught(() => new Float32Array(-1)))).toBeNull();
  });

  it('looks at causes, and returns the one that names an amount', () => {
    const cause = new Error('Failed to allocate memory for requested buffer of size 1073741824');
    expect(allocationFailure(new Error('out of memory', { cause }))).toEqual({ what: '1.00 GiB' });
    expect(allocationFailure(new Error('the step failed', { cause }))).toEqual({ what: '1.00 GiB' });
  });

  it('ignores other errors', () => {
    // The engine's own guess, for a session that failed over a shape.
    const guess = new EngineError('ONNX Runtime failed: out of memory? the memory pattern does not fit');
    for (const error of [
      guess,
      new Error('no such file'),
      new RangeError('Invalid time value'),
      'text',
      null,
    ])
      expect(allocationFailure(error)).toBeNull();
  });
});
