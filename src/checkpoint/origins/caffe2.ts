/** @file The names of Caffe2, which the files of PySlowFast's model zoo have: `t_res4_0_branch2a_bn_riv`. */
import { printable } from '../../util/text.js';
import { isKnownName } from '../model_parts.js';
import type { OriginNames } from './origin.js';

/** `t_` stands before the names of the fast pathway. */
const pathway = (fast: string | undefined) => `pathway${fast === undefined ? 0 : 1}`;

/** Beginnings of names, and what they become. The first one that fits counts; the rest of the name stays. */
const PLACES: readonly (readonly [RegExp, (match: readonly (string | undefined)[]) => string])[] = [
  [/^conv1_xy/, () => 's1.pathway0_stem.conv_xy'],
  [/^(t_)?res_conv1_bn_/, ([, fast]) => `s1.${pathway(fast)}_stem.bn.`],
  [/^(t_)?(?:res_)?conv1_/, ([, fast]) => `s1.${pathway(fast)}_stem.conv.`],
  // The norm of the connection from the fast to the slow pathway has the word `subsample_bn`, its convolution none.
  [
    /^t_(?:pool(1)|res(\d+)_\d+_branch2c_bn)_subsample_(bn_)?/,
    ([, pool, stage, norm]) => `s${pool ?? stage}_fuse.${norm === undefined ? 'conv_f2s' : 'bn'}.`,
  ],
  [
    /^(t_)?res(\d+)_(\d+)_branch(\d+)([a-z]?)_/,
    ([, fast, stage, block, branch, layer]) =>
      `s${stage}.${pathway(fast)}_res${block}.branch${branch}${layer ? `.${layer}` : ''}_`,
  ],
  [
    /^nonlocal_conv(\d+)_(\d+)_(bn_)?/,
    ([, stage, block, norm]) => `s${stage}.pathway0_nonlocal${block}.${norm === undefined ? 'conv_' : 'bn.'}`,
  ],
  // Classifiers and networks that no backbone here has.
  [/^pred_/, () => 'head.projection.'],
  [/^(?=(conv|lin)_5)/, () => 'head.'],
];

/** Ends of names, and what they become. */
const ENDS: readonly (readonly [RegExp, string])[] = [
  [/b_bn_fc/, 'se.fc'],
  [/bn[._]s$/, 'bn.weight'],
  [/bn[._]rm$/, 'bn.running_mean'],
  [/bn[._]riv$/, 'bn.running_var'],
  [/[._]w$/, '.weight'],
  [/[._]b$/, '.bias'],
];

/** Entries of a training that are no weights. */
const LEFT_OUT: ReadonlySet<string> = new Set(['lr', 'model_iter']);

/** PySlowFast's name of a blob; null for one that is no weight. Other names, such as PySlowFast's own, stay. */
export function pySlowFastName(blob: string): string | null {
  if (LEFT_OUT.has(blob)) return null;
  const [start, place] = PLACES.find(([pattern]) => pattern.test(blob)) ?? [];
  const placed = start === undefined ? blob : blob.replace(start, (...match) => place!(match));
  return ENDS.reduce((name, [pattern, end]) => name.replace(pattern, end), placed);
}

export const caffe2: OriginNames = {
  title: 'Caffe2 (the model zoo of PySlowFast)',
  rename(blob) {
    if (blob.includes('.')) return null;
    const name = pySlowFastName(blob);
    return name !== null && isKnownName(name) ? name : null;
  },
  isLeftOut: (blob) => LEFT_OUT.has(blob),
  problemOf(state) {
    const [name] = [...state].find(([, tensor]) => tensor === null) ?? [];
    if (name === undefined) return null;
    return (
      `"${printable(name)}" is no array of numbers. Apart from lr and model_iter, a file with names of Caffe2 holds nothing else. ` +
      'Remove it from the dictionary and write the file again.'
    );
  },
};
