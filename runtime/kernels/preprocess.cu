// Camera bytes to the network's input in one launch: region of interest, tiles, colour, resize, luminance, mean and
// standard deviation, layout. The definition is edgeirf.runtime.imaging.preprocess (after OpenCV's cvtColor for Bayer and
// NV12); this is held to it by tests/gpu.
//
// Grid: (blocks along x, blocks along y, tiles). A block makes block_rows x block_columns outputs and walks the source
// rows under them from top to bottom, so that all but the rims of its area is loaded once, by one thread.
#include "resize.cuh"

template <class Source>
__device__ void preprocess(const PreprocessArgs& args) {
  __shared__ RowSums<Source> sums;
  const Tile tile = tile_of(args, blockIdx.z);
  // Tiles differ by a pixel: each decides for itself, as cv2.resize does.
  if (tile.width >= args.out_width && tile.height >= args.out_height)
    resize_area<Source>(args, tile, sums);
  else
    resize_linear<Source>(args, tile);
}

extern "C" {

__global__ void __launch_bounds__(kPreprocessThreads, 4) preprocess_packed8(PreprocessArgs args) {
  preprocess<Packed<uint8>>(args);
}

__global__ void __launch_bounds__(kPreprocessThreads, 4) preprocess_packed16(PreprocessArgs args) {
  preprocess<Packed<uint16>>(args);
}

__global__ void __launch_bounds__(kPreprocessThreads, 4) preprocess_bayer8(PreprocessArgs args) {
  preprocess<Bayer>(args);
}

__global__ void __launch_bounds__(kPreprocessThreads, 4) preprocess_nv12(PreprocessArgs args) { preprocess<Nv12>(args); }
}
