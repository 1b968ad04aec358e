/** @file Names of the actions for people, where there is a label map. */
import { existsSync } from 'node:fs';
import { twinClause } from '../../files/twins.js';
import { annotationPath } from '../data_config.js';
import { readLabelMap } from './label_map.js';

export interface LabelNamesConfig {
  readonly DATA: { readonly PATH_TO_DATA_DIR: string };
  readonly AVA: { readonly ANNOTATION_DIR: string; readonly LABEL_MAP_FILE: string };
}

/** Action id → name, or null where the data set has no label map. Throws DataError where it has a broken one. */
export function readLabelNames(cfg: LabelNamesConfig): Map<number, string> | null {
  const path = annotationPath(cfg, cfg.AVA.LABEL_MAP_FILE);
  if (!existsSync(path)) return null;
  return new Map(readLabelMap(path).map(({ id, name }) => [id, name]));
}

/** Says that the data set has no label map, and which file seems to be meant. */
export function noLabelMap(cfg: LabelNamesConfig): string {
  const path = annotationPath(cfg, cfg.AVA.LABEL_MAP_FILE);
  return `there is no label map ${path}${twinClause(path)} (AVA.LABEL_MAP_FILE): actions have numbers instead of names`;
}

/** What to call an action; its number where it has no name. */
export function actionName(names: ReadonlyMap<number, string> | null, id: number): string {
  return names?.get(id) ?? `action ${id}`;
}
