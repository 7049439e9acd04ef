// The map: rows x grid x columns^T with the banded matrices of tables.py, made anew whenever it is wanted. It is
// cheaper to make than to keep: 256x256 values take a few taps each, and never leave the registers.
#pragma once
#include "density.cuh"

constexpr int kPanelCells = 256;  // PANEL_CELLS in launch.py
constexpr int kRowGroup = 8;      // ROW_GROUP in tables.py

template <class T>
__device__ const T* table(const PostprocessArgs& args, int offset) {
  return reinterpret_cast<const T*>(args.tables + offset);
}

__device__ inline float density(const PostprocessArgs& args, float squares) {
  return args.norm ? sqrtf(squares) : 0.5f * squares;
}

// One grid row smoothed along x, at map column x.
__device__ inline float along_row(const PostprocessArgs& args, int row, int x) {
  const float* cell = grid_of(args) + row * grid_width(args) + load_constant(table<int>(args, args.column_first) + x);
  const float* weight = table<float>(args, args.column_weights) + x;
  float sum = 0.0f;
#pragma unroll 2
  for (int k = 0; k < args.column_taps; ++k)
    sum = fmaf(load_constant(weight + k * args.map_width), density(args, load_settled(cell + k)), sum);
  return sum;
}

// A warp's eight map rows at its lane's column: each smoothed grid row is read once for all eight.
__device__ inline void down_column(const PostprocessArgs& args, int group, const float (*row)[kWarp],
                                   float (&value)[kRowGroup]) {
  const float4* weights = table<float4>(args, args.row_weights) + group * args.row_taps * (kRowGroup / 4);
#pragma unroll 1  // more would spill; eight sums a warp hide the latency
  for (int k = 0; k < args.row_taps; ++k) {
    const float4 upper = load_constant(weights + 2 * k), lower = load_constant(weights + 2 * k + 1);
    const float u = row[k][lane_index()];
    value[0] = fmaf(upper.x, u, value[0]);
    value[1] = fmaf(upper.y, u, value[1]);
    value[2] = fmaf(upper.z, u, value[2]);
    value[3] = fmaf(upper.w, u, value[3]);
    value[4] = fmaf(lower.x, u, value[4]);
    value[5] = fmaf(lower.y, u, value[5]);
    value[6] = fmaf(lower.z, u, value[6]);
    value[7] = fmaf(lower.w, u, value[7]);
  }
}

// Calls visit(index, value) once for each map pixel, in the same thread and with the same bits every time.
template <class Visit>
__device__ void sweep(const PostprocessArgs& args, float (*panel)[kWarp], Visit visit) {
  const int groups = (args.map_height + kRowGroup - 1) / kRowGroup;
  const int* first = table<int>(args, args.row_first);
  for (int top = 0; top < groups; top += args.panel_groups) {
    const int end = min(top + args.panel_groups, groups), group = top + warp_index();
    const int first_cell = load_constant(first + top);
    const int cells = load_constant(first + end - 1) + args.row_taps - first_cell;
    for (int left = 0; left < args.map_width; left += kWarp) {
      const int x = left + lane_index();
      const bool inside = x < args.map_width;
      for (int i = warp_index(); i < cells; i += kWarps)
        panel[i][lane_index()] = inside ? along_row(args, first_cell + i, x) : 0.0f;
      __syncthreads();
      if (group < end) {
        float value[kRowGroup] = {};
        down_column(args, group, panel + (load_constant(first + group) - first_cell), value);
        const int rows = inside ? args.map_height - group * kRowGroup : 0;
        int index = group * kRowGroup * args.map_width + x;
#pragma unroll
        for (int i = 0; i < kRowGroup; ++i, index += args.map_width)
          if (i < rows) visit(index, value[i]);
      }
      __syncthreads();
    }
  }
}
