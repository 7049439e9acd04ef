// Connected areas of the map above the pixel threshold (8 neighbours), the ones with the highest peaks first. Runs only
// for frames that have any: four passes over the stretch of the map that has pixels above the threshold, in L2.
#pragma once
#include "score.cuh"

constexpr uint32 kNone = 0xffffffffu;

// Pixels of the map that are looked at: from the first to the last one above the threshold.
struct Stretch {
  int first, last;
};

// In the workspace, behind the grid: each pixel's region as one of its pixels, the peak of the region that begins at a
// pixel, and the first pixels of all regions. Only pixels above the threshold have any of them.
struct Regions {
  uint32 *labels, *peaks, *roots;
};

__device__ inline Regions regions_of(const PostprocessArgs& args) {
  uint32* labels = args.workspace + args.labels;
  const int pixels = args.map_height * args.map_width;
  return {labels, labels + pixels, labels + 2 * pixels};
}

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

// Joins each marked pixel with those of its neighbours that come before it, unless a pixel beside it does the same.
__device__ inline void join_neighbours(const PostprocessArgs& args, uint32* labels, Stretch marked) {
  const auto above = [&](int i) { return i >= marked.first && i <= marked.last && load_relaxed(labels + i) != kNone; };
  for (int i = marked.first + threadIdx.x; i <= marked.last; i += kThreads) {
    if (load_relaxed(labels + i) == kNone) continue;
    const int x = i % args.map_width, north = i - args.map_width;
    const bool first = x == 0, last = x + 1 == args.map_width;
    const bool west = !first && above(i - 1), north_west = !first && above(north - 1);
    if (west && lane_index() == 0) unite(labels, i, i - 1);  // the other lanes' runs are one already
    if (above(north)) {
      if (!(west && north_west)) unite(labels, i, north);
      continue;
    }
    if (north_west && !west) unite(labels, i, north - 1);
    if (!last && above(north + 1) && !above(i + 1)) unite(labels, i, north + 1);
  }
}

// Gives each marked pixel the first one of its region, and that one the region's peak. Lists the first ones in any
// order; returns how many there are.
__device__ inline uint32 list_regions(const PostprocessArgs& args, const Regions& regions, Stretch marked) {
  __shared__ uint32 found;
  if (threadIdx.x == 0) found = 0;
  __syncthreads();  // after this the regions are joined, too
  uint32 last = kNone, peak = 0;  // of this thread's pixels in one region: one atomic operation for all of them
  for (int i = marked.first + threadIdx.x; i <= marked.last; i += kThreads) {
    if (load_relaxed(regions.labels + i) == kNone) continue;
    const uint32 root = find_root(regions.labels, i);
    atomicMin(regions.labels + i, root);
    if (root == static_cast<uint32>(i)) store(regions.roots + atomicAdd(&found, 1u), root);
    if (root != last) {
      if (last != kNone) atomicMax(regions.peaks + last, peak);
      last = root;
      peak = 0;
    }
    peak = max(peak, ordered(load_settled(args.map + i)));
  }
  if (last != kNone) atomicMax(regions.peaks + last, peak);
  __syncthreads();
  return found;
}

// The highest peak below `limit`, as its value above the inverted root: of equal ones the first region comes first.
__device__ inline uint64 next_peak(const Regions& regions, uint32 found, uint64 limit) {
  uint64 best = 0;
  for (uint32 k = threadIdx.x; k < found; k += kThreads) {
    const uint32 root = load_settled(regions.roots + k);
    const uint64 key = static_cast<uint64>(load_relaxed(regions.peaks + root)) << 32 | (kNone - root);
    if (key < limit && key > best) best = key;
  }
  return block_reduce(best, Largest{});
}

// What is known of a reported region; its first pixel is its top.
struct Extent {
  uint32 root;
  float peak;
  int left, right, bottom;
  uint32 area;
};

// Adds the stretch of one thread's pixels that lie in the same region.
__device__ inline void add(Extent& whole, const Extent& part) {
  atomicMin(&whole.left, part.left);
  atomicMax(&whole.right, part.right);
  atomicMax(&whole.bottom, part.bottom);
  atomicAdd(&whole.area, part.area);
}

