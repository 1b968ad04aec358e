/** @file Label maps in other forms than AVA's: JSON, CSV, and lines of text. They are recognised by their content. */
import yaml from 'js-yaml';
import { isObject } from '../../util/json.js';
import { parseDecimal, splitCsv } from './csv.js';

/** Labels in file order, or a sentence about what is wrong. `counted` says that the ids are the positions of the names. */
export type LabelForm =
  | { readonly labels: readonly { readonly id: number; readonly name: string }[]; readonly counted?: true }
  | { readonly problem: string };

type Pair = readonly [id: number, name: string];

const FORMS =
  'a label map is AVA\'s text with item { name: "walk" id: 1 }, lines such as "1: walk", a CSV with the columns id and name, or JSON';

/** Labels in a JSON text: names, `{id: name}`, `{name: id}`, objects with id and name, or the categories of COCO. */
export function labelsInJson(text: string): LabelForm {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { problem: `the JSON text is broken (${(error as Error).message})` };
  }
  return labelsOfValue(value, 0);
}

/** Keys under which files keep their classes. */
const HOLDERS = [
  'categories',
  'names',
  'labels',
  'classes',
  'id2label',
  'items',
  'label_map',
  'actions',
  'options',
];

function labelsOfValue(value: unknown, depth: number): LabelForm {
  if (Array.isArray(value)) return labelsOfList(value);
  if (!isObject(value)) return { problem: `it holds no names; ${FORMS}` };
  const holder = HOLDERS.find((name) => typeof value[name] === 'object' && value[name] !== null);
  if (holder !== undefined && depth < 2) return labelsOfValue(value[holder], depth + 1);
  const entries = Object.entries(value);
  const areIds = entries.every(([key, name]) => /^\d+$/.test(key.trim()) && typeof name === 'string');
  if (areIds) return checked(entries.map(([key, name]) => [Number(key), name as string]));
  const areNames = entries.every(([, id]) => /^\d+$/.test(String(id)));
  if (areNames) return checked(entries.map(([name, id]) => [Number(id), name]));
  return { problem: `it holds no list of names and ids; ${FORMS}` };
}

function labelsOfList(list: readonly unknown[]): LabelForm {
  if (list.every((name) => typeof name === 'string')) return counted(list);
  const pairs = list.map((item): Pair | null => {
    if (Array.isArray(item) && item.length === 2) return pairOf(item[0], item[1]) ?? pairOf(item[1], item[0]);
    if (!isObject(item)) return null;
    return pairOf(
      item.id ?? item.label_id ?? item.action_id ?? item.class_id ?? item.index,
      item.name ?? item.label_name ?? item.action_name ?? item.label ?? item.display_name ?? item.class,
    );
  });
  const bad = pairs.indexOf(null);
  if (bad >= 0)
    return {
      problem: `entry ${bad + 1} of the list has no id and name: ${shown(JSON.stringify(list[bad]))}`,
    };
  return checked(pairs as Pair[]);
}

function pairOf(id: unknown, name: unknown): Pair | null {
  const number = typeof id === 'number' ? id : parseDecimal(String(id ?? ''));
  return Number.isInteger(number) && typeof name === 'string' ? [number, name] : null;
}

