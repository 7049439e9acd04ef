// cv2.INTER_AREA: means over areas where a tile is at least as large as the network's input, and otherwise the two
// taps an axis that OpenCV uses there. Integers throughout for 8 bits, so every GPU gives the same pixels.
#pragma once
#include "sources.cuh"

constexpr int kPreprocessThreads = 256;

struct Tile {
  int x, y, width, height;  // pixels of the frame
};

__device__ inline Tile tile_of(const PreprocessArgs& args, int index) {
  const int row = index / args.tile_columns, column = index % args.tile_columns;
  const int left = column * args.width / args.tile_columns, right = (column + 1) * args.width / args.tile_columns;
  const int top = row * args.height / args.tile_rows, bottom = (row + 1) * args.height / args.tile_rows;
  return {args.x + left, args.y + top, right - left, bottom - top};
}

// Output pixel i of `outputs` covers sources [begin, end) of `inputs`, in units of 1 / outputs of a source pixel: all
// weights are whole numbers and add up to `inputs`.
struct Cover {
  int begin, end, first, last;
  int outputs;

  __device__ Cover(int i, int inputs, int outputs)
      : begin(i * inputs), end(begin + inputs), first(begin / outputs), last((end - 1) / outputs), outputs(outputs) {}

  __device__ uint32 weight(int source) const {
    const int from = source * outputs, to = from + outputs;
    return (to < end ? to : end) - (from > begin ? from : begin);
  }
};

// sum / count to the nearest whole number; ties go to the even one, or up for OpenCV's 2x2 case. The float quotient is
// off by one at most, as the result has 16 bits.
__device__ inline uint32 divide(uint64 sum, uint64 count, float reciprocal, bool ties_up) {
  uint32 quotient = static_cast<uint32>(__fmul_rn(static_cast<float>(sum), reciprocal));
  long long rest = static_cast<long long>(sum - quotient * count);
  if (rest < 0) {
    --quotient;
    rest += count;
  } else if (rest >= static_cast<long long>(count)) {
    ++quotient;
    rest -= count;
  }
  const uint64 twice = 2 * static_cast<uint64>(rest);
  return quotient + (twice > count || (twice == count && (ties_up || (quotient & 1))) ? 1 : 0);
}

// Luminance, normalisation and the network's input. `value` is what the source gave.
template <class Source>
__device__ void write_pixel(const PreprocessArgs& args, int tile, int x, int y, const uint32* value) {
  const int channels = Source::channels(args);
  const bool red_first = Source::red_first(args);
  uint32 rgb[3] = {value[0], value[0], value[0]};
  if (channels == 3) {
    rgb[0] = red_first ? value[0] : value[2];
    rgb[1] = value[1];
    rgb[2] = red_first ? value[2] : value[0];
    if (args.gray) rgb[0] = rgb[1] = rgb[2] = (rgb[2] * 3735u + rgb[1] * 19235u + rgb[0] * 9798u + 16384u) >> 15;
  }
  const uint64 plane = static_cast<uint64>(args.out_height) * args.out_width;
  const uint64 place = static_cast<uint64>(y) * args.out_width + x;
  // Two roundings, as numpy does it: the float32 input is then the CPU's, bit for bit.
  const auto input = [&](int c) {
    return __fadd_rn(__fmul_rn(static_cast<float>(rgb[c]), args.scale[c]), args.offset[c]);
  };
  if (args.layout == kHalfPixels) {
    const uint64 red_green = half_bits(input(0)) | static_cast<uint32>(half_bits(input(1))) << 16;
    const uint64 blue = half_bits(input(2));
    store(static_cast<uint64*>(args.output) + tile * plane + place, blue << 32 | red_green);
    return;
  }
  const uint64 index = 3 * tile * plane + place;
#pragma unroll
  for (int c = 0; c < 3; ++c) {
    if (args.layout == kHalfPlanes)
      store(static_cast<uint16*>(args.output) + index + c * plane, half_bits(input(c)));
    else
      store(static_cast<float*>(args.output) + index + c * plane, input(c));
  }
}

// Shared memory of one row of vertical sums; a gap every 32 keeps strided readers on different banks.
__device__ inline int padded(int index) { return index + index / kWarp; }

template <class Source>
struct RowSums {
  static constexpr int kSize = kPreprocessThreads * Source::kSamples * 33 / 32;
  uint32 values[2][kSize];
};

