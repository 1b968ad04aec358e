/** @file The tables of `npm run bench:distributed`. */
import { markdownTable } from '../../tools/docs/markdown.js';
import type {
  CaseMeasurement,
  FamilyMeasurement,
  StepSummary,
  TrainingMeasurement,
} from '../../tools/scaling/measurements.js';
import { seconds } from './text.js';

const MIB = 2 ** 20;
const MISSING = '–';

/** The sums of one MPI library. */
export type FamilySums = Omit<FamilyMeasurement, 'training'>;

/** Sums of all gradients, without computation beside them. */
export function sumTable(families: readonly FamilySums[], gradientBytes: number): string {
  const rate = (time: number) => `${seconds(time)} (${(gradientBytes / time / 1e9).toFixed(2)} GB/s)`;
  const rows = families.flatMap(({ family, sums, raw }) =>
    sums.map(({ bucketMiB, calls, seconds: time }) => {
      const pieces = raw?.find(({ pieceBytes }) => pieceBytes === pieceBytesOf(bucketMiB, gradientBytes));
      return [
        family,
        bucketMiB === null ? 'all' : `${bucketMiB} MiB`,
        String(calls),
        rate(time),
        pieces ? rate(pieces.nonBlocking) : MISSING,
        pieces ? rate(pieces.blocking) : MISSING,
      ];
    }),
  );
  return markdownTable(['MPI', 'buckets', 'calls', 'stmixer', 'C, MPI_Iallreduce', 'C, MPI_Allreduce'], rows);
}

/** Bytes of MPI's own calls that stand beside a size of buckets. */
export function pieceBytesOf(bucketMiB: number | null, gradientBytes: number): number {
  return bucketMiB === null ? gradientBytes : Math.min(gradientBytes, bucketMiB * MIB);
}

/** Clips per second of one process and of several with the same threads and clips. */
export function throughputTable({ alone, part, families }: CaseMeasurement): string {
  const aloneStep = alone.variants.none;
  const row = (
    name: string,
    { processes, threads, clips, peakBytes }: TrainingMeasurement,
    step?: StepSummary,
  ) => [
    name,
    `${processes} × ${threads}`,
    String(clips),
    step ? `${seconds(step.step)} (${seconds(step.fastest)})` : MISSING,
    step ? (clips / step.step).toPrecision(3) : MISSING,
    step && aloneStep ? relative(clips / step.step, alone.clips / aloneStep.step) : MISSING,
    step ? seconds(step.processor) : MISSING,
    `${(peakBytes / 1e9).toFixed(2)} GB`,
  ];
  const several = families.flatMap(({ family, training }) =>
    training
      ? [
          row(family, training, training.variants.during),
          row(`${family}, nothing exchanged`, training, training.variants.none),
        ]
      : [],
  );
  return markdownTable(
    [
      ...['program', 'processes × threads', 'clips', 'step, median (min)', 'clips/s', 'of one process'],
      ...['processor time of a process', 'peak memory of a process'],
    ],
    [row('alone', alone, aloneStep), row('alone, a part', part, part.variants.none), ...several],
  );
}

/** How much of the communication the backward pass hides. */
export function overlapTable({ families, bucketMiB }: CaseMeasurement): string {
  const rows = families.flatMap((family) => {
    const { training } = family;
    const { none, after, during } = training?.variants ?? {};
    const sum = sumSecondsOf(family, bucketMiB);
    return [
      { name: 'after the backward pass', step: after },
      { name: 'during the backward pass', step: during },
    ].flatMap(({ name, step }) =>
      step && none
        ? [
            [
              family.family,
              name,
              seconds(step.step),
              seconds(step.step - none.step),
              seconds(step.exposed ?? 0),
              seconds(step.waiting ?? 0),
              seconds(step.backward ?? 0),
              seconds(sum),
              `${(100 * (1 - (step.exposed ?? 0) / sum)).toFixed(0)} %`,
            ],
          ]
        : [],
    );
  });
  return markdownTable(
    [
      ...[
        'MPI',
        'exchange',
        'step',
        'more than without',
        'exposed',
        'waiting for the slowest',
        'backward pass',
      ],
      ...['sums alone', 'hidden'],
    ],
    rows,
  );
}

/** Seconds of all sums with the buckets of the training. */
export function sumSecondsOf({ sums }: FamilyMeasurement, bucketMiB: number): number {
  return sums.find((sum) => sum.bucketMiB === bucketMiB)?.seconds ?? Number.NaN;
}

function relative(rate: number, whole: number): string {
  return (rate / whole).toFixed(2);
}
