/** @file `stmixer inspect checkpoint`: the tensors of a weight file and its other content. */
import {
  type CheckpointDescription,
  describeWeightFile,
  MAX_NAMES,
  type TensorDescription,
} from '../checkpoint/describe.js';
import type { ModelInfo } from '../checkpoint/model_info.js';
import { listed } from '../checkpoint/state_dict.js';
import type { CheckpointError } from '../errors.js';
import { damageError } from '../formats/weight_file.js';
import { alignColumns } from '../util/table.js';
import { byteSize, count, firstNames, printable, significant } from '../util/text.js';

/** Describes a file as a table and a summary, or as JSON. `error` is not null if something in the file is damaged. */
export function inspectCheckpoint(
  path: string,
  json: boolean,
): { text: string; error: CheckpointError | null } {
  const description = describeWeightFile(path);
  const error = damageError(path, description.checksums);
  return { text: json ? jsonOf(description) : textOf(description), error };
}

function jsonOf({ tensors, info, ...rest }: CheckpointDescription): string {
  const described = tensors.map(({ statistics, ...tensor }) => ({
    ...tensor,
    damaged: statistics === null,
    ...statistics,
  }));
  const text = JSON.stringify({ ...rest, info: info && plainInfo(info), tensors: described }, (_, value) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  return text;
}

function plainInfo({ settings, classNames }: ModelInfo): object {
  return {
    settings: Object.fromEntries(settings),
    classNames: classNames && Object.fromEntries(classNames),
  };
}

function textOf(description: CheckpointDescription): string {
  const { tensors, elements, format, bytes, weightsKey, noTensors, loading, otherNames, checksums } =
    description;
  const { iteration, optimizer, scheduler, others, origin, candidates, needsKey, info } = description;
  const { good, unchecked, damaged } = checksums;
  const place = weightsKey === null ? '' : ` under "${weightsKey}"`;
  const entries: [string, string | null][] = [
    ['file', `${FORMATS[format]}, ${byteSize(bytes)}`],
    ['weights', `${count(tensors.length)} tensors, ${count(elements)} elements${place}`],
    ['candidates', candidates.length > 1 ? listed(candidates) : null],
    ['choose', needsKey ? 'with MODEL.WEIGHT_KEY; the lines here are about the largest one' : null],
    ['origin', origin],
    ['no tensors', noTensors.length > 0 ? noTensors.join(', ') : null],
    ...loading.map((line): [string, string] => ['loading', line]),
    [
      'other names',
      otherNames.length > 0
        ? `${firstNames(otherNames, MAX_NAMES)}, which are no names of stmixer's models`
        : null,
    ],
    ...describeInfo(info),
    ['iteration', iteration === null ? null : String(iteration)],
    [
      'optimizer',
      optimizer &&
        `${optimizer.method}, ${optimizer.groups} groups, state of ${count(optimizer.states)} parameters`,
    ],
    ['scheduler', scheduler && `${scheduler.schedule}, at iteration ${scheduler.position}`],
    ...Object.entries(others),
    [
      'checksums',
      good + damaged.length === 0
        ? 'none in the file'
        : `${good} good, ${damaged.length} wrong${unchecked > 0 ? `, ${unchecked} parts without` : ''}`,
    ],
    ['DAMAGED', damaged.length > 0 ? damaged.join(', ') : null],
  ];
  const shown = entries.filter((entry): entry is [string, string] => entry[1] !== null);
  const width = Math.max(...shown.map(([name]) => name.length));
  return [
    ...tableOf(tensors),
    '',
    ...shown.map(([name, value]) => printable(`${`${name}:`.padEnd(width + 1)} ${value}`)),
  ].join('\n');
}

/** What the file says about its model, in two lines. */
function describeInfo(info: ModelInfo | null): [string, string | null][] {
  if (info === null) return [];
  const names = info.classNames && [...info.classNames.values()];
  return [
    ['classes', names && `${names.length} (${firstNames(names)})`],
    ['settings', `${info.settings.size}, so that stmixer detect needs no --config-file`],
  ];
}

const FORMATS = {
  pth: '.pth',
  'legacy pth': '.pth, the format before PyTorch 1.6',
  safetensors: '.safetensors',
  pickle: 'Python pickle',
} as const;

function tableOf(tensors: readonly TensorDescription[]): string[] {
  const rows = tensors.map(({ name, dtype, shape, statistics }) => {
    const { sum = null, min = null, max = null, nan = 0, infinite = 0 } = statistics ?? {};
    const figures = [sum, min, max].map((value) => (value === null ? '–' : significant(value, 6)));
    const remarks = [
      ...(statistics === null ? ['DAMAGED'] : []),
      ...(nan > 0 ? [`${count(nan)} NaN`] : []),
      ...(infinite > 0 ? [`${count(infinite)} infinite`] : []),
    ];
    return [printable(name), dtype, `[${shape.join(', ')}]`, ...figures, remarks.join(', ')];
  });
  const titles = ['tensor', 'type', 'shape', 'sum', 'min', 'max', ''];
  return alignColumns([titles, ...rows], (column) => column >= 3 && column < 6);
}
