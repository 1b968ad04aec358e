/** @file What the kernels of self-attention share. */
#include "attention.h"
#include "softmax_math.h"
#include <float.h>
#include <string.h>

/** Most numbers of a block of keys, so that it stays in the second cache. */
#define MAX_BLOCK (1L << 15)
/** Operations that a task should have at least. */
#define MIN_WORK 2e6

/** Most floats of keys and values that are packed at a time, unless one clip has more. */
#define MAX_PACKED (1L << 20)

#define LOG2_E 1.44269504088896340736

Attention attention_of(const Call *call, const float *qkv, const float *bias, const float *mask) {
  const int64_t *n = call->ints;
  Attention a = {.B = n[0], .N = n[1], .H = n[2], .D = n[3], .scale = call->floats[0]};
  a.qkv = qkv;
  a.bias = bias;
  a.mask = mask;
  return a;
}

void choose_block(Attention *a, long max_keys) {
  long keys = min_long(max_keys, MAX_BLOCK / a->D);
  if (keys < 4 * MR) keys = 4 * MR;
  a->block = round_up(ceil_div(a->N, ceil_div(a->N, keys)), MR);
}

size_t projection_offset(const Attention *a, Projection projection, long head) {
  return (size_t)(((head / a->H * a->N * 3 + projection) * a->H + head % a->H) * a->D);
}

Matrix projection(const Attention *a, Projection projection, long head) {
  return (Matrix){a->qkv + projection_offset(a, projection, head), 3 * a->H * a->D, 1};
}

size_t result_offset(const Attention *a, long head) {
  return (size_t)((head / a->H * a->N * a->H + head % a->H) * a->D);
}

void pack_queries(float *to, const Attention *a, Queries q) {
  pack_b(to, transposed(from(projection(a, QUERIES, q.head), q.first, 0)), a->D, q.count);
  const vec unit[NV] = {splat((float)(a->scale * LOG2_E)), splat((float)(a->scale * LOG2_E))};
  scale_strip(to, a->D, unit);
}

/** Asks for numbers that will be read later. */
static void prefetch(Matrix x, long rows, long columns) {
  for (long i = 0; i < rows; i++)
    for (long j = 0; j < columns; j += 64 / (long)sizeof(float)) __builtin_prefetch(x.data + i * x.row + j);
}

/** Packs a part of matrices [N, N] of all heads so that it fits scores, and asks for the part of the next queries. */
static void pack_square(float *to, const float *squares, const Attention *a, Queries q, Keys k) {
  const Matrix square = {squares + (q.head * a->N + q.first) * a->N + k.first, a->N, 1};
  prefetch(from(square, NR, 0), NR, k.count);
  pack_b(to, transposed(square), k.count, q.count);
}

void add_bias(float *scores, const Attention *a, Queries q, Keys k, float *spare) {
  pack_square(spare, a->bias, a, q, k);
  const vec unit = splat((float)LOG2_E);
  for (long i = 0; i < k.count * NR; i += LANES) store(scores + i, load(spare + i) * unit + load(scores + i));
}

void pack_mask(float *to, const Attention *a, Queries q, Keys k) { pack_square(to, a->mask, a, q, k); }

Softmax empty_softmax(void) {
  Softmax softmax;
  for (int v = 0; v < NV; v++) {
    // Not −∞, because the difference of two would be NaN.
    softmax.max[v] = splat(-FLT_MAX);
    softmax.sum[v] = splat(0);
  }
  return softmax;
}

/** Raises `max` to the largest scores. */
static void find_max(const float *scores, long keys, vec max[NV]) {
  // Two maxima at a time, because the processor takes some cycles for each.
  vec other[NV];
  for (int v = 0; v < NV; v++) other[v] = max[v];
  for (long i = 0; i < keys; i += 2)
    for (int v = 0; v < NV; v++) {
      const float *at = scores + i * NR + v * LANES;
      max[v] = larger(load(at), max[v]);
      if (i + 1 < keys) other[v] = larger(load(at + NR), other[v]);
    }
  for (int v = 0; v < NV; v++) max[v] = larger(max[v], other[v]);
}

void add_to_softmax(Softmax *softmax, float *scores, long keys, vec factor[NV]) {
  vec max[NV], sum[NV];
  for (int v = 0; v < NV; v++) {
    max[v] = softmax->max[v];
    sum[v] = splat(0);
  }
  find_max(scores, keys, max);
  for (long i = 0; i < keys; i++)
    for (int v = 0; v < NV; v++) {
      float *at = scores + i * NR + v * LANES;
      const vec p = power_of_two(load(at) - max[v]);
      store(at, p);
      sum[v] += p;
    }
  for (int v = 0; v < NV; v++) {
    factor[v] = power_of_two(softmax->max[v] - max[v]);
    softmax->max[v] = max[v];
    softmax->sum[v] = softmax->sum[v] * factor[v] + sum[v];
  }
}

