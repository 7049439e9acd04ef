// Arguments and results, field for field as in layout.py, which says what each means.
#pragma once
#include "platform.cuh"

enum InputLayout : int { kPlanes, kHalfPlanes, kHalfPixels };

struct PreprocessArgs {
  const uint8* frame;
  void* output;
  uint64 chroma;
  int pitch;
  int frame_height, frame_width;
  int x, y, width, height;
  int tile_rows, tile_columns;
  int out_height, out_width;
  int block_rows, block_columns;
  int channels, order, gray, layout;
  float scale[3], offset[3];
};

struct PostprocessArgs {
  const void* field;
  const uint32* tables;
  uint32* workspace;
  float* map;
  struct Result* result;
  double latent[4];
  int half, tiles, tile_columns, channels, tile_height, tile_width;
  int map_height, map_width;
  int norm, use_latent, top_k, write_map;
  int row_taps, column_taps, panel_groups;
  int row_first, row_weights, column_first, column_weights;
  int scores, score_count;
  int labels;
  float score_threshold, pixel_threshold;
};

struct OverlayArgs {
  const uint8* frame;
  uint8* output;
  const float* map;
  const uint8* colours;
  int frame_pitch, output_pitch;
  int frame_height, frame_width;
  int x, y, width, height;
  int map_height, map_width;
  int channels, order;
  float threshold, octaves, opacity;
};

struct Region {
  uint16 x, y, width, height;
  uint32 area;
  float peak;
};

constexpr int kMaxRegions = 16;
enum Flags : uint32 { kReject = 1, kMoreRegions = 2, kMapWritten = 4, kNotFinite = 8 };

struct Result {
  float score, peak, lowest, likelihood;
  uint32 reached_by, found, flags, sequence;
  Region regions[kMaxRegions];
};
