/** @file The result of a replayed step as text. */
import { alignColumns } from '../../util/table.js';
import { significant } from '../../util/text.js';
import { describeNonFinite } from './nonfinite.js';
import type { Replay } from './replay.js';
import type { SavedBatch } from './saved_batch.js';

/**
 * Formats tables of losses, outputs and gradients, followed by the values that are not finite and the first output that
 * has them.
 */
export function formatReplay(
  { terms, total, nonFinite, outputs, groups }: Replay,
  saved: SavedBatch,
): string {
  const { batch, iteration, seed, microBatchSize } = saved;
  const clips = batch.clips.map(({ videoName, second }) => `${videoName} at second ${second}`);
  const part = batch.whole ? ` (of a batch of ${batch.whole.boxCounts.length})` : '';
  const sections = [
    `iteration ${iteration}, seed ${seed}: ${batch.shape[0]} clips${part} of ${batch.shape.slice(1, 4).join('×')}, ` +
      `${microBatchSize} at once${clips.length ? `: ${clips.join('; ')}` : ''}`,
    table(
      ['loss', 'then', 'now'],
      [
        ...Array.from(terms, ([name, term]) => [name, number(saved.terms.get(name)), number(term)]),
        ['mean', '', number(total)],
      ],
    ),
    table(
      ['output of', 'largest'],
      outputs.map(({ name, maxAbs }) => [name, number(maxAbs)]),
    ),
  ];
  if (groups.length > 0) {
    sections.push(
      table(
        ['gradients of group', 'norm', 'largest'],
        groups.map(({ name, norm, maxAbs }) => [name, number(norm), number(maxAbs)]),
      ),
    );
  }
  sections.push(...conclusion(nonFinite, outputs));
  return sections.join('\n\n');
}

function conclusion(nonFinite: Replay['nonFinite'], outputs: Replay['outputs']): string[] {
  const first = outputs.find(({ maxAbs }) => !Number.isFinite(maxAbs));
  if (nonFinite === null) return ['All values are finite.'];
  const { microBatch, parameters } = nonFinite;
  const { first: start, count, batchSize } = microBatch;
  const range = count === batchSize ? '' : ` (clips ${start + 1} to ${start + count} of ${batchSize})`;
  return [
    `${describeNonFinite(nonFinite)}${range}.`,
    ...(parameters.length > 0
      ? [`Gradients that are not finite:\n${parameters.map((name) => `  ${name}`).join('\n')}`]
      : []),
    first ? `The first output that is not finite: ${first.name}.` : 'All outputs of the network are finite.',
  ];
}

function number(value: number | undefined): string {
  return value === undefined ? '–' : significant(value, 6);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return alignColumns([head, ...rows], (column) => column > 0).join('\n');
}
