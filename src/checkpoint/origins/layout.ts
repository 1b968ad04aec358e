/** @file Finds out how the tensors of a file are named: by which code base, and with which prefix. */
import { isPartOfHead, kindOf } from '../model_parts.js';
import { ORIGINS, type OriginNames, stmixer } from './index.js';

/** How the tensors of a file are named. */
export interface Layout {
  /** The code base; null if no table knows a name. */
  readonly origin: OriginNames | null;
  /** The start of the plain names that is ignored, e.g. `module.`; empty if there is none. */
  readonly prefix: string;
  /** How many names of the file the table has. */
  readonly known: number;
  /** Other prefixes whose names are known, too, e.g. `teacher.` beside `student.`; the chosen one is the first. */
  readonly alternatives: readonly { readonly prefix: string; readonly known: number }[];
}

/** Words of a prefix at most. */
const MAX_WORDS = 6;

/** Names that are looked at. A network has far fewer. */
const MAX_NAMES = 5000;

/** Words that PyTorch's compiler and its wrappers put anywhere into names. */
const INSERTED = /(^|\.)((_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.)+/g;

/** A name without the words that PyTorch inserts, wherever they stand. */
export function plainName(name: string): string {
  return name.replace(INSERTED, '$1');
}

/** Words that programs put before every name, for files whose names no table knows. */
const WRAPPERS = ['module', 'model', 'net'];

/**
 * Finds the prefix and the table of names that together know the most names. Names of VideoMAE's decoder, which no detector
 * has, do not count.
 */
export function layoutOf(keys: readonly string[]): Layout {
  const names = keys.map(plainName);
  const counts = new Map<string, number[]>();
  const withBlocks = new Set<string>();
  for (const name of names.slice(0, MAX_NAMES)) {
    for (const { prefix, rest } of startsOf(name)) {
      // A head alone is not a network: its name must not become a prefix that takes the place of the backbone's.
      if (prefix !== '' && isPartOfHead(rest)) continue;
      // The tables of other code bases leave out the names that are also ours.
      const isOurs = stmixer.rename(rest) !== null;
      for (const [i, origin] of ORIGINS.entries()) {
        if (!isOurs && origin.rename(rest) === null) continue;
        const count = counts.get(prefix) ?? ORIGINS.map(() => 0);
        count[i]++;
        counts.set(prefix, count);
        if (kindOf(rest).index >= 0) withBlocks.add(prefix);
      }
    }
  }
  const found = Array.from(counts, ([prefix, count]) => {
    const known = Math.max(...count);
    return { prefix, known, origin: ORIGINS[count.indexOf(known)] };
  })
    // A first convolution or a norm alone says nothing: most networks have one.
    .filter(({ prefix, known }) => withBlocks.has(prefix) || 4 * known >= names.length)
    .sort((a, b) => b.known - a.known || a.prefix.length - b.prefix.length);
  const [best] = found;
  if (best === undefined) return { origin: null, prefix: wrapperOf(names), known: 0, alternatives: [] };
  const rivals = found.filter(
    ({ prefix, known }) => isApart(prefix, best.prefix) && 2 * known >= best.known && known > 2,
  );
  const alternatives = rivals.filter(({ prefix }) => !rivals.some((other) => isPart(prefix, other.prefix)));
  return { ...best, alternatives: alternatives.length > 0 ? [best, ...alternatives] : [] };
}

/** The ways to split a name into a prefix and the rest. Numbers are no prefixes: they count parts of a network. */
function* startsOf(name: string): Generator<{ prefix: string; rest: string }> {
  let start = 0;
  for (let words = 0; words <= MAX_WORDS; words++) {
    yield { prefix: name.slice(0, start), rest: name.slice(start) };
    const dot = name.indexOf('.', start);
    if (dot < 0 || /^(\d+|decoder)$/.test(name.slice(start, dot))) return;
    start = dot + 1;
  }
}

function isApart(a: string, b: string): boolean {
  return !a.startsWith(b) && !b.startsWith(a);
}

/** Whether a prefix is a longer form of another one. */
function isPart(prefix: string, shorter: string): boolean {
  return prefix !== shorter && prefix.startsWith(shorter);
}

/** The usual words that stand before all names. */
function wrapperOf(names: readonly string[]): string {
  let prefix = '';
  for (;;) {
    const longer = WRAPPERS.map((word) => `${prefix}${word}.`).find((start) =>
      names.every((name) => name.startsWith(start)),
    );
    if (longer === undefined || names.length === 0) return prefix;
    prefix = longer;
  }
}
