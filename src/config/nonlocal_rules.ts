/** @file Rules for the non-local blocks of ResNet backbones. */
import { divides, type Rule } from './rule.js';
import type { Config } from './schema/index.js';

/** A pathway of a stage with non-local blocks. */
interface Place {
  readonly groups: number;
  readonly pool: readonly number[];
}

/** The places where non-local blocks are built. Keys say nothing about the others. */
function placesOf({ NONLOCAL }: Config): Place[] {
  return NONLOCAL.LOCATION.flatMap((stage, s) =>
    stage.flatMap((blocks, p) =>
      blocks.length > 0 ? [{ groups: NONLOCAL.GROUP[s][p], pool: NONLOCAL.POOL[s]?.[p] ?? [] }] : [],
    ),
  );
}

/** `framesOf` is the number of frames of the slow pathway, null if unknown. */
export function nonlocalRules(
  resnet: (rule: Rule) => Rule,
  framesOf: (config: Config) => number | null,
): Rule[] {
  const needs = ['NONLOCAL.LOCATION', 'NONLOCAL.GROUP'];
  return [
    resnet({
      keys: ['NONLOCAL.POOL', 'NONLOCAL.LOCATION'],
      needs,
      holds: (config) =>
        placesOf(config).every(({ pool }) => pool.length === 3 && pool.every((extent) => extent >= 1)),
      expected: () =>
        'expected three numbers of at least 1 (frames, rows, columns) for each pathway of a stage with non-local blocks',
    }),
    resnet({
      keys: ['NONLOCAL.GROUP', 'DATA.NUM_FRAMES'],
      needs,
      holds: (config) => {
        const frames = framesOf(config);
        return frames === null || placesOf(config).every(({ groups }) => divides(groups, frames));
      },
      expected: (config) =>
        `expected divisors of ${framesOf(config)}, the number of frames of the slow pathway`,
    }),
    resnet({
      keys: ['NONLOCAL.POOL', 'DATA.NUM_FRAMES'],
      needs: [...needs, 'NONLOCAL.POOL'],
      holds: (config) => {
        const frames = framesOf(config);
        return frames === null || placesOf(config).every(({ pool, groups }) => pool[0] * groups <= frames);
      },
      expected: (config) =>
        `expected at most ${framesOf(config)} frames to be pooled, divided by NONLOCAL.GROUP, because the slow pathway has no more`,
    }),
  ];
}
