/** @file Memory for intermediate results, kept between calls. */
#include "kernel.h"
#include <pthread.h>
#include <stdlib.h>

#define ALIGNMENT 64
/** Blocks that are kept; graphs that run at the same time borrow a few each. */
#define MAX_KEPT 16

/** In front of each block. */
typedef struct {
  size_t floats;
} Header;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static Header *kept[MAX_KEPT];

/** Takes the smallest block that is large enough and not more than twice as large. */
static Header *take(size_t floats) {
  int best = -1;
  for (int i = 0; i < MAX_KEPT; i++) {
    if (!kept[i] || kept[i]->floats < floats || kept[i]->floats > 2 * floats) continue;
    if (best < 0 || kept[i]->floats < kept[best]->floats) best = i;
  }
  if (best < 0) return NULL;
  Header *block = kept[best];
  kept[best] = NULL;
  return block;
}

float *borrow(size_t floats) {
  pthread_mutex_lock(&mutex);
  Header *block = take(floats);
  pthread_mutex_unlock(&mutex);
  if (!block) {
    const size_t bytes = (ALIGNMENT + floats * sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    block = aligned_alloc(ALIGNMENT, bytes);
    if (!block) return NULL;
    block->floats = floats;
  }
  return (float *)((char *)block + ALIGNMENT);
}

void give_back(float *memory) {
  if (!memory) return;
  Header *block = (Header *)((char *)memory - ALIGNMENT);
  pthread_mutex_lock(&mutex);
  // A full list loses its smallest block, which is the cheapest to make again.
  int place = 0;
  for (int i = 0; i < MAX_KEPT && kept[place]; i++)
    if (!kept[i] || kept[i]->floats < kept[place]->floats) place = i;
  Header *dropped = kept[place];
  kept[place] = block;
  pthread_mutex_unlock(&mutex);
  free(dropped);
}
