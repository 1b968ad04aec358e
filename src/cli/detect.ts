/** @file `stmixer detect`: its flags, and how far it is. */
import { type Command, InvalidArgumentError } from 'commander';
import { weightsOfOwnRun } from '../checkpoint/run_weights.js';
import { loadConfig } from '../config/index.js';
import type { DetectOptions } from '../detect/detect.js';
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
  engine: DetectOptions['engine'];
  device: DetectOptions['device'];
};

export function detectCommand(): Command {
  const command = configCommand('detect')
    .description('find people and their actions in a video, a folder of frames or a picture')
    .requiredOption('--input <path>', 'the video (needs ffmpeg), the folder or the picture')
    .requiredOption('--out <folder>', 'gets detections.json, detections.csv, pictures and a video')
    .option('--step <seconds>', 'from one key frame to the next', number(0.001), 1)
    .option(
      '--first-second <second>',
      "what detections.csv calls the beginning of the input (default: as the data set's annotations do if it has the video, else 0)",
      finiteNumber,
    )
    .option('--threshold <score>', 'of a person (default: MODEL.STM.PERSON_THRESHOLD)', number(0, 1))
    .option('--action-threshold <score>', 'of an action', number(0, 1), 0.3)
    .option('--top <number>', 'actions of one person at most', count, 3)
    .option('--show-sampling', "draw where the decoder's stages look, too")
    .option('--no-video', 'write no detections.mp4');
  return addEngineOptions(command).action(async (overrides: string[], flags: Flags) => {
    const loaded = loadConfig(flags.configFile, overrides);
    goOnWithoutOutput(`what is found is written into ${flags.out}`);
    // Loaded late, so that --help and a wrong configuration are answered at once.
    const [{ detect }, { DetectConsole }, { onceMore, StopSignals }] = await Promise.all([
      import('../detect/detect.js'),
      import('../detect/console.js'),
      import('./process/signals.js'),
    ]);
    const report = new DetectConsole();
    for (const warning of loaded.warnings) report.warn(warning);
    const { config, note, warning } = weightsOfOwnRun(loaded);
    if (note !== null) report.info(note);
    if (warning !== undefined) report.warn(warning);
    const stop = new StopSignals((signal) => {
      const text = `${signal}: finishing what is begun${onceMore(signal)}`;
      report.info(text);
      return text;
    });
    try {
      const summary = await detect(config, {
        input: flags.input,
        out: flags.out,
        step: flags.step,
        firstSecond: flags.firstSecond ?? null,
        personThreshold: flags.threshold ?? config.MODEL.STM.PERSON_THRESHOLD,
        actionThreshold: flags.actionThreshold,
        topActions: flags.top,
        showSampling: flags.showSampling ?? false,
        video: flags.video,
        engine: flags.engine,
        device: flags.device,
        signal: stop.signal,
        report,
      });
      report.done(summary, flags.out);
    } catch (error) {
      if (error !== stop.signal.reason) throw error;
      report.nothing();
    } finally {
      report.close();
      stop.close();
    }
    process.exitCode = stop.exitCode;
  });
}

function number(least: number, most = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!(value >= least && value <= most)) {
      throw new InvalidArgumentError(
        most === Number.POSITIVE_INFINITY
          ? `expected a number from ${least}.`
          : `expected ${least} to ${most}.`,
      );
    }
    return value;
  };
}

function count(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('expected a whole number from 1.');
  return Number(text);
}
