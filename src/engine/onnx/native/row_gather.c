/**
 * @file Weighted sums of gathered rows and their gradients, for table [R, D], index and weight [N, K], dy [N, D]
 * (kernel_contract.ts, WeightedRowSum).
 */
#include "kernels.h"
#include "pointwise.h"

/** Gathered elements of a task. */
#define TASK_ELEMENTS (1L << 18)

#define OUT_OF_RANGE "an index of a weighted sum of rows is out of range"

static int all_below(const int32_t *index, long count, long limit) {
  uint32_t largest = 0;
  // A negative index is a large unsigned number.
  for (long i = 0; i < count; i++) largest = (uint32_t)index[i] > largest ? (uint32_t)index[i] : largest;
  return count == 0 || largest < limit;
}

/** A sum of rows of a matrix, each with a factor. */
typedef struct {
  const float *matrix;
  const int32_t *rows;
  const float *factors;
  long count;
} RowSum;

/** Computes a sum of rows of `width` floats, added in their order. Four rows at a time take fewer passes over the result. */
static void sum_rows(float *restrict result, RowSum s, long width) {
  memset(result, 0, sizeof(float) * (size_t)width);
  long i = 0;
  for (; i + 4 <= s.count; i += 4) {
    const int32_t *rows = s.rows + i;
    const float *f = s.factors + i, *m = s.matrix;
    const float f0 = f[0], f1 = f[1], f2 = f[2], f3 = f[3];
    const float *a = m + rows[0] * width, *b = m + rows[1] * width, *c = m + rows[2] * width, *d = m + rows[3] * width;
    for (long j = 0; j < width; j++) result[j] = result[j] + f0 * a[j] + f1 * b[j] + f2 * c[j] + f3 * d[j];
  }
  for (; i < s.count; i++) {
    const float factor = s.factors[i], *row = s.matrix + s.rows[i] * width;
    for (long j = 0; j < width; j++) result[j] += factor * row[j];
  }
}

/** The operands and the sizes; what a kernel does not have is null. */
typedef struct {
  const float *table, *weight, *dy;
  const int32_t *index;
  float *result;
  long N, K, D, R;
  /** Rows n of a task. */
  long task_rows;
} Gather;

static Gather gather_of(const Call *call) {
  const int64_t *ints = call->ints;
  Gather g = {.result = call->out[0], .N = ints[0], .K = ints[1], .D = ints[2], .R = ints[3]};
  g.task_rows = TASK_ELEMENTS / (g.K * g.D + 1) + 1;
  return g;
}

static void sum_task(void *state, size_t index) {
  const Gather *g = state;
  const long end = min_long(((long)index + 1) * g->task_rows, g->N);
  for (long n = (long)index * g->task_rows; n < end; n++)
    sum_rows(g->result + n * g->D, (RowSum){g->table, g->index + n * g->K, g->weight + n * g->K, g->K}, g->D);
}

/** Operands table, index and weight; ints N, K, D, R. Result [N, D]. */
const char *weighted_row_sum(const Call *call) {
  Gather g = gather_of(call);
  g.table = call->in[0];
  g.index = call->in[1];
  g.weight = call->in[2];
  if (!all_below(g.index, g.N * g.K, g.R)) return OUT_OF_RANGE;
  parallel(call, (size_t)ceil_div(g.N, g.task_rows), sum_task, &g);
  return NULL;
}

/** Computes the products of x with up to four rows at a time, which takes fewer passes over x. */
static void dot_rows(float *result, const float *matrix, const int32_t *rows, long count, const float *x, long width) {
  for (long i = 0; i < count; i += 4) {
    const float *row[4];
    for (int k = 0; k < 4; k++) row[k] = matrix + rows[min_long(i + k, count - 1)] * width;
    vec sums[4] = {{0}};
    long j = 0;
    for (; j + LANES <= width; j += LANES)
      for (int k = 0; k < 4; k++) sums[k] += load(x + j) * load(row[k] + j);
    if (j < width)
      for (int k = 0; k < 4; k++) sums[k] += load_some(x + j, width - j) * load_some(row[k] + j, width - j);
    for (int k = 0; k < 4 && i + k < count; k++) result[i + k] = sum_of_lanes(sums[k]);
  }
}

