/** @file Label maps: the names of the actions. AVA publishes them in protobuf text format; other forms are read too. */
import { DataError } from '../../errors.js';
import { countOf } from '../../util/text.js';
import { Problems } from '../problems.js';
import { readLines } from '../read_lines.js';
import { type LabelForm, labelsInJson, labelsInLines } from './label_forms.js';
import { type ActionLabel, complainTo, isProtobufText, parseProtobufLabels } from './label_text.js';

export type { ActionLabel };

export interface LabelMap {
  /** In file order. */
  readonly labels: ActionLabel[];
  /** A sentence about ids that the file does not state, or null. */
  readonly note: string | null;
}

/** The labels of a label map, see `readLabelMapFile`. */
export function readLabelMap(path: string): ActionLabel[] {
  return readLabelMapFile(path).labels;
}

/**
 * Reads a label map in one of these forms, whatever its extension: protobuf text (`item { name: "…" id: 1 }`, or `label` with
 * `label_id`), lines such as `1: walk`, CSV with id and name, JSON, or one name per line. Throws DataError with the file, and the
 * line of each mistake in protobuf text.
 */
export function readLabelMapFile(path: string): LabelMap {
  const text = [...readLines(path, 'label map', { json: true })].join('\n');
  const labels: LabelMap = /^\s*[[{]/.test(text)
    ? fromForm(path, labelsInJson(text))
    : isProtobufText(text)
      ? { labels: fromProtobuf(path, text), note: null }
      : fromForm(path, labelsInLines(text));
  if (labels.labels.length === 0) throw new DataError(`${path}: the label map has no labels`);
  return labels;
}

function fromProtobuf(path: string, text: string): ActionLabel[] {
  const problems = new Problems();
  const labels = parseProtobufLabels(text, complainTo(problems, path));
  problems.throwIfAny();
  return labels;
}

function fromForm(path: string, form: LabelForm): LabelMap {
  if ('problem' in form) throw new DataError(`${path}: cannot read the label map: ${form.problem}`);
  const note = form.counted
    ? `${path}: the label map has names but no ids: its ${countOf(form.labels.length, 'name gets', 'names get')} ids from 1, in the ` +
      'order of the file'
    : null;
  return { labels: [...form.labels], note };
}
