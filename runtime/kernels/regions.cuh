// Connected areas of the map above the pixel threshold (8 neighbours), the ones with the highest peaks first. Runs only
// for frames that have any, so it may cost a few passes over the map in L2.
#pragma once
#include "score.cuh"

constexpr uint32 kNone = 0xffffffffu;

// The first pixel of the set that `label` belongs to. Labels only ever fall, and never below their set's first pixel.
__device__ inline uint32 find_root(const uint32* labels, uint32 label) {
  for (uint32 next = load_relaxed(labels + label); next != label; next = load_relaxed(labels + label)) label = next;
  return label;
}

// Joins two sets without locks: whoever finds the higher root lowered under its hands goes on from there.
__device__ inline void unite(uint32* labels, uint32 a, uint32 b) {
  for (;;) {
    a = find_root(labels, a);
    b = find_root(labels, b);
    if (a == b) return;
    const uint32 high = a > b ? a : b, low = a > b ? b : a;
    const uint32 seen = atomicMin(labels + high, low);
    if (seen == high) return;
    a = seen;
    b = low;
  }
}

// Joins each marked pixel with those of its neighbours that come before it.
__device__ inline void join_neighbours(const PostprocessArgs& args, uint32* labels, int pixels) {
  for (int i = threadIdx.x; i < pixels; i += kThreads) {
    if (load_relaxed(labels + i) == kNone) continue;
    const int x = i % args.map_width;
    const bool above = i >= args.map_width, left = x > 0, right = x + 1 < args.map_width;
    const bool has[4] = {left, above && left, above, above && right};
    const int step[4] = {1, args.map_width + 1, args.map_width, args.map_width - 1};
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (has[k] && load_relaxed(labels + i - step[k]) != kNone) unite(labels, i, i - step[k]);
  }
}

// The highest pixel outside the regions already `taken`, as its value above the inverted root: ties go to the first.
__device__ inline uint64 next_peak(const PostprocessArgs& args, const uint32* labels, int pixels, const uint32* taken,
                                   int count) {
  uint64 best = 0;
  for (int i = threadIdx.x; i < pixels; i += kThreads) {
    const uint32 root = load_relaxed(labels + i);
    bool free = root != kNone;
    for (int k = 0; k < count; ++k) free = free && root != taken[k];
    if (!free) continue;
    const uint64 key = static_cast<uint64>(ordered(load_settled(args.map + i))) << 32 | (kNone - root);
    best = key > best ? key : best;
  }
  return block_reduce(best, Largest{});
}

__device__ inline Region measure(const PostprocessArgs& args, const uint32* labels, int pixels, uint32 root, float peak) {
  int left = args.map_width, top = args.map_height, right = -1, bottom = -1;
  uint32 area = 0;
  for (int i = threadIdx.x; i < pixels; i += kThreads) {
    if (load_relaxed(labels + i) != root) continue;
    const int x = i % args.map_width, y = i / args.map_width;
    left = min(left, x);
    right = max(right, x);
    top = min(top, y);
    bottom = max(bottom, y);
    ++area;
  }
  left = block_reduce(left, Smallest{});
  top = block_reduce(top, Smallest{});
  right = block_reduce(right, Largest{});
  bottom = block_reduce(bottom, Largest{});
  area = block_reduce(area, Sum{});
  return {static_cast<uint16>(left), static_cast<uint16>(top), static_cast<uint16>(right - left + 1),
          static_cast<uint16>(bottom - top + 1), area, peak};
}

// As one store of 16 bytes, in the layout of struct Region.
__device__ inline void store_region(const PostprocessArgs& args, int index, const Region& region) {
  const uint4 words = {region.x | static_cast<uint32>(region.y) << 16,
                       region.width | static_cast<uint32>(region.height) << 16, region.area,
                       __float_as_uint(region.peak)};
  store(reinterpret_cast<uint4*>(args.result->regions + index), words);
}

// Writes the regions into the result and returns how many there are; also writes the map.
__device__ inline uint32 find_regions(const PostprocessArgs& args, float (*panel)[kWarp]) {
  __shared__ uint32 taken[kMaxRegions];
  uint32* labels = args.workspace + args.labels;
  const int pixels = args.map_height * args.map_width;
  sweep(args, panel, [&](int index, float value) { store(args.map + index, value); });
  for (int i = threadIdx.x; i < pixels; i += kThreads)
    store(labels + i, load_settled(args.map + i) > args.pixel_threshold ? static_cast<uint32>(i) : kNone);
  __syncthreads();
  join_neighbours(args, labels, pixels);
  __syncthreads();
  uint32 roots = 0;
  for (int i = threadIdx.x; i < pixels; i += kThreads) {
    if (load_relaxed(labels + i) == kNone) continue;
    const uint32 root = find_root(labels, i);
    atomicMin(labels + i, root);
    roots += root == static_cast<uint32>(i);
  }
  const uint32 found = block_reduce(roots, Sum{});
  for (uint32 k = 0; k < min(found, static_cast<uint32>(kMaxRegions)); ++k) {
    const uint64 best = next_peak(args, labels, pixels, taken, k);
    const uint32 root = kNone - static_cast<uint32>(best);
    const Region region = measure(args, labels, pixels, root, unordered(static_cast<uint32>(best >> 32)));
    if (threadIdx.x == 0) {
      taken[k] = root;
      store_region(args, k, region);
    }
    __syncthreads();
  }
  return found;
}
