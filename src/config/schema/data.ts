/** @file Schema of DATA, AVA and DATALOADER (source and preparation of clips), KINETICS, AK, TEST and OUTPUT_DIR. */
import {
  AT_LEAST_ONE,
  bool,
  float,
  int,
  item,
  list,
  NOT_NEGATIVE,
  POSITIVE,
  section,
  text,
  word,
} from './fields.js';

const FRAMES_NOT_VIDEOS = 'clips are read from extracted frames, never decoded from video files';

export const DATA = section('Clips: number of frames, sizes, normalisation of pixels.', {
  PATH_TO_DATA_DIR: text('', 'Folder of the data set. The folders set under AVA are relative to it.'),
  NUM_FRAMES: int(4, 'Frames per clip.', AT_LEAST_ONE),
  SAMPLING_RATE: int(16, 'Step from one frame of a clip to the next, in frames of the video.', AT_LEAST_ONE),
  INPUT_CHANNEL_NUM: list(
    item.int(AT_LEAST_ONE),
    [3],
    'Colour channels of each pathway of a ResNet backbone. A ViT reads ViT.IN_CHANS instead.',
    { minItems: 1, maxItems: 2 },
  ),
  MEAN: list(
    item.float(),
    [0.45, 0.45, 0.45],
    'Mean that is subtracted from pixels (0 to 1), in the order blue, green, red.',
    {
      minItems: 3,
      maxItems: 3,
    },
  ),
  STD: list(
    item.float(POSITIVE),
    [0.225, 0.225, 0.225],
    'Standard deviation that pixels are divided by, in the order blue, green, red.',
    { minItems: 3, maxItems: 3 },
  ),
  TRAIN_MIN_SCALES: list(
    item.int(AT_LEAST_ONE),
    [256, 320],
    'Short sides of training clips, in pixels. One is picked at random for each clip.',
    { minItems: 1 },
  ),
  TRAIN_MAX_SCALE: int(1333, 'Maximum long side in training, in pixels.', {
    ...AT_LEAST_ONE,
    noEffect: 'the official code does not apply it either',
  }),
  TEST_MIN_SCALES: list(
    item.int(AT_LEAST_ONE),
    [256],
    'Short side of clips in evaluation, in pixels. If there are several, one is picked at random for each clip.',
    { minItems: 1 },
  ),
  TEST_MAX_SCALE: int(1333, 'Maximum long side in evaluation, in pixels.', {
    ...AT_LEAST_ONE,
    noEffect: 'the official code does not apply it either',
  }),
  TARGET_FPS: int(30, 'Frame rate to which decoded videos are converted.', {
    ...AT_LEAST_ONE,
    noEffect: `${FRAMES_NOT_VIDEOS}; the frame rate is AVA.FPS`,
  }),
  DECODING_BACKEND: text('pyav', 'Library that decodes videos.', { noEffect: FRAMES_NOT_VIDEOS }),
  RANDOM_FLIP: bool(true, 'Flip half of the training clips horizontally.'),
  REVERSE_INPUT_CHANNEL: bool(false, 'Swap the first and the last colour channel again, as the last step.'),
  MISSING: word(
    ['stop', 'skip'],
    'stop',
    "What to do with annotated videos that have no frames or no frame list, and with clips that lack frames. 'stop' ends the " +
      "run at its start. 'skip' leaves them out of training and evaluation, their ground truth included, and reports how many " +
      'are left out (not in the official code).',
  ),
  DATASETS: list(item.text(), ['ava_v2.2'], 'Name of the data set. Only the first one is used.', {
    minItems: 1,
  }),
});

