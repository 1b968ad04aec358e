/** @file The settings to train with after an import. */
import { AVA_LAST_SECOND } from '../../data/time.js';
import { shellWord } from '../../util/text.js';
import { annotationSettings } from '../annotation_folder.js';
import type { ImportedVideoBoxes, ImportOptions } from './options.js';
import { listOf, type Split } from './splitting.js';

/** Lines with the settings that differ from the defaults. */
export function settingsFor(
  videos: readonly ImportedVideoBoxes[],
  { split, labels, options }: { split: Split; labels: readonly { id: number }[]; options: ImportOptions },
): string[] {
  const { out, step } = options;
  const prepared = videos.find(({ known }) => known.note !== null)?.known.note;
  const first = options.firstSecond ?? prepared?.start ?? 0;
  const last = videos.reduce(
    (max, { boxes }) => boxes.reduce((a, { second }) => Math.max(a, second), max),
    0,
  );
  const frameList = (wanted: string) => (split.has(wanted) ? wanted : (listOf(out, videos[0].name) ?? 'all'));
  const settings = [
    `DATA.PATH_TO_DATA_DIR ${shellWord(out)}`,
    `AVA.TRAIN_LISTS "['${frameList('train')}.csv']"`,
    `AVA.TEST_LISTS "['${frameList('val')}.csv']"`,
    ...annotationSettings([...split.keys()]),
    `AVA.FIRST_SECOND ${first}`,
    ...(last > AVA_LAST_SECOND ? [`AVA.LAST_SECOND ${Math.ceil(last)}`] : []),
    ...(step === undefined || step === 1 ? [] : [`AVA.KEY_FRAME_STEP ${step}`]),
    ...(prepared ? [`AVA.FPS ${prepared.fps}`] : []),
    `MODEL.STM.ACTION_CLASSES ${labels.reduce((max, { id }) => Math.max(max, id), 1)}`,
  ];
  const warning = split.has('all')
    ? [
        'All videos are in one list, which is used for both training and evaluation; divide them with --val-videos or --val-fraction.',
      ]
    : [];
  return ['', `Settings for this data: ${settings.join(' ')}`, ...warning];
}
