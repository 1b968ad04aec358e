/** @file Functions of vectors. */
#pragma once
#include "kernel.h"

/** The larger of two numbers; b if one of them is NaN. */
static inline vec larger(vec a, vec b) { return pick(a > b, a, b); }

/**
 * 2^x for x ≤ 0, and 0 for x < −127. The largest relative error is 1.6e-7. NaN stays NaN.
 *
 * x is split into an integer and a fraction f of at most 1/2; a polynomial approximates 2^f.
 */
static inline vec power_of_two(vec x) {
  // Adding this number rounds to integers, and leaves the exponent of the power in the lowest bits.
  const vec magic = splat(0x1.8p23f + 127);
  const vec shifted = x + magic;
  const vec f = x - (shifted - magic);
  vec p = splat(0x1.5bd97ap-10f);
  p = p * f + splat(0x1.3ce8b2p-7f);
  p = p * f + splat(0x1.c6b6dap-5f);
  p = p * f + splat(0x1.ebf9c2p-3f);
  p = p * f + splat(0x1.62e42ap-1f);
  p = p * f + splat(1);
  const vec power = p * (vec)((ivec)shifted << 23);
  return (vec)((ivec)power & ~(x < splat(-127)));
}
