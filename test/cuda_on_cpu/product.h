/** Matrix products on the CPU. */
#pragma once

#include <cstddef>
#include <cstdint>

namespace cuda_on_cpu {

enum class Element { FLOAT32, BFLOAT16 };

inline size_t bytes_of(Element element) { return element == Element::FLOAT32 ? 4 : 2; }

/** Reads element `i`, or rounds to it. */
float load(const void *data, Element element, int64_t i);
void store(void *data, Element element, int64_t i, float value);

/** Element [r, c] of a matrix is at `r · row_stride + c · column_stride`. */
struct Matrix {
  const void *data;
  Element element;
  int64_t row_stride, column_stride;
};

/** How operands are rounded before they are multiplied. */
enum class Rounding { NONE, TF32 };

/** sums[r + c · M] = Σ a[r, k] · b[k, c] in float32, for a [M, K] and b [K, N]. */
void multiply(int64_t M, int64_t N, int64_t K, const Matrix &a, const Matrix &b, Rounding rounding, float *sums);

}  // namespace cuda_on_cpu
