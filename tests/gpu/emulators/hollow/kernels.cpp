// The kernels with nothing inside: for tests of what the host does, hundreds of runs of them in a few seconds.
#define __device__
#include <cstring>

#include "structs.cuh"

namespace {
template <class Args>
Args read(const void* parameters) {
  Args args;
  memcpy(&args, parameters, sizeof args);
  return args;
}
}  // namespace

extern "C" void cudacpu_launch_preprocess_packed8(const unsigned*, unsigned, const void* parameters) {
  auto args = read<PreprocessArgs>(parameters);
  memset(args.output, 0, sizeof(float) * 3 * args.tile_rows * args.tile_columns * args.out_height * args.out_width);
}

extern "C" void cudacpu_launch_postprocess(const unsigned*, unsigned, const void* parameters) {
  auto args = read<PostprocessArgs>(parameters);
  memset(args.result, 0, sizeof(Result));
  args.result->score = args.result->peak = 0.5f;
  args.result->sequence = ++args.workspace[1];
  if (args.write_map) memset(args.map, 0, sizeof(float) * args.map_height * args.map_width);
}

extern "C" void cudacpu_launch_overlay(const unsigned*, unsigned, const void* parameters) {
  auto args = read<OverlayArgs>(parameters);
  memset(args.output, 0, args.output_pitch * args.frame_height);
}
