/** @file What a check of a data set can find, how grave it is and what to do about it. */
import type { Split } from '../../data/data_config.js';
import type { ProblemKind, ProblemSink } from '../../data/text_lines.js';

/** `error`: training or its evaluation ends with it. `warning`: it runs, and most likely not as meant. */
export type Severity = 'error' | 'warning' | 'note';

interface Description {
  readonly severity: Severity;
  /** What was found; the count and the examples follow. */
  readonly message: string;
  /** What to do, where the examples do not say it. */
  readonly advice?: string;
}

const KINDS = {
  file: { severity: 'error', message: 'a file cannot be read', advice: 'mend the path under AVA or DATA' },
  columns: { severity: 'error', message: 'a line cannot be understood' },
  empty: { severity: 'error', message: 'a file is empty' },
  box: { severity: 'error', message: 'a box is wrong' },
  label: { severity: 'error', message: 'an action id is beyond the classes of the model' },
  'out-of-range': {
    severity: 'error',
    message: 'no row can be used',
    advice: 'second 900 is the first frame: add 900 to seconds that are counted from there',
  },
  'unknown-video': { severity: 'error', message: 'an annotated video has no frame list' },
  'missing-frame': { severity: 'error', message: 'a frame that a clip uses is missing' },
  'frame-folder': { severity: 'error', message: 'a folder of frames is missing' },
  'broken-picture': { severity: 'error', message: 'a frame that a clip uses is no whole picture' },
  'mixed-clip': {
    severity: 'error',
    message: 'the frames of a clip have different sizes',
    advice: 'extract all frames of the video with one size',
  },
  'no-shape': {
    severity: 'error',
    message: 'the shape of a video cannot be told (DATALOADER.ASPECT_RATIO_GROUPING)',
  },
  'small-data': { severity: 'error', message: 'there are fewer key frames than a batch has' },
  'label-map': { severity: 'error', message: 'evaluation cannot read the label map (AVA.LABEL_MAP_FILE)' },
  exclusions: { severity: 'error', message: 'evaluation cannot read the exclusions (AVA.EXCLUSION_FILE)' },

  header: { severity: 'warning', message: 'a frame list has no header' },
  order: {
    severity: 'warning',
    message: 'frames are out of order or listed again',
    advice: "a frame's number is its place in the list: sort the lines, and list each frame once",
  },
  gap: {
    severity: 'warning',
    message: 'frames are left out of a list',
    advice:
      'all frames after a gap are shown too early: list the frames between, or repeat a neighbour in their place',
  },
  'late-start': {
    severity: 'warning',
    message: 'the frames of a video begin with a number above 1',
    advice:
      'the first frame of the list is second 900, whatever its number: list the frames before it as well',
  },
  'unused-missing': { severity: 'warning', message: 'a frame that no clip uses is listed and missing' },
  'mixed-video': {
    severity: 'warning',
    message: 'the frames of a video have different sizes',
    advice: 'a clip in which both come together ends training; --deep tells whether there is one',
  },
  'beyond-end': { severity: 'warning', message: 'a key frame lies beyond the end of its video' },
  fps: {
    severity: 'warning',
    message: 'frames were extracted at another rate than AVA.FPS',
  },
  skipped: {
    severity: 'warning',
    message: 'rows are skipped, because their second is outside 902…1798',
    advice: 'AVA annotates no others; in videos of your own, second 900 is the first frame',
  },
  repeated: {
    severity: 'warning',
    message: 'rows repeat the box and action of an earlier row',
    advice: 'training takes them once, and evaluation counts the box again: leave one of each',
  },
  'several-persons': {
    severity: 'warning',
    message: 'a box has several person ids in one key frame',
    advice: 'training and evaluation take it for one person and do not use the ids: give a box one id',
  },
  'same-file': { severity: 'warning', message: 'a file is given twice' },
  'same-name': { severity: 'warning', message: 'a name of the label map stands for several ids' },
  'idle-exclusions': {
    severity: 'warning',
    message: 'the list of exclusions (AVA.EXCLUSION_FILE) does not do what it is for',
  },
  'same-box': {
    severity: 'warning',
    message:
      'a box stands in a key frame twice, written differently (0.5 and 0.500), and counts as two persons',
    advice: 'write the rows of one box with the same digits',
  },
  outside: {
    severity: 'warning',
    message: 'boxes reach beyond the picture and are clipped',
  },
  crowded: {
    severity: 'warning',
    message: 'key frames have more boxes than the model has queries (MODEL.STM.NUM_QUERIES)',
    advice: 'raise MODEL.STM.NUM_QUERIES, or some boxes are never learned',
  },
  overlap: {
    severity: 'warning',
    message: 'videos are annotated for training and for evaluation',
    advice: 'evaluation on videos that were trained on says little: keep each video in one of them',
  },
  'untrained-class': {
    severity: 'warning',
    message: 'classes of the label map have no box to learn from',
  },
  'map-beyond-classes': {
    severity: 'warning',
    message: 'classes of the label map are beyond MODEL.STM.ACTION_CLASSES and can never be found',
    advice: 'set MODEL.STM.ACTION_CLASSES to the highest id of the label map or more',
  },

  'from-0': {
    severity: 'note',
    message: "frames are numbered from 0, not from 1 as AVA's; that makes no difference",
  },
  unlisted: { severity: 'note', message: 'frames exist and are in no list; they are not used' },
  idle: { severity: 'note', message: 'listed videos have no annotation and are not used' },
  'long-video': { severity: 'note', message: 'videos last much longer than their annotations' },
  'outside-map': {
    severity: 'note',
    message: 'action ids are not in the label map: they are trained, and evaluation leaves them out',
  },
  'more-classes': {
    severity: 'note',
    message: 'the model has more classes than the label map',
    advice:
      "that is right for AVA, which trains 80 classes and evaluates 60; the others' scores are not used",
  },
  'untested-class': {
    severity: 'note',
    message: 'classes of the label map have no box to evaluate on and are left out of the mean',
  },
  excluded: { severity: 'note', message: 'key frames are excluded from the evaluation' },
  'no-action': {
    severity: 'note',
    message: 'boxes have no action: training takes them for persons alone, and evaluation leaves them out',
  },
  'no-exclusions': {
    severity: 'note',
    message: 'the list of exclusions is empty, so every key frame counts',
  },
  sampled: {
    severity: 'note',
    message: 'only some of the frames were decoded',
    advice: '--deep decodes all',
  },
} as const satisfies Record<ProblemKind | string, Description>;

