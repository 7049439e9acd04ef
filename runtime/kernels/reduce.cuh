// One value of all threads of a block of 1024, the same in each of them; the order of the sums is fixed.
#pragma once
#include "platform.cuh"

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / kWarp;

__device__ inline int warp_index() { return threadIdx.x / kWarp; }
__device__ inline int lane_index() { return threadIdx.x % kWarp; }

// A value that is not a number wins: fmaxf would drop it, and a part whose field is broken would pass.
struct Largest {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b > a || b != b ? b : a;
  }
};

struct Smallest {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b < a || b != b ? b : a;
  }
};

struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

template <class T, class Combine>
__device__ T warp_reduce(T value, Combine combine) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2)
    value = combine(value, __shfl_xor_sync(kAllLanes, value, distance));
  return value;
}

template <class T, class Combine>
__device__ T block_reduce(T value, Combine combine) {
  __shared__ T partial[kWarps];
  value = warp_reduce(value, combine);
  if (lane_index() == 0) partial[warp_index()] = value;
  __syncthreads();
  value = warp_reduce(partial[lane_index()], combine);
  __syncthreads();  // before the next call writes `partial`
  return value;
}
