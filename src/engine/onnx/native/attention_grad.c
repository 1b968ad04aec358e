/**
 * @file The gradient of self-attention.
 *
 * A task handles a chunk of the queries of a head, a block of queries at a time. It computes their exponentials with all keys.
 * Then it computes the gradients of the scores, one block of keys after the other, and what they add to the gradients of
 * queries, keys and values. The sums for keys and values of all chunks are added in a fixed order.
 */
#include "attention.h"
#include "kernels.h"
#include "softmax_math.h"
#include <pthread.h>

/** Most keys that are multiplied at a time, so that what belongs to a block of queries and keys stays in the second cache. */
#define MAX_KEYS 192
/** Queries of a block. More make the sums of gradients of keys and values longer, but their exponentials take more memory. */
#define MAX_QUERIES 128
#define MAX_STRIPS (MAX_QUERIES / NR)
/** Tasks that there should be at least, to balance the threads. */
#define MIN_TASKS 48
/** Least queries of a task, because the sums of all chunks of a head have to be added. */
#define MIN_QUERIES 256

/** Sums of the gradients of keys and values of one head. */
typedef struct {
  /** Chunks that are in the result. */
  long added;
  /** Whether a thread adds chunks at present. */
  int busy;
} Progress;

enum { KEY_ROWS, VALUE_ROWS, KEY_COLUMNS };
static const Form FORMS[] = {[KEY_ROWS] = {KEYS, 0}, [VALUE_ROWS] = {VALUES, 0}, [KEY_COLUMNS] = {KEYS, 1}};

typedef struct {
  Attention a;
  Packed packed;
  Plan plan;
  const float *dy, *out;
  float *dqkv, *dbias;
  _Atomic int failed;
  pthread_mutex_t mutex;
  size_t next_task;
  /** For heads of several chunks, of which there are fewer than MIN_TASKS. */
  Progress progress[MIN_TASKS];
  /** Sums of chunks that wait until earlier ones are in the result. */
  float *waiting[2 * MIN_TASKS];
} Backward;

/** Memory of a task. */
typedef struct {
  /** Of each strip of queries: packed queries, gradients of results, and gradients of queries, [D, NR]. */
  float *queries, *dy, *dq;
  /** Queries and gradients of results of all strips, packed as [queries, D]. */
  float *query_rows, *dy_rows;
  /** Σ out·dy of each query. */
  float *inner;
  Softmax *softmax;
  /** Of each block of keys and strip: exponentials [keys, NR], and the maxima [NR] that they are relative to. */
  float *exponentials, *maxima;
  /** Of each strip: gradients of scores with a block of keys. */
  float *ds;
  float *spare;
} Scratch;

/** Divides memory. */
static Scratch scratch_of(const Attention *a, Arena *arena) {
  const size_t blocks = (size_t)ceil_div(a->N, a->block), features = (size_t)(MAX_QUERIES * a->D);
  Scratch s;
  s.queries = part_of(arena, features);
  s.dy = part_of(arena, features);
  s.dq = part_of(arena, features);
  s.query_rows = part_of(arena, packed_b_size(MAX_QUERIES, a->D));
  s.dy_rows = part_of(arena, packed_b_size(MAX_QUERIES, a->D));
  s.inner = part_of(arena, MAX_QUERIES);
  s.softmax = (Softmax *)part_of(arena, MAX_STRIPS * sizeof(Softmax) / sizeof(float));
  s.exponentials = part_of(arena, blocks * (size_t)(MAX_QUERIES * a->block));
  s.maxima = part_of(arena, blocks * MAX_QUERIES);
  s.ds = part_of(arena, (size_t)(MAX_QUERIES * a->block));
  s.spare = part_of(arena, spare_size(a));
  return s;
}

/** Queries of a head that are handled together, with the memory of their task. */
typedef struct {
  const Backward *g;
  const Scratch *s;
  Queries q;
} Block;

/** The exponentials of strip `i` with a block of keys. */
static float *exponentials_of(const Block *b, long i, Keys k) {
  return b->s->exponentials + k.first * MAX_QUERIES + i * b->g->a.block * NR;
}

