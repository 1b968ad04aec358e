/** @file `stmixer detect`: its flags and its output. */
import { type Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../config/index.js';
import type { DetectSummary } from '../detect/detect.js';
import type { DetectOptions } from '../detect/options.js';
import { weightsOfOwnRun } from '../run/run_weights.js';
import { duration } from '../util/text.js';
import { addEngineOptions, type ConfigOptions, configCommand, finiteNumber } from './options.js';
import { goOnWithoutOutput } from './output.js';

type Flags = ConfigOptions & {
  input: string;
  out: string;
  step: number;
  firstSecond?: number;
  threshold?: number;
  actionThreshold: number;
  top: number;
  showSampling?: boolean;
  video: boolean;
} & Pick<DetectOptions, 'engine' | 'device'>;

export function detectCommand(): Command {
  const command = configCommand('detect')
    .description('detect people and their actions in a video, a folder of frames or an image')
    .requiredOption('--input <path>', 'video (needs ffmpeg), folder of frames or image')
    .requiredOption('--out <folder>', 'output folder for detections.json, detections.csv, images and a video')
    .option('--step <seconds>', 'time from one key frame to the next', number(0.001), 1)
    .option(
      '--first-second <second>',
      "second of the beginning of the input in detections.csv (default: that of the data set's annotations if it has the video, else 0)",
      finiteNumber,
    )
    .option(
      '--threshold <score>',
      'minimum score of a person (default: MODEL.STM.PERSON_THRESHOLD)',
      number(0, 1),
    )
    .option('--action-threshold <score>', 'minimum score of an action', number(0, 1), 0.3)
    .option('--top <number>', 'maximum number of actions per person', count, 3)
    .option('--show-sampling', "also draw the sampling points of the decoder's stages")
    .option('--no-video', 'write no detections.mp4');
  return addEngineOptions(command).action(runDetection);
}

async function runDetection(overrides: string[], flags: Flags): Promise<void> {
  const loaded = loadConfig(flags.configFile, overrides);
  goOnWithoutOutput(`the results are written into ${flags.out}`);
  // Late imports make --help and errors in the configuration fast.
  const [{ detect }, { ConsoleReporter }, { onceMore, StopSignals }] = await Promise.all([
    import('../detect/detect.js'),
    import('./console_reporter.js'),
    import('./process/signals.js'),
  ]);
  const report = new ConsoleReporter();
  for (const warning of loaded.warnings) report.warn(warning);
  const { config, note, warning } = weightsOfOwnRun(loaded);
  if (note !== null) report.info(note);
  if (warning !== undefined) report.warn(warning);
  const stop = new StopSignals((signal) => {
    const text = `${signal}: finishing the current key frame${onceMore(signal)}`;
    report.info(text);
    return text;
  });
  try {
    const summary = await detect(config, {
      input: flags.input,
      out: flags.out,
      step: flags.step,
      firstSecond: flags.firstSecond,
      personThreshold: flags.threshold,
      actionThreshold: flags.actionThreshold,
      topActions: flags.top,
      showSampling: flags.showSampling,
      video: flags.video,
      engine: flags.engine,
      device: flags.device,
      signal: stop.signal,
      report,
    });
    report.close();
    report.info(describe(summary, flags.out));
  } catch (error) {
    if (error !== stop.signal.reason) throw error;
    report.close();
    report.info(NOTHING);
  } finally {
    report.close();
    stop.close();
  }
  process.exitCode = stop.exitCode;
}

const NOTHING = 'stopped before the first key frame: nothing is written';

/** The last line of the output. */
function describe({ keyFrames, people, seconds, stopped }: DetectSummary, out: string): string {
  if (stopped && keyFrames === 0) return NOTHING;
  const rate = seconds > 0 ? ` (${(keyFrames / seconds).toFixed(2)} clips per second)` : '';
  return (
    `${stopped ? 'stopped' : 'done'}: ${people} ${people === 1 ? 'person' : 'people'} at ${keyFrames} key ` +
    `${keyFrames === 1 ? 'frame' : 'frames'} in ${duration(seconds)}${rate}; see ${out}`
  );
}

/** A parser of numbers from `min` to `max`. */
function number(min: number, max = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!(value >= min && value <= max)) {
      throw new InvalidArgumentError(
        max === Number.POSITIVE_INFINITY ? `expected a number from ${min}.` : `expected ${min} to ${max}.`,
      );
    }
    return value;
  };
}

function count(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('expected a whole number from 1.');
  return Number(text);
}
