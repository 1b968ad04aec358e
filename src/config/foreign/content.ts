/** @file Recognises files that are given as a configuration but are not YAML: weights, programs, logs, web pages. */
import { extname } from 'node:path';
import { shellWord } from '../../util/text.js';
import { startFrom } from './shipped.js';

/** Number of bytes or characters that are looked at. */
const HEAD = 4096;

/** Whether a file begins like this; `head` has one letter for each byte. */
type Test = (head: string) => boolean;

const begins =
  (...starts: readonly string[]): Test =>
  (head) =>
    starts.some((start) => head.startsWith(start));
const at =
  (offset: number, text: string): Test =>
  (head) =>
    head.startsWith(text, offset);

const isZip = begins('PK\x03\x04');
const isPickle = begins('\x80\x02', '\x80\x03', '\x80\x04', '\x80\x05');

/** Names inside the archives and pickles that PyTorch writes. */
const TORCH = /data\.pkl|\.data\/|byteorder|OrderedDict|_rebuild_tensor|l\xfc\x9cF\xf9/;
/** The lengths in the head of a safetensors file end with zeros; its JSON follows. */
const isSafetensors: Test = (head) => /^\{\s*"/.test(head.slice(8)) && head.startsWith('\0\0', 6);

const BINARY: readonly (readonly [Test, string])[] = [
  [isZip, 'a zip archive or an office document'],
  [
    begins('\x1f\x8b', '7z\xbc\xaf', 'Rar!', 'BZh', '\xfd7zXZ', '\x28\xb5\x2f\xfd'),
    'an archive or a compressed file',
  ],
  [isPickle, 'a Python pickle'],
  [begins('\xff\xd8\xff', '\x89PNG', 'GIF8'), 'an image'],
  [at(8, 'WEBP'), 'an image'],
  [at(4, 'ftyp'), 'a video'],
  [at(8, 'AVI '), 'a video'],
  [begins('\x1a\x45\xdf\xa3'), 'a video'],
  [begins('%PDF'), 'a PDF document'],
];

/** Says what a file of these bytes is, if it is not text; null for anything that may be text. */
export function foreignBytes(bytes: Uint8Array, file: string): string | null {
  const head = Buffer.from(bytes.subarray(0, HEAD)).toString('latin1');
  const isWeights =
    isSafetensors(head) || begins('\x89HDF')(head) || ((isZip(head) || isPickle(head)) && TORCH.test(head));
  if (isWeights)
    return `is a weight file, not a configuration; ${startFrom()}, and give the weights after it: MODEL.WEIGHT ${shellWord(file)}`;
  const found = BINARY.find(([test]) => test(head));
  return found ? `is ${found[1]}, not a configuration in YAML; ${startFrom()}` : null;
}

const OPENMMLAB =
  /^(?:_base_|model|dataset_type|optim_wrapper|train_pipeline|default_scope|data_root|ann_file_train|custom_hooks|custom_imports)\s*=|OpenMMLab\. All rights/m;

const MERGE_LINE = /^(?:<{7}|>{7}) /m;

/** Texts that are not YAML, by a pattern. The first pattern that fits counts. */
const TEXTS: readonly (readonly [RegExp, string])[] = [
  [
    /^\s*(?:<!--[\s\S]*?-->\s*)?<(?:!doctype html|html|head)\b/i,
    'a web page (HTML), perhaps downloaded instead of the file',
  ],
  [/^\s*<\?xml|^\s*<[a-z][\w:-]*[\s>]/i, 'an XML file'],
  [/^version https:\/\/git-lfs/, 'a Git LFS pointer (git lfs pull downloads the file itself)'],
  [
    /^(?:_C|cfg|_C\.\w+)\s*=\s*(?:CN|CfgNode)\(|^from yacs/m,
    'Python source with the default settings of another program (yacs)',
  ],
  [/^```|^#+ .*\n\s*\n(?:[^\s#-][^:\n]*\n)+\s*\n/m, 'a page of text (Markdown)'],
  [/^#!.*\b(?:ba|z|da)?sh\b/, 'a shell script'],
  [/^#!.*\bpython/, 'a Python program'],
];

const PYTHON =
  /^(?:import \w|from [\w.]+ import |def \w+\(|class \w+[(:]|\w+\s*=\s*(?:dict\(|\[|\{|'|"|None|True|False|\d))/m;
const LOG_LINE =
  /^(?:\[?\d{4}[-/]\d\d[-/]\d\d[ T_]|\[\d\d[-/]\d\d |\{"(?:level|time|epoch|iteration|iter|mode|step|_type)":|.*\b(?:iter|epoch|loss|lr|eta)\b\s*[:=[]\s*\[?\d.*\b(?:loss|lr|eta|time)\b)/i;
const TABLE_LINE = /^[^,;\t]+(?:[,;\t][^,;\t]*){4,}$/;
const INI = /^\[[\w .-]+\]\s*$/m;

/** Says what a text that is not a YAML mapping seems to be; null if it cannot tell. */
export function foreignText(text: string, file: string): string | null {
  if (MERGE_LINE.test(text))
    return 'has conflict markers of git (<<<<<<<, =======, >>>>>>>); keep one of the two versions and delete these lines';
  const head = text.slice(0, HEAD);
  const found = TEXTS.find(([pattern]) => pattern.test(head));
  const what = found?.[1] ?? guess(head, extname(file).toLowerCase());
  return what === null ? null : `this seems to be ${what}, not a configuration in YAML; ${startFrom()}`;
}

function guess(head: string, extension: string): string | null {
  const lines = head.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const share = (pattern: RegExp) =>
    lines.filter((line) => pattern.test(line)).length / Math.max(1, lines.length);
  if (OPENMMLAB.test(head))
    return 'a configuration of mmaction2, mmdetection or another program of OpenMMLab, which is Python source';
  if (extension === '.py' || extension === '.ipynb' || PYTHON.test(head)) return 'Python source';
  if (share(LOG_LINE) > 0.5 || extension === '.log') return 'a training log';
  if (INI.test(head) && share(/^\s*[\w.-]+\s*=/) > 0.3) return 'an INI or TOML file';
  if (lines.length > 1 && share(TABLE_LINE) > 0.8) return 'a table (CSV)';
  if (/^(?:item|label)\s*:?\s*\{/m.test(head)) return 'a label map';
  if (extension === '.md' || extension === '.rst') return 'a page of text';
  if (extension === '.sh' || extension === '.bat') return 'a shell script';
  return null;
}
