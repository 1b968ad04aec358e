/** @file Self-attention. */
#include "attention.h"
#include "kernels.h"

/** Most keys that are multiplied at a time. The scores of a strip stay in the first cache, keys and values in the second. */
#define MAX_KEYS 320
/** Most queries that are handled together. */
#define MAX_QUERIES 512
/** Tasks that there should be at least, to balance the threads. */
#define MIN_TASKS 64
/** Least queries of a task. */
#define MIN_QUERIES 64

enum { KEY_ROWS, VALUE_COLUMNS };
static const Form FORMS[] = {[KEY_ROWS] = {KEYS, 0}, [VALUE_COLUMNS] = {VALUES, 1}};

typedef struct {
  Attention a;
  Packed packed;
  Plan plan;
  float *out;
  _Atomic int failed;
} Forward;

/** Memory of a task. */
typedef struct {
  /** Of each strip: packed queries and results, [D, NR]. */
  float *queries, *results;
  Softmax *softmax;
  /** A strip of scores with a block of keys. */
  float *scores;
  float *spare;
} Scratch;

/** Divides memory. */
static Scratch scratch_of(const Attention *a, Arena *arena) {
  Scratch s;
  s.queries = part_of(arena, (size_t)(MAX_QUERIES * a->D));
  s.results = part_of(arena, (size_t)(MAX_QUERIES * a->D));
  s.softmax = (Softmax *)part_of(arena, MAX_QUERIES / NR * sizeof(Softmax) / sizeof(float));
  s.scores = part_of(arena, (size_t)(a->block * NR));
  s.spare = part_of(arena, spare_size(a));
  return s;
}

/** Adds a block of keys to the results of strip `i`: its values, weighted with exponentials. */
static void attend(const Forward *f, const Scratch *s, long i, Queries q, Keys k) {
  const Attention *a = &f->a;
  const float *keys = packed_block(&f->packed, KEY_ROWS, q.head, k.first);
  const float *values = packed_block(&f->packed, VALUE_COLUMNS, q.head, k.first);
  vec factor[NV];
  multiply_strip(k.count, a->D, keys, s->queries + i * a->D * NR, s->scores, NULL);
  if (a->bias) add_bias(s->scores, a, q, k, s->spare);
  add_to_softmax(&s->softmax[i], s->scores, k.count, factor);
  if (a->mask) {
    pack_mask(s->spare, a, q, k);
    for (long j = 0; j < k.count * NR; j += LANES) store(s->scores + j, load(s->scores + j) * load(s->spare + j));
  }
  multiply_strip(a->D, k.count, values, s->scores, s->results + i * a->D * NR, k.first > 0 ? factor : NULL);
}

static void store_results(const Forward *f, const Scratch *s, long i, Queries q) {
  const Attention *a = &f->a;
  float *results = s->results + i * a->D * NR;
  vec factor[NV];
  for (int v = 0; v < NV; v++) factor[v] = splat(1) / s->softmax[i].sum[v];
  scale_strip(results, a->D, factor);
  float *to = f->out + result_offset(a, q.head) + q.first * a->H * a->D;
  store_transposed(to, a->H * a->D, results, a->D, q.count, s->spare);
}

/** Computes the results of some queries. */
static void run_queries(const Forward *f, const Scratch *s, Queries q) {
  const Attention *a = &f->a;
  for (long i = 0; i * NR < q.count; i++) {
    pack_queries(s->queries + i * a->D * NR, a, strip_of(q, i));
    s->softmax[i] = empty_softmax();
  }
  for (long key = 0; key < a->N; key += a->block)
    for (long i = 0; i * NR < q.count; i++) attend(f, s, i, strip_of(q, i), keys_from(a, key));
  for (long i = 0; i * NR < q.count; i++) store_results(f, s, i, strip_of(q, i));
}

static void run_chunk(const Forward *f, const Scratch *s, long head, long chunk) {
  const long first = chunk * f->plan.queries, end = min_long(f->a.N, first + f->plan.queries);
  for (long query = first; query < end; query += MAX_QUERIES)
    run_queries(f, s, (Queries){head, query, min_long(MAX_QUERIES, end - query)});
}

static void run_task(void *state, size_t index) {
  Forward *f = state;
  Arena size = {0};
  scratch_of(&f->a, &size);
  Arena arena = {.memory = borrow(size.used)};
  if (!arena.memory) {
    f->failed = 1;
    return;
  }
  const Scratch s = scratch_of(&f->a, &arena);
  const Plan *plan = &f->plan;
  const long first = (long)index * plan->heads, end = min_long(first + plan->heads, plan->head_count * plan->chunks);
  for (long i = first; i < end; i++) run_chunk(f, &s, plan->first_head + i / plan->chunks, i % plan->chunks);
  give_back(arena.memory);
}

/** Operands qkv [B, N, 3, H, D], bias and mask [B, H, N, N] or nothing; ints B, N, H, D; floats scale. Result [B, N, H, D]. */
const char *self_attention(const Call *call) {
  Forward f = {.a = attention_of(call, call->in[0], call->in[1], call->in[2]), .out = call->out[0]};
  if (f.a.B * f.a.N * f.a.H * f.a.D == 0) return NULL;
  choose_block(&f.a, MAX_KEYS);
  if (!borrow_packed(&f.packed, &f.a, FORMS, 2)) return OUT_OF_MEMORY;
  while (!f.failed && pack_next_clips(call, &f.packed)) {
    f.plan = plan_of(&f.packed, 2, MIN_TASKS, MIN_QUERIES);
    parallel(call, (size_t)f.plan.tasks, run_task, &f);
  }
  give_back(f.packed.memory);
  return f.failed ? OUT_OF_MEMORY : NULL;
}
