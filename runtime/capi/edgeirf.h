/* edgeirf: a bundle (.irf) at work in C, C++, C#, LabVIEW: camera bytes in, verdict out.
 *
 *     edgeirf *line;
 *     edgeirf_verdict verdict = EDGEIRF_VERDICT;
 *     if (edgeirf_load("bottle.irf", NULL, &line)) puts(edgeirf_last_error());
 *     edgeirf_inspect(line, bgr, width, height, 0, EDGEIRF_BGR8, &verdict, NULL, 0, NULL, 0);
 *     if (verdict.reject) ...
 *
 * The bundle's own graph line.onnx does all arithmetic on pixels and scores; this library only carries data to it.
 * Every function that can fail returns 0 or an error code, and edgeirf_last_error() says why in one line.
 * No exception leaves the library. All strings are UTF-8. Structs hold no implicit padding and no bool.
 */
#ifndef EDGEIRF_H
#define EDGEIRF_H

#include <stdint.h>

#define EDGEIRF_ABI 1 /* raised when a host has to be compiled again */

#if defined(EDGEIRF_STATIC)
#define EDGEIRF_API
#elif defined(_WIN32) && defined(EDGEIRF_BUILD)
#define EDGEIRF_API __declspec(dllexport)
#elif defined(_WIN32)
#define EDGEIRF_API __declspec(dllimport)
#else
#define EDGEIRF_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* One bundle, ready to inspect. Threads may share it. It does not survive fork(): load it in the child. */
typedef struct edgeirf edgeirf;

/* Error codes. */
enum {
  EDGEIRF_OK = 0,
  EDGEIRF_ARGUMENT = 1, /* the call itself is wrong */
  EDGEIRF_BUNDLE = 2,   /* the file is missing, damaged or foreign */
  EDGEIRF_RUNTIME = 3,  /* ONNX Runtime is missing, too old, or failed */
  EDGEIRF_FRAME = 4,    /* the frame cannot be inspected */
  EDGEIRF_SCORE = 5,    /* the network gave a score that is not a finite number */
  EDGEIRF_SERVER = 6    /* the server is gone, or does not answer */
};

/* Pixel formats. Rows of NV12: height rows of luma, then height / 2 rows of chroma, all with the same stride. */
enum {
  EDGEIRF_BGR8 = 0,
  EDGEIRF_RGB8 = 1,
  EDGEIRF_GRAY8 = 2,
  EDGEIRF_BGR16 = 3,
  EDGEIRF_RGB16 = 4,
  EDGEIRF_GRAY16 = 5,
  EDGEIRF_BAYER_RGGB8 = 6,
  EDGEIRF_BAYER_GRBG8 = 7,
  EDGEIRF_BAYER_GBRG8 = 8,
  EDGEIRF_BAYER_BGGR8 = 9,
  EDGEIRF_NV12 = 10
};

/* What edgeirf_load() and edgeirf_connect() may be told. Start with EDGEIRF_OPTIONS; NULL and 0 are the defaults. */
typedef struct {
  uint32_t struct_size;    /* sizeof(edgeirf_options) */
  int32_t threads;         /* of the network; 0: one */
  int32_t timeout_ms;      /* edgeirf_connect(): how long a verdict may take; 0: 5000 */
  int32_t reserved;        /* 0 */
  const char *onnxruntime; /* full path of ONNX Runtime's library; else $EDGEIRF_ONNXRUNTIME, else that of the build */
  const char *provider;    /* execution provider: "CUDA", "OpenVINO", ...; NULL: the CPU */
  const char *product;     /* of a bundle of several products */
} edgeirf_options;

/* A connected area of the anomaly map above the pixel threshold, in pixels of the frame. */
typedef struct {
  int32_t x, y, width, height; /* bounding box */
  int32_t area;                /* pixels of the frame that the area covers */
  float peak;                  /* largest value of the map inside */
} edgeirf_region;

/* Start with EDGEIRF_VERDICT: a part counts as a reject until it was inspected and passed. */
typedef struct {
  uint32_t struct_size;   /* sizeof(edgeirf_verdict); later versions only append fields */
  int32_t reject;         /* 1: take the part off the line. Also 1 on every error */
  double score;           /* the higher, the less normal; NaN when the frame was not scored */
  double p_value;         /* share of good parts that score at least this high; NaN when not scored */
  double threshold;       /* a part that scores above it is a reject */
  double pixel_threshold; /* map values above it form a region */
  int32_t n_regions;      /* regions found; may exceed max_regions: then the strongest were kept */
  int32_t error;          /* what the call returned */
} edgeirf_verdict;

#define EDGEIRF_VERDICT {sizeof(edgeirf_verdict), 1, 0, 0, 0, 0, 0, EDGEIRF_ARGUMENT}
#define EDGEIRF_OPTIONS {sizeof(edgeirf_options), 0, 0, 0, 0, 0, 0}

/* EDGEIRF_ABI of the library: compare it once with that of the header. */
EDGEIRF_API int32_t edgeirf_abi(void);

/* Opens a bundle in this process and runs it once, so that the first part is not the slow one.
 * options may be NULL. *out is NULL on an error. */
EDGEIRF_API int32_t edgeirf_load(const char *path, const edgeirf_options *options, edgeirf **out);

/* Opens the bundle of a server, `edgeirf serve BUNDLE --shm SOCKET`; all other functions are used as after
 * edgeirf_load(). When the server is lost, every frame is a reject until it is back. Linux only. */
EDGEIRF_API int32_t edgeirf_connect(const char *socket, const edgeirf_options *options, edgeirf **out);

/* Inspects one frame.
 *
 * pixels: first byte of the top row.
 * stride: bytes from one row to the next; negative when the image lies bottom-up in memory; 0: rows are packed.
 * format: EDGEIRF_BGR8, ...
 * verdict: filled in; on an error reject is 1.
 * regions, max_regions: place for the strongest regions; NULL, 0 for none.
 * map, map_values: place for the anomaly map, row by row, edgeirf_map_size() values; NULL, 0 for none. */
EDGEIRF_API int32_t edgeirf_inspect(edgeirf *line, const void *pixels, int32_t width, int32_t height, int32_t stride,
                                    int32_t format, edgeirf_verdict *verdict, edgeirf_region *regions,
                                    int32_t max_regions, float *map, int32_t map_values);

/* Width and height of the anomaly map; it covers the region of interest, or the whole frame. */
EDGEIRF_API int32_t edgeirf_map_size(const edgeirf *line, int32_t *width, int32_t *height);

/* What the bundle says of itself: "edgeirf.model", "edgeirf.product", ...; NULL when it has no such entry.
 * The string lives as long as the bundle is open. */
EDGEIRF_API const char *edgeirf_info(const edgeirf *line, const char *key);

/* Why the last call of this thread failed, in one line; "" when it did not. Valid until the thread's next call. */
EDGEIRF_API const char *edgeirf_last_error(void);

/* Closes the bundle. NULL is allowed. No other thread may use it any more. */
EDGEIRF_API void edgeirf_free(edgeirf *line);

#ifdef __cplusplus
}
#endif

/* Hosts in other languages copy these layouts: a compiler that lays them out differently stops here. */
typedef char edgeirf_verdict_has_48_bytes[sizeof(edgeirf_verdict) == 48 ? 1 : -1];
typedef char edgeirf_region_has_24_bytes[sizeof(edgeirf_region) == 24 ? 1 : -1];
typedef char edgeirf_options_has_no_padding[sizeof(edgeirf_options) == 16 + 3 * sizeof(char *) ? 1 : -1];

#endif
