/** libcuda: memory of the device and of the host, copies and memsets. */
#include <sys/mman.h>

#include <cstdlib>
#include <deque>

#include "library.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace cuda_on_cpu {
namespace {

/** As cuMemAlloc; more would hide a wrong assumption about alignment. */
const size_t ALIGNMENT = 256;
/** New and freed memory is filled with this byte: NaN as float32 and bfloat16, -1 as int. */
const int FILLING = 0xff;
/** Bytes after an allocation that must keep the filling. */
const size_t FENCE = 256;
/** Freed memory that is kept, so that a stale pointer in a struct reads the filling; older freed memory cannot be read. */
const size_t MOST_FREED_BYTES = 32u << 20;

struct Ranges {
  /** First address → bytes. */
  std::map<uint64_t, uint64_t> bytes_by_address;

  /** The range that holds an address. */
  std::map<uint64_t, uint64_t>::const_iterator find(uint64_t address) const {
    auto after = bytes_by_address.upper_bound(address);
    if (after == bytes_by_address.begin()) return bytes_by_address.end();
    --after;
    return address < after->first + after->second ? after : bytes_by_address.end();
  }

  bool holds(uint64_t address, uint64_t bytes) const {
    const auto range = find(address);
    return range != bytes_by_address.end() && bytes <= range->first + range->second - address;
  }
};

Ranges device_memory, freed_memory, pinned_memory;
std::deque<std::pair<uint64_t, uint64_t>> freed_in_order;
size_t freed_bytes = 0;

void *pointer(uint64_t address) { return reinterpret_cast<void *>(address); }

/** New pages for the device. */
char *take_pages(size_t bytes) {
  void *pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) refuse(OUT_OF_MEMORY, "the host has no %zu bytes left", bytes);
  return static_cast<char *>(pages);
}

/** Gives pages back but keeps their addresses, so that no run depends on which addresses are free again. */
void drop_pages(char *pages, size_t bytes) {
  mmap(pages, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

void forget_oldest_freed() {
  const auto [address, bytes] = freed_in_order.front();
  freed_in_order.pop_front();
  freed_memory.bytes_by_address.erase(address);
  freed_bytes -= bytes;
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(pointer(address), bytes);
  free(pointer(address));
#else
  drop_pages(static_cast<char *>(pointer(address)) - ALIGNMENT, ALIGNMENT + bytes + FENCE);
#endif
}

/** With the sanitizers there is no fence: they find writes behind an allocation themselves. */
#ifndef __SANITIZE_ADDRESS__
void check_fence(uint64_t address, uint64_t bytes) {
  if (settings.is_idle) return;
  const auto *fence = static_cast<const unsigned char *>(pointer(address + bytes));
  for (size_t i = 0; i < FENCE; i++) {
    if (fence[i] != FILLING) {
      refuse(ILLEGAL_ADDRESS, "something wrote %zu bytes past the end of the allocation of %llu bytes at 0x%llx", i,
             (unsigned long long)bytes, (unsigned long long)address);
    }
  }
}
#endif

/** Frees an allocation whose entry in the map is already gone. */
void release(uint64_t address, uint64_t bytes) {
  counters.bytes_in_use -= bytes;
#ifdef __SANITIZE_ADDRESS__
  __asan_poison_memory_region(pointer(address), bytes);
#else
  if (!settings.is_idle) memset(pointer(address), FILLING, bytes);
#endif
  freed_memory.bytes_by_address[address] = bytes;
  freed_in_order.emplace_back(address, bytes);
  freed_bytes += bytes;
  while (freed_bytes > MOST_FREED_BYTES) forget_oldest_freed();
}

/** The sanitizers' own heap is used with them: it knows which bytes belong to an allocation. */
uint64_t allocate(size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  void *memory = nullptr;
  if (posix_memalign(&memory, ALIGNMENT, bytes) != 0) refuse(OUT_OF_MEMORY, "the host has no %zu bytes left", bytes);
  const size_t filled = bytes;
#else
  void *memory = take_pages(ALIGNMENT + bytes + FENCE) + ALIGNMENT;
  const size_t filled = bytes + FENCE;
#endif
  if (!settings.is_idle) memset(memory, FILLING, filled);
  return reinterpret_cast<uint64_t>(memory);
}

/** Whether host memory is pinned; fails if only a part of it is. */
bool is_pinned(const void *host, size_t bytes) {
  const auto address = reinterpret_cast<uint64_t>(host);
  if (pinned_memory.find(address) == pinned_memory.bytes_by_address.end()) return false;
  if (!pinned_memory.holds(address, bytes)) {
    refuse(INVALID_VALUE, "%zu bytes at %p go beyond their pinned buffer", bytes, host);
  }
  return true;
}

/** Work whose memory is checked now, and later at each launch of its graph. */
Work memory_work(Work::Kind kind, std::function<void()> check, std::function<void()> run) {
  check();
  return Work{kind, std::move(check), std::move(run)};
}

}  // namespace

void require_device_memory(uint64_t address, uint64_t bytes, int code, const char *what) {
  if (device_memory.holds(address, bytes)) return;
  const auto range = device_memory.find(address);
  const auto place = (unsigned long long)address, count = (unsigned long long)bytes;
  if (range != device_memory.bytes_by_address.end()) {
    refuse(code, "%s (%llu bytes at 0x%llx) goes beyond its allocation of %llu bytes at 0x%llx", what, count, place,
           (unsigned long long)range->second, (unsigned long long)range->first);
  }
  const bool was_freed = freed_memory.find(address) != freed_memory.bytes_by_address.end();
  refuse(code, was_freed ? "%s (0x%llx) lies in freed memory" : "%s (0x%llx) is no device memory", what, place);
}

std::string live_allocations_json() {
  std::string text = "[";
  for (const auto &[address, bytes] : device_memory.bytes_by_address) {
    text += format("%s{\"address\":%llu,\"bytes\":%llu}", text.size() > 1 ? "," : "", (unsigned long long)address,
                   (unsigned long long)bytes);
  }
  return text + "]";
}

size_t free_all_memory() {
  const size_t count = device_memory.bytes_by_address.size();
  for (const auto &[address, bytes] : device_memory.bytes_by_address) release(address, bytes);
  device_memory.bytes_by_address.clear();
  while (!freed_in_order.empty()) forget_oldest_freed();
  for (const auto &[address, bytes] : pinned_memory.bytes_by_address) free(pointer(address));
  pinned_memory.bytes_by_address.clear();
  return count;
}

}  // namespace cuda_on_cpu