// Each thread walks down its own word's column of the tile and sums it over the rows of one output row at a time; the
// row that two output rows share stays in registers. Then a thread for each output sums along x.
template <class Source>
__device__ void resize_area(const PreprocessArgs& args, const Tile& tile, RowSums<Source>& sums) {
  const int left = blockIdx.x * args.block_columns, right = min(left + args.block_columns, args.out_width);
  const int top = blockIdx.y * args.block_rows, bottom = min(top + args.block_rows, args.out_height);
  const int first_column = Cover(left, tile.width, args.out_width).first;
  const int end_column = Cover(right - 1, tile.width, args.out_width).last + 1;
  const int channels = Source::channels(args);
  const uint64 count = static_cast<uint64>(tile.width) * tile.height;
  const float reciprocal = 1.0f / static_cast<float>(count);
  const bool halves = tile.width == 2 * args.out_width && tile.height == 2 * args.out_height;
  Source source;
  const int origin = source.start(args, tile.x + first_column, tile.x + end_column);
  int held = -1;
  for (int y = top; y < bottom; ++y) {
    const Cover rows(y, tile.height, args.out_height);
    uint32 column[Source::kSamples] = {};
    if (rows.first > held) source.read(args, tile.y + rows.first);
    source.add(args, rows.weight(rows.first), column);
#pragma unroll Source::kUnroll
    for (int row = rows.first + 1; row <= rows.last; ++row) {
      source.read(args, tile.y + row);
      source.add(args, rows.weight(row), column);
    }
    held = rows.last;
    uint32* line = sums.values[y & 1];
#pragma unroll
    for (int i = 0; i < Source::kSamples; ++i) line[padded(threadIdx.x * Source::kSamples + i)] = column[i];
    // One barrier a row is enough: the other half of `sums` is written next, and its readers are done by then.
    __syncthreads();
    for (int x = left + threadIdx.x; x < right; x += kPreprocessThreads) {
      const Cover columns(x, tile.width, args.out_width);
      uint64 total[3] = {};
      for (int from = columns.first; from <= columns.last; ++from) {
        const uint64 weight = columns.weight(from);
        const int sample = origin + (from - first_column) * channels;
#pragma unroll
        for (int c = 0; c < 3; ++c)
          if (c < channels) total[c] += weight * line[padded(sample + c)];
      }
      uint32 value[3];
#pragma unroll
      for (int c = 0; c < 3; ++c) value[c] = divide(total[c], count, reciprocal, halves);
      write_pixel<Source>(args, blockIdx.z, x, y, value);
    }
  }
}

// The two sources of output i and the share of the second, as OpenCV has it for areas below one pixel: in doubles, the
// scale from the inverse of its inverse, for that decides which source a whole number of pixels falls on.
struct Tap {
  int near, far;
  float share;

  __device__ Tap(int i, int inputs, int outputs) {
    const double inverse = __ddiv_rn(outputs, inputs);
    near = static_cast<int>(floor(__dmul_rn(i, __ddiv_rn(1.0, inverse))));
    const float lead = static_cast<float>(__dsub_rn(i + 1, __dmul_rn(near + 1, inverse)));
    share = lead <= 0.0f || near >= inputs - 1 ? 0.0f : lead - floorf(lead);
    near = min(near, inputs - 1);
    far = min(near + 1, inputs - 1);
  }
};

// 8 bits: weights of 11 bits, intermediate sums cut to 16 bits, as in OpenCV.
__device__ inline uint32 blend(const uint32 (&corner)[4], float across, float down, uint8) {
  const int right = static_cast<int>(rintf(across * 2048.0f)), left = static_cast<int>(rintf((1.0f - across) * 2048.0f));
  const int lower = static_cast<int>(rintf(down * 2048.0f)), upper = static_cast<int>(rintf((1.0f - down) * 2048.0f));
  const int above = corner[0] * left + corner[1] * right, below = corner[2] * left + corner[3] * right;
  return ((upper * (above >> 4) >> 16) + (lower * (below >> 4) >> 16) + 2) >> 2;
}

__device__ inline uint32 blend(const uint32 (&corner)[4], float across, float down, uint16) {
  const float above = __fadd_rn(__fmul_rn(corner[0], 1.0f - across), __fmul_rn(corner[1], across));
  const float below = __fadd_rn(__fmul_rn(corner[2], 1.0f - across), __fmul_rn(corner[3], across));
  const float value = rintf(__fadd_rn(__fmul_rn(above, 1.0f - down), __fmul_rn(below, down)));
  return static_cast<uint32>(fminf(value, 65535.0f));
}

template <class Source>
__device__ void resize_linear(const PreprocessArgs& args, const Tile& tile) {
  const int left = blockIdx.x * args.block_columns, right = min(left + args.block_columns, args.out_width);
  const int top = blockIdx.y * args.block_rows, bottom = min(top + args.block_rows, args.out_height);
  const int columns = right - left;
  for (int i = threadIdx.x; i < columns * (bottom - top); i += kPreprocessThreads) {
    const int x = left + i % columns, y = top + i / columns;
    const Tap across(x, tile.width, args.out_width), down(y, tile.height, args.out_height);
    uint32 pixel[4][3] = {};
    Source::pixel(args, tile.x + across.near, tile.y + down.near, pixel[0]);
    Source::pixel(args, tile.x + across.far, tile.y + down.near, pixel[1]);
    Source::pixel(args, tile.x + across.near, tile.y + down.far, pixel[2]);
    Source::pixel(args, tile.x + across.far, tile.y + down.far, pixel[3]);
    uint32 value[3];
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      const uint32 corner[4] = {pixel[0][c], pixel[1][c], pixel[2][c], pixel[3][c]};
      value[c] = blend(corner, across.share, down.share, typename Source::Type{});
    }
    write_pixel<Source>(args, blockIdx.z, x, y, value);
  }
}