static float *maxima_of(const Block *b, long i, Keys k) {
  return b->s->maxima + (k.first / b->g->a.block * MAX_STRIPS + i) * NR;
}

/** Computes Σ out·dy of each query, and 0 behind the last one. */
static void find_inner(float *inner, const Backward *g, Queries q) {
  const Attention *a = &g->a;
  for (long i = 0; i < NR; i++) {
    inner[i] = 0;
    if (i >= q.count) continue;
    const size_t offset = result_offset(a, q.head) + (size_t)((q.first + i) * a->H * a->D);
    const float *out = g->out + offset, *dy = g->dy + offset;
    vec sum = splat(0);
    long d = 0;
    for (; d + LANES <= a->D; d += LANES) sum += load(out + d) * load(dy + d);
    inner[i] = sum_of_lanes(sum);
    for (; d < a->D; d++) inner[i] += out[d] * dy[d];
  }
}

/** Packs what belongs to the queries. */
static void prepare(const Block *b) {
  const Scratch *s = b->s;
  const Attention *a = &b->g->a;
  const Matrix dy = {b->g->dy + result_offset(a, b->q.head) + b->q.first * a->H * a->D, a->H * a->D, 1};
  for (long i = 0; i * NR < b->q.count; i++) {
    const Queries q = strip_of(b->q, i);
    pack_queries(s->queries + i * a->D * NR, a, q);
    pack_b(s->dy + i * a->D * NR, transposed(from(dy, i * NR, 0)), a->D, q.count);
    find_inner(s->inner + i * NR, b->g, q);
    s->softmax[i] = empty_softmax();
  }
  pack_b(s->query_rows, from(projection(a, QUERIES, b->q.head), b->q.first, 0), b->q.count, a->D);
  pack_b(s->dy_rows, dy, b->q.count, a->D);
}

static void find_exponentials(const Block *b, Keys k) {
  const Attention *a = &b->g->a;
  const Scratch *s = b->s;
  const float *keys = packed_block(&b->g->packed, KEY_ROWS, b->q.head, k.first);
  for (long i = 0; i * NR < b->q.count; i++) {
    vec factor[NV];
    float *scores = exponentials_of(b, i, k);
    multiply_strip(k.count, a->D, keys, s->queries + i * a->D * NR, scores, NULL);
    if (a->bias) add_bias(scores, a, strip_of(b->q, i), k, s->spare);
    add_to_softmax(&s->softmax[i], scores, k.count, factor);
    for (int v = 0; v < NV; v++) store(maxima_of(b, i, k) + v * LANES, s->softmax[i].max[v]);
  }
}

/** The factors that make probabilities of the exponentials of a block of keys. */
static void find_factors(const Block *b, long i, Keys k, vec factor[NV]) {
  const Softmax *softmax = &b->s->softmax[i];
  for (int v = 0; v < NV; v++)
    factor[v] = power_of_two(load(maxima_of(b, i, k) + v * LANES) - softmax->max[v]) / softmax->sum[v];
}

/** Replaces exponentials p by probabilities times mask, and gradients ds of those by gradients of the scores. */
static void find_gradients(float *p, float *ds, const float *mask, long keys, const vec factor[NV], const float *inner) {
  vec centre[NV];
  for (int v = 0; v < NV; v++) centre[v] = load(inner + v * LANES);
  for (long i = 0; i < keys; i++)
    for (int v = 0; v < NV; v++) {
      const long at = i * NR + v * LANES;
      const vec probability = load(p + at) * factor[v];
      const vec slope = mask ? load(ds + at) * load(mask + at) : load(ds + at);
      store(p + at, mask ? probability * load(mask + at) : probability);
      store(ds + at, probability * (slope - centre[v]));
    }
}

