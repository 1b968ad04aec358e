/** @file A small data set for tests of `data check`, its files, and the check of all of its frames. */
import { checkData } from '../../src/data_tools/check/check.js';
import { type AvaFolder, makeAvaFolder } from './ava_folder.js';

export const BOX = '0.1,0.2,0.5,0.8';
export const ROWS = [`a,902,${BOX},1,0`, `a,905,${BOX},3,0`, `b,903,${BOX},1,0`, `b,903,${BOX},2,0`];
export const TRAIN = 'annotations_v2.2/ava_train_v2.2.csv';
export const TEST = 'annotations_v2.2/ava_val_v2.2.csv';
export const LABEL_MAP = 'annotations_v2.2/ava_action_list_v2.2_for_activitynet_2019.pbtxt';
export const EXCLUSIONS = 'annotations_v2.2/ava_val_excluded_timestamps_v2.2.csv';

/** A folder with nothing wrong in it but that both splits have the same videos. */
export async function makeIntactFolder(): Promise<AvaFolder> {
  const ava = await makeAvaFolder({
    videos: { a: { frames: 8, width: 40, height: 24 }, b: { frames: 8, width: 24, height: 30 } },
    annotations: ROWS,
  });
  ava.write(LABEL_MAP, [1, 2, 3].map((id) => `item { name: "action ${id}" id: ${id} }\n`).join(''));
  ava.write(EXCLUSIONS, 'a,0902\n');
  return ava;
}

/** The configuration of the folder, with changes. */
export const configOf = (ava: AvaFolder, changes: Record<string, unknown> = {}) =>
  ava.config({
    'MODEL.STM.ACTION_CLASSES': 3,
    'DATALOADER.NUM_WORKERS': 0,
    'SOLVER.ITER_PER_EPOCH': 1,
    ...changes,
  });

/** Checks the folder and decodes every frame. */
export const checkFolder = (ava: AvaFolder, changes: Record<string, unknown> = {}) =>
  checkData(configOf(ava, changes), { deep: true });
