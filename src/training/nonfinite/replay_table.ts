/** @file What a replayed step did, as text. */

import { alignColumns } from '../../util/table.js';
import { significant } from '../../util/text.js';
import { describeNonFinite } from './nonfinite.js';
import type { Replay } from './replay.js';
import type { SavedBatch } from './saved_batch.js';

/** Tables of the loss, the outputs of the network's parts, and the gradients; then what is not finite, and where it begins. */
export function formatReplay(
  { terms, total, nonFinite, outputs, groups }: Replay,
  saved: SavedBatch,
): string {
  const { batch, iteration, seed, clipsAtOnce } = saved;
  const clips = batch.clips.map(({ videoName, second }) => `${videoName} at second ${second}`);
  const sections = [
    `iteration ${iteration}, seed ${seed}: ${batch.shape[0]} clips of ${batch.shape.slice(1, 4).join('×')}, ` +
      `${clipsAtOnce} at once${clips.length ? `: ${clips.join('; ')}` : ''}`,
    table(
      ['loss', 'then', 'now'],
      [
        ...Array.from(terms, ([name, term]) => [name, number(saved.terms.get(name)), number(term)]),
        ['mean', '', number(total)],
      ],
    ),
    table(
      ['output of', 'largest'],
      outputs.map(({ name, largest }) => [name, number(largest)]),
    ),
  ];
  if (groups.length > 0) {
    sections.push(
      table(
        ['gradients of group', 'norm', 'largest'],
        groups.map(({ name, norm, largest }) => [name, number(norm), number(largest)]),
      ),
    );
  }
  sections.push(...conclusion(nonFinite, outputs));
  return sections.join('\n\n');
}

function conclusion(nonFinite: Replay['nonFinite'], outputs: Replay['outputs']): string[] {
  const first = outputs.find(({ largest }) => !Number.isFinite(largest));
  if (nonFinite === null) return ['All is finite.'];
  const { part, parameters } = nonFinite;
  const of =
    part.count === part.batchSize
      ? ''
      : ` (clips ${part.first + 1} to ${part.first + part.count} of ${part.batchSize})`;
  return [
    `${describeNonFinite(nonFinite)}${of}.`,
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
