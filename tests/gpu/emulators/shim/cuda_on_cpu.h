// The part of CUDA C++ that the kernels use, on fibers: enough of it, and no more. Included before a .cu file.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "fibers.h"
#include "memory.h"

#define __global__
#define __device__
#define __launch_bounds__(...)
#if defined(__SANITIZE_ADDRESS__)
#define __shared__ static
#else
#define __shared__ static __attribute__((section("cuda_shared")))
#endif

#define threadIdx shim::thread_index
#define blockIdx shim::block_index
#define blockDim shim::block_size
#define gridDim shim::grid_size

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

#define __syncthreads() shim::wait(shim::Wait::block, __LINE__)
inline void __threadfence() {}  // blocks run one after the other: the PTX interpreter looks after fences

namespace shim {

template <class T>
T show(T value, int lane, int line) {
  static_assert(sizeof(T) <= 8);
  uint64_t word = 0;
  memcpy(&word, &value, sizeof value);
  word = exchange(word, lane, line);
  memcpy(&value, &word, sizeof value);
  return value;
}

inline int lane() { return current % kWarpSize; }

inline unsigned ballot(bool vote, int line) {
  unsigned votes = 0;
  for (int i = 0; i < kWarpSize; ++i) votes |= static_cast<unsigned>(show(vote, i, line)) << i;
  return votes;
}

template <class T, class Change>
T update(T* address, Change change) {
  touch_atomic(address, sizeof(T));
  const T before = *address;
  *address = change(before);
  return before;
}

}  // namespace shim

// A shuffle needs the whole warp: a lane that is missing shows as divergence.
#define __shfl_sync(mask, value, from) shim::show(value, (from) & 31, __LINE__)
#define __shfl_xor_sync(mask, value, distance) shim::show(value, shim::lane() ^ (distance), __LINE__)
#define __shfl_up_sync(mask, value, distance) \
  shim::show(value, shim::lane() < static_cast<int>(distance) ? shim::lane() : shim::lane() - (distance), __LINE__)
#define __shfl_down_sync(mask, value, distance) \
  shim::show(value, shim::lane() + (distance) > 31 ? shim::lane() : shim::lane() + (distance), __LINE__)
#define __ballot_sync(mask, vote) shim::ballot(vote, __LINE__)

template <class T>
T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
T max(T a, T b) {
  return a < b ? b : a;
}

inline int __ffs(unsigned word) { return __builtin_ffs(static_cast<int>(word)); }
inline int __clz(unsigned word) { return word ? __builtin_clz(word) : 32; }
inline float __fmul_rn(float a, float b) { return a * b; }  // compiled without contraction
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __ddiv_rn(double a, double b) { return a / b; }

template <class To, class From>
To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
inline unsigned __float_as_uint(float value) { return same_bits<unsigned>(value); }
inline float __uint_as_float(unsigned bits) { return same_bits<float>(bits); }

template <class T>
T atomicAdd(T* address, T value) {
  return shim::update(address, [=](T before) { return before + value; });
}
template <class T>
T atomicMin(T* address, T value) {
  return shim::update(address, [=](T before) { return min(before, value); });
}

template <class T>
T atomicMax(T* address, T value) {
  return shim::update(address, [=](T before) { return max(before, value); });
}

inline unsigned atomicInc(unsigned* address, unsigned limit) {
  return shim::update(address, [=](unsigned before) { return before >= limit ? 0 : before + 1; });
}

template <class T>
T __ldcs(const T* address) {
  shim::touch(address, sizeof(T), shim::Access::stream);
  return *address;
}
template <class T>
T __ldg(const T* address) {
  shim::touch(address, sizeof(T), shim::Access::cached);
  return *address;
}
template <class T>
T __ldca(const T* address) {
  return __ldg(address);
}
template <class T>
void __stcg(T* address, T value) {
  shim::touch(address, sizeof(T), shim::Access::store);
  *address = value;
}

// What platform.cuh leaves to the compiler of the device.
inline unsigned short half_bits(float value) { return same_bits<unsigned short>(static_cast<_Float16>(value)); }
inline float half_value(unsigned short bits) { return static_cast<float>(same_bits<_Float16>(bits)); }
inline unsigned load_relaxed(const unsigned* address) { return __ldg(address); }

namespace shim {

// Catches the failure of the last launch for shim_error(); a program that does not ask for it is stopped.
std::string& last_error();
bool& errors_are_kept();
void finish(const std::string& error);

template <class Args>
void launch(void (*kernel)(Args), const unsigned* shape, const void* parameters) {
  static void (*body)(Args);
  body = kernel;
  const Job job{{shape[0], shape[1], shape[2]},
                {shape[3], shape[4], shape[5]},
                [](const void* from) {
                  Args args;
                  memcpy(&args, from, sizeof args);
                  body(args);
                },
                parameters};
  finish(run(job));
}

}  // namespace shim

// Makes a kernel callable: grid and block sizes, dynamic shared memory (none is used), its parameters in one buffer.
#define LAUNCHER(kernel)                                                                                       \
  extern "C" void cudacpu_launch_##kernel(const unsigned* shape, unsigned, const void* parameters) {           \
    shim::launch(kernel, shape, parameters);                                                                   \
  }
