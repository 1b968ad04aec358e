/** @file Names of the actions for people to read, from the label map if there is one. */
import { existsSync } from 'node:fs';
import type { Config } from '../../config/index.js';
import { twinClause } from '../../files/twins.js';
import { annotationPath } from '../data_config.js';
import { labelFolderProblem } from '../data_folders.js';
import { readLabelMapFile } from './label_map.js';

type LabelNamesConfig = Pick<Config, 'DATA' | 'AVA'>;

/** Action id → name; null if the data set has no label map. Throws DataError if it is broken. */
export function readLabelNames(cfg: LabelNamesConfig): Map<number, string> | null {
  return readNotedLabelNames(cfg)?.names ?? null;
}

/** Like `readLabelNames`, with a sentence about ids that the label map does not state, or null. */
export function readNotedLabelNames(
  cfg: LabelNamesConfig,
): { names: Map<number, string>; note: string | null } | null {
  const path = annotationPath(cfg, cfg.AVA.LABEL_MAP_FILE);
  if (!existsSync(path)) return null;
  const { labels, note } = readLabelMapFile(path);
  return { names: new Map(labels.map(({ id, name }) => [id, name])), note };
}

/** Warns that the data set has no label map, and names a file that may be meant. */
export function noLabelMap(cfg: LabelNamesConfig): string {
  const path = annotationPath(cfg, cfg.AVA.LABEL_MAP_FILE);
  const folder = labelFolderProblem(cfg);
  if (folder !== null) return `${folder}. Without a label map, actions have numbers instead of names`;
  return `there is no label map ${path}${twinClause(path)} (AVA.LABEL_MAP_FILE): actions have numbers instead of names`;
}

/** The name of an action, or its number if it has none. */
export function actionName(names: ReadonlyMap<number, string> | null, id: number): string {
  return names?.get(id) ?? `action ${id}`;
}
