/** @file What the golden tests use of vitest, on Node's test runner, so that they run where vitest is not installed. */
import { after, before, describe as suite, it as test } from 'node:test';
import { chai, JestAsymmetricMatchers, JestChaiExpect, JestExtend } from '@vitest/expect';

type Body = () => void | Promise<void>;

for (const plugin of [JestExtend, JestChaiExpect, JestAsymmetricMatchers]) chai.use(plugin);

export const { expect } = chai;
export const describe = Object.assign((name: string, body: Body) => suite(name, body), {
  skipIf: (isSkipped: boolean) => (isSkipped ? suite.skip : suite),
});
export const it = Object.assign((name: string, body: Body) => test(name, body), {
  skipIf: (isSkipped: boolean) => (isSkipped ? test.skip : test),
  each:
    <T extends readonly [string, ...unknown[]]>(cases: readonly T[]) =>
    (name: string, body: (...values: T) => void | Promise<void>) => {
      for (const values of cases) test(name.replace('%s', values[0]), () => body(...values));
    },
});
export const beforeAll = (hook: Body) => before(hook);
export const afterAll = (hook: Body) => after(hook);
