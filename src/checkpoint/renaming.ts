/** @file Finds names of a weight file that most likely belong to tensors with other names in the model. */
import { distance } from 'fastest-levenshtein';
import { sameShape } from '../formats/host_tensor.js';
import { kindOf, likelyGroupOf } from './model_parts.js';

/** Tensors of one kind: their names differ in the first number only. */
export interface TensorKind {
  readonly name: string;
  /** Shapes by the first number in the name; -1 without one. */
  readonly shapes: ReadonlyMap<number, readonly number[]>;
  /** backbone, neck or head; null if unknown. */
  readonly group: string | null;
}

export interface Renaming {
  readonly from: TensorKind;
  readonly to: TensorKind;
}

/** The kinds of some tensors, in their order. */
export function kindsOf(
  tensors: Iterable<readonly [name: string, shape: readonly number[]]>,
  groupOfName: (name: string) => string | null = likelyGroupOf,
): TensorKind[] {
  const kinds = new Map<string, TensorKind & { shapes: Map<number, readonly number[]> }>();
  for (const [tensor, shape] of tensors) {
    const { kind: name, index } = kindOf(tensor);
    const kind = kinds.get(name) ?? { name, shapes: new Map(), group: groupOfName(tensor) };
    kind.shapes.set(index, shape);
    kinds.set(name, kind);
  }
  return [...kinds.values()];
}

/** Maximum number of kinds in a file that is compared. A network has far fewer. */
const MAX_KINDS = 2000;

/** Minimum similarity of two names, from 0 to 1, if the shape alone does not decide. */
const LIKENESS = 0.4;

/** Similarities that differ by less count as equal. */
const TIE = 0.01;

/** A renaming that the shapes allow, and the similarity of the names. */
interface Candidate extends Renaming {
  readonly likeness: number;
}

/**
 * Pairs missing kinds of the model with kinds of the file of the same shapes, each used once, the most similar first. Two
 * matrices that fit only each other belong together under any names.
 */
export function likelyRenamings(
  missing: readonly TensorKind[],
  unexpected: readonly TensorKind[],
): Renaming[] {
  const usable = unexpected.filter(({ name }) => !isOfPretraining(name)).slice(0, MAX_KINDS);
  const chosen = new Map<TensorKind, Candidate>();
  // Shapes of matrices are the most specific. Biases come last and follow the weights of their layers.
  for (const rank of [0, 1, 2]) {
    const taken = new Set(Array.from(chosen.values(), ({ from }) => from));
    const open = usable.filter((kind) => !taken.has(kind));
    const layers = new Set(Array.from(chosen.values(), layersOf));
    const candidates = missing
      .filter((to) => rankOf(to) === rank)
      .flatMap((to) =>
        open.filter((from) => couldBe(from, to)).map((from) => candidate({ from, to }, layers)),
      );
    for (const choice of inOrder(chooseAmong(candidates), missing, usable)) chosen.set(choice.to, choice);
  }
  return missing.flatMap((to) => chosen.get(to) ?? []);
}

function rankOf(kind: TensorKind): number {
  if (isMatrix(kind)) return 0;
  return roleOf(kind.name) === 'weight' ? 1 : 2;
}

/** The similarity, which is twice the maximum if other tensors of the same two layers belong together. */
function candidate(renaming: Renaming, layers: ReadonlySet<string>): Candidate {
  return { ...renaming, likeness: layers.has(layersOf(renaming)) ? 2 : likeness(renaming) };
}

function layersOf({ from, to }: Renaming): string {
  return [from, to].map(({ name }) => name.slice(0, name.lastIndexOf('.'))).join(' ');
}

function chooseAmong(candidates: readonly Candidate[]): Candidate[] {
  const choices = new Map<TensorKind, number>();
  for (const kind of candidates.flatMap(({ from, to }) => [from, to]))
    choices.set(kind, (choices.get(kind) ?? 0) + 1);
  const isOnlyChoice = ({ from, to }: Renaming) =>
    isMatrix(to) && choices.get(from) === 1 && choices.get(to) === 1;
  const taken = new Set<TensorKind>();
  return candidates
    .toSorted((a, b) => b.likeness - a.likeness)
    .filter((choice) => {
      if (taken.has(choice.from) || taken.has(choice.to)) return false;
      if (choice.likeness < LIKENESS && !isOnlyChoice(choice)) return false;
      taken.add(choice.from).add(choice.to);
      return true;
    });
}

