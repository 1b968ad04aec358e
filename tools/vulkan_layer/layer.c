// A Vulkan layer that stands between a program and the GPU's driver, for tests and benchmarks. Environment variables:
//   STMIXER_LAYER_BYTES   allocations fail once more memory than this would be in use
//   STMIXER_LAYER_IDLE    the GPU computes nothing, and everything that is read from it is 0
//   STMIXER_LAYER_REPORT  a file that holds counts of what the program asked for
// The structures are those of the loader's interface for layers (vk_layer.h), as far as they matter.
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int32_t Result;
typedef void (*Function)(void);
typedef Function (*GetProc)(void *handle, const char *name);

enum { OUT_OF_DEVICE_MEMORY = -2, INSTANCE_LINK = 47, DEVICE_LINK = 48, LAYER_LINK_INFO = 0 };

struct Link {
  struct Link *next;
  GetProc instanceProc;
  GetProc deviceProc;
};
struct Chain {
  int32_t type;
  struct Chain *next;
  int32_t function;
  struct Link *link;
};
struct CreateInfo {
  int32_t type;
  struct Chain *next;
};
struct CopyRegion {
  uint64_t source, target, bytes;
};
struct MemoryInfo {
  int32_t type;
  const void *next;
  uint64_t bytes;
};

static GetProc nextInstanceProc, nextDeviceProc;
static void *instance, *device;

/** A function of the next layer or the driver. */
#define NEXT(name) ((void *)nextDeviceProc(device, name))

enum { MAX_BLOCKS = 1 << 16 };
/** Blocks of memory in use, in a hash table with open addressing. */
static struct {
  uint64_t handle, bytes;
} blocks[MAX_BLOCKS];
static struct {
  uint64_t bytes, peakBytes, allocations, buffers, dispatches;
} counts;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/** Index of the block `wanted`, searched from the place of `handle`. A free place has handle 0. */
static size_t placeOf(uint64_t handle, uint64_t wanted) {
  size_t i = (handle * 0x9E3779B97F4A7C15ull) >> 48;
  for (size_t tries = 0; tries < MAX_BLOCKS && blocks[i].handle != wanted; tries++) i = (i + 1) % MAX_BLOCKS;
  return i;
}

static void report(void) {
  static int file = -1;
  const char *path = getenv("STMIXER_LAYER_REPORT");
  if (path == NULL) return;
  if (file < 0) file = open(path, O_CREAT | O_RDWR | O_TRUNC, 0644);
  char line[256];
  int length = snprintf(line, sizeof line, "{\"bytes\":%llu,\"peakBytes\":%llu,\"allocations\":%llu,\"buffers\":%llu,\"dispatches\":%llu}",
                        (unsigned long long)counts.bytes, (unsigned long long)counts.peakBytes,
                        (unsigned long long)counts.allocations, (unsigned long long)counts.buffers,
                        (unsigned long long)counts.dispatches);
  // A later, shorter line would leave the end of an earlier one; JSON allows spaces.
  memset(line + length, ' ', sizeof line - length);
  if (pwrite(file, line, sizeof line, 0) < 0) return;
}

/** Takes this layer out of the chain, and returns the link to the next one. */
static struct Link *nextLink(const struct CreateInfo *info, int32_t type) {
  struct Chain *chain = info->next;
  while (!(chain->type == type && chain->function == LAYER_LINK_INFO)) chain = chain->next;
  struct Link *link = chain->link;
  chain->link = link->next;
  return link;
}

static Result createInstance(const struct CreateInfo *info, const void *allocator, void **out) {
  nextInstanceProc = nextLink(info, INSTANCE_LINK)->instanceProc;
  Result (*next)(const void *, const void *, void **) = (void *)nextInstanceProc(NULL, "vkCreateInstance");
  Result result = next(info, allocator, out);
  if (result == 0) instance = *out;
  return result;
}

static Result createDevice(void *physical, const struct CreateInfo *info, const void *allocator, void **out) {
  struct Link *link = nextLink(info, DEVICE_LINK);
  nextDeviceProc = link->deviceProc;
  Result (*next)(void *, const void *, const void *, void **) =
      (void *)link->instanceProc(instance, "vkCreateDevice");
  Result result = next(physical, info, allocator, out);
  if (result == 0) device = *out;
  return result;
}

