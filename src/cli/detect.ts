/** @file `stmixer detect`: flags and output. */
import type { Command } from 'commander';
import { loadConfig } from '../config/index.js';
import type { DetectSummary } from '../detect/detect.js';
import type { DetectOptions } from '../detect/options.js';
import { weightsOfOwnRun } from '../run/run_weights.js';
import { duration } from '../util/text.js';
import { addEngineOptions, type ConfigOptions, configCommand } from './options.js';
import { continueWithoutOutput } from './output.js';
import { number, wholeNumber } from './parsers.js';

type Flags = ConfigOptions & {
  input: string;
  out: string;
  step?: number;
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
    .requiredOption('--input <path>', 'a video (needs ffmpeg), a folder of frames, or an image')
    .requiredOption('--out <folder>', 'output folder for detections.json, detections.csv, images and a video')
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
    .option('--no-video', 'do not write detections.mp4');
  return addEngineOptions(command).action(detectAction);
}

async function detectAction(overrides: string[], flags: Flags): Promise<void> {
  const loaded = loadConfig(flags.configFile, overrides);
  continueWithoutOutput(`the results are written into ${flags.out}`);
  // Late imports make --help and errors in the configuration fast.
  const [{ detect }, { ConsoleReporter }, { againHint, StopSignals }] = await Promise.all([
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
    const text = `${signal}: finishing the current key frame${againHint(signal)}`;
    report.info(text);
    return text;
  });
  try {
    const { signal } = stop;
    const { threshold: personThreshold, top: topActions } = flags;
    const summary = await detect(config, { ...flags, personThreshold, topActions, signal, report });
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
