/**
 * The device side of CUDA C for g++: included before each source that the stand-in for NVRTC compiles.
 *
 * It includes nothing, since parsing the standard headers would take longer than compiling most kernels. What is declared here is
 * what the generated kernels use; anything else is a compile error.
 *
 * A kernel runs in one operating system thread at a time, so the indices and shared memory are plain static variables. A kernel
 * with barriers runs one fiber per CUDA thread; each fiber sets threadIdx again after it has waited.
 */
#pragma once

typedef __SIZE_TYPE__ size_t;
typedef __SIZE_TYPE__ cuda_on_cpu_address;

struct uint3 { unsigned x, y, z; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(4) ushort2 { unsigned short x, y; };
struct alignas(8) ushort4 { unsigned short x, y, z, w; };
struct alignas(4) uchar4 { unsigned char x, y, z, w; };

#define __device__
#define __grid_constant__
#define __global__ inline
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __syncthreads() cuda_on_cpu::wait_for_block(__LINE__)
#define __syncwarp(...) cuda_on_cpu::wait_for_warp(__LINE__)
#define __shfl_xor_sync(mask, ...) cuda_on_cpu::shuffle_xor(__LINE__, mask, __VA_ARGS__)
#define __shfl_down_sync(mask, ...) cuda_on_cpu::shuffle_down(__LINE__, mask, __VA_ARGS__)
#define __shfl_up_sync(mask, ...) cuda_on_cpu::shuffle_up(__LINE__, mask, __VA_ARGS__)
#define __shfl_sync(mask, ...) cuda_on_cpu::shuffle_from(__LINE__, mask, __VA_ARGS__)

static uint3 threadIdx, blockIdx, blockDim, gridDim;

/** What the library and the compiled kernels know of each other; kernels.cpp includes this part. */
#include "kernel_interface.h"

extern "C" {
__attribute__((visibility("default"))) const cuda_on_cpu::Waiting *cuda_on_cpu_waiting;
}

namespace cuda_on_cpu {

inline void wait_for_block(int line) {
  const uint3 own = threadIdx;
  cuda_on_cpu_waiting->wait_for_block(line);
  threadIdx = own;
}

inline void wait_for_warp(int line) {
  const uint3 own = threadIdx;
  cuda_on_cpu_waiting->wait_for_warp(line);
  threadIdx = own;
}

inline unsigned lane() { return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) & 31; }

template <class T> inline T shuffle(int line, unsigned mask, T value, unsigned from) {
  static_assert(sizeof(T) == 4, "shuffles exchange values of 4 bytes");
  const uint3 own = threadIdx;
  unsigned bits;
  __builtin_memcpy(&bits, &value, 4);
  bits = cuda_on_cpu_waiting->shuffle(line, mask, bits, from);
  __builtin_memcpy(&value, &bits, 4);
  threadIdx = own;
  return value;
}

/** A lane outside its group of `width` lanes reads its own value. */
template <class T> inline T shuffle_xor(int line, unsigned mask, T value, unsigned bits, unsigned width = 32) {
  const unsigned own = lane(), from = own ^ bits;
  return shuffle(line, mask, value, from / width > own / width ? own : from);
}
template <class T> inline T shuffle_down(int line, unsigned mask, T value, unsigned distance, unsigned width = 32) {
  const unsigned own = lane(), from = own + distance;
  return shuffle(line, mask, value, from / width == own / width ? from : own);
}
template <class T> inline T shuffle_up(int line, unsigned mask, T value, unsigned distance, unsigned width = 32) {
  const unsigned own = lane();
  return shuffle(line, mask, value, own % width >= distance ? own - distance : own);
}
template <class T> inline T shuffle_from(int line, unsigned mask, T value, unsigned from, unsigned width = 32) {
  return shuffle(line, mask, value, lane() / width * width + from % width);
}

inline void set_thread(const Place &place, unsigned thread) {
  const unsigned x = place.block[0], y = place.block[1];
  threadIdx = {thread % x, thread / x % y, thread / x / y};
}

inline void set_block(const Place &place) {
  blockIdx = {place.index[0], place.index[1], place.index[2]};
  blockDim = {place.block[0], place.block[1], place.block[2]};
  gridDim = {place.grid[0], place.grid[1], place.grid[2]};
}

/** Runs all threads of a block of a kernel without barriers: `thread` is called for one after the other. */
template <class Thread> inline void run_threads(const Place &place, Thread thread) {
  set_block(place);
  const unsigned threads = place.block[0] * place.block[1] * place.block[2];
  if (place.step == 1 && place.block[0] == threads) {
    threadIdx = {0, 0, 0};
    for (unsigned x = 0; x < threads; x++) {
      threadIdx.x = x;
      thread();
    }
    return;
  }
  unsigned next = place.first;
  for (unsigned i = 0; i < threads; i++) {
    set_thread(place, next);
    thread();
    next += place.step;
    if (next >= threads) next -= threads;
  }
}

}  // namespace cuda_on_cpu

inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline ushort2 make_ushort2(unsigned short x, unsigned short y) { return {x, y}; }
inline ushort4 make_ushort4(unsigned short x, unsigned short y, unsigned short z, unsigned short w) { return {x, y, z, w}; }
inline uchar4 make_uchar4(unsigned char x, unsigned char y, unsigned char z, unsigned char w) { return {x, y, z, w}; }

inline float expf(float x) { return __builtin_expf(x); }
inline float exp2f(float x) { return __builtin_exp2f(x); }
inline float expm1f(float x) { return __builtin_expm1f(x); }
inline float logf(float x) { return __builtin_logf(x); }
inline float log2f(float x) { return __builtin_log2f(x); }
inline float log1pf(float x) { return __builtin_log1pf(x); }
inline float sqrtf(float x) { return __builtin_sqrtf(x); }
inline float rsqrtf(float x) { return 1.0f / __builtin_sqrtf(x); }
inline float sinf(float x) { return __builtin_sinf(x); }
inline float cosf(float x) { return __builtin_cosf(x); }
inline float erff(float x) { return __builtin_erff(x); }
inline float tanhf(float x) { return __builtin_tanhf(x); }
inline float powf(float x, float y) { return __builtin_powf(x, y); }
inline float fmodf(float x, float y) { return __builtin_fmodf(x, y); }
inline float fmaf(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
inline float fabsf(float x) { return __builtin_fabsf(x); }
inline float floorf(float x) { return __builtin_floorf(x); }
inline float ceilf(float x) { return __builtin_ceilf(x); }
inline float truncf(float x) { return __builtin_truncf(x); }
inline float roundf(float x) { return __builtin_roundf(x); }
inline float rintf(float x) { return __builtin_rintf(x); }
inline float nearbyintf(float x) { return __builtin_nearbyintf(x); }
inline float copysignf(float x, float y) { return __builtin_copysignf(x, y); }
inline float ldexpf(float x, int e) { return __builtin_ldexpf(x, e); }
inline float frexpf(float x, int *e) { return __builtin_frexpf(x, e); }
inline float __expf(float x) { return __builtin_expf(x); }
inline float __logf(float x) { return __builtin_logf(x); }
inline float __fdividef(float x, float y) { return x / y; }
/** As in C, the other operand if one is NaN. */
inline float fmaxf(float x, float y) { return x > y || y != y ? x : y; }
inline float fminf(float x, float y) { return x < y || y != y ? x : y; }
inline bool isnan(float x) { return x != x; }
inline bool isinf(float x) { return __builtin_fabsf(x) == __builtin_inff(); }
inline bool isfinite(float x) { return __builtin_fabsf(x) < __builtin_inff(); }

inline double exp(double x) { return __builtin_exp(x); }
inline double log(double x) { return __builtin_log(x); }
inline double log1p(double x) { return __builtin_log1p(x); }
inline double sqrt(double x) { return __builtin_sqrt(x); }
inline double pow(double x, double y) { return __builtin_pow(x, y); }
inline double fabs(double x) { return __builtin_fabs(x); }
inline double floor(double x) { return __builtin_floor(x); }
inline double fmax(double x, double y) { return x > y || y != y ? x : y; }
inline double fmin(double x, double y) { return x < y || y != y ? x : y; }

inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
inline long long min(long long a, long long b) { return a < b ? a : b; }
inline long long max(long long a, long long b) { return a > b ? a : b; }
inline int abs(int a) { return a < 0 ? -a : a; }

inline unsigned __float_as_uint(float x) { unsigned bits; __builtin_memcpy(&bits, &x, 4); return bits; }
inline int __float_as_int(float x) { int bits; __builtin_memcpy(&bits, &x, 4); return bits; }
inline float __uint_as_float(unsigned bits) { float x; __builtin_memcpy(&x, &bits, 4); return x; }
inline float __int_as_float(int bits) { float x; __builtin_memcpy(&x, &bits, 4); return x; }

namespace cuda_on_cpu {

/** NVIDIA's conversions saturate, and take NaN as 0 (64 bits: the lowest number). */
inline int to_int(float rounded) {
  return rounded >= 2147483648.0f ? 2147483647 : rounded <= -2147483648.0f ? -2147483647 - 1 : rounded == rounded ? (int)rounded : 0;
}
inline unsigned to_unsigned(float rounded) {
  return rounded >= 4294967296.0f ? 4294967295u : rounded > 0 ? (unsigned)rounded : 0;
}
inline long long to_long(double rounded) {
  const long long lowest = -9223372036854775807ll - 1;
  return rounded >= 9223372036854775808.0 ? 9223372036854775807ll : rounded > -9223372036854775808.0 ? (long long)rounded : lowest;
}

}  // namespace cuda_on_cpu

inline int __float2int_rz(float x) { return cuda_on_cpu::to_int(truncf(x)); }
inline int __float2int_rn(float x) { return cuda_on_cpu::to_int(rintf(x)); }
inline int __float2int_rd(float x) { return cuda_on_cpu::to_int(floorf(x)); }
inline unsigned __float2uint_rz(float x) { return cuda_on_cpu::to_unsigned(truncf(x)); }
inline unsigned __float2uint_rn(float x) { return cuda_on_cpu::to_unsigned(rintf(x)); }
inline long long __float2ll_rn(float x) { return cuda_on_cpu::to_long(rintf(x)); }
inline long long __float2ll_rz(float x) { return cuda_on_cpu::to_long(truncf(x)); }
inline long long __double2ll_rn(double x) { return cuda_on_cpu::to_long(__builtin_rint(x)); }
inline float __ll2float_rn(long long x) { return (float)x; }
inline double __ll2double_rn(long long x) { return (double)x; }
inline float __int2float_rn(int x) { return (float)x; }
inline float __uint2float_rn(unsigned x) { return (float)x; }
inline float __double2float_rn(double x) { return (float)x; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }

template <class T> inline T __ldg(const T *p) { return *p; }

inline int atomicAdd(int *p, int v) { return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }
inline unsigned atomicAdd(unsigned *p, unsigned v) { return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }
inline unsigned long long atomicAdd(unsigned long long *p, unsigned long long v) {
  return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}
inline float atomicAdd(float *p, float v) {
  float old, sum;
  __atomic_load(p, &old, __ATOMIC_RELAXED);
  do sum = old + v;
  while (!__atomic_compare_exchange(p, &old, &sum, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return old;
}

namespace cuda_on_cpu {

/** Stores `v` while it is better than what is there. */
template <class T, class Better> inline T atomic_select(T *p, T v, Better better) {
  T old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (better(v, old) && !__atomic_compare_exchange_n(p, &old, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}

}  // namespace cuda_on_cpu

inline int atomicMax(int *p, int v) { return cuda_on_cpu::atomic_select(p, v, [](int a, int b) { return a > b; }); }
inline int atomicMin(int *p, int v) { return cuda_on_cpu::atomic_select(p, v, [](int a, int b) { return a < b; }); }
inline unsigned atomicMax(unsigned *p, unsigned v) {
  return cuda_on_cpu::atomic_select(p, v, [](unsigned a, unsigned b) { return a > b; });
}
inline unsigned atomicMin(unsigned *p, unsigned v) {
  return cuda_on_cpu::atomic_select(p, v, [](unsigned a, unsigned b) { return a < b; });
}
