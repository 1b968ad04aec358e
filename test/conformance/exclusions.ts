/** @file Tests of tfjs-core that are left out of every run, and why. */

export interface Exclusion {
  /** The full name of a test, or a pattern for several; without the name of the backend. */
  test: string | RegExp;
  reason: string;
  /** The device for which it is left out; by default every device. */
  device?: 'gpu' | 'cuda';
}

const COMPLEX = 'Complex numbers are used nowhere: engines hold float32, int32 and bool.';
const STRINGS = 'Tensors of strings are used nowhere: engines hold float32, int32 and bool.';
const NOT_IN_USE =
  'Shares its file with operations in use, but neither the project nor their gradients call it.';

export const EXCLUSIONS: readonly Exclusion[] = [
  { test: /(?<!non-)complex(64| number| input| dtype| tensor)|complex type$/, reason: COMPLEX },
  {
    test: /^(add|sub) upcasts when dtypes dont match$/,
    reason: 'Its last lines add complex numbers; `mul upcasts` and `div upcasts` test the other types.',
  },
  {
    test: 'Detects memory leaks in kernels No mem leak in a kernel with multiple outputs',
    reason: 'The kernel that it registers returns a complex number.',
  },
  {
    // Where making such a tensor, or taking one, has to be refused, the test does run.
    test: /^(?!tidy )(?!.*(error|throws|mismatch|does not match|but missing|but value)).*string/,
    reason: STRINGS,
  },
  { test: /^clone gradient: 1D string /, reason: STRINGS },
  {
    test: 'exp int32',
    reason: 'Exponentials of integers are rounded once on a CPU, in float64. GPUs compute in float32.',
    device: 'gpu',
  },
  {
    test: 'gather throws when index is out of bound',
    reason: 'A GPU computes later than the call returns: such elements are NaN.',
    device: 'cuda',
  },
  { test: /^(atan2|mod|prelu|squaredDifference) /, reason: NOT_IN_USE },
];
