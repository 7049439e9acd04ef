// The map over the frame, for people. The definition is edgeirf.runtime.render.overlay, boxes excepted. A launch of its own,
// made only when somebody looks; it never delays a verdict.
//
// Grid: (blocks of 256 pixels along x, rows).
#include "structs.cuh"

constexpr int kOverlayThreads = 256;

// Bilinear with half-pixel centres and repeated edges, as cv2.resize(map, ..., cv2.INTER_LINEAR).
struct Position {
  int near, far;
  float share;

  __device__ Position(int pixel, int pixels, int cells) {
    const float centre = (pixel + 0.5f) * (static_cast<float>(cells) / pixels) - 0.5f;
    const float whole = floorf(fminf(fmaxf(centre, 0.0f), cells - 1.0f));
    near = static_cast<int>(whole);
    far = min(near + 1, cells - 1);
    share = fmaxf(centre - whole, 0.0f);
  }
};

__device__ inline float map_at(const OverlayArgs& args, int x, int y) {
  const Position across(x, args.width, args.map_width), down(y, args.height, args.map_height);
  const float* upper = args.map + down.near * args.map_width;
  const float* lower = args.map + down.far * args.map_width;
  const float left = load_constant(upper + across.near), right = load_constant(upper + across.far);
  const float low_left = load_constant(lower + across.near), low_right = load_constant(lower + across.far);
  const float above = left + (right - left) * across.share, below = low_left + (low_right - low_left) * across.share;
  return above + (below - above) * down.share;
}

__device__ inline float unit(float value) { return fminf(fmaxf(value, 0.0f), 1.0f); }

__device__ inline uint8 mix(uint32 pixel, uint32 colour, float opacity) {
  const float below = static_cast<float>(pixel), above = static_cast<float>(colour);
  return static_cast<uint8>(rintf(below + opacity * (above - below)));
}

extern "C" __global__ void __launch_bounds__(kOverlayThreads) overlay(OverlayArgs args) {
  const int x = blockIdx.x * kOverlayThreads + threadIdx.x, y = blockIdx.y;
  if (x >= args.frame_width) return;
  const uint8* from = args.frame + static_cast<uint64>(y) * args.frame_pitch + x * args.channels;
  const bool colour = args.channels == 3;
  const uint32 first = load_once(from), green = colour ? load_once(from + 1) : first;
  const uint32 third = colour ? load_once(from + 2) : first;
  const uint32 blue = args.order ? third : first, red = args.order ? first : third;

  const int column = x - args.x, row = y - args.y;
  const bool inside = column >= 0 && column < args.width && row >= 0 && row < args.height;
  const float value = inside ? map_at(args, column, row) : 0.0f;
  const float doublings = log2f(fmaxf(value, 1.17549435e-38f) / args.threshold);
  const int level = static_cast<int>(rintf(255.0f * unit(0.5f + doublings / (2.0f * args.octaves))));
  const float opacity = args.opacity * unit(doublings + 0.5f);

  const uint8* heat = args.colours + 3 * level;
  uint8* to = args.output + static_cast<uint64>(y) * args.output_pitch + 3 * x;
  store(to, mix(blue, load_constant(heat), opacity));
  store(to + 1, mix(green, load_constant(heat + 1), opacity));
  store(to + 2, mix(red, load_constant(heat + 2), opacity));
}
