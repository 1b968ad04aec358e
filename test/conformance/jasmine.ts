/** @file jasmine-core, which tfjs-core's tests are written for, as far as it is used here. */
import { createRequire } from 'node:module';

export interface Spec {
  id: string;
  getFullName(): string;
}

export interface Suite {
  id: string;
  children: readonly (Spec | Suite)[];
}

/** Result of a spec, or of the hooks of a suite. */
export interface Result {
  id: string;
  fullName: string;
  status: 'passed' | 'failed' | 'pending' | 'excluded' | 'finished';
  failedExpectations: readonly { message: string; stack: string }[];
}

export interface Reporter {
  specDone(result: Result): void;
  suiteDone(result: Result): void;
}

interface Configuration {
  random?: boolean;
  forbidDuplicateNames?: boolean;
  specFilter?: (spec: Spec) => boolean;
}

export interface Environment {
  configure(configuration: Configuration): void;
  addReporter(reporter: Reporter): void;
  topSuite(): Suite;
  execute(): Promise<{ overallStatus: string; failedExpectations: Result['failedExpectations'] }>;
}

interface Jasmine {
  DEFAULT_TIMEOUT_INTERVAL: number;
  getEnv(): Environment;
}

/** Defines `describe`, `it` and the others as globals. */
export function bootJasmine(timeoutMs: number): Environment {
  const { boot } = createRequire(import.meta.url)('jasmine-core') as { boot(): Jasmine };
  const jasmine = boot();
  jasmine.DEFAULT_TIMEOUT_INTERVAL = timeoutMs;
  const environment = jasmine.getEnv();
  environment.configure({ random: false, forbidDuplicateNames: false });
  return environment;
}

/** All specs below a suite, in the order in which they run. */
export function specsOf({ children }: Pick<Suite, 'children'>): Spec[] {
  return children.flatMap((child) => ('children' in child ? specsOf(child) : [child]));
}
