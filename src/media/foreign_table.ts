/** @file What a file is that should be a list, a table or a label map, but is not text, and what to do about it. */
import { STAND_IN_REMEDIES } from './foreign_content.js';
import { begins, formatOf, type Test } from './signatures.js';

const SAVE_AS = 'open it in its program, and save it as CSV in UTF-8';

/** Formats that hold tables. */
const TABLES: readonly (readonly [test: Test, name: string, remedy: string])[] = [
  [begins('\xd0\xcf\x11\xe0'), 'an Excel workbook (xls) or another old Office document', SAVE_AS],
  [begins('PAR1'), 'a Parquet table', 'write it again as CSV'],
  [
    begins('\x80\x02', '\x80\x03', '\x80\x04', '\x80\x05'),
    'a Python pickle',
    'load it in Python, and write it as CSV',
  ],
  [begins('{\\rtf'), 'an RTF document', 'save it as plain text'],
];

const WRITE_AGAIN = 'copy or write the file again';

const OTHER_PROGRAM =
  'write its content as plain lines; for annotations of other programs, use stmixer data import';

/** Remedies for stand-ins and texts of another kind, by the id of their format. */
const REMEDIES: Readonly<Record<string, string>> = {
  ...STAND_IN_REMEDIES,
  html: 'download it again, and read what it says',
  xml: OTHER_PROGRAM,
  json: OTHER_PROGRAM,
};

const NAMES: Readonly<Record<string, string>> = {
  html: 'a web page (HTML), which a server may have sent in place of the file',
  xml: 'an XML text',
  json: 'a JSON text',
};

/**
 * Says what a file is that should be lines of text, and what to do; null for a text. A text in JSON is accepted if `json` is set.
 */
export function foreignTable(head: Buffer, { json }: { readonly json: boolean }): string | null {
  if (head.length > 0 && head.every((byte) => byte === 0))
    return `it holds nothing but zeros, as after a crash or a full disk; ${WRITE_AGAIN}`;
  const letters = head.toString('latin1');
  const table = TABLES.find(([test]) => test(letters));
  if (table) return `it is ${table[1]}; ${table[2]}`;
  const format = formatOf(head);
  if (format === null || (format.id === 'json' && json)) return null;
  if (format.id in REMEDIES) {
    const name = NAMES[format.id] ?? format.name;
    return `it is ${name}; ${REMEDIES[format.id]}`.replaceAll('{}', 'file');
  }
  // Names of videos may begin with the same letters as a signature.
  if (!isBinary(head)) return null;
  if (format.id === 'archive') return `it is ${archiveName(letters)}`;
  return `it is ${format.name}, not a text; name the right file`;
}

function archiveName(letters: string): string {
  if (/\[Content_Types\]\.xml|xl\//.test(letters))
    return `an Excel workbook (xlsx) or another Office document; ${SAVE_AS}`;
  if (letters.includes('opendocument')) return `an OpenDocument spreadsheet (ods) or document; ${SAVE_AS}`;
  return 'an archive or a compressed file; unpack it';
}

/** Whether there are bytes that no text has. */
function isBinary(head: Buffer): boolean {
  return head.some((byte) => byte < 0x08 || (byte > 0x0d && byte < 0x1a));
}
