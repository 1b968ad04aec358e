/** @file Functions that kernels call, which a program's source defines if they are used. */

/** Functions by name, each after those that it calls. */
const FUNCTIONS: Readonly<Record<string, string>> = {
  from_bfloat16: `__device__ __forceinline__ float from_bfloat16(unsigned short bits) {
  return __uint_as_float((unsigned)bits << 16);
}`,
  to_bfloat16: `// Rounds to the nearest bfloat16, ties to even.
__device__ __forceinline__ unsigned short to_bfloat16(float x) {
  const unsigned bits = __float_as_uint(x);
  if (x != x) return (unsigned short)((bits >> 16) | 0x40);
  return (unsigned short)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}`,
  max_or_nan: `__device__ __forceinline__ float max_or_nan(float a, float b) {
  return a > b || a != a ? a : b;
}`,
  min_or_nan: `__device__ __forceinline__ float min_or_nan(float a, float b) {
  return a < b || a != a ? a : b;
}`,
  to_int: `// Rounds towards zero; NaN and the infinities become 0.
__device__ __forceinline__ int to_int(float x) {
  return x - x == 0.0f ? (int)x : 0;
}`,
  floor_div: `__device__ __forceinline__ int floor_div(int a, int b) {
  if (b == 0) return 0;
  const long long quotient = (long long)a / b;
  return (int)(quotient - (quotient * b != a && (a < 0) != (b < 0)));
}`,
  int_pow: `__device__ __forceinline__ int int_pow(int a, int b) {
  return (int)(long long)pow((double)a, (double)b);
}`,
  warp_sum: `__device__ __forceinline__ float warp_sum(float x) {
  for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(0xffffffff, x, distance);
  return x;
}
__device__ __forceinline__ int warp_sum(int x) {
  for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(0xffffffff, x, distance);
  return x;
}`,
  warp_max: `__device__ __forceinline__ float warp_max(float x) {
  for (int distance = 16; distance > 0; distance /= 2) x = max_or_nan(x, __shfl_xor_sync(0xffffffff, x, distance));
  return x;
}
__device__ __forceinline__ int warp_max(int x) {
  for (int distance = 16; distance > 0; distance /= 2) x = max(x, __shfl_xor_sync(0xffffffff, x, distance));
  return x;
}`,
  block_sum: `template <class T> __device__ __forceinline__ T block_sum(T x, T *parts) {
  x = warp_sum(x);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
  __syncthreads();
  x = parts[0];
  for (int warp = 1; warp < blockDim.x / 32; warp++) x += parts[warp];
  __syncthreads();
  return x;
}`,
  block_max: `__device__ __forceinline__ float larger(float a, float b) { return max_or_nan(a, b); }
__device__ __forceinline__ int larger(int a, int b) { return max(a, b); }
template <class T> __device__ __forceinline__ T block_max(T x, T *parts) {
  x = warp_max(x);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
  __syncthreads();
  x = parts[0];
  for (int warp = 1; warp < blockDim.x / 32; warp++) x = larger(x, parts[warp]);
  __syncthreads();
  return x;
}`,
};

/** The functions that a source calls, and those that they call. */
export function preambleOf(source: string): string {
  const names = Object.keys(FUNCTIONS);
  const needed = new Set<string>();
  let text = source;
  // Functions call only those before them.
  for (const name of names.toReversed()) {
    if (!new RegExp(`\\b${name}\\(`).test(text)) continue;
    needed.add(name);
    text += FUNCTIONS[name];
  }
  return names.flatMap((name) => (needed.has(name) ? [`${FUNCTIONS[name]}\n`] : [])).join('\n');
}
