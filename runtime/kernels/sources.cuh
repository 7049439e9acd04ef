// Where pixels come from. A source gives them in two ways:
//   pixel()      one pixel anywhere, for enlarging, where frames are small;
//   start(), read(), add()   one 4-byte word of each row for each thread, for reducing: every byte is loaded once.
// Both give what OpenCV's cvtColor gives, bit for bit.
#pragma once
#include "structs.cuh"

__device__ inline int clamp(int value, int low, int high) { return value < low ? low : value > high ? high : value; }

// BGR, RGB or gray, 8 or 16 bits a value. `Value` is uint8 or uint16.
template <class Value>
struct Packed {
  using Type = Value;
  static constexpr int kSamples = 4 / sizeof(Value);  // values in a word
  static constexpr int kUnroll = 4;                   // rows in flight

  const uint8* word;
  bool used;
  uint32 bits;

  __device__ static int channels(const PreprocessArgs& args) { return args.channels; }
  __device__ static bool red_first(const PreprocessArgs& args) { return args.order == 1; }

  __device__ static void pixel(const PreprocessArgs& args, int x, int y, uint32* value) {
    const uint8* row = args.frame + static_cast<uint64>(y) * args.pitch;
    const Value* first = reinterpret_cast<const Value*>(row) + x * args.channels;
  #pragma unroll
    for (int c = 0; c < 3; ++c)
      if (c < args.channels) value[c] = load_constant(first + c);
  }

  // Places thread 0 on the word that holds column `left` of the frame. Returns the column's first value in that word.
  __device__ int start(const PreprocessArgs& args, int left, int right) {
    const int pixel_bytes = args.channels * static_cast<int>(sizeof(Value));
    const int begin = left * pixel_bytes / 4 * 4;
    const int mine = begin + 4 * static_cast<int>(threadIdx.x);
    word = args.frame + mine;
    used = mine < right * pixel_bytes;
    bits = 0;
    return (left * pixel_bytes - begin) / static_cast<int>(sizeof(Value));
  }

  __device__ void read(const PreprocessArgs& args, int y) {
    if (used) bits = load_once(reinterpret_cast<const uint32*>(word + static_cast<uint64>(y) * args.pitch));
  }

  __device__ void add(const PreprocessArgs&, uint32 weight, uint32 (&sums)[kSamples]) const {
    constexpr int width = 8 * sizeof(Value);
#pragma unroll
    for (int i = 0; i < kSamples; ++i) sums[i] += weight * ((bits >> (i * width)) & ((1u << width) - 1));
  }
};

// One 8-bit value a pixel under a 2x2 colour filter. Bilinear: a missing colour is the mean of the two or four
// nearest pixels that have it, rounded half up; the outermost pixels repeat their inner neighbours' colours.
struct Bayer {
  using Type = uint8;
  static constexpr int kSamples = 12;  // red, green, blue of 4 pixels
  static constexpr int kUnroll = 1;

  const uint8* word;
  int x;         // column of the word's first pixel
  int centre;    // frame row of rows[1]
  uint64 rows[3];  // three rows, 6 pixels each: the one before the word, its four, the one after
  bool used, last;

  __device__ static int channels(const PreprocessArgs&) { return 3; }
  __device__ static bool red_first(const PreprocessArgs&) { return true; }

  // `window` holds a 3x3 neighbourhood as bytes 0, 1, 2 of three rows.
  __device__ static void interpolate(const uint32 (&window)[3], bool red_row, bool red_column, uint32* rgb) {
    const uint32 north = window[0] >> 8 & 255, south = window[2] >> 8 & 255;
    const uint32 west = window[1] & 255, east = window[1] >> 16 & 255, here = window[1] >> 8 & 255;
    const uint32 corners = (window[0] & 255) + (window[0] >> 16 & 255) + (window[2] & 255) + (window[2] >> 16 & 255);
    const uint32 across = (west + east + 1) >> 1, along = (north + south + 1) >> 1;
    const bool green = red_row != red_column;
    const uint32 opposite = (corners + 2) >> 2;
    rgb[0] = green ? (red_row ? across : along) : (red_row ? here : opposite);
    rgb[1] = green ? here : (north + south + west + east + 2) >> 2;
    rgb[2] = green ? (red_row ? along : across) : (red_row ? opposite : here);
  }

  __device__ static void pixel(const PreprocessArgs& args, int x, int y, uint32* value) {
    x = clamp(x, 1, args.frame_width - 2);
    y = clamp(y, 1, args.frame_height - 2);
    uint32 window[3];
#pragma unroll
    for (int i = 0; i < 3; ++i) {
      const uint8* row = args.frame + static_cast<uint64>(y + i - 1) * args.pitch + x;
      window[i] = load_constant(row - 1) | load_constant(row) << 8 | load_constant(row + 1) << 16;
    }
    interpolate(window, (y & 1) == args.order >> 1, (x & 1) == (args.order & 1), value);
  }