/** Labels in the description of a data set in YAML, as Ultralytics YOLO has it; null for another text. */
function labelsInYaml(text: string): LabelForm | null {
  if (!/^(?:names|classes|labels|id2label)\s*:\s*(?:#.*)?(?:[[{].*)?$/m.test(text)) return null;
  try {
    const value = yaml.load(text);
    return isObject(value) ? labelsOfValue(value, 0) : null;
  } catch {
    return null;
  }
}

const NAMED_ID = /^(?:id|.*[_ ]?id|index|nr|no|number|class|label)$/i;
const NAMED_NAME = /^(?:name|.*[_ ]?name|display_name|action|label|class|description)$/i;
const SEPARATORS = [',', ';', '\t', '|'];

/** Labels in lines of text: ids with names in any order and with any separator, a table, or names alone. */
export function labelsInLines(text: string): LabelForm {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (lines.length === 0) return { labels: [] };
  const inYaml = labelsInYaml(text);
  if (inYaml !== null) return inYaml;
  const other = otherFile(lines);
  if (other !== null) return { problem: `${other}; ${FORMS}` };
  return tableIn(lines) ?? numberedIn(lines) ?? namesIn(lines);
}

/** A table with a header, or with an id in the first or second column of every line. */
function tableIn(lines: readonly string[]): LabelForm | null {
  for (const separator of SEPARATORS) {
    const rows = lines.map((line) => fieldsOf(line, separator));
    const header = rows[0].map((name) => name.trim());
    const [id, name] = columnsOf(header);
    if (id >= 0 && name >= 0 && !rows[0].some((field) => /^\d+$/.test(field)))
      return labelsInRows(rows.slice(1), { id, name, firstLine: 2 });
    const width = rows[0].length;
    const body = withoutHeader(rows);
    const isId = (column: number) =>
      body.every((row) => row.length > 1 && /^\d+$/.test(row[column]?.trim() ?? ''));
    if (isId(0)) {
      // Names may have commas, so all that follows the id is the name, unless every line has the same further columns.
      const isTable =
        width > 2 && body.every((row) => row.length === width && /^[A-Z_]*$/.test(row[2].trim()));
      return checked(
        body.map((row) => [Number(row[0]), (isTable ? row[1] : row.slice(1).join(separator)).trim()]),
      );
    }
    if (width === 2 && isId(1)) return checked(body.map((row) => [Number(row[1]), row[0].trim()]));
  }
  return null;
}

/** Rows without a first one that has no number, unlike all that follow: a header in any language. */
function withoutHeader(rows: readonly string[][]): readonly string[][] {
  const hasId = (row: readonly string[]) => row.length > 1 && row.some((field) => /^\s*\d+\s*$/.test(field));
  const [header, ...others] = rows;
  return header.length > 1 && others.length > 1 && !/\d/.test(header.join()) && others.every(hasId)
    ? others
    : rows;
}

function columnsOf(header: readonly string[]): [id: number, name: number] {
  const exact = (names: RegExp) => header.findIndex((field) => names.test(field));
  const id = exact(/^(?:.*[_ ])?id$|^index$/i);
  const name = header.findIndex((field, i) => i !== id && /^(?:.*[_ ])?name$/i.test(field));
  if (id >= 0 && name >= 0) return [id, name];
  const anyId = header.findIndex((field) => NAMED_ID.test(field));
  return [anyId, header.findIndex((field, i) => i !== anyId && NAMED_NAME.test(field))];
}

function fieldsOf(line: string, separator: string): string[] {
  return separator === ','
    ? splitCsv(line)
    : line.split(separator).map((field) => field.trim().replace(/^"(.*)"$/, '$1'));
}

function labelsInRows(
  rows: readonly (readonly string[])[],
  { id, name, firstLine }: { id: number; name: number; firstLine: number },
): LabelForm {
  const pairs = rows.map((row) => pairOf(row[id], row[name]?.trim()));
  const bad = pairs.indexOf(null);
  if (bad >= 0) return { problem: `line ${bad + firstLine} has no id and name: ${shown(rows[bad].join())}` };
  return checked(pairs as Pair[]);
}

/** Lines such as `1: bend/bow`, `1. bend/bow`, `1 bend/bow` or `bend/bow: 1`. */
function numberedIn(lines: readonly string[]): LabelForm | null {
  const before = /^["']?(\d+)["']?\s*(?:[:.)=-]\s*|\s)\s*["']?(.*?)["']?,?$/;
  const after = /^["']?(.+?)["']?\s*[:=]?\s+(\d+),?$|^["']?(.+?)["']?\s*[:=]\s*(\d+),?$/;
  const first = lines.map((line) => before.exec(line));
  const numbered = first.filter((match) => match !== null && match[2] !== '').length;
  if (numbered === lines.length) return checked(first.map((match) => [Number(match![1]), match![2]]));
  const last = lines.map((line) => after.exec(line));
  if (
    lines.length > 1 &&
    last.every((match) => match !== null) &&
    areCounted(last.map((match) => Number(match![2] ?? match![4])))
  )
    return checked(last.map((match) => [Number(match![2] ?? match![4]), match![1] ?? match![3]]));
  if (numbered * 2 <= lines.length) return null;
  const bad = first.findIndex((match) => match === null || match[2] === '');
  return { problem: `most lines begin with an id, but this one has no id and name: ${shown(lines[bad])}` };
}

/** Whether numbers are the ids of a list and not parts of its names: none twice, none far beyond their count. */
function areCounted(ids: readonly number[]): boolean {
  return new Set(ids).size === ids.length && Math.max(...ids) <= 2 * ids.length + 10;
}

const MAX_NAME = 120;

function namesIn(lines: readonly string[]): LabelForm {
  const long = lines.find((line) => line.length > MAX_NAME || /[{}<>]|:$/.test(line));
  if (long !== undefined) return { problem: `it holds no names and ids: ${shown(long)}; ${FORMS}` };
  return counted(lines.map((line) => line.replace(/^(?:-\s+)?(["']?)(.*?)\1,?$/, '$2')));
}

/** Says that the lines are those of another file of a data set; null if they may be a label map. */
function otherFile(lines: readonly string[]): string | null {
  const [first] = lines;
  if (/^[^,]+,\s*"?\d+(?:\.\d+)?"?(?:,\s*"?-?[\d.]+(?:e-?\d+)?"?){4}/i.test(first))
    return 'it seems to be a list of boxes (annotations or detections)';
  if (
    /^[^,]+,\s*\d+(?:\.\d+)?$/.test(first) &&
    lines.length > 1 &&
    lines.every((line) => /^[^,]+,\s*0*\d{3,}(?:\.\d+)?$/.test(line))
  )
    return 'it seems to be a list of key frames';
  if (
    /^original_vido_id |^original_video_id /.test(first) ||
    /^\S+ \d+ \d+ \S+\.(?:jpe?g|png)\b/i.test(first)
  )
    return 'it seems to be a frame list';
  return null;
}

/** Names whose ids are their positions, from 1. */
function counted(names: readonly string[]): LabelForm {
  return { labels: names.map((name, i) => ({ id: i + 1, name: name.trim() })), counted: true };
}

function checked(pairs: readonly Pair[]): LabelForm {
  const seen = new Set<number>();
  for (const [id, name] of pairs) {
    if (id < 1)
      return {
        problem: `ids begin at 1, because 0 means no action, but ${shown(name)} has id ${id}; if the annotations count from 1, add 1 to all ids`,
      };
    if (name.trim() === '') return { problem: `id ${id} has no name` };
    if (seen.has(id)) return { problem: `id ${id} has two names` };
    seen.add(id);
  }
  return { labels: pairs.map(([id, name]) => ({ id, name: name.trim() })) };
}

function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