using namespace cuda_on_cpu;

EXPORTED int cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
  return call(__func__, [&] {
    require_context();
    forbid_while_capturing();
    if (!free_bytes || !total) refuse(INVALID_VALUE, "a result is null");
    *total = settings.memory_bytes;
    *free_bytes = settings.memory_bytes - counters.bytes_in_use;
  });
}

EXPORTED int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
  return call(__func__, [&] {
    require_context();
    forbid_while_capturing();
    drain();
    require_context();
    if (!address || bytes == 0) refuse(INVALID_VALUE, "an allocation needs a place for its address and some bytes");
    if (bytes > settings.memory_bytes - counters.bytes_in_use) {
      refuse(OUT_OF_MEMORY, "%zu bytes do not fit: %llu of %llu are in use", bytes,
             (unsigned long long)counters.bytes_in_use, (unsigned long long)settings.memory_bytes);
    }
    *address = allocate(bytes);
    device_memory.bytes_by_address[*address] = bytes;
    counters.allocations++;
    counters.bytes_in_use += bytes;
    counters.peak_bytes = std::max(counters.peak_bytes, counters.bytes_in_use);
  });
}

EXPORTED int cuMemFree_v2(uint64_t address) {
  return call(__func__, [&] {
    require_context();
    forbid_while_capturing();
    drain();
    require_context();
    const auto found = device_memory.bytes_by_address.find(address);
    if (found == device_memory.bytes_by_address.end()) {
      const bool was_freed = freed_memory.bytes_by_address.count(address) > 0;
      refuse(INVALID_VALUE, was_freed ? "0x%llx has been freed before" : "0x%llx is not the start of an allocation",
             (unsigned long long)address);
    }
    const uint64_t bytes = found->second;
#ifndef __SANITIZE_ADDRESS__
    check_fence(address, bytes);
#endif
    device_memory.bytes_by_address.erase(found);
    release(address, bytes);
    counters.frees++;
  });
}

