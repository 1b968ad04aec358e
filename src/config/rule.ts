/** @file A rule across keys, and the arithmetic of rules. */
import { BACKBONES, type BackboneFamily, type BackboneName } from './schema/choices.js';
import type { Config } from './schema/index.js';

export interface Rule {
  /** The keys involved. The first one names the problem. The rule is checked only if all of them are valid. */
  keys: string[];
  /** Other keys that must be valid for the rule to be checked. */
  needs?: string[];
  /**
   * Text of the error if nobody has set the first key, for a rule that its default breaks. Other rules are not reported then:
   * defaults that contradict each other are not the user's mistake.
   */
  required?: (config: Config) => string;
  holds(config: Config): boolean;
  /** Text of the error: what is expected, and why. */
  expected(config: Config): string;
}

export const BODY = 'MODEL.BACKBONE.CONV_BODY';

/** The family of the configured backbone; null if it cannot be built. */
export function familyOf({ MODEL }: Pick<Config, 'MODEL'>): BackboneFamily | null {
  return BACKBONES[MODEL.BACKBONE.CONV_BODY as BackboneName] ?? null;
}

/** A rule for some families of backbones only. */
export function ruleFor(families: readonly BackboneFamily[], rule: Rule): Rule {
  const applies = (config: Config) => families.some((family) => family === familyOf(config));
  return {
    ...rule,
    needs: [...(rule.needs ?? []), BODY],
    holds: (config) => !applies(config) || rule.holds(config),
  };
}

export const divides = (divisor: number, value: number) => value % divisor === 0;
const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
/** Least common multiple. */
export const lcm = (a: number, b: number) => (a / gcd(a, b)) * b;

/** The multiples of `step` around a value, for an error. */
export function multiples(step: number, value: number): string {
  const below = Math.floor(value / step) * step;
  return below > 0 ? `${below} or ${below + step}` : `${step}`;
}