  __device__ int start(const PreprocessArgs& args, int left, int right) {
    x = left / 4 * 4 + 4 * static_cast<int>(threadIdx.x);
    word = args.frame + x;
    used = x < right;
    last = x + 4 >= right || threadIdx.x % kWarp == kWarp - 1;
    centre = -1;
    return 3 * (left % 4);
  }

  // Neighbours come from the neighbouring threads; only the rim of a warp loads a byte more.
  __device__ uint64 row(const PreprocessArgs& args, int y) const {
    const uint8* address = word + static_cast<uint64>(y) * args.pitch;
    const uint32 bits = used ? load_once(reinterpret_cast<const uint32*>(address)) : 0;
    uint32 before = __shfl_up_sync(kAllLanes, bits, 1) >> 24;
    uint32 after = __shfl_down_sync(kAllLanes, bits, 1) & 255;
    if (used && threadIdx.x % kWarp == 0 && x > 0) before = load_constant(address - 1);
    if (used && last && x + 4 < args.frame_width) after = load_constant(address + 4);
    return static_cast<uint64>(after) << 40 | static_cast<uint64>(bits) << 8 | before;
  }

  __device__ void read(const PreprocessArgs& args, int y) {
    y = clamp(y, 1, args.frame_height - 2);
    if (y == centre) return;
    if (centre < 0) {
      rows[1] = row(args, y - 1);
      rows[2] = row(args, y);
    }
    rows[0] = rows[1];
    rows[1] = rows[2];
    rows[2] = row(args, y + 1);
    centre = y;
  }

  __device__ void add(const PreprocessArgs& args, uint32 weight, uint32 (&sums)[kSamples]) const {
    if (!used) return;
    const bool red_row = (centre & 1) == args.order >> 1;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int at = clamp(x + i, 1, args.frame_width - 2) - x;
      uint32 window[3], rgb[3];
#pragma unroll
      for (int k = 0; k < 3; ++k) window[k] = static_cast<uint32>(rows[k] >> (8 * at));
      interpolate(window, red_row, (at & 1) == (args.order & 1), rgb);
#pragma unroll
      for (int c = 0; c < 3; ++c) sums[3 * i + c] += weight * rgb[c];
    }
  }
};

// A plane of luma and, at half resolution, a plane of interleaved chroma: BT.601 limited range in OpenCV's fixed point.
struct Nv12 {
  using Type = uint8;
  static constexpr int kSamples = 12;
  static constexpr int kUnroll = 2;

  const uint8* word;
  uint32 luma, chroma;
  int chroma_row;
  bool used;

  __device__ static int channels(const PreprocessArgs&) { return 3; }
  __device__ static bool red_first(const PreprocessArgs&) { return true; }

  __device__ static void convert(uint32 luma, uint32 u, uint32 v, uint32* rgb) {
    const int y = (luma > 16 ? static_cast<int>(luma) - 16 : 0) * 1220542 + (1 << 19);
    const int blue = static_cast<int>(u) - 128, red = static_cast<int>(v) - 128;
    rgb[0] = clamp((y + 1673527 * red) >> 20, 0, 255);
    rgb[1] = clamp((y - 852492 * red - 409993 * blue) >> 20, 0, 255);
    rgb[2] = clamp((y + 2116026 * blue) >> 20, 0, 255);
  }

  __device__ static void pixel(const PreprocessArgs& args, int x, int y, uint32* value) {
    const uint8* pair = args.frame + args.chroma + static_cast<uint64>(y / 2) * args.pitch + x / 2 * 2;
    const uint32 luma = load_constant(args.frame + static_cast<uint64>(y) * args.pitch + x);
    convert(luma, load_constant(pair), load_constant(pair + 1), value);
  }

  __device__ int start(const PreprocessArgs& args, int left, int right) {
    const int x = left / 4 * 4 + 4 * static_cast<int>(threadIdx.x);
    word = args.frame + x;
    used = x < right;
    chroma_row = -1;
    luma = chroma = 0;
    return 3 * (left % 4);
  }

  __device__ void read(const PreprocessArgs& args, int y) {
    if (used) luma = load_once(reinterpret_cast<const uint32*>(word + static_cast<uint64>(y) * args.pitch));
    if (y / 2 == chroma_row) return;
    chroma_row = y / 2;
    const uint8* pairs = word + args.chroma + static_cast<uint64>(chroma_row) * args.pitch;
    if (used) chroma = load_once(reinterpret_cast<const uint32*>(pairs));
  }

  __device__ void add(const PreprocessArgs&, uint32 weight, uint32 (&sums)[kSamples]) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      uint32 rgb[3];
      const uint32 pair = chroma >> (i / 2 * 16);
      convert(luma >> (8 * i) & 255, pair & 255, pair >> 8 & 255, rgb);
#pragma unroll
      for (int c = 0; c < 3; ++c) sums[3 * i + c] += weight * rgb[c];
    }
  }
};
