/** @file The steps of `bench/gpu_check.sh`. Each is a process of its own. */
import { join } from 'node:path';

export interface Choices {
  readonly configFile: string;
  readonly clips: readonly number[];
  readonly height: number;
  readonly width: number;
  readonly iters: number;
  /** Rows of the matrices of the matrix rate. */
  readonly matrix: number;
  /** A checkout of the official code; null to leave PyTorch out. */
  readonly official: string | null;
  readonly python: string;
  readonly torchDevice: string;
  /** Keys and values for both programs. */
  readonly overrides: readonly string[];
}

export interface Step {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Longest time in seconds. */
  readonly limit: number;
  /** Whether the last line of its output is JSON. */
  readonly hasReport: boolean;
}

export type Precision = 'float32' | 'bfloat16';
export const TORCH_MODES = ['eager float32', 'eager bfloat16', 'compiled bfloat16'] as const;
export type TorchMode = (typeof TORCH_MODES)[number];

export const MATRIX_RATE = 'matrix rate';
const WARMUP = 6;

export function ourStep(precision: Precision, clips: number, graphs: 'graphs' | 'no graphs'): string {
  return `stmixer ${precision}, ${clips} clips, ${graphs}`;
}

export function torchStep(mode: TorchMode, clips: number): string {
  return `PyTorch ${mode}, ${clips} clips`;
}

/** All steps, in an order in which a lack of time costs what matters least. `programs` is the folder of the built programs. */
export function allSteps(programs: string, choices: Choices): Step[] {
  const node = (name: string, script: string, args: readonly string[], limit: number): Step => ({
    ...{ name, file: process.execPath, args: [join(programs, script), ...args], limit, hasReport: false },
  });
  const ours = (graphs: 'graphs' | 'no graphs') =>
    choices.clips.flatMap((clips) =>
      (['bfloat16', 'float32'] as const).map(
        (precision): Step => ({
          ...node(
            ourStep(precision, clips, graphs),
            'bench/step.js',
            ourFlags(choices, clips, precision),
            90,
          ),
          env: { STMIXER_CUDA_GRAPHS: graphs === 'graphs' ? '1' : '0' },
          hasReport: true,
        }),
      ),
    );
  return [
    node('engine check', 'bin/stmixer.js', ['engine', 'check', '--engine', 'cuda'], 90),
    goldens(programs),
    { ...node(MATRIX_RATE, 'bench/matrix_rate.js', [String(choices.matrix)], 60), hasReport: true },
    ...ours('graphs'),
    ...(choices.official === null ? [] : torchSteps(choices, choices.official)),
    ...ours('no graphs'),
  ];
}

/** Prints what failed at the end. */
function goldens(programs: string): Step {
  const args = ['--test-reporter=spec', join(programs, 'bench/goldens.js'), 'cuda'];
  const env = { STMIXER_GOLDEN_DIR: 'test/golden/data' };
  return { name: 'goldens', file: process.execPath, args, env, limit: 150, hasReport: false };
}

function ourFlags(choices: Choices, clips: number, precision: Precision): string[] {
  const engine = ['--json', '--engine', 'cuda', '--device', 'cuda'];
  return [...engine, ...sizeFlags(choices, clips), 'ENGINE.PRECISION', precision, ...choices.overrides];
}

function torchSteps(choices: Choices, official: string): Step[] {
  const { python, torchDevice, clips, overrides } = choices;
  // The compiled step takes longest, and matters most.
  return [...TORCH_MODES].reverse().flatMap((mode) =>
    clips.map((count) => ({
      name: torchStep(mode, count),
      file: python,
      args: [
        ...['bench/gpu_check/official_gpu_step.py', official, '--device', torchDevice, '--mode', mode],
        ...[...sizeFlags(choices, count), ...overrides],
      ],
      limit: mode.startsWith('compiled') ? 200 : 60,
      hasReport: true,
    })),
  );
}

function sizeFlags({ configFile, height, width, iters }: Choices, clips: number): string[] {
  const values = { batch: clips, height, width, warmup: WARMUP, iters };
  const flags = Object.entries(values).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return ['--config-file', configFile, ...flags];
}
