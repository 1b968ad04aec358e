/** @file Memory for intermediate results, kept between calls. */
#include "kernel.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGNMENT 64
/** Large blocks lie on huge pages, where the system has them, which saves misses of the page tables' cache. */
#define HUGE_PAGE ((size_t)2 << 20)
/** Blocks that are kept, and their bytes together: enough for the packed operand of a product and a few MB for each thread. */
#define MAX_KEPT 128
#define MAX_KEPT_BYTES ((size_t)64 << 20)

/** In front of each block. */
typedef struct {
  size_t bytes;
} Header;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/** In the order in which they were given back. */
static Header *kept[MAX_KEPT];
static int count;
static size_t kept_bytes;

static Header *take_at(int place) {
  Header *block = kept[place];
  memmove(kept + place, kept + place + 1, sizeof(*kept) * (size_t)(--count - place));
  kept_bytes -= block->bytes;
  return block;
}

/** Takes the smallest block that is large enough. */
static Header *take(size_t bytes) {
  int best = -1;
  for (int i = 0; i < count; i++) {
    if (kept[i]->bytes < bytes) continue;
    if (best < 0 || kept[i]->bytes < kept[best]->bytes) best = i;
  }
  return best < 0 ? NULL : take_at(best);
}

static Header *allocate(size_t bytes) {
  const int is_large = bytes >= HUGE_PAGE;
  const size_t unit = is_large ? HUGE_PAGE : ALIGNMENT, whole = (bytes + unit - 1) / unit * unit;
  Header *block = aligned_alloc(unit, whole);
  if (!block) return NULL;
#ifdef MADV_HUGEPAGE
  if (is_large) madvise(block, whole, MADV_HUGEPAGE);
#endif
  block->bytes = whole;
  return block;
}

float *borrow(size_t floats) {
  const size_t bytes = (ALIGNMENT + floats * sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  pthread_mutex_lock(&mutex);
  Header *block = take(bytes);
  pthread_mutex_unlock(&mutex);
  if (!block) {
    block = allocate(bytes);
    if (!block) return NULL;
  }
  return (float *)((char *)block + ALIGNMENT);
}

void give_back(float *memory) {
  if (!memory) return;
  Header *block = (Header *)((char *)memory - ALIGNMENT);
  pthread_mutex_lock(&mutex);
  // The blocks that were not used for the longest time make room.
  while (count > 0 && (count == MAX_KEPT || kept_bytes + block->bytes > MAX_KEPT_BYTES)) free(take_at(0));
  kept[count++] = block;
  kept_bytes += block->bytes;
  pthread_mutex_unlock(&mutex);
}
