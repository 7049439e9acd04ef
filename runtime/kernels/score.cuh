// The image score: the largest map value, the mean of the largest k, or InvAD's two terms; and its rank among the
// calibration scores.
#pragma once
#include "smooth.cuh"

// float to integer and back, in the same order.
__device__ inline uint32 ordered(float value) {
  const uint32 bits = __float_as_uint(value);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ inline float unordered(uint32 key) {
  return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

constexpr int kBins = 2048;

// Among `bins` counts the highest bin above which fewer than `wanted` values lie; takes those off `wanted`. One warp.
__device__ inline int choose_bin(const uint32* histogram, int bins, uint32& wanted) {
  const int chunk = bins / kWarp, top = bins - chunk * lane_index();  // lane 0 has the highest bins
  uint32 mine = 0;
  for (int i = 1; i <= chunk; ++i) mine += histogram[top - i];
  uint32 through = mine;
#pragma unroll
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const uint32 other = __shfl_up_sync(kAllLanes, through, distance);
    if (lane_index() >= distance) through += other;
  }
  uint32 above = through - mine;
  int bin = -1;
  if (above < wanted && wanted <= through) {
    bin = top - 1;
    for (; above + histogram[bin] < wanted; --bin) above += histogram[bin];
  }
  const int owner = __ffs(__ballot_sync(kAllLanes, bin >= 0)) - 1;
  wanted -= __shfl_sync(kAllLanes, above, owner);
  return __shfl_sync(kAllLanes, bin, owner);
}

// Counts the keys that agree with `prefix` above the digit; runs of one digit cost one addition to shared memory.
__device__ inline void count_digits(const PostprocessArgs& args, float (*panel)[kWarp], uint32* histogram, uint32 prefix,
                                    int shift, int bits) {
  uint32 run = 0;
  int last = 0;
  sweep(args, panel, [&](int, float value) {
    const uint64 key = ordered(value);
    if (key >> (shift + bits) != static_cast<uint64>(prefix) >> (shift + bits)) return;
    const int digit = key >> shift & ((1 << bits) - 1);
    if (digit != last && run) {
      atomicAdd(histogram + last, run);
      run = 0;
    }
    last = digit;
    ++run;
  });
  if (run) atomicAdd(histogram + last, run);
}

// Mean of the largest k map values: radix selection of the k-th (11 + 11 + 10 bits), then one sum of those above it.
__device__ inline float mean_of_largest(const PostprocessArgs& args, float (*panel)[kWarp]) {
  __shared__ uint32 histogram[kBins];
  __shared__ uint32 chosen, left;
  uint32 prefix = 0, wanted = args.top_k;
  for (int shift = 21; shift >= 0; shift = shift == 21 ? 10 : shift - 10) {
    const int bits = shift ? 11 : 10;
    for (int i = threadIdx.x; i < kBins; i += kThreads) histogram[i] = 0;
    // A sweep has a barrier before its first value, so the bins are clear; after its last barrier, bins still change.
    count_digits(args, panel, histogram, prefix, shift, bits);
    __syncthreads();
    if (warp_index() == 0) {
      const int bin = choose_bin(histogram, 1 << bits, wanted);
      if (lane_index() == 0) {
        chosen = prefix | static_cast<uint32>(bin) << shift;
        left = wanted;
      }
    }
    __syncthreads();
    prefix = chosen;
    wanted = left;
  }
  float sum = 0.0f;
  sweep(args, panel, [&](int, float value) {
    if (ordered(value) > prefix) sum += value;
  });
  sum = block_reduce(sum, Sum{});
  return (sum + wanted * unordered(prefix)) / args.top_k;
}

// Half the mean square of the field: InvAD's negative log-likelihood a value, without its constant.
__device__ inline float likelihood(const PostprocessArgs& args) {
  const int cells = grid_width(args) * grid_height(args);
  float sum = 0.0f;
  for (int i = threadIdx.x; i < cells; i += kThreads) sum += load_settled(grid_of(args) + i);
  sum = block_reduce(sum, Sum{});
  return 0.5f * sum / (static_cast<float>(cells) * args.channels);
}

__device__ inline bool is_finite(float value) { return fabsf(value) <= 3.402823466e38f; }

__device__ inline float image_score(const PostprocessArgs& args, float (*panel)[kWarp], float peak, float lowest,
                                    float nll) {
  if (!is_finite(peak)) return peak;  // whatever the sign of its NaN, a broken field has no mean of its sound part
  if (args.use_latent) {
    const double spread = static_cast<double>(peak) - lowest;
    return static_cast<float>((nll - args.latent[0]) / args.latent[1] + (spread - args.latent[2]) / args.latent[3]);
  }
  return args.top_k == 1 ? peak : mean_of_largest(args, panel);
}

// Calibration scores at least as high as `score`.
__device__ inline uint32 reached_by(const PostprocessArgs& args, float score) {
  const float* scores = table<float>(args, args.scores);
  uint32 count = 0;
  for (int i = threadIdx.x; i < args.score_count; i += kThreads) count += load_constant(scores + i) >= score;
  return block_reduce(count, Sum{});
}
