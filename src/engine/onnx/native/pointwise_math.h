/** @file The exponential and the normal distribution for vectors. */
#pragma once
#include "kernel.h"

/**
 * e^x for x ≤ 0, within 0.7 ulp; results below 2^-126 are 0.
 *
 * x is n·ln 2 + r with |r| ≤ ln 2 / 2. The polynomial was fitted to the smallest largest error of e^r.
 */
static inline vec exp_of_negative(vec x) {
  // Adding this number rounds to a whole number, which is then in the lowest bits.
  const vec rounder = splat(0x1.8p23f);
  const vec shifted = x * 0x1.715476p0f + rounder;
  const vec n = shifted - rounder;
  // ln 2 in two parts, the first with so few bits that its multiples are exact.
  const vec r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
  vec p = splat(0.0013814540579915047f);
  p = p * r + 0.00836874544620514f;
  p = p * r + 0.04166838899254799f;
  p = p * r + 0.1666652113199234f;
  p = p * r + 0.4999999403953552f;
  p = p * r * r + r + 1.0f;
  const vec power = (vec)(((ivec)shifted << 23) + (127 << 23));
  return pick(x < -87.33654f, splat(0), p * power);
}

/** The normal distribution at a point: Φ, the probability of smaller values, and e^(−x²/2), the density times √(2π). */
typedef struct {
  vec cdf, bell;
} Normal;

/**
 * Φ(x) within 2.3 ulp for x > −1, and everywhere within 1.3e-7. The relative error grows with x² for negative x, as that of
 * e^(−x²/2) does: 7.2e-7 for x > −5.
 *
 * Φ(−|x|)·e^(x²/2) is computed as a quotient of polynomials with positive coefficients, which were fitted to the smallest
 * largest relative error, 5e-9 for |x| up to 13.4; beyond, e^(−x²/2) is 0.
 */
static inline Normal normal_at(vec x) {
  const vec bell = exp_of_negative(x * x * -0.5f);
  const vec a = (vec)((ivec)x & 0x7fffffff);
  vec p = splat(0.004028634633868933f);
  p = p * a + 0.04004140943288803f;
  p = p * a + 0.18147720396518707f;
  p = p * a + 0.43591758608818054f;
  p = p * a + 0.5f;
  vec q = splat(0.010098148137331009f);
  q = q * a + 0.10037622600793839f;
  q = q * a + 0.4648301899433136f;
  q = q * a + 1.195194125175476f;
  q = q * a + 1.6697200536727905f;
  q = q * a + 1.0f;
  // Large numbers overflow in the polynomials.
  const vec tail = pick(a > 14.0f, splat(0), bell * (p / q));
  return (Normal){pick(x > 0, 1.0f - tail, tail), bell};
}
