/** @file All tables of names. A new code base needs a file here and an entry in the list. */
import { caffe2 } from './caffe2.js';
import { clip } from './clip.js';
import { huggingFace } from './hugging_face.js';
import { maeSt } from './mae_st.js';
import { openMmlab } from './openmmlab.js';
import { type OriginNames, prepare } from './origin.js';
import { stmixer } from './stmixer.js';
import { timm } from './timm.js';

/** Our own names come first: of tables that know equally many names of a file, the first one counts. */
export const ORIGINS: readonly OriginNames[] = [
  stmixer,
  ...[timm, huggingFace, openMmlab, maeSt, clip].map(prepare),
  caffe2,
];

export type { OriginNames } from './origin.js';
export { stmixer } from './stmixer.js';
