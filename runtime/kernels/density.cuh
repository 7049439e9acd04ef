// Sums of squares over the channels of the field, and the passing on to the block that finishes the frame.
#pragma once
#include "reduce.cuh"
#include "structs.cuh"

constexpr int kCellsPerBlock = kWarp;

// The workspace: blocks that have arrived, frames done, two unused, then the stitched grid of sums of squares.
constexpr int kArrived = 0, kSequence = 1, kGrid = 4;

__device__ inline float* grid_of(const PostprocessArgs& args) {
  return reinterpret_cast<float*>(args.workspace + kGrid);
}

__device__ inline int grid_width(const PostprocessArgs& args) { return args.tile_columns * args.tile_width; }
__device__ inline int grid_height(const PostprocessArgs& args) {
  return args.tiles / args.tile_columns * args.tile_height;
}

// Where cell `inner` of a tile lies in the stitched grid.
__device__ inline int stitched(const PostprocessArgs& args, int tile, int inner) {
  const int row = tile / args.tile_columns * args.tile_height + inner / args.tile_width;
  const int column = tile % args.tile_columns * args.tile_width + inner % args.tile_width;
  return row * grid_width(args) + column;
}

// A warp reads 32 neighbouring cells of one channel; the warps share the channels. FP32 sums: in FP16 they overflow.
__device__ inline void sum_squares(const PostprocessArgs& args, float (*partial)[kWarp]) {
  const int cells = args.tile_height * args.tile_width;
  const int cell = blockIdx.x * kCellsPerBlock + lane_index();
  const bool inside = cell < args.tiles * cells;
  const int tile = cell / cells, inner = cell % cells;
  const uint64 first = static_cast<uint64>(tile) * args.channels * cells + inner;
  float sum = 0.0f;
#pragma unroll 4
  for (int channel = warp_index(); inside && channel < args.channels; channel += kWarps) {
    const uint64 at = first + static_cast<uint64>(channel) * cells;
    const float value = args.half ? half_value(load_once(static_cast<const uint16*>(args.field) + at))
                                  : load_once(static_cast<const float*>(args.field) + at);
    sum = fmaf(value, value, sum);
  }
  partial[warp_index()][lane_index()] = sum;
  __syncthreads();
  if (warp_index() != 0 || !inside) return;
  sum = 0.0f;
  for (int warp = 0; warp < kWarps; ++warp) sum += partial[warp][lane_index()];
  store(grid_of(args) + stitched(args, tile, inner), sum);
}

// True in the block that arrives last; what all blocks stored is then settled. No block waits for another.
__device__ inline bool arrive_last(const PostprocessArgs& args) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  // Wraps to zero at the last block: ready for the next launch.
  if (threadIdx.x == 0) last = atomicInc(args.workspace + kArrived, gridDim.x - 1) == gridDim.x - 1;
  __syncthreads();
  __threadfence();
  return last;
}
