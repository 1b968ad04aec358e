/**
 * @file What the kernels of self-attention share: the operands of a head, the softmax of its scores, and tasks.
 *
 * B clips, N tokens, H heads, D features of a head. The scores of NR queries are a strip [keys, NR] (strips.h), so that the
 * maximum and the sum over the keys need no operation across lanes.
 */
#pragma once
#include "strips.h"

typedef struct {
  long B, N, H, D;
  float scale;
  /** [B, N, 3, H, D] */
  const float *qkv;
  /** Null, or [B, H, N, N]. */
  const float *bias, *mask;
  /** Keys that are multiplied at a time, a multiple of MR. */
  long block;
} Attention;

/** Reads ints B, N, H, D, and floats scale. */
Attention attention_of(const Call *call, const float *qkv, const float *bias, const float *mask);
/** Chooses the keys that are multiplied at a time. The blocks are about equal. */
void choose_block(Attention *a, long max_keys);

typedef enum { QUERIES, KEYS, VALUES } Projection;
/** The offset of a head in [B, N, 3, H, D]; the heads of all clips are numbered. Its rows are 3·H·D floats apart. */
size_t projection_offset(const Attention *a, Projection projection, long head);
/** The projections [N, D] of a head. */
Matrix projection(const Attention *a, Projection projection, long head);
/** The offset of a head in [B, N, H, D]. Its rows are H·D floats apart. */
size_t result_offset(const Attention *a, long head);
/** The transpose of a matrix. */
static inline Matrix transposed(Matrix x) { return (Matrix){x.data, x.column, x.row}; }

/** Adjacent queries of a head; in functions on strips, at most NR. */
typedef struct {
  long head, first, count;
} Queries;

static inline Queries strip_of(Queries q, long i) {
  return (Queries){q.head, q.first + i * NR, min_long(NR, q.count - i * NR)};
}

typedef struct {
  long first, count;
} Keys;

/** The block of keys that starts with `first`. */
static inline Keys keys_from(const Attention *a, long first) { return (Keys){first, min_long(a->block, a->N - first)}; }

/** Packs queries to a strip [D, NR], scaled so that exponentials of their scores are powers of two. */
void pack_queries(float *to, const Attention *a, Queries queries);
/** Adds the bias, scaled likewise, to scores. `spare` has their size. */
void add_bias(float *scores, const Attention *a, Queries queries, Keys keys, float *spare);
/** Packs the factors of probabilities. */
void pack_mask(float *to, const Attention *a, Queries queries, Keys keys);

/** Maxima of scores, and sums of exponentials relative to them, over the keys so far. */
typedef struct {
  vec max[NV], sum[NV];
} Softmax;

Softmax empty_softmax(void);
/** Replaces scores by exponentials relative to the largest score so far. Returns the factors of earlier exponentials. */
void add_to_softmax(Softmax *softmax, float *scores, long keys, vec factor[NV]);

/** Multiplies the columns of a strip. */
void scale_strip(float *strip, long rows, const vec factor[NV]);
/** Stores the transpose of the first columns of a strip in rows `distance` apart. `spare` holds `spare_size` floats. */
void store_transposed(float *to, long distance, const float *strip, long rows, long columns, float *spare);
/** Floats that suffice for strips of D rows, and of a block of keys. */
size_t spare_size(const Attention *a);

/** A form in which the keys or values of a block are packed as first operands: [keys, D], or transposed [D, keys]. */
typedef struct {
  Projection projection;
  int is_transposed;
} Form;

/** Keys and values of some clips, in blocks of keys. */
typedef struct {
  const Attention *a;
  const Form *forms;
  long form_count;
  /** Most clips that fit. */
  long capacity;
  /** The clips that are packed at present. */
  long first, count;
  float *memory;
} Packed;

/** Borrows memory for at least one clip. Returns whether there was some; give back `memory`. */
int borrow_packed(Packed *p, const Attention *a, const Form *forms, long form_count);
/** Packs the next clips; the first ones if `count` is 0. Returns whether there are any. */
int pack_next_clips(const Call *call, Packed *p);
/** One of the forms of the block of keys from `key`. */
const float *packed_block(const Packed *p, long form, long head, long key);

/** How the packed heads and their queries are split into tasks. */
typedef struct {
  /** Heads that are packed. */
  long first_head, head_count;
  /** Chunks that the queries of a head are split into, and queries of a chunk, a multiple of NR. */
  long chunks, queries;
  /** Heads of a task if there is one chunk, else 1. */
  long heads;
  long tasks;
} Plan;

/**
 * Makes `min_tasks` tasks or more, unless they would be short or have fewer than `min_queries` queries. `products` is the number
 * of products that each head needs.
 */
Plan plan_of(const Packed *p, long products, long min_tasks, long min_queries);

/** Memory that is divided into parts. Without memory, only the sizes are added. */
typedef struct {
  float *memory;
  size_t used;
} Arena;

/** Takes a part, aligned to 64 bytes; null without memory. */
float *part_of(Arena *arena, size_t floats);
