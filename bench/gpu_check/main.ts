/**
 * @file The program of `bench/gpu_check.sh`: runs its steps, one at a time, writes their results as JSON, and prints a table and
 * the goals. A step that fails does not stop the others. Exit codes: 0 all is well, 1 a step failed, 2 a goal is missed.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { allSteps, type Choices, type Step } from './steps.js';
import { exitCode, goalsOf, type Outcome, timeTable } from './verdict.js';

const PROGRAMS = fileURLToPath(new URL('..', import.meta.url));
/** Characters of a step's output that are kept. */
const KEPT = 20_000;
/** Seconds that all steps may take; with more, each may take more. */
const LIMIT = 570;
/** Lines of it that are printed; the rest is in the results. */
const SHOWN = 25;
/** A step is not begun if less time than this is left, in seconds. */
const SHORTEST = 10;

const command = new Command('gpu_check.sh')
  .argument('[overrides...]', 'keys and values for both programs', ['ViT.USE_CHECKPOINT', 'False'])
  .option('--config-file <file>', '', 'config_files/my_VMAEv2-ViTB-16x4.yaml')
  .option('--clips <numbers>', '', (text) => text.split(',').map(Number), [1, 8])
  .option('--height <pixels>', '', Number, 256)
  .option('--width <pixels>', '', Number, 352)
  .option('--iters <n>', 'timed steps', Number, 20)
  .option('--matrix <n>', 'rows of the matrices of the matrix rate', Number, 8192)
  .option('--official <folder>', 'checkout of the official code', process.env.OFFICIAL)
  .option('--python <file>', 'Python with PyTorch', process.env.STMIXER_PYTHON ?? 'python3')
  .option('--torch-device <name>', '', 'cuda')
  .option('--only <pattern>', 'steps whose names match')
  .option('--limit <seconds>', 'time for all steps', Number, LIMIT)
  .option('--results <file>', '', 'output/gpu_check.json')
  .parse();
const flags = command.opts<Omit<Choices, 'official' | 'overrides'> & Extra>();

interface Extra {
  readonly official?: string;
  readonly only?: string;
  readonly limit: number;
  readonly results: string;
}

const isOfficial = flags.official !== undefined && existsSync(join(flags.official, 'alphaction'));
const official = isOfficial ? flags.official! : null;
if (official === null) {
  const why = flags.official ? `${flags.official} has no folder alphaction` : 'OFFICIAL is not set';
  console.log(`PyTorch is left out: ${why}. OFFICIAL=DIR names a checkout of the official code.`);
}
const steps = allSteps(PROGRAMS, { ...flags, official, overrides: command.processedArgs[0] }).filter(
  ({ name }) => new RegExp(flags.only ?? '').test(name),
);
const end = performance.now() + 1000 * flags.limit;
const outcomes: Outcome[] = [];
for (const step of steps) {
  const left = (end - performance.now()) / 1000;
  const outcome =
    left < SHORTEST
      ? { name: step.name, state: 'skipped' as const, seconds: 0, text: 'there is no time left' }
      : await run(step, Math.min(step.limit * Math.max(1, flags.limit / LIMIT), left));
  outcomes.push(outcome);
  const { state, seconds, report, text } = outcome;
  const median = report?.median_seconds ? `, ${(1000 * Number(report.median_seconds)).toFixed(1)} ms` : '';
  console.log(`${state}: ${step.name} (${seconds.toFixed(0)} s${median})`);
  if (state !== 'passed' || !step.hasReport) console.log(lastLines(text));
  save();
}
const goals = goalsOf(outcomes, flags.clips);
console.log(`\n${timeTable(outcomes, flags.clips)}\n`);
for (const { goal, state, facts } of goals) console.log(`${state}: ${goal} (${facts})`);
const failed = outcomes.filter(({ state }) => state !== 'passed').map(({ name }) => name);
console.log(failed.length > 0 ? `not passed: ${failed.join('; ')}` : 'all steps passed');
process.exitCode = exitCode(outcomes, goals);

/** Written after each step, so that nothing is lost if the machine goes away. */
function save(): void {
  mkdirSync(dirname(flags.results), { recursive: true });
  const results = { date: new Date().toISOString(), flags, goals: goalsOf(outcomes, flags.clips), outcomes };
  writeFileSync(flags.results, `${JSON.stringify(results, null, 2)}\n`);
}

function lastLines(text: string): string {
  const lines = text.trimEnd().split('\n').slice(-SHOWN);
  return lines.map((line) => `    ${line}`).join('\n');
}

async function run(step: Step, limit: number): Promise<Outcome> {
  const start = performance.now();
  const { code, stdout, stderr } = await output(step, limit);
  const { name } = step;
  const seconds = (performance.now() - start) / 1000;
  const failed = (why: string): Outcome => {
    const text = `${stderr.slice(-KEPT)}\n${stdout.slice(-KEPT)}\n${why}`.trim();
    return { name, state: 'failed', seconds, text };
  };
  if (code !== 0) return failed(code === null ? `stopped after ${limit.toFixed(0)} s` : `exit code ${code}`);
  const passed: Outcome = { name, state: 'passed', seconds, text: stdout.slice(-KEPT) };
  if (!step.hasReport) return passed;
  try {
    return { ...passed, report: JSON.parse(stdout.trim().split('\n').at(-1) ?? '') };
  } catch {
    return failed('the last line is no JSON');
  }
}

/** The exit code is null if the process was stopped. Its own processes are stopped with it. */
function output(
  { file, args, env }: Step,
  limit: number,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { env: { ...process.env, ...env }, detached: true });
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text) => {
        texts[name] += text;
      });
    const timer = setTimeout(() => child.pid && process.kill(-child.pid, 'SIGKILL'), 1000 * limit);
    child.on('error', (error) => {
      texts.stderr += error.message;
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, ...texts });
    });
  });
}
