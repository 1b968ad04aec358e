/** @file Findings of a data set check: kinds, severities and advice. */
import type { Split } from '../../data/data_config.js';
import { LEAVE_OUT } from '../../data/datasets/ava_dataset.js';
import type { ProblemKind, ProblemSink } from '../../data/problems.js';

/** `error`: training or its evaluation would fail. `warning`: it would run, but probably not as intended. */
export type Severity = 'error' | 'warning' | 'note';

interface Description {
  readonly severity: Severity;
  readonly message: string;
  /** What to do, unless the examples say it. */
  readonly advice?: string;
}

const KINDS = {
  file: {
    severity: 'error',
    message: 'a file cannot be read',
    advice: 'correct the file, or its path under AVA or DATA',
  },
  columns: { severity: 'error', message: 'a line cannot be parsed' },
  empty: { severity: 'error', message: 'a file is empty' },
  box: { severity: 'error', message: 'a box is wrong' },
  label: { severity: 'error', message: 'an action id is wrong' },
  'out-of-range': { severity: 'error', message: 'no row can be used' },
  'unknown-video': { severity: 'error', message: 'an annotated video has no frame list' },
  'missing-frame': {
    severity: 'error',
    message: 'a frame that a clip uses is missing',
    advice: LEAVE_OUT,
  },
  'frame-folder': { severity: 'error', message: 'a folder of frames is missing' },
  'broken-picture': { severity: 'error', message: 'a frame that a clip uses is not a complete image' },
  'mixed-clip': {
    severity: 'error',
    message: 'the frames of a clip have different sizes',
    advice: 'extract all frames of the video in one size',
  },
  'no-shape': {
    severity: 'error',
    message: 'the shape of a video cannot be determined (DATALOADER.ASPECT_RATIO_GROUPING)',
  },
  'small-data': { severity: 'error', message: 'there are fewer key frames than a batch needs' },
  'label-map': { severity: 'error', message: 'evaluation cannot read the label map (AVA.LABEL_MAP_FILE)' },
  exclusions: { severity: 'error', message: 'evaluation cannot read the exclusions (AVA.EXCLUSION_FILE)' },

  'left-out': { severity: 'warning', message: 'a part of the data is missing and left out' },
  header: { severity: 'warning', message: 'a frame list has no header' },
  order: {
    severity: 'warning',
    message: 'frames are out of order or listed again',
    advice: "a frame's number is its position in the list: sort the lines, and list each frame once",
  },
  gap: {
    severity: 'warning',
    message: 'a list leaves out frames',
    advice:
      'all frames after a gap come too early: list the missing frames, or repeat a neighbour in their place',
  },
  'late-start': {
    severity: 'warning',
    message: 'the frame numbers of a video begin above 1',
  },
  'unused-missing': { severity: 'warning', message: 'a frame that no clip uses is listed and missing' },
  'mixed-video': {
    severity: 'warning',
    message: 'the frames of a video have different sizes',
    advice: 'a clip with both sizes ends training; --deep finds out whether there is one',
  },
  'beyond-end': { severity: 'warning', message: 'a key frame lies beyond the end of its video' },
  fps: {
    severity: 'warning',
    message: 'frames were extracted at a rate other than AVA.FPS',
  },
  'first-second': {
    severity: 'warning',
    message: 'frames begin at a time other than AVA.FIRST_SECOND',
  },
  skipped: {
    severity: 'warning',
    message: 'rows are skipped, because their second is not in the range of key frames',
  },
  'off-grid': {
    severity: 'warning',
    message: 'key frames are not a whole number of steps (AVA.KEY_FRAME_STEP) after AVA.FIRST_SECOND',
  },
  repeated: {
    severity: 'warning',
    message: 'rows repeat the box and action of an earlier row',
    advice: 'training uses them once, but evaluation counts the box again: keep one of each',
  },
  'several-persons': {
    severity: 'warning',
    message: 'a box has several person ids in one key frame',
    advice: 'training and evaluation count one person and ignore the ids: give each box one id',
  },
  'counted-labels': {
    severity: 'note',
    message: 'the label map has no ids, so its names are counted from 1',
  },
  'same-file': { severity: 'warning', message: 'a file is given twice' },
  'same-name': { severity: 'warning', message: 'a name in the label map has several ids' },
  'idle-exclusions': {
    severity: 'warning',
    message: 'the list of exclusions (AVA.EXCLUSION_FILE) does not work as intended',
  },
  'same-box': {
    severity: 'warning',
    message: 'a key frame has a box twice, written differently (0.5 and 0.500); it counts as two persons',
    advice: 'write the rows of one box with the same digits',
  },
  outside: {
    severity: 'warning',
    message: 'boxes reach beyond the image and are clipped',
  },
  crowded: {
    severity: 'warning',
    message: 'key frames have more boxes than the model has queries (MODEL.STM.NUM_QUERIES)',
    advice: 'raise MODEL.STM.NUM_QUERIES, or some boxes are never learned',
  },
  epoch: { severity: 'warning', message: 'an epoch is far from one data pass' },
  overlap: {
    severity: 'warning',
    message: 'videos are annotated for training and for evaluation',
    advice: 'evaluation on training videos says little: keep each video in one of the splits',
  },
  'untrained-class': {
    severity: 'warning',
    message: 'classes of the label map have no boxes to learn from',
  },
  'map-beyond-classes': {
    severity: 'warning',
    message: 'classes of the label map are beyond MODEL.STM.ACTION_CLASSES and can never be detected',
    advice: 'set MODEL.STM.ACTION_CLASSES to the highest id of the label map or more',
  },

  'from-0': {
    severity: 'note',
    message: "frames are numbered from 0, not from 1 like AVA's; that makes no difference",
  },
  unlisted: { severity: 'note', message: 'frames exist but are in no list; they are not used' },
  idle: { severity: 'note', message: 'listed videos have no annotation and are not used' },
  'long-video': { severity: 'note', message: 'videos last much longer than their annotations' },
  'outside-map': {
    severity: 'note',
    message: 'action ids are not in the label map: they are trained, but not evaluated',
  },
  'more-classes': {
    severity: 'note',
    message: 'the model has more classes than the label map',
    advice:
      'that is correct for AVA, which trains 80 classes and evaluates 60; the other scores are not used',
  },
  'unused-classes': {
    severity: 'warning',
    message: 'the model has classes that neither the label map nor the annotations have',
  },
  'untested-class': {
    severity: 'note',
    message: 'classes of the label map have no boxes to evaluate on and are left out of the mean',
  },
  excluded: { severity: 'note', message: 'key frames are excluded from the evaluation' },
  'no-action': {
    severity: 'note',
    message: 'boxes have no action: training uses them as persons only, and evaluation leaves them out',
  },
  'no-exclusions': {
    severity: 'note',
    message: 'the list of exclusions is empty, so every key frame counts',
  },
  sampled: {
    severity: 'note',
    message: 'only some of the frames were decoded',
    advice: '--deep decodes all of them',
  },
} as const satisfies Record<ProblemKind | string, Description>;