static Result allocateMemory(void *of, const struct MemoryInfo *info, const void *allocator, uint64_t *out) {
  Result (*next)(void *, const void *, const void *, uint64_t *) = NEXT("vkAllocateMemory");
  const char *limit = getenv("STMIXER_LAYER_BYTES");
  pthread_mutex_lock(&lock);
  int isTooMuch = limit && counts.bytes + info->bytes > strtoull(limit, NULL, 10);
  Result result = isTooMuch ? OUT_OF_DEVICE_MEMORY : next(of, info, allocator, out);
  if (result == 0) {
    size_t i = placeOf(*out, 0);
    blocks[i].handle = *out;
    blocks[i].bytes = info->bytes;
    counts.bytes += info->bytes;
    counts.allocations++;
    if (counts.bytes > counts.peakBytes) counts.peakBytes = counts.bytes;
    report();
  }
  pthread_mutex_unlock(&lock);
  return result;
}

static void freeMemory(void *of, uint64_t memory, const void *allocator) {
  void (*next)(void *, uint64_t, const void *) = NEXT("vkFreeMemory");
  pthread_mutex_lock(&lock);
  size_t i = placeOf(memory, memory);
  if (memory && blocks[i].handle == memory) {
    counts.bytes -= blocks[i].bytes;
    blocks[i].handle = 0;
    report();
  }
  next(of, memory, allocator);
  pthread_mutex_unlock(&lock);
}

static Result createBuffer(void *of, const void *info, const void *allocator, void *out) {
  Result (*next)(void *, const void *, const void *, void *) = NEXT("vkCreateBuffer");
  __atomic_add_fetch(&counts.buffers, 1, __ATOMIC_RELAXED);
  return next(of, info, allocator, out);
}

static void dispatch(void *commands, uint32_t x, uint32_t y, uint32_t z) {
  void (*next)(void *, uint32_t, uint32_t, uint32_t) = NEXT("vkCmdDispatch");
  __atomic_add_fetch(&counts.dispatches, 1, __ATOMIC_RELAXED);
  if (!getenv("STMIXER_LAYER_IDLE")) next(commands, x, y, z);
}

static void fillBuffer(void *commands, uint64_t buffer, uint64_t offset, uint64_t bytes, uint32_t content) {
  void (*next)(void *, uint64_t, uint64_t, uint64_t, uint32_t) = NEXT("vkCmdFillBuffer");
  if (!getenv("STMIXER_LAYER_IDLE")) next(commands, buffer, offset, bytes, content);
}

/** While idle, every copy is one of zeros: what buffers of an idle GPU hold could be read as NaN. */
static void copyBuffer(void *commands, uint64_t source, uint64_t target, uint32_t count, const struct CopyRegion *regions) {
  void (*copy)(void *, uint64_t, uint64_t, uint32_t, const void *) = NEXT("vkCmdCopyBuffer");
  void (*fill)(void *, uint64_t, uint64_t, uint64_t, uint32_t) = NEXT("vkCmdFillBuffer");
  if (!getenv("STMIXER_LAYER_IDLE")) return copy(commands, source, target, count, regions);
  for (uint32_t i = 0; i < count; i++) fill(commands, target, regions[i].target, regions[i].bytes, 0);
}

static const struct {
  const char *name;
  void *function;
} functions[] = {
    {"vkAllocateMemory", allocateMemory}, {"vkFreeMemory", freeMemory},   {"vkCreateBuffer", createBuffer},
    {"vkCmdDispatch", dispatch},          {"vkCmdFillBuffer", fillBuffer}, {"vkCmdCopyBuffer", copyBuffer},
};

static Function ownFunction(const char *name) {
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
    if (!strcmp(name, functions[i].name)) return (Function)functions[i].function;
  return NULL;
}

__attribute__((visibility("default"))) Function vkGetDeviceProcAddr(void *of, const char *name) {
  if (!strcmp(name, "vkGetDeviceProcAddr")) return (Function)vkGetDeviceProcAddr;
  Function own = ownFunction(name);
  return own ? own : nextDeviceProc(of, name);
}

__attribute__((visibility("default"))) Function vkGetInstanceProcAddr(void *from, const char *name) {
  if (!strcmp(name, "vkGetInstanceProcAddr")) return (Function)vkGetInstanceProcAddr;
  if (!strcmp(name, "vkGetDeviceProcAddr")) return (Function)vkGetDeviceProcAddr;
  if (!strcmp(name, "vkCreateInstance")) return (Function)createInstance;
  if (!strcmp(name, "vkCreateDevice")) return (Function)createDevice;
  Function own = ownFunction(name);
  if (own) return own;
  return nextInstanceProc ? nextInstanceProc(from, name) : NULL;
}