// Measures all reported regions in one pass.
__device__ inline void measure(const PostprocessArgs& args, const uint32* labels, Stretch marked, Extent* extents,
                               int count) {
  int at = -1;
  Extent mine = {};
  for (int i = marked.first + threadIdx.x; i <= marked.last; i += kThreads) {
    const uint32 root = load_relaxed(labels + i);
    if (root == kNone) continue;
    int k = 0;
    while (k < count && extents[k].root != root) ++k;
    if (k == count) continue;
    const int x = i % args.map_width, y = i / args.map_width;
    if (k != at) {
      if (at >= 0) add(extents[at], mine);
      at = k;
      mine = {root, 0.0f, x, x, y, 0};
    }
    mine.left = min(mine.left, x);
    mine.right = max(mine.right, x);
    mine.bottom = y;
    ++mine.area;
  }
  if (at >= 0) add(extents[at], mine);
}

// As one store of 16 bytes, in the layout of struct Region.
__device__ inline void store_region(const PostprocessArgs& args, int index, const Extent& extent) {
  const uint32 top = extent.root / args.map_width;
  const uint4 words = {extent.left | top << 16, (extent.right - extent.left + 1) | (extent.bottom - top + 1) << 16,
                       extent.area, __float_as_uint(extent.peak)};
  store(reinterpret_cast<uint4*>(args.result->regions + index), words);
}

// Writes the map, and returns the stretch of it that has pixels above the threshold.
__device__ inline Stretch mark(const PostprocessArgs& args, float (*panel)[kWarp]) {
  Stretch marked = {args.map_height * args.map_width, -1};
  sweep(args, panel, [&](int index, float value) {
    store(args.map + index, value);
    if (value > args.pixel_threshold) {
      marked.first = min(marked.first, index);
      marked.last = max(marked.last, index);
    }
  });
  return {block_reduce(marked.first, Smallest{}), block_reduce(marked.last, Largest{})};
}

// Labels each marked pixel with the first one of its run, as far as a warp sees it: 32 pixels of one row at most.
__device__ inline void label_runs(const PostprocessArgs& args, const Regions& regions, Stretch marked) {
  for (int base = marked.first + warp_index() * kWarp; base <= marked.last; base += kThreads) {
    const int i = base + lane_index(), x = i % args.map_width;
    const bool above = i <= marked.last && load_settled(args.map + i) > args.pixel_threshold;
    const uint32 gaps = ~__ballot_sync(kAllLanes, above) & ((1u << lane_index()) - 1);
    const int run = min(x, lane_index() - (kWarp - __clz(gaps)));  // marked pixels before this one
    if (above) store(regions.peaks + i, 0u);
    if (i <= marked.last) store(regions.labels + i, above ? static_cast<uint32>(i - run) : kNone);
  }
}

// Writes the regions into the result and returns how many there are; also writes the map.
__device__ inline uint32 find_regions(const PostprocessArgs& args, float (*panel)[kWarp]) {
  __shared__ Extent extents[kMaxRegions];
  const Regions regions = regions_of(args);
  const Stretch marked = mark(args, panel);
  label_runs(args, regions, marked);
  __syncthreads();
  join_neighbours(args, regions.labels, marked);
  const uint32 found = list_regions(args, regions, marked);
  const int count = min(found, static_cast<uint32>(kMaxRegions));
  uint64 peak = ~0ull;
  for (int k = 0; k < count; ++k) {
    peak = next_peak(regions, found, peak);
    if (threadIdx.x == 0)
      extents[k] = {kNone - static_cast<uint32>(peak), unordered(static_cast<uint32>(peak >> 32)), args.map_width, -1, -1, 0};
  }
  __syncthreads();
  measure(args, regions.labels, marked, extents, count);
  __syncthreads();
  if (static_cast<int>(threadIdx.x) < count) store_region(args, threadIdx.x, extents[threadIdx.x]);
  return found;
}
