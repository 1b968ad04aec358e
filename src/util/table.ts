/** @file Text tables. */

/** Aligns rows in columns, two spaces apart. Columns for which `isRight` returns true are aligned to the right. */
export function alignColumns(
  rows: readonly (readonly string[])[],
  isRight: (column: number) => boolean,
): string[] {
  const widths = (rows[0] ?? []).map((_, c) =>
    rows.reduce((width, row) => Math.max(width, row[c].length), 0),
  );
  return rows.map((row) =>
    row
      .map((cell, c) => (isRight(c) ? cell.padStart(widths[c]) : cell.padEnd(widths[c])))
      .join('  ')
      .trimEnd(),
  );
}
