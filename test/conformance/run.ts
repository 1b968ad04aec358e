/** @file Runs tfjs-core's own tests of the operations in use on one of our engines: `run.ts --engine onnx`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { DeviceName, EngineName } from '../../src/engine/index.js';
import { bundleSuite } from './bundle.js';
import { EXCLUSIONS, type Exclusion } from './exclusions.js';
import { bootJasmine, type Environment, type Result, type Spec, specsOf } from './jasmine.js';
import { TEST_FILES } from './operations.js';
import type * as suite from './suite.js';

/** A test takes milliseconds; those that hang should not hold up the others for long. */
const TIMEOUT_MS = 5_000;

type Suite = typeof suite & { testFiles: Record<string, () => Promise<unknown>> };

const { values: options } = parseArgs({
  options: {
    engine: { type: 'string', default: 'onnx' },
    device: { type: 'string', default: 'cpu' },
    filter: { type: 'string', default: '' },
    verbose: { type: 'boolean', default: false },
  },
});
const jasmine = bootJasmine(TIMEOUT_MS);
const { useEngine, testFiles, NAME_SUFFIX } = await importSuite();
// Names that no engine has are refused by it, in its own words.
console.log(await useEngine(options.engine as EngineName, options.device as DeviceName));

const problems: string[] = [];
for (const [name, load] of Object.entries(testFiles)) {
  const before = specsOf(jasmine.topSuite()).length;
  await load();
  const added = specsOf(jasmine.topSuite()).length - before;
  if (added === 0) problems.push(`operations.ts: ${name} has no test`);
  if (options.verbose) console.log(`${name}: ${added} tests`);
}
const exclusions = findExclusions(specsOf(jasmine.topSuite()));
const counts = await execute(jasmine);
if (counts.passed === 0) problems.push('no test passed');
for (const problem of problems) console.log(problem);
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 || problems.length > 0 ? 1 : 0;

async function importSuite(): Promise<Suite> {
  const folder = await mkdtemp(join(tmpdir(), 'stmixer-conformance-'));
  try {
    const file = join(folder, 'suite.mjs');
    await bundleSuite(TEST_FILES, file);
    return await import(pathToFileURL(file).href);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A test's name without the name of the backend. */
function nameOf(fullName: string): string {
  return fullName.replaceAll(NAME_SUFFIX, '');
}

/** The exclusion of each test that has one. */
function findExclusions(specs: readonly Spec[]): Map<string, Exclusion> {
  const found = new Map<string, Exclusion>();
  for (const exclusion of EXCLUSIONS.filter(({ device }) => !device || device === options.device)) {
    const { test } = exclusion;
    const matching = specs.filter((spec) => {
      const name = nameOf(spec.getFullName());
      return typeof test === 'string' ? name === test : test.test(name);
    });
    if (matching.length === 0) problems.push(`exclusions.ts: no test is ${test}`);
    for (const { id } of matching) found.set(id, exclusion);
  }
  return found;
}

async function execute(jasmine: Environment): Promise<{ passed: number; failed: number; skipped: number }> {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const isWanted = (fullName: string) => nameOf(fullName).includes(options.filter);
  const fail = (name: string, failures: Result['failedExpectations']) => {
    counts.failed++;
    console.log(`FAILED ${name}`);
    for (const { message, stack } of failures)
      console.log(`  ${options.verbose ? `${message}\n${stack}` : message.split('\n')[0]}`);
  };
  jasmine.configure({
    specFilter: (spec) => isWanted(spec.getFullName()) && !exclusions.has(spec.id),
  });
  jasmine.addReporter({
    specDone({ id, fullName, status, failedExpectations }) {
      if (status === 'passed') counts.passed++;
      else if (status === 'failed') fail(nameOf(fullName), failedExpectations);
      else if (isWanted(fullName)) {
        counts.skipped++;
        if (options.verbose)
          console.log(`skipped ${nameOf(fullName)}: ${exclusions.get(id)?.reason ?? 'by tfjs'}`);
      }
    },
    suiteDone({ fullName, failedExpectations }) {
      if (failedExpectations.length > 0) fail(nameOf(fullName), failedExpectations);
    },
  });
  const { overallStatus, failedExpectations } = await jasmine.execute();
  if (failedExpectations.length > 0) fail('outside of all tests', failedExpectations);
  if (overallStatus !== 'passed' && counts.failed === 0) problems.push(`the run is ${overallStatus}`);
  return counts;
}
