// What the kernels ask of the machine: integer names, float16, and loads and stores that say how memory is used.
// No header is included, so that NVRTC needs none. The tests compile the same sources with g++ on the CPU.
#pragma once

using uint8 = unsigned char;
using uint16 = unsigned short;
using uint32 = unsigned int;
using uint64 = unsigned long long;

constexpr int kWarp = 32;
constexpr uint32 kAllLanes = 0xffffffffu;

#ifdef __CUDACC__
__device__ inline uint16 half_bits(float value) {
  uint16 bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}

__device__ inline float half_value(uint16 bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}

// For memory that other threads change at the same time, with atomic operations only.
__device__ inline uint32 load_relaxed(const uint32* address) { return *static_cast<const volatile uint32*>(address); }
#endif

// Frame and field: each byte is wanted once, so it should not push anything out of the caches.
template <class T>
__device__ inline T load_once(const T* address) {
  return __ldcs(address);
}

// Tables that no kernel writes, and pixels that several outputs share: a few KiB that stay in L1.
template <class T>
__device__ inline T load_constant(const T* address) {
  return __ldg(address);
}

// Written by other threads before the last fence or barrier, and by nobody after it.
template <class T>
__device__ inline T load_settled(const T* address) {
  return __ldca(address);
}

template <class T>
__device__ inline void store(T* address, T value) {
  __stcg(address, value);
}