static void dot_task(void *state, size_t index) {
  const Gather *g = state;
  const long end = min_long(((long)index + 1) * g->task_rows, g->N);
  for (long n = (long)index * g->task_rows; n < end; n++)
    dot_rows(g->result + n * g->K, g->table, g->index + n * g->K, g->K, g->dy + n * g->D, g->D);
}

/** Operands table, index and dy; ints N, K, D, R. Result [N, K]. */
const char *weighted_row_sum_grad_weight(const Call *call) {
  Gather g = gather_of(call);
  g.table = call->in[0];
  g.index = call->in[1];
  g.dy = call->in[2];
  if (!all_below(g.index, g.N * g.K, g.R)) return OUT_OF_RANGE;
  parallel(call, (size_t)ceil_div(g.N, g.task_rows), dot_task, &g);
  return NULL;
}

/** The elements of `index`, sorted by the row that they name and then by their order. */
typedef struct {
  const Gather *gather;
  /** The elements that name row r are those from starts[r] to before starts[r + 1]. */
  int32_t *starts;
  /** Their rows n of dy, and their weights. */
  int32_t *n;
  float *weights;
  long tasks;
} Sorted;

/** Counting sort. `starts` has R + 2 elements. */
static void sort_by_row(const Sorted *s) {
  const Gather *g = s->gather;
  int32_t *next = s->starts + 1;
  memset(s->starts, 0, sizeof(int32_t) * (size_t)(g->R + 2));
  for (long i = 0; i < g->N * g->K; i++) next[g->index[i] + 1]++;
  for (long r = 0; r < g->R; r++) next[r + 1] += next[r];
  // Placing the elements of row r moves its start to its end, which is the start of row r + 1.
  for (long n = 0; n < g->N; n++)
    for (long i = n * g->K; i < (n + 1) * g->K; i++) {
      const long place = next[g->index[i]]++;
      s->n[place] = (int32_t)n;
      s->weights[place] = g->weight[i];
    }
}

/** Work up to a row: rows to write, and rows of dy to add. */
static long work_before(const Sorted *s, long row) { return row + s->starts[row]; }

/** The first row of a task. The tasks have equal work, except for rows that are more than a task alone. */
static long first_row(const Sorted *s, long task) {
  const long R = s->gather->R;
  const long work = work_before(s, R) / s->tasks * task;
  if (task == s->tasks) return R;
  long low = 0, high = R;
  while (low < high) {
    const long middle = (low + high) / 2;
    if (work_before(s, middle) < work)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void scatter_task(void *state, size_t index) {
  const Sorted *s = state;
  const Gather *g = s->gather;
  const long end = first_row(s, (long)index + 1);
  for (long r = first_row(s, (long)index); r < end; r++) {
    const long first = s->starts[r];
    sum_rows(g->result + r * g->D, (RowSum){g->dy, s->n + first, s->weights + first, s->starts[r + 1] - first}, g->D);
  }
}

/** Operands index, weight and dy; ints N, K, D, R. Result [R, D]. */
const char *weighted_row_sum_grad_table(const Call *call) {
  Gather g = gather_of(call);
  g.index = call->in[0];
  g.weight = call->in[1];
  g.dy = call->in[2];
  if (!all_below(g.index, g.N * g.K, g.R)) return OUT_OF_RANGE;
  float *memory = borrow((size_t)(2 * g.N * g.K + g.R + 2));
  if (!memory) return OUT_OF_MEMORY;
  Sorted s = {.gather = &g, .starts = (int32_t *)(memory + 2 * g.N * g.K), .weights = memory};
  s.n = (int32_t *)(memory + g.N * g.K);
  sort_by_row(&s);
  s.tasks = work_before(&s, g.R) * g.D / TASK_ELEMENTS + 1;
  parallel(call, (size_t)s.tasks, scatter_task, &s);
  give_back(memory);
  return NULL;
}