/** Keeps the order of the file for names that fit two kinds equally, e.g. `layernorm_before` and `layernorm_after`. */
function inOrder(
  choices: readonly Candidate[],
  missing: readonly TensorKind[],
  usable: readonly TensorKind[],
): Candidate[] {
  const place = new Map([...missing, ...usable].map((kind, index) => [kind, index]));
  const ordered = choices.toSorted((a, b) => place.get(a.to)! - place.get(b.to)!);
  for (let i = 0; i < ordered.length; i++) {
    for (let j = i + 1; j < ordered.length; j++) {
      const [a, b] = [ordered[i], ordered[j]];
      if (place.get(a.from)! < place.get(b.from)! || !couldBe(b.from, a.to) || !couldBe(a.from, b.to))
        continue;
      const swapped = [
        candidate({ from: b.from, to: a.to }, NONE),
        candidate({ from: a.from, to: b.to }, NONE),
      ];
      const loss = a.likeness + b.likeness - swapped[0].likeness - swapped[1].likeness;
      if (loss < TIE) [ordered[i], ordered[j]] = swapped;
    }
  }
  return ordered;
}

const NONE: ReadonlySet<string> = new Set();

/** Whether a name is of the decoder of VideoMAE's pre-training, whose blocks no detector has. */
function isOfPretraining(name: string): boolean {
  return name.startsWith('decoder.');
}

function couldBe(from: TensorKind, to: TensorKind): boolean {
  if (from.group !== null && from.group !== to.group) return false;
  const [a, b] = [roleOf(from.name), roleOf(to.name)];
  if (a !== null && b !== null && a !== b) return false;
  const shared = sharedNumbers(from, to);
  return shared.length > 0 && shared.every((n) => sameShape(from.shapes.get(n)!, to.shapes.get(n)!));
}

function sharedNumbers(a: TensorKind, b: TensorKind): number[] {
  return [...a.shapes.keys()].filter((number) => b.shapes.has(number));
}

function roleOf(name: string): string | null {
  if (/(weight|gamma)$/.test(name)) return 'weight';
  return /(bias|beta)$/.test(name) ? 'bias' : null;
}

function isMatrix({ shapes }: TensorKind): boolean {
  return [...shapes.values()].every((shape) => shape.length > 1);
}

/** The similarity of two names from 0 to 1; of their ends after the block number if both have one. */
function likeness({ from, to }: Renaming): number {
  const [a, b] = [from.name.split(/\bN\./), to.name.split(/\bN\./)];
  const isNumbered = a.length === 2 && b.length === 2;
  const whole = alike(from.name, to.name);
  // If two tails are equal, the more similar whole name wins.
  return isNumbered ? alike(a[1], b[1]) + whole / 1000 : whole;
}

function alike(a: string, b: string): number {
  return 1 - distance(a, b) / Math.max(a.length, b.length);
}

/** The two names as a reader compares them: without `backbone.` unless the one of the file needs it. */
export function shownNames({ from, to }: Renaming): { from: string; to: string } {
  const bare = (name: string) => name.replace(/^backbone\./, '');
  const isPrefixed = !from.name.startsWith('backbone.') && from.name.split('.').includes('backbone');
  return isPrefixed ? { from: from.name, to: to.name } : { from: bare(from.name), to: bare(to.name) };
}

/** Removes a start like `blocks.N.` from both. */
export function withoutSharedStart({ from, to }: { from: string; to: string }): {
  start: string;
  from: string;
  to: string;
} {
  const start = /^.*?\bN\./.exec(to)?.[0] ?? '';
  if (!from.startsWith(start)) return { start: '', from, to };
  return { start, from: from.slice(start.length), to: to.slice(start.length) };
}