export const AVA = section('Files of the data set in AVA layout, and augmentation.', {
  FRAME_DIR: text('frames/', 'Folder of the frames, inside PATH_TO_DATA_DIR.'),
  FRAME_LIST_DIR: text('frame_lists/', 'Folder of the frame lists, inside PATH_TO_DATA_DIR.'),
  ANNOTATION_DIR: text(
    'annotations_v2.2/',
    'Folder of annotations, label map and excluded key frames, inside PATH_TO_DATA_DIR.',
  ),
  TRAIN_LISTS: list(item.text(), ['train.csv'], 'Frame lists for training.', { minItems: 1 }),
  TEST_LISTS: list(item.text(), ['val.csv'], 'Frame lists for evaluation.', { minItems: 1 }),
  TRAIN_GT_BOX_LISTS: list(item.text(), ['ava_train_v2.2.csv'], 'Boxes and actions for training.', {
    minItems: 1,
  }),
  TEST_GT_BOX_LISTS: list(item.text(), ['ava_val_v2.2.csv'], 'Boxes and actions for evaluation.', {
    minItems: 1,
  }),
  BGR: bool(false, 'Keep the colour channels in the order blue, green, red.'),
  TRAIN_USE_COLOR_AUGMENTATION: bool(false, 'Change the colours of training clips at random.'),
  TRAIN_PCA_JITTER_ONLY: bool(
    true,
    'Use only PCA lighting as colour augmentation. False adds brightness, contrast and saturation.',
  ),
  TRAIN_PCA_EIGVAL: list(item.float(NOT_NEGATIVE), [0.225, 0.224, 0.229], 'Eigenvalues for PCA lighting.', {
    minItems: 3,
    maxItems: 3,
  }),
  TRAIN_PCA_EIGVEC: list(
    item.list(item.float(), { minItems: 3, maxItems: 3 }),
    [
      [-0.5675, 0.7192, 0.4009],
      [-0.5808, -0.0045, -0.814],
      [-0.5836, -0.6948, 0.4203],
    ],
    'Eigenvectors for PCA lighting, one row for each colour channel.',
    { minItems: 3, maxItems: 3 },
  ),
  TEST_FORCE_FLIP: bool(false, 'Flip every clip horizontally in evaluation.'),
  STRICT_EVAL: bool(true, 'Evaluate by the official protocol.', {
    noEffect: 'evaluation always follows the official protocol',
  }),
  LABEL_MAP_FILE: text(
    'ava_action_list_v2.2_for_activitynet_2019.pbtxt',
    'Label map, inside ANNOTATION_DIR. Evaluation counts only its classes.',
    { minLength: 1 },
  ),
  EXCLUSION_FILE: text(
    'ava_val_excluded_timestamps_v2.2.csv',
    'List of key frames that evaluation leaves out, inside ANNOTATION_DIR.',
  ),
  GROUNDTRUTH_FILE: text('ava_val_v2.2.csv', 'Ground truth for evaluation.', {
    noEffect: 'evaluation reads AVA.TEST_GT_BOX_LISTS',
  }),
  FPS: int(30, 'Frame rate of the frames on disk, per second (not in the official code, which assumes 30).', {
    ...AT_LEAST_ONE,
    wholeNumberAdvice:
      'extract the frames at a whole number per second (`stmixer data prepare --fps 30` does) and set AVA.FPS to that number',
  }),
  FIRST_SECOND: float(
    900,
    'Time of the first frame of each video, in the seconds of the annotations; 0 for your own videos. With 900, key ' +
      'frames begin at 902, as in AVA (not in the official code).',
  ),
  LAST_SECOND: float(
    1798,
    'Last time of a key frame, in the seconds of the annotations. Later rows are left out with a warning (not in the ' +
      'official code).',
  ),
  KEY_FRAME_STEP: float(
    1,
    'Time from one key frame to the next, in seconds: the default of `detect --step`. `data check` reports key frames ' +
      'at other times (not in the official code).',
    { minimum: 0.001 },
  ),
});

export const DATALOADER = section('Loading of batches.', {
  NUM_WORKERS: int(4, 'Worker threads that prepare clips. 0 prepares them in the main thread.', NOT_NEGATIVE),
  SIZE_DIVISIBILITY: int(
    32,
    'Batches are padded to a multiple of this many pixels. Must be a multiple of 32.',
    {
      ...NOT_NEGATIVE,
    },
  ),
  ASPECT_RATIO_GROUPING: bool(
    false,
    'Put only wide or only tall clips into one batch. Frames must be JPEG or PNG.',
  ),
  ON_ERROR: word(
    ['stop', 'skip'],
    'stop',
    "What to do with a clip that cannot be loaded, such as one with a broken frame. 'stop' ends the run. 'skip' warns; training then takes another clip " +
      'at random, and evaluation leaves the clip out (not in the official code).',
  ),
});

const KINETICS_NOT_READ = 'only AVA can be read so far';
const listed = (name: string, what: string) =>
  list(item.text(), [name], what, { noEffect: KINETICS_NOT_READ });

export const KINETICS = section('Files of the Kinetics part of AVA-Kinetics.', {
  VIDEO_DIR: text('', 'Folder of the videos.', { noEffect: KINETICS_NOT_READ }),
  FRAME_LIST_DIR: text('kinetics/frame_lists/', 'Folder of the frame lists.', {
    noEffect: KINETICS_NOT_READ,
  }),
  ANNOTATION_DIR: text('kinetics/annotations/', 'Folder of the annotations.', {
    noEffect: KINETICS_NOT_READ,
  }),
  TRAIN_LISTS: listed('train.csv', 'Frame lists for training.'),
  TEST_LISTS: listed('val.csv', 'Frame lists for evaluation.'),
  TRAIN_GT_BOX_LISTS: listed('kinetics_train_curated.csv', 'Boxes and actions for training.'),
  TEST_GT_BOX_LISTS: listed('kinetics_val_curated.csv', 'Boxes and actions for evaluation.'),
});

export const AK = section('Files of the whole AVA-Kinetics.', {
  TEST_GT_BOX_LISTS: listed('kinetics/ak_val_gt.csv', 'Boxes and actions for evaluation.'),
});

/** Allowed values of DATA.DATASETS. The files are set under AVA. */
export const DATASET_NAMES = ['ava_v2.2', 'ava_v2.1'];

export const TEST = section('Evaluation.', {
  VIDEOS_PER_BATCH: int(16, 'Clips per batch in evaluation, on all devices together.', AT_LEAST_ONE),
});

export const OUTPUT_DIR = text('.', 'Folder for checkpoints, logs and results.', { minLength: 1 });