export type FindingKind = keyof typeof KINDS;

export interface Finding {
  readonly kind: FindingKind;
  readonly severity: Severity;
  /** Null if the finding concerns both splits. */
  readonly split: Split | null;
  readonly message: string;
  count: number;
  /** The first occurrences. */
  readonly examples: string[];
  advice: string | null;
}

const EXAMPLES = 3;
const ORDER: readonly Severity[] = ['error', 'warning', 'note'];

/** Collects findings. Those of one kind and split become one finding with a count. */
export class Findings {
  readonly #found = new Map<FindingKind, Finding>();

  /** `tolerated` errors count as warnings. */
  constructor(
    readonly split: Split | null,
    private readonly tolerated: readonly FindingKind[] = [],
  ) {}

  /** Adds occurrences; `example` is only called for the first ones. */
  add(kind: FindingKind, example: string | (() => string), count = 1): void {
    let finding = this.#found.get(kind);
    if (!finding) {
      const { severity: usual, message, advice }: Description = KINDS[kind];
      const severity = this.tolerated.includes(kind) ? 'warning' : usual;
      const { split } = this;
      finding = { kind, severity, split, message, count: 0, examples: [], advice: advice ?? null };
      this.#found.set(kind, finding);
    }
    finding.count += count;
    if (finding.examples.length < EXAMPLES) {
      finding.examples.push(typeof example === 'string' ? example : example());
    }
  }

  /** Sets the advice of a finding that is more specific than that of its kind. */
  advise(kind: FindingKind, advice: string): void {
    const finding = this.#found.get(kind);
    if (finding) finding.advice = advice;
  }

  /** A sink that adds the problems of a parser. */
  sink(): ProblemSink {
    let count = 0;
    return {
      get count() {
        return count;
      },
      add: (message, kind) => {
        count++;
        this.add(kind, message);
      },
    };
  }

  get all(): Finding[] {
    return [...this.#found.values()];
  }
}

/** Sorts findings by severity, errors first. */
export function bySeverity(findings: readonly Finding[]): Finding[] {
  return ORDER.flatMap((severity) => findings.filter((finding) => finding.severity === severity));
}
