/** Matrix products on the CPU: tiles of 16 × 6 sums in registers over packed operands. */
#include "product.h"

#include <algorithm>
#include <cstring>
#include <vector>

// The only code whose speed decides; the rest is compiled faster.
#pragma GCC push_options
#pragma GCC optimize("O3")

namespace cuda_on_cpu {
namespace {

typedef float Vector __attribute__((vector_size(32)));
typedef float UnalignedVector __attribute__((vector_size(32), aligned(4)));

const int TILE_ROWS = 16, TILE_COLUMNS = 6;
/** Depth and rows of the packed block of a, about 256 KB. */
const int64_t BLOCK_DEPTH = 256, BLOCK_ROWS = 240;

uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

bool is_finite(uint32_t bits) { return (bits & 0x7f800000) != 0x7f800000; }

/** To the nearest number with 10 digits after the point, to even in the middle. */
float round_to_tf32(float value) {
  const uint32_t bits = bits_of(value);
  return is_finite(bits) ? float_of((bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu) : value;
}

uint16_t round_to_bfloat16(float value) {
  const uint32_t bits = bits_of(value);
  if (value != value) return 0x7fff;
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float operand(const Matrix &matrix, Rounding rounding, int64_t row, int64_t column) {
  const float value = load(matrix.data, matrix.element, row * matrix.row_stride + column * matrix.column_stride);
  return rounding == Rounding::TF32 ? round_to_tf32(value) : value;
}

/** Packs `rows` × `depth` from [first_row, first_k]: strips of `width` rows, in each one after the other k; zeros fill up. */
void pack(const Matrix &matrix, Rounding rounding, int64_t first_row, int64_t rows, int64_t first_k, int64_t depth,
          int width, float *packed) {
  for (int64_t strip = 0; strip < rows; strip += width) {
    const int64_t present = std::min<int64_t>(width, rows - strip);
    for (int64_t k = 0; k < depth; k++, packed += width) {
      for (int64_t r = 0; r < present; r++) packed[r] = operand(matrix, rounding, first_row + strip + r, first_k + k);
      for (int64_t r = present; r < width; r++) packed[r] = 0;
    }
  }
}

/** Adds a tile's products to `sums`, whose columns are `stride` apart; only the first rows and columns are stored. */
void add_tile(int64_t depth, const float *a, const float *b, float *sums, int64_t stride, int rows, int columns) {
  Vector low[TILE_COLUMNS] = {}, high[TILE_COLUMNS] = {};
  for (int64_t k = 0; k < depth; k++, a += TILE_ROWS, b += TILE_COLUMNS) {
    const Vector a_low = *(const UnalignedVector *)a, a_high = *(const UnalignedVector *)(a + 8);
#pragma GCC unroll 6
    for (int c = 0; c < TILE_COLUMNS; c++) {
      low[c] += a_low * b[c];
      high[c] += a_high * b[c];
    }
  }
  for (int c = 0; c < columns; c++) {
    float column[TILE_ROWS];
    memcpy(column, &low[c], 32);
    memcpy(column + 8, &high[c], 32);
    for (int r = 0; r < rows; r++) sums[r + c * stride] += column[r];
  }
}

void add_block(int64_t rows, int64_t N, int64_t depth, const float *a, const float *b, float *sums, int64_t stride) {
  for (int64_t c = 0; c < N; c += TILE_COLUMNS) {
    for (int64_t r = 0; r < rows; r += TILE_ROWS) {
      add_tile(depth, a + r * depth, b + c * depth, sums + r + c * stride, stride,
               (int)std::min<int64_t>(TILE_ROWS, rows - r), (int)std::min<int64_t>(TILE_COLUMNS, N - c));
    }
  }
}

int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

}  // namespace

float load(const void *data, Element element, int64_t i) {
  if (element == Element::FLOAT32) return static_cast<const float *>(data)[i];
  return float_of((uint32_t) static_cast<const uint16_t *>(data)[i] << 16);
}

void store(void *data, Element element, int64_t i, float value) {
  if (element == Element::FLOAT32) static_cast<float *>(data)[i] = value;
  else static_cast<uint16_t *>(data)[i] = round_to_bfloat16(value);
}

void multiply(int64_t M, int64_t N, int64_t K, const Matrix &a, const Matrix &b, Rounding rounding, float *sums) {
  std::fill_n(sums, M * N, 0.0f);
  const Matrix b_transposed = {b.data, b.element, b.column_stride, b.row_stride};
  std::vector<float> packed_a(BLOCK_ROWS * BLOCK_DEPTH), packed_b(round_up(N, TILE_COLUMNS) * BLOCK_DEPTH);
  for (int64_t k = 0; k < K; k += BLOCK_DEPTH) {
    const int64_t depth = std::min(BLOCK_DEPTH, K - k);
    pack(b_transposed, rounding, 0, N, k, depth, TILE_COLUMNS, packed_b.data());
    for (int64_t r = 0; r < M; r += BLOCK_ROWS) {
      const int64_t rows = std::min(BLOCK_ROWS, M - r);
      pack(a, rounding, r, rows, k, depth, TILE_ROWS, packed_a.data());
      add_block(rows, N, depth, packed_a.data(), packed_b.data(), sums + r, M);
    }
  }
}

}  // namespace cuda_on_cpu

#pragma GCC pop_options