export type FindingKind = keyof typeof KINDS;

export interface Finding {
  readonly kind: FindingKind;
  readonly severity: Severity;
  /** Null for what concerns both. */
  readonly split: Split | null;
  readonly message: string;
  count: number;
  /** The first of them. */
  readonly examples: string[];
  advice: string | null;
}

const EXAMPLES = 3;
const ORDER: readonly Severity[] = ['error', 'warning', 'note'];

/** Collects findings: those of one kind and split become one, with a count. */
export class Findings {
  readonly #found = new Map<string, Finding>();

  /** Errors that training is told to live with are warnings. */
  constructor(private readonly tolerated: readonly FindingKind[] = []) {}

  /** The example is not asked for beyond the first few. */
  add(kind: FindingKind, split: Split | null, example: string | (() => string), count = 1): void {
    const key = `${split} ${kind}`;
    let finding = this.#found.get(key);
    if (!finding) {
      const { severity: usual, message, advice }: Description = KINDS[kind];
      const severity = this.tolerated.includes(kind) ? 'warning' : usual;
      finding = { kind, severity, split, message, count: 0, examples: [], advice: advice ?? null };
      this.#found.set(key, finding);
    }
    finding.count += count;
    if (finding.examples.length < EXAMPLES) {
      finding.examples.push(typeof example === 'string' ? example : example());
    }
  }

  /** Says what to do about what was found, where that takes more than the kind. */
  advise(kind: FindingKind, split: Split | null, advice: string): void {
    const finding = this.#found.get(`${split} ${kind}`);
    if (finding) finding.advice = advice;
  }

  /** What parsers of a split are given to report to. */
  sink(split: Split): ProblemSink {
    let count = 0;
    return {
      get count() {
        return count;
      },
      add: (message, kind) => {
        count++;
        this.add(kind, split, message);
      },
    };
  }

  /** The gravest first. */
  sorted(): Finding[] {
    return ORDER.flatMap((severity) => [...this.#found.values()].filter((f) => f.severity === severity));
  }
}