/** Computes the gradients of the scores of strip `i` with a block of keys, and adds their part to those of the queries. */
static void add_query_gradients(const Block *b, long i, Keys k) {
  const Attention *a = &b->g->a;
  const Scratch *s = b->s;
  const Queries q = strip_of(b->q, i);
  const float *values = packed_block(&b->g->packed, VALUE_ROWS, b->q.head, k.first);
  const float *columns = packed_block(&b->g->packed, KEY_COLUMNS, b->q.head, k.first);
  float *ds = s->ds + i * a->block * NR;
  const vec one[NV] = {splat(1), splat(1)};
  vec factor[NV];
  find_factors(b, i, k, factor);
  multiply_strip(k.count, a->D, values, s->dy + i * a->D * NR, ds, NULL);
  if (a->mask) pack_mask(s->spare, a, q, k);
  find_gradients(exponentials_of(b, i, k), ds, a->mask ? s->spare : NULL, k.count, factor, s->inner + i * NR);
  multiply_strip(a->D, k.count, columns, ds, s->dq + i * a->D * NR, k.first > 0 ? one : NULL);
  if (!b->g->dbias) return;
  float *dbias = b->g->dbias + (b->q.head * a->N + q.first) * a->N + k.first;
  store_transposed(dbias, a->N, ds, k.count, q.count, s->spare);
}

static void store_query_gradients(const Block *b) {
  const Attention *a = &b->g->a;
  const vec scale[NV] = {splat(a->scale), splat(a->scale)};
  const long row = 3 * a->H * a->D;
  float *to = b->g->dqkv + projection_offset(a, QUERIES, b->q.head) + b->q.first * row;
  for (long i = 0; i * NR < b->q.count; i++) {
    float *dq = b->s->dq + i * a->D * NR;
    scale_strip(dq, a->D, scale);
    store_transposed(to + i * NR * row, row, dq, a->D, strip_of(b->q, i).count, b->s->spare);
  }
}

/** Computes the gradients of a block of queries, and their parts of the sums dk and dv [N, D]. */
static void run_block(const Block *b, float *dk, float *dv, Store mode) {
  const Attention *a = &b->g->a;
  const Scratch *s = b->s;
  prepare(b);
  for (long key = 0; key < a->N; key += a->block) find_exponentials(b, keys_from(a, key));
  for (long key = 0; key < a->N; key += a->block) {
    const Keys k = keys_from(a, key);
    for (long i = 0; i * NR < b->q.count; i++) add_query_gradients(b, i, k);
    const Strips ds = {s->ds, a->block * NR, b->q.count}, p = {exponentials_of(b, 0, k), a->block * NR, b->q.count};
    multiply_by_strips(k.count, a->D, ds, s->query_rows, dk + key * a->D, mode);
    multiply_by_strips(k.count, a->D, p, s->dy_rows, dv + key * a->D, mode);
  }
  store_query_gradients(b);
}

/** Computes a chunk of the queries of a head. Returns the sums dk and dv in borrowed memory, or null if there is none. */
static float *run_chunk(const Backward *g, long head, long chunk, const Scratch *s) {
  const Attention *a = &g->a;
  float *dk = borrow((size_t)(2 * a->N * a->D));
  if (!dk) return NULL;
  const long first = chunk * g->plan.queries, end = min_long(a->N, first + g->plan.queries);
  for (long query = first; query < end; query += MAX_QUERIES) {
    const Block block = {g, s, {head, query, min_long(MAX_QUERIES, end - query)}};
    run_block(&block, dk, dk + a->N * a->D, query > first ? ADD : OVERWRITE);
  }
  return dk;
}

/** Adds the sums dk and dv of a chunk to the result, or stores them there. */
static void add_chunk(const Backward *g, long head, const float *sums, Store mode) {
  const Attention *a = &g->a;
  for (int part = 0; part < 2; part++) {
    float *to = g->dqkv + projection_offset(a, part == 0 ? KEYS : VALUES, head);
    const float scale = part == 0 ? a->scale : 1;
    for (long n = 0; n < a->N; n++, sums += a->D, to += 3 * a->H * a->D)
      for (long d = 0; d < a->D; d++) to[d] = mode == ADD ? to[d] + scale * sums[d] : scale * sums[d];
  }
}

