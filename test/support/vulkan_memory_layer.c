// A Vulkan layer with which allocations fail once more than STMIXER_TEST_GPU_BYTES of the GPU's memory are in use.
// The structures are those of the loader's interface for layers (vk_layer.h), as far as they matter.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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
struct MemoryInfo {
  int32_t type;
  const void *next;
  uint64_t bytes;
};

static GetProc nextInstanceProc, nextDeviceProc;
static void *instance;
static uint64_t used;

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
  return next(physical, info, allocator, out);
}

/** Memory that is freed counts as used, which a test that ends with the first failure does not notice. */
static Result allocateMemory(void *device, const struct MemoryInfo *info, const void *allocator, uint64_t *out) {
  uint64_t total = __atomic_add_fetch(&used, info->bytes, __ATOMIC_RELAXED);
  if (total > strtoull(getenv("STMIXER_TEST_GPU_BYTES"), NULL, 10)) return OUT_OF_DEVICE_MEMORY;
  Result (*next)(void *, const void *, const void *, uint64_t *) =
      (void *)nextDeviceProc(device, "vkAllocateMemory");
  return next(device, info, allocator, out);
}

__attribute__((visibility("default"))) Function vkGetDeviceProcAddr(void *device, const char *name) {
  if (!strcmp(name, "vkGetDeviceProcAddr")) return (Function)vkGetDeviceProcAddr;
  if (!strcmp(name, "vkAllocateMemory")) return (Function)allocateMemory;
  return nextDeviceProc(device, name);
}

__attribute__((visibility("default"))) Function vkGetInstanceProcAddr(void *from, const char *name) {
  if (!strcmp(name, "vkGetInstanceProcAddr")) return (Function)vkGetInstanceProcAddr;
  if (!strcmp(name, "vkGetDeviceProcAddr")) return (Function)vkGetDeviceProcAddr;
  if (!strcmp(name, "vkCreateInstance")) return (Function)createInstance;
  if (!strcmp(name, "vkCreateDevice")) return (Function)createDevice;
  if (!strcmp(name, "vkAllocateMemory")) return (Function)allocateMemory;
  return nextInstanceProc ? nextInstanceProc(from, name) : NULL;
}