void scale_strip(float *strip, long rows, const vec factor[NV]) {
  for (long i = 0; i < rows; i++)
    for (int v = 0; v < NV; v++) {
      float *at = strip + i * NR + v * LANES;
      store(at, load(at) * factor[v]);
    }
}

void store_transposed(float *to, long distance, const float *strip, long rows, long columns, float *spare) {
  // Packing transposes registers.
  pack_b(spare, (Matrix){strip, 1, NR}, columns, rows);
  for (long i = 0; i < rows; i += NR)
    for (long j = 0; j < columns; j++) {
      const float *part = spare + i * columns + j * NR;
      if (rows - i >= NR) {
        memcpy(to + j * distance + i, part, sizeof(float) * NR);
      } else {
        memcpy(to + j * distance + i, part, sizeof(float) * (size_t)(rows - i));
      }
    }
}

size_t spare_size(const Attention *a) { return (size_t)(round_up(a->D > a->block ? a->D : a->block, NR) * NR); }

static long block_count(const Attention *a) { return ceil_div(a->N, a->block); }

static size_t form_size(const Attention *a, Form form) {
  return form.is_transposed ? packed_a_size(a->D, a->block) : packed_a_size(a->block, a->D);
}

/** Floats of all forms of a block. */
static size_t block_size(const Packed *p) {
  size_t size = 0;
  for (long i = 0; i < p->form_count; i++) size += form_size(p->a, p->forms[i]);
  return size;
}

int borrow_packed(Packed *p, const Attention *a, const Form *forms, long form_count) {
  *p = (Packed){.a = a, .forms = forms, .form_count = form_count};
  const long clip = a->H * block_count(a) * (long)block_size(p);
  p->capacity = clip > MAX_PACKED ? 1 : min_long(a->B, MAX_PACKED / clip);
  p->memory = borrow((size_t)(p->capacity * clip));
  return p->memory != NULL;
}

const float *packed_block(const Packed *p, long form, long head, long key) {
  const long block = (head - p->first * p->a->H) * block_count(p->a) + key / p->a->block;
  const float *at = p->memory + (size_t)block * block_size(p);
  for (long i = 0; i < form; i++) at += form_size(p->a, p->forms[i]);
  return at;
}

/** Packs a block of keys of all heads of a clip together, because they are in the same pages of memory. */
static void pack_block(void *state, size_t index) {
  const Packed *p = state;
  const Attention *a = p->a;
  const long clip = p->first + (long)index / block_count(a);
  const Keys k = keys_from(a, (long)index % block_count(a) * a->block);
  for (long head = clip * a->H; head < (clip + 1) * a->H; head++)
    for (long i = 0; i < p->form_count; i++) {
      const Matrix block = from(projection(a, p->forms[i].projection, head), k.first, 0);
      float *to = (float *)packed_block(p, i, head, k.first);
      if (p->forms[i].is_transposed) {
        pack_a(to, transposed(block), a->D, k.count);
      } else {
        pack_a(to, block, k.count, a->D);
      }
    }
}

int pack_next_clips(const Call *call, Packed *p) {
  p->first += p->count;
  p->count = min_long(p->capacity, p->a->B - p->first);
  parallel(call, (size_t)(p->count * block_count(p->a)), pack_block, p);
  return p->count > 0;
}

Plan plan_of(const Packed *packed, long products, long min_tasks, long min_queries) {
  const Attention *a = packed->a;
  Plan p = {.first_head = packed->first * a->H, .head_count = packed->count * a->H};
  const double work = 2.0 * (double)products * (double)a->N * (double)a->N * (double)a->D;
  const long chunks = work > MIN_WORK * (double)min_tasks ? min_tasks : 1 + (long)(work / MIN_WORK);
  p.chunks = min_long(chunks, min_long(ceil_div(min_tasks, p.head_count), ceil_div(a->N, min_queries)));
  p.queries = round_up(ceil_div(a->N, p.chunks), NR);
  p.chunks = ceil_div(a->N, p.queries);
  p.heads = p.chunks > 1 || work > MIN_WORK ? 1 : min_long(p.head_count, 1 + (long)(MIN_WORK / work));
  p.tasks = ceil_div(p.head_count * p.chunks, p.heads);
  return p;
}

float *part_of(Arena *arena, size_t floats) {
  float *part = arena->memory ? arena->memory + arena->used : NULL;
  arena->used += (floats + 15) / 16 * 16;
  return part;
}
