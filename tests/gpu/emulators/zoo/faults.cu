// Kernels with one fault each, and sound ones beside them: the interpreter must tell them apart.
#include "platform.cuh"

struct FaultArgs {
  uint32* data;
  uint32* flag;
  int count;
};

#define KERNEL(name) extern "C" __global__ void __launch_bounds__(64) name(FaultArgs args)

// Each thread takes its neighbour's value through shared memory.
KERNEL(rotate) {
  __shared__ uint32 line[64];
  line[threadIdx.x] = args.data[threadIdx.x];
  __syncthreads();
  store(args.data + threadIdx.x, line[(threadIdx.x + 1) % 64]);
}

KERNEL(rotate_without_barrier) {
  __shared__ uint32 line[64];
  line[threadIdx.x] = args.data[threadIdx.x];
  store(args.data + threadIdx.x, *static_cast<volatile uint32*>(line + (threadIdx.x + 1) % 64));
}

KERNEL(rotate_in_global_memory) { store(args.data + (threadIdx.x + 1) % 64, load_settled(args.data + threadIdx.x)); }

KERNEL(all_write_one) { store(args.data, threadIdx.x); }

KERNEL(one_too_far) { store(args.data + threadIdx.x + 1, 1u); }

KERNEL(one_too_far_in_shared_memory) {
  __shared__ uint32 line[64];
  line[threadIdx.x + (args.count > 0)] = threadIdx.x;
  __syncthreads();
  store(args.data + threadIdx.x, line[threadIdx.x]);
}

KERNEL(misaligned) {
  store(reinterpret_cast<uint32*>(reinterpret_cast<uint8*>(args.data) + 2 + 4 * (threadIdx.x % 8)), 1u);
}

KERNEL(half_at_the_barrier) {
  if (threadIdx.x < 32) __syncthreads();
  store(args.data + threadIdx.x, threadIdx.x);
}

KERNEL(two_barriers) {
  if (threadIdx.x < 32)
    __syncthreads();
  else {
    store(args.data + threadIdx.x, 1u);
    __syncthreads();
  }
}

KERNEL(left_before_the_barrier) {
  if (threadIdx.x == 5) return;
  __syncthreads();
  store(args.data + threadIdx.x, threadIdx.x);
}

KERNEL(shuffle) { store(args.data + threadIdx.x, __shfl_down_sync(kAllLanes, threadIdx.x, 1)); }

KERNEL(shuffle_without_some) {
  uint32 value = threadIdx.x;
  if (threadIdx.x % 32 < 20) value = __shfl_down_sync(kAllLanes, value, 1);
  store(args.data + threadIdx.x, value);
}

// The last of two blocks adds up what both have written.
template <bool write_fence, bool read_fence>
__device__ void add_up(const FaultArgs& args) {
  __shared__ bool last;
  store(args.data + blockIdx.x * 64 + threadIdx.x, threadIdx.x);
  if (write_fence) __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicInc(args.flag, gridDim.x - 1) == gridDim.x - 1;
  __syncthreads();
  if (!last) return;
  if (read_fence) __threadfence();
  store(args.data + 128 + threadIdx.x, load_settled(args.data + threadIdx.x) + load_settled(args.data + 64 + threadIdx.x));
}

KERNEL(last_block) { add_up<true, true>(args); }
KERNEL(last_block_without_write_fence) { add_up<false, true>(args); }
KERNEL(last_block_without_read_fence) { add_up<true, false>(args); }

KERNEL(counting) {
  __shared__ uint32 total;
  if (threadIdx.x == 0) total = 0;
  __syncthreads();
  atomicAdd(&total, 1u);
  __syncthreads();
  store(args.data + threadIdx.x, total);
}

KERNEL(counting_without_atomics) {
  __shared__ uint32 total;
  if (threadIdx.x == 0) total = 0;
  __syncthreads();
  total = total + 1;
  __syncthreads();
  store(args.data + threadIdx.x, total);
}
