/** @file Which of tfjs-core's test files a run takes; the name `ops/abs` stands for `dist/ops/abs_test.js`. */

/** What tfjs asks of any backend: moving and casting data, counting memory, scopes, variables, gradients. */
const CORE = ['engine', 'globals', 'gradients', 'tensor', 'variable'];

/** The operations that this project calls, and those that their gradients call on its way through them. */
const IN_USE = [
  'add',
  'arg_max',
  'arithmetic',
  'binary_ops',
  'clone',
  'concat',
  'conv3d',
  'conv3d_transpose',
  'cos',
  'erf',
  'exp',
  'expand_dims',
  'fill',
  'floor',
  'gather',
  'greater_equal',
  'less',
  'log',
  'logical_and',
  'mat_mul',
  'max',
  'mean',
  'neg',
  'one_hot',
  'ones',
  'ones_like',
  'pad',
  'range',
  'relu',
  'rsqrt',
  'scatter_nd',
  'sigmoid',
  'sin',
  'slice',
  'slice1d',
  'slice2d',
  'slice3d',
  'slice4d',
  'softmax',
  'split',
  'sqrt',
  'square',
  'stack',
  'step',
  'sub',
  'sum',
  'tile',
  'transpose',
  'zeros',
  'zeros_like',
];

/**
 * Operations that only tests call, ours or tfjs's tests of the operations above: gradients of max, minimum, gather, rsqrt,
 * stack and the like, and division of integers.
 */
const IN_USE_BY_TESTS = [
  'abs',
  'add_n',
  'equal',
  'floordiv',
  'greater',
  'less_equal',
  'log1p',
  'log_softmax',
  'logical_not',
  'sign',
  'unsorted_segment_sum',
  'unstack',
  'where',
];

export const TEST_FILES: readonly string[] = [
  ...CORE,
  ...[...IN_USE, ...IN_USE_BY_TESTS].map((operation) => `ops/${operation}`),
];
