/** @file Label maps: the names of the actions, as AVA publishes them in protobuf text form. */
import { DataError } from '../../errors.js';
import { Problems, readLines } from '../text_lines.js';

export interface ActionLabel {
  /** 1-based, as in the annotations. */
  readonly id: number;
  readonly name: string;
}

/**
 * Reads `item { name: "…" id: 1 }` or `label { name: "…" label_id: 1 label_type: … }` blocks, on one line or several,
 * in file order. Throws DataError with file and line.
 */
export function readLabelMap(path: string): ActionLabel[] {
  const labels: ActionLabel[] = [];
  const lineOfId = new Map<number, number>();
  const problems = new Problems();
  let block: { line: number; name?: string; id?: number } | null = null;
  let lineNumber = 0;
  for (const line of readLines(path, 'label map')) {
    lineNumber++;
    const at = `${path}:${lineNumber}`;
    for (const [token, , field, value] of tokens(line)) {
      if (token.endsWith('{')) {
        if (block) problems.add(`${at}: a block begins inside the block of line ${block.line}`);
        block = { line: lineNumber };
      } else if (token === '}') {
        if (!block) problems.add(`${at}: a "}" without a block`);
        else if (block.name === undefined || block.id === undefined) {
          problems.add(`${path}:${block.line}: a label needs a name and an id (or label_id)`);
        } else if (lineOfId.has(block.id)) {
          problems.add(`${path}:${block.line}: id ${block.id} is already on line ${lineOfId.get(block.id)}`);
        } else {
          lineOfId.set(block.id, block.line);
          labels.push({ id: block.id, name: block.name });
        }
        block = null;
      } else if (field === undefined || !block) {
        problems.add(`${at}: expected 'item { name: "…" id: … }', found ${JSON.stringify(token)}`);
      } else if (field === 'name') {
        const text = /^(["'])(.*)\1$/.exec(value);
        if (text) block.name = text[2].replace(/\\(.)/g, '$1');
        else problems.add(`${at}: a name must be in quotes, found ${value}`);
      } else if (field === 'id' || field === 'label_id') {
        if (/^[1-9]\d*$/.test(value)) block.id = Number(value);
        else problems.add(`${at}: an id must be a whole number from 1, found ${value}`);
      }
    }
  }
  if (block) problems.add(`${path}:${block.line}: the block that begins here has no "}"`);
  problems.throwIfAny();
  if (labels.length === 0) throw new DataError(`${path}: the label map has no labels`);
  return labels;
}

/** Block starts, block ends, `field: value` pairs, and whatever is none of these; comments are left out. */
function tokens(line: string): IterableIterator<RegExpMatchArray> {
  const pattern =
    /(\w+\s*:?\s*\{)|(\w+)\s*:\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s{}"'#]+)|\}|[^\s#{}]+|\{|#.*$/g;
  return [...line.matchAll(pattern)].filter(([token]) => !token.startsWith('#')).values();
}
