// The network's field to a verdict in one launch: density, smoothing, upsampling, image score, p-value, regions. The
// definition is edgeirf.runtime.scoring; this is held to it by tests/gpu.
//
// Why one launch does: the field is large (all blocks read it, each byte once), what is left of it is not (one value a
// grid cell, 1 KiB for 16x16), so the block that arrives last can do all the rest alone. Nothing but the grid passes
// through global memory between the two halves, no block ever waits for another, and a second launch would cost more
// than the second half. The map is written only where somebody asked for it or a region was found in it.
//
// Grid: 32 cells a block, of 1024 threads.
#include "regions.cuh"

extern "C" __global__ void __launch_bounds__(kThreads) postprocess(PostprocessArgs args) {
  __shared__ float panel[kPanelCells][kWarp];
  sum_squares(args, panel);
  if (!arrive_last(args)) return;

  float peak = __uint_as_float(0xff800000u), lowest = __uint_as_float(0x7f800000u);  // -inf, inf
  sweep(args, panel, [&](int index, float value) {
    peak = Largest{}(peak, value);
    lowest = Smallest{}(lowest, value);
    if (args.write_map) store(args.map + index, value);
  });
  peak = block_reduce(peak, Largest{});
  lowest = block_reduce(lowest, Smallest{});
  const float nll = likelihood(args);
  const float score = image_score(args, panel, peak, lowest, nll);
  const uint32 reached = reached_by(args, score);
  const uint32 found = peak > args.pixel_threshold ? find_regions(args, panel) : 0;
  if (threadIdx.x != 0) return;

  const uint32 sequence = load_settled(args.workspace + kSequence) + 1;
  store(args.workspace + kSequence, sequence);
  uint32 flags = score > args.score_threshold ? kReject : 0;
  if (found > kMaxRegions) flags |= kMoreRegions;
  if (args.write_map || found) flags |= kMapWritten;
  if (!is_finite(score)) flags |= kNotFinite;
  uint4* words = reinterpret_cast<uint4*>(args.result);
  store(words, make_uint4(__float_as_uint(score), __float_as_uint(peak), __float_as_uint(lowest), __float_as_uint(nll)));
  store(words + 1, make_uint4(reached, found, flags, sequence));
}
