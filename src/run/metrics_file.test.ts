/** @file metrics.jsonl of short and of very long runs. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary_files.js';
import { readMetricsFile } from './metrics_file.js';

function fileOf(text: string): string {
  const file = join(temporaryFolder(), 'metrics.jsonl');
  writeFileSync(file, text);
  return file;
}

it('reads every line of a short run, names damaged ones, and forgives half a line at the end', () => {
  const file = fileOf('{"iteration":1}\nnothing\n{"iteration":2}\n\n{"iter');
  expect(readMetricsFile(file)).toEqual({ objects: [{ iteration: 1 }, { iteration: 2 }], broken: [2] });
});

it('reads nothing from a file that is missing', () => {
  expect(readMetricsFile(join(temporaryFolder(), 'nowhere'))).toEqual({ objects: [], broken: [] });
});

it('thins out the lines of a long run evenly, and keeps skipped iterations and the last one', () => {
  const lines = Array.from({ length: 90_000 }, (_, i) =>
    JSON.stringify({ iteration: i + 1, ...(i === 50_001 && { skipped: {} }) }),
  );
  const iterations = readMetricsFile(fileOf(`${lines.join('\n')}\n`)).objects.map(({ iteration }) =>
    Number(iteration),
  );
  expect(iterations.length).toBeGreaterThan(10_000);
  expect(iterations.length).toBeLessThan(20_003);
  expect(iterations.slice(0, 3)).toEqual([1, 9, 17]);
  expect(iterations).toContain(50_002);
  expect(iterations.at(-1)).toBe(90_000);
});