/** Adds the sums of a chunk, and those that have waited for it, in the order of the chunks. */
static void finish_chunk(Backward *g, long head, long chunk, float *sums) {
  const long index = head - g->plan.first_head;
  Progress *progress = &g->progress[index];
  float **waiting = g->waiting + index * g->plan.chunks;
  pthread_mutex_lock(&g->mutex);
  waiting[chunk] = sums;
  if (!progress->busy) {
    progress->busy = 1;
    while (progress->added < g->plan.chunks && waiting[progress->added]) {
      float *next = waiting[progress->added];
      waiting[progress->added] = NULL;
      const Store mode = progress->added > 0 ? ADD : OVERWRITE;
      pthread_mutex_unlock(&g->mutex);
      add_chunk(g, head, next, mode);
      give_back(next);
      pthread_mutex_lock(&g->mutex);
      progress->added++;
    }
    progress->busy = 0;
  }
  pthread_mutex_unlock(&g->mutex);
}

/** Runs one chunk, or several whole heads. Returns whether there was memory. */
static int run_part(Backward *g, size_t task, const Scratch *s) {
  const Plan *plan = &g->plan;
  if (plan->chunks > 1) {
    const long head = plan->first_head + (long)task % plan->head_count, chunk = (long)task / plan->head_count;
    float *sums = run_chunk(g, head, chunk, s);
    if (sums) finish_chunk(g, head, chunk, sums);
    return sums != NULL;
  }
  const long first = (long)task * plan->heads, end = min_long(first + plan->heads, plan->head_count);
  for (long i = first; i < end; i++) {
    const long head = plan->first_head + i;
    float *sums = run_chunk(g, head, 0, s);
    if (!sums) return 0;
    add_chunk(g, head, sums, OVERWRITE);
    give_back(sums);
  }
  return 1;
}

/** Tasks start in this order, whatever order the runtime has, so that few chunks wait for earlier ones. */
static size_t take_task(Backward *g) {
  pthread_mutex_lock(&g->mutex);
  const size_t task = g->next_task++;
  pthread_mutex_unlock(&g->mutex);
  return task;
}

static void run_task(void *state, size_t index) {
  (void)index;
  Backward *g = state;
  Arena size = {0};
  scratch_of(&g->a, &size);
  Arena arena = {.memory = borrow(size.used)};
  const Scratch s = scratch_of(&g->a, &arena);
  if (!arena.memory || !run_part(g, take_task(g), &s)) g->failed = 1;
  give_back(arena.memory);
}

/** Computes the gradients of the clips that are packed. */
static void run_clips(const Call *call, Backward *g) {
  g->plan = plan_of(&g->packed, 5, MIN_TASKS, MIN_QUERIES);
  g->next_task = 0;
  for (long i = 0; i < MIN_TASKS; i++) g->progress[i] = (Progress){0};
  parallel(call, (size_t)g->plan.tasks, run_task, g);
}

/**
 * Operands dy [B, N, H, D], qkv [B, N, 3, H, D], out [B, N, H, D], bias and mask [B, H, N, N] or nothing; ints B, N, H, D;
 * floats scale. Results: the gradients of qkv and, if there is a bias, of it.
 */
const char *self_attention_grad(const Call *call) {
  Backward g = {.a = attention_of(call, call->in[1], call->in[3], call->in[4]), .dy = call->in[0], .out = call->in[2]};
  g.dqkv = call->out[0];
  g.dbias = call->out[1];
  if (g.a.B * g.a.N * g.a.H * g.a.D == 0) return NULL;
  choose_block(&g.a, MAX_KEYS);
  if (!borrow_packed(&g.packed, &g.a, FORMS, 3)) return OUT_OF_MEMORY;
  pthread_mutex_init(&g.mutex, NULL);
  while (!g.failed && pack_next_clips(call, &g.packed)) run_clips(call, &g);
  pthread_mutex_destroy(&g.mutex);
  give_back(g.packed.memory);
  for (long i = 0; g.failed && i < 2 * MIN_TASKS; i++) give_back(g.waiting[i]);
  return g.failed ? OUT_OF_MEMORY : NULL;
}