EXPORTED int cuMemHostAlloc(void **host, size_t bytes, unsigned flags) {
  return call(__func__, [&] {
    require_context();
    forbid_while_capturing();
    if (!host || bytes == 0 || flags > 7) refuse(INVALID_VALUE, "pinned memory needs some bytes and known flags");
    void *memory = nullptr;
    if (posix_memalign(&memory, 4096, bytes) != 0) refuse(OUT_OF_MEMORY, "the host has no %zu bytes left", bytes);
    memset(memory, FILLING, bytes);
    pinned_memory.bytes_by_address[reinterpret_cast<uint64_t>(memory)] = bytes;
    *host = memory;
  });
}

EXPORTED int cuMemFreeHost(void *host) {
  return call(__func__, [&] {
    require_context();
    forbid_while_capturing();
    drain();
    if (!pinned_memory.bytes_by_address.erase(reinterpret_cast<uint64_t>(host))) {
      refuse(INVALID_VALUE, "%p is not the start of a live pinned buffer", host);
    }
    free(host);
  });
}

/** Pinned memory is read when the copy runs; other memory at once, as the driver stages it. */
EXPORTED int cuMemcpyHtoDAsync_v2(uint64_t target, const void *source, size_t bytes, void *stream_handle) {
  return call(__func__, [&] {
    require_context();
    const auto stream = stream_of(stream_handle);
    if (!source && bytes) refuse(INVALID_VALUE, "the source is null");
    const auto check = [=] { require_device_memory(target, bytes, INVALID_VALUE, "the target of a copy"); };
    if (is_pinned(source, bytes)) {
      enqueue(stream, memory_work(Work::COPY, check, [=] { memcpy(pointer(target), source, bytes); }));
      return;
    }
    if (is_capturing(*stream)) forbid_while_capturing();
    const auto *first = static_cast<const char *>(source);
    const auto staged = std::make_shared<std::vector<char>>(first, first + bytes);
    enqueue(stream, memory_work(Work::COPY, check, [=] { memcpy(pointer(target), staged->data(), bytes); }));
  });
}

/** A copy to memory that is not pinned has ended when the call returns. */
EXPORTED int cuMemcpyDtoHAsync_v2(void *target, uint64_t source, size_t bytes, void *stream_handle) {
  return call(__func__, [&] {
    require_context();
    const auto stream = stream_of(stream_handle);
    if (!target && bytes) refuse(INVALID_VALUE, "the target is null");
    const bool pinned = is_pinned(target, bytes);
    if (!pinned && is_capturing(*stream)) forbid_while_capturing();
    const auto check = [=] { require_device_memory(source, bytes, INVALID_VALUE, "the source of a copy"); };
    enqueue(stream, memory_work(Work::COPY, check, [=] { memcpy(target, pointer(source), bytes); }));
    if (pinned) return;
    drain();
    require_context();
  });
}

EXPORTED int cuMemcpyDtoDAsync_v2(uint64_t target, uint64_t source, size_t bytes, void *stream_handle) {
  return call(__func__, [&] {
    require_context();
    const auto stream = stream_of(stream_handle);
    if (target < source + bytes && source < target + bytes) refuse(INVALID_VALUE, "source and target overlap");
    const auto check = [=] {
      require_device_memory(target, bytes, INVALID_VALUE, "the target of a copy");
      require_device_memory(source, bytes, INVALID_VALUE, "the source of a copy");
    };
    enqueue(stream, memory_work(Work::COPY, check, [=] { memcpy(pointer(target), pointer(source), bytes); }));
  });
}

EXPORTED int cuMemsetD8Async(uint64_t target, unsigned char value, size_t count, void *stream_handle) {
  return call(__func__, [&] {
    require_context();
    const auto stream = stream_of(stream_handle);
    const auto check = [=] { require_device_memory(target, count, INVALID_VALUE, "the target of a memset"); };
    enqueue(stream, memory_work(Work::MEMSET, check, [=] { memset(pointer(target), value, count); }));
  });
}

EXPORTED int cuMemsetD32Async(uint64_t target, unsigned value, size_t count, void *stream_handle) {
  return call(__func__, [&] {
    require_context();
    const auto stream = stream_of(stream_handle);
    if (target % 4) refuse(INVALID_VALUE, "the target of a memset of 4 bytes is not a multiple of 4");
    const auto check = [=] { require_device_memory(target, 4 * count, INVALID_VALUE, "the target of a memset"); };
    enqueue(stream, memory_work(Work::MEMSET, check, [=] {
      auto *values = static_cast<unsigned *>(pointer(target));
      for (size_t i = 0; i < count; i++) values[i] = value;
    }));
  });
}
