/** @file `stmixer detect`: flags and output. */
import { existsSync } from 'node:fs';
import { dirname, join, parse, resolve } from 'node:path';
import type { Command } from 'commander';
import { readModelInfo } from '../checkpoint/model_info.js';
import { configOfSettings, type LoadedConfig, loadConfig } from '../config/index.js';
import type { DetectSummary } from '../detect/detect.js';
import type { DetectOptions } from '../detect/options.js';
import { CheckpointError, ConfigError } from '../errors.js';
import { formatPythonLiteral } from '../formats/python/literals.js';
import { CONFIG } from '../run/run_folder.js';
import { weightsOfOwnRun } from '../run/run_weights.js';
import { roughDuration } from '../util/text.js';
import {
  addEngineOptions,
  type ConfigOptions,
  FONT_OPTION,
  optionalConfigCommand,
  quietOption,
} from './options.js';
import { continueWithoutOutput } from './output.js';
import { number, wholeNumber } from './parsers.js';
import { weightsToRead } from './weights_to_read.js';

type Flags = Omit<ConfigOptions, 'configFile'> & {
  configFile?: string;
  weights?: string;
  input: string;
  out?: string;
  step?: number;
  firstSecond?: number;
  threshold?: number;
  actionThreshold: number;
  top: number;
  showSampling?: boolean;
  video: boolean;
  quiet?: boolean;
} & Pick<DetectOptions, 'engine' | 'device' | 'font'>;

export function detectCommand(): Command {
  const command = optionalConfigCommand('detect')
    .description('detect people and their actions in a video, a folder of frames or an image')
    .requiredOption('--input <path>', 'a video (needs ffmpeg), a folder of frames, or an image')
    .option(
      '--weights <file>',
      'weights of a trained model, or the folder of a run; without --config-file, settings and class names come from this file (default: MODEL.WEIGHT)',
    )
    .option(
      '--out <folder>',
      'output folder for detections.json, detections.csv, images and a video (default: detections_NAME, where NAME is that of the input)',
    )
    .option(
      '--step <seconds>',
      'time from one key frame to the next (default: AVA.KEY_FRAME_STEP)',
      number({ min: 0.001 }),
    )
    .option(
      '--first-second <second>',
      'second of the first frame in detections.csv (default: as in the annotations if the data set has the video, else 0)',
      number(),
    )
    .option(
      '--threshold <score>',
      'minimum person score (default: MODEL.STM.PERSON_THRESHOLD)',
      number({ min: 0, max: 1 }),
    )
    .option('--action-threshold <score>', 'minimum action score', number({ min: 0, max: 1 }), 0.3)
    .option('--top <number>', 'maximum number of actions per person', wholeNumber({ min: 1 }), 3)
    .option('--show-sampling', "also draw the sampling points of the decoder's stages")
    .option('--no-video', 'do not write detections.mp4')
    .option(...FONT_OPTION)
    .addOption(quietOption());
  return addEngineOptions(command).action(detectAction);
}

async function detectAction(overrides: string[], flags: Flags): Promise<void> {
  const { loaded, classNames } = settingsFor(flags, overrides);
  const out = flags.out ?? defaultOut(flags.input);
  continueWithoutOutput(`the results are written into ${out}`);
  // Late imports make --help and errors in the configuration fast.
  const [{ detect }, { ConsoleReporter }, { againHint, StopSignals }] = await Promise.all([
    import('../detect/detect.js'),
    import('./console_reporter.js'),
    import('./process/signals.js'),
  ]);
  const report = new ConsoleReporter({ quiet: flags.quiet });
  for (const warning of loaded.warnings) report.warn(warning);
  const { config, note, warning } = weightsOfOwnRun(loaded);
  if (note !== null) report.info(note);
  if (warning !== undefined) report.warn(warning);
  const stop = new StopSignals((signal) => {
    const text = `${signal}: finishing the current key frame${againHint(signal)}`;
    report.info(text);
    return text;
  });
  try {
    const { signal } = stop;
    const { threshold: personThreshold, top: topActions } = flags;
    const options = { ...flags, out, weights: undefined, classNames, personThreshold, topActions };
    const summary = await detect(config, { ...options, signal, report });
    report.close();
    report.result(describe(summary, out));
  } catch (error) {
    if (error !== stop.signal.reason) throw error;
    report.close();
    report.result(NOTHING);
  } finally {
    report.close();
    stop.close();
  }
  process.exitCode = stop.exitCode;
}

/** The folder of the results of an input, in the working directory. */
export function defaultOut(input: string): string {
  return `detections_${parse(resolve(input)).name}`;
}

interface Settings {
  readonly loaded: LoadedConfig;
  /** Class names of the weight file; undefined if a label map is to be used. */
  readonly classNames?: ReadonlyMap<number, string>;
}

/** The configuration of the file, or else of the weights. */
function settingsFor({ configFile, weights }: Flags, overrides: readonly string[]): Settings {
  const named = overrideOf('MODEL.WEIGHT', overrides);
  if (weights !== undefined && named !== undefined)
    throw new ConfigError('--weights and MODEL.WEIGHT both name the weights; give only one of them');
  const all = weights === undefined ? overrides : withWeights(weights, overrides);
  if (configFile !== undefined) return { loaded: loadConfig(configFile, all) };
  const given = weights ?? named;
  if (given === undefined) {
    throw new ConfigError(
      'name the weights of a trained model with --weights FILE, or a configuration with --config-file FILE',
    );
  }
  const path = weightsToRead(given);
  const info = readModelInfo(path);
  if (info === null) throw noSettings(path);
  const loaded = configOfSettings(info.settings, path, withWeights(path, overrides));
  const hasLabelMap = LABEL_MAP_KEYS.some((key) => overrides.includes(key));
  return { loaded, classNames: hasLabelMap ? undefined : (info.classNames ?? undefined) };
}

/** Settings that say where a label map is. */
const LABEL_MAP_KEYS = ['AVA.LABEL_MAP_FILE', 'AVA.ANNOTATION_DIR', 'DATA.PATH_TO_DATA_DIR'];

function overrideOf(key: string, overrides: readonly string[]): string | undefined {
  const place = overrides.lastIndexOf(key);
  return place < 0 ? undefined : overrides[place + 1];
}

function withWeights(weights: string, overrides: readonly string[]): string[] {
  return [...overrides, 'MODEL.WEIGHT', formatPythonLiteral(weights)];
}

function noSettings(path: string): CheckpointError {
  const ofRun = join(dirname(path), CONFIG);
  const config = existsSync(ofRun) ? ofRun : 'FILE';
  return new CheckpointError(
    `${path}: does not say which model its weights are for; add the configuration that they were trained with: --config-file ${config}`,
  );
}

const NOTHING = 'stopped before the first key frame: nothing is written';

/** The last line of the output. */
function describe({ keyFrames, people, seconds, stopped }: DetectSummary, out: string): string {
  if (stopped && keyFrames === 0) return NOTHING;
  const rate = seconds > 0 ? ` (${(keyFrames / seconds).toFixed(2)} clips per second)` : '';
  return (
    `${stopped ? 'stopped' : 'done'}: ${people} ${people === 1 ? 'person' : 'people'} at ${keyFrames} key ` +
    `${keyFrames === 1 ? 'frame' : 'frames'} in ${roughDuration(seconds)}${rate}; see ${out}`
  );
}
