/** @file Runs the cases of a kernel family on the current engine and compares the results. */
import { onPlainEngine } from '../engine/reference.js';
import {
  type Case,
  compute,
  contentsOf,
  type Family,
  type Result,
  type Tolerance,
  upstream,
} from './case.js';
import {
  type Difference,
  differenceOf,
  errorText,
  INFINITE,
  isWithin,
  largestOf,
  limitText,
  sameBits,
} from './compare.js';

/** The outcome of a case. */
export interface CaseOutcome {
  readonly name: string;
  readonly ok: boolean;
  /** Infinite after an exception. */
  readonly difference: Difference;
  /** Whether two runs gave the same bits. */
  readonly deterministic: boolean;
  /** What else is wrong, such as an exception or a wrong shape; null if nothing is. */
  readonly problem: string | null;
}

/** The outcome of a family. */
export interface FamilyOutcome {
  readonly family: Family;
  readonly ok: boolean;
  readonly deterministic: boolean;
  readonly difference: Difference;
  readonly cases: readonly CaseOutcome[];
  /** One line for each case that is wrong. */
  readonly failures: readonly string[];
  readonly seconds: number;
}

/** Runs all cases of a family. An exception is the outcome of its case, and the others go on. */
export async function runFamily(family: Family): Promise<FamilyOutcome> {
  const start = performance.now();
  const cases: CaseOutcome[] = [];
  for (const test of family.cases) {
    cases.push(await runCase(family, test));
  }
  return {
    family,
    cases,
    ok: cases.every(({ ok }) => ok),
    failures: cases.filter(({ ok }) => !ok).map((outcome) => failureText(family, outcome)),
    deterministic: cases.every(({ deterministic }) => deterministic),
    difference: largestOf(cases.map(({ difference }) => difference)),
    seconds: (performance.now() - start) / 1000,
  };
}

/** What is wrong with a case. */
function failureText(
  { name: family, tolerance }: Family,
  { name, difference, problem }: CaseOutcome,
): string {
  return `${family}, ${name}: ${problem ?? differenceText(difference, tolerance)}`;
}

function differenceText({ norm, largest }: Difference, tolerance: Tolerance): string {
  if (!Number.isFinite(norm)) return 'NaN or infinity stands at another place than expected';
  return (
    `error ${errorText(norm)} of the norm, ${limitText(tolerance.norm)} expected; ` +
    `error ${errorText(largest)} of the largest value, ${limitText(tolerance.largest)} expected`
  );
}

export async function runCase({ name: family, tolerance }: Family, test: Case): Promise<CaseOutcome> {
  const { name } = test;
  try {
    const contents = contentsOf(family, test);
    const first = await compute(test, contents);
    const second = await compute(test, contents);
    const expected = await expectedResults(test, contents, first);
    const problem = problemWith(first, expected);
    const difference = largestOf(first.map(({ data }, i) => differenceOf(data, expected[i]?.data ?? [])));
    const ok = problem === null && isWithin(difference, tolerance);
    return { name, ok, difference, deterministic: sameBits(first, second), problem };
  } catch (error) {
    const problem = (error as Error).message;
    return { name, ok: false, difference: INFINITE, deterministic: true, problem };
  }
}

/** The expected results. Only the plain engine knows shapes and types; those of formulas are taken from the results. */
async function expectedResults(
  test: Case,
  contents: Parameters<typeof compute>[1],
  actual: readonly Result[],
): Promise<Result[]> {
  if (!test.expected) return await onPlainEngine(() => compute(test, contents));
  const inputs = contents.map((content) => Float64Array.from(content));
  const dy = Float64Array.from(upstream(actual[0].data.length));
  const found = test.expected(inputs, test.gradients ? dy : new Float64Array());
  return found.map((data, i) => ({ ...(actual[i] ?? { shape: [], dtype: 'float32' }), data }));
}

/** What is wrong beside the numbers, or null. */
function problemWith(actual: readonly Result[], expected: readonly Result[]): string | null {
  if (actual.length !== expected.length) return `${actual.length} results instead of ${expected.length}`;
  for (const [i, { shape, dtype, data }] of expected.entries()) {
    if (`${actual[i].shape}` !== `${shape}`) return `shape [${actual[i].shape}] instead of [${shape}]`;
    if (actual[i].dtype !== dtype) return `type ${actual[i].dtype} instead of ${dtype}`;
    if (data.length !== actual[i].data.length)
      return `${actual[i].data.length} numbers instead of ${data.length}`;
  }
  return null;
}
