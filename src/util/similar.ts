/** @file How close two names are: finds the name that a mistyped one seems to mean. */

/** Number of characters of a name that are compared. Comparing more would be slow. */
const MAX_LENGTH = 200;

/** A name without letter case and without the marks that separate its words. */
export function plainName(name: string): string {
  return name
    .slice(0, MAX_LENGTH)
    .toLowerCase()
    .replace(/[\s_./:-]/g, '');
}

/** Number of edits from one text to another: a letter inserted, removed, replaced, or exchanged with its neighbour. */
export function editDistance(a: string, b: string): number {
  let [before, last] = [[] as number[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (isSame ? 0 : 1));
      const isExchange = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isExchange) row[j] = Math.min(row[j], before[j - 2] + 1);
    }
    [before, last] = [last, row];
  }
  return last[b.length];
}

/** Number of edits up to which two names of this length are probably one, mistyped. */
function maxEdits(length: number): number {
  if (length < 3) return 0;
  if (length < 6) return 1;
  return length < 10 ? 2 : 3;
}

/** Edits between two names, letter case and separators aside; infinite if the names are not close. */
export function closeness(a: string, b: string): number {
  const [x, y] = [plainName(a), plainName(b)];
  if (x === '' || y === '') return Number.POSITIVE_INFINITY;
  const max = maxEdits(Math.min(x.length, y.length));
  if (Math.abs(x.length - y.length) > max) return Number.POSITIVE_INFINITY;
  const edits = editDistance(x, y);
  return edits <= max ? edits : Number.POSITIVE_INFINITY;
}

/** Minimum length of a word that is recognised as a part of a longer one. */
const MIN_PART = 4;

/**
 * The word that a mistyped one seems to mean: the closest one, or the only one that contains or begins it. Returns null if no
 * word is close.
 */
export function closestWord(word: string, words: readonly string[]): string | null {
  const scored = words.map((other) => ({ other, score: closeness(word, other) }));
  const best = scored.toSorted((a, b) => a.score - b.score)[0];
  if (best && Number.isFinite(best.score)) return best.other;
  const plain = plainName(word);
  if (plain.length < MIN_PART) return null;
  const longer = words.filter((other) => plainName(other).includes(plain));
  const shorter = words.filter(
    (other) => plainName(other).length >= MIN_PART && plain.startsWith(plainName(other)),
  );
  return [longer, shorter].find(({ length }) => length === 1)?.[0] ?? null;
}
