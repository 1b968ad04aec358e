/** @file Draws example clips of the last evaluation for the page: true boxes beside detections. */
import sharp from 'sharp';
import type { Config } from '../config/index.js';
import { annotationPath } from '../data/data_config.js';
import { AvaDataset } from '../data/datasets/ava_dataset.js';
import { readLabelMap } from '../data/datasets/label_map.js';
import { drawBoxes } from '../drawing/draw_boxes.js';
import type { DrawnBox } from '../drawing/types.js';
import { UserError } from '../errors.js';
import { imageKey } from '../evaluation/ava_csv.js';
import { DETECTIONS } from '../evaluation/results.js';
import type { ClipDetections } from '../evaluation/types.js';
import { type Evaluation, evaluationFile } from '../run/evaluations.js';
import type { Run } from '../run/read_run.js';
import { type CsvClip, pickClips } from './detections_csv.js';
import { type ExamplePicture, exampleDetections } from './examples.js';

/** A key frame drawn twice, with the true boxes and with the detections. */
export interface ExampleFigure {
  readonly caption: string;
  readonly truth: EmbeddedPicture;
  readonly found: EmbeddedPicture;
}

export interface EmbeddedPicture {
  /** Data URI. */
  readonly uri: string;
  readonly width: number;
  readonly height: number;
  /** Description of the image. */
  readonly alt: string;
}

const COUNT = 4;
/** Width in pixels on a desktop; small enough to be embedded. */
const WIDTH = 800;
const QUALITY = 62;

/** Examples of an evaluation, or a sentence that says why there are none. */
export async function examplePictures(run: Run, evaluation: Evaluation): Promise<ExampleFigure[] | string> {
  const file = evaluationFile(run.folder, evaluation, DETECTIONS);
  if (file === null || !run.config?.config) {
    return 'No examples: they need the evaluation’s folder and a readable config.yaml.';
  }
  const clips = tryPickClips(file);
  if (clips === null) return `No examples: there is no ${evaluation.folder}/detections.csv.`;
  try {
    const pictures = openExamples(run.config.config, clips);
    if (pictures.length === 0) return 'No examples: detections.csv has none of the clips of the test lists.';
    return await Promise.all(pictures.map(drawExample));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const [reason] = error.message.split('\n');
    return `No examples: the test data cannot be read from here (${reason}).`;
  }
}

function tryPickClips(file: string): CsvClip[] | null {
  try {
    return pickClips(file, COUNT);
  } catch {
    return null;
  }
}

function openExamples(cfg: Config, clips: readonly CsvClip[]): ExamplePicture[] {
  const dataset = AvaDataset.open(cfg, 'test');
  const labels = readLabelMap(annotationPath(cfg, cfg.AVA.LABEL_MAP_FILE));
  const clipIds = new Map(
    dataset.keyFrames.map(({ videoIndex, second }, i) => [
      imageKey(dataset.videos[videoIndex].name, second),
      i,
    ]),
  );
  const known = clips.flatMap((clip) => {
    const clipId = clipIds.get(imageKey(clip.video, clip.second));
    return clipId === undefined ? [] : [toClipDetections(clip, clipId, dataset)];
  });
  return exampleDetections(dataset, known, labels, COUNT);
}

function toClipDetections(
  { video, second, persons }: CsvClip,
  clipId: number,
  dataset: AvaDataset,
): ClipDetections {
  const actionScores = new Float32Array(persons.length * dataset.numClasses);
  persons.forEach(({ actions }, person) => {
    for (const [id, score] of actions) {
      if (id >= 1 && id <= dataset.numClasses) actionScores[person * dataset.numClasses + id - 1] = score;
    }
  });
  return {
    clip: { clipId, videoIndex: dataset.keyFrames[clipId].videoIndex, videoName: video, second },
    detections: {
      boxes: Float32Array.from(persons.flatMap(({ box }) => box)),
      // AVA's csv has no person scores.
      personScores: new Float32Array(persons.length).fill(Number.NaN),
      actionScores,
    },
  };
}

async function drawExample({ caption, path, boxes }: ExamplePicture): Promise<ExampleFigure> {
  const draw = async (kind: DrawnBox['kind']): Promise<EmbeddedPicture> => {
    const shown = boxes.filter((box) => box.kind === kind);
    const { png } = await drawBoxes(path, shown);
    const { data, info } = await sharp(png)
      .resize({ width: WIDTH, withoutEnlargement: true })
      .webp({ quality: QUALITY })
      .toBuffer({ resolveWithObject: true });
    return {
      uri: `data:image/webp;base64,${data.toString('base64')}`,
      width: info.width,
      height: info.height,
      alt: `${caption}: ${shown.map(({ labels }) => labels.join(' and ') || 'person').join('; ') || 'no person'}`,
    };
  };
  return { caption, truth: await draw('truth'), found: await draw('detection') };
}
