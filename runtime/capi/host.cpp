// Inspects pictures:  host [--product NAME] BUNDLE PICTURE ...
// BUNDLE: .irf, a bare graph .onnx, or the socket of `edgeirf serve`. PICTURE: binary PPM or PGM, or a camera's bytes with
// format and size in its name: part.nv12:1280x1024. Exit code: 0 all parts passed, 1 a part was rejected, 2 an error.
#include <edgeirf.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

static const char *const kFormats[] = {"bgr8",        "rgb8",        "gray8",       "bgr16",       "rgb16", "gray16",
                                       "bayer_rggb8", "bayer_grbg8", "bayer_gbrg8", "bayer_bggr8", "nv12"};  // as in edgeirf.h

struct Picture {
  int width = 0, height = 0, format = -1;
  std::vector<unsigned char> pixels;

  bool possible() const { return format >= 0 && width > 0 && height > 0 && width < 65536 && height < 65536; }
  std::size_t bytes() const {
    static const int two[] = {6, 6, 2, 12, 12, 4, 2, 2, 2, 2, 3};  // of two pixels
    return std::size_t(width) * std::size_t(height) * std::size_t(two[format]) / 2;
  }
};

// FILE.FORMAT:WIDTHxHEIGHT; false for another name.
static bool split_name(std::string &name, Picture &picture) {
  const std::size_t size = name.rfind(':'), dot = name.rfind('.', size);
  if (size == std::string::npos || dot == std::string::npos ||
      std::sscanf(name.c_str() + size, ":%dx%d", &picture.width, &picture.height) != 2)
    return false;
  const std::string format = name.substr(dot + 1, size - dot - 1);
  for (int i = 0; i < 11; ++i)
    if (format == kFormats[i]) picture.format = i;
  name.resize(size);
  return true;
}

static bool read_picture(std::string name, Picture &picture) {
  const bool raw = split_name(name, picture);
  std::FILE *file = std::fopen(name.c_str(), "rb");
  if (!file) return false;
  char kind = 0;
  int white = 0;
  if (!raw && std::fscanf(file, "P%c %d %d %d", &kind, &picture.width, &picture.height, &white) == 4 && std::fgetc(file) != EOF && white == 255)
    picture.format = kind == '5' ? EDGEIRF_GRAY8 : kind == '6' ? EDGEIRF_RGB8 : -1;
  bool ok = picture.possible();
  if (ok) {
    picture.pixels.resize(picture.bytes());
    ok = std::fread(picture.pixels.data(), 1, picture.pixels.size(), file) == picture.pixels.size();
  }
  std::fclose(file);
  return ok;
}

static bool ends_with(const std::string &text, const std::string &end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

static int inspect(edgeirf *line, const char *name) {
  Picture picture;
  edgeirf_verdict verdict = EDGEIRF_VERDICT;
  edgeirf_region regions[16];
  if (!read_picture(name, picture)) return std::printf("%s: REJECT, not a picture that can be read\n", name), 2;
  if (edgeirf_inspect(line, picture.pixels.data(), picture.width, picture.height, 0, picture.format, &verdict, regions, 16, nullptr, 0))
    return std::printf("%s: REJECT, %s\n", name, edgeirf_last_error()), 2;
  std::printf("%s: %s, score %.9g, p-value %.6g", name, verdict.reject ? "REJECT" : "good", verdict.score, verdict.p_value);
  for (int k = 0; k < verdict.n_regions && k < 16; ++k)
    std::printf(", %dx%d at %d,%d", regions[k].width, regions[k].height, regions[k].x, regions[k].y);
  std::printf("\n");
  return verdict.reject ? 1 : 0;
}

int main(int count, char **arguments) {
  edgeirf_options options = EDGEIRF_OPTIONS;
  if (count > 2 && !std::strcmp(arguments[1], "--product")) {
    options.product = arguments[2];
    arguments += 2;
    count -= 2;
  }
  if (count < 3) return std::fprintf(stderr, "usage: host [--product NAME] BUNDLE PICTURE ...\n"), 2;
  edgeirf *line = nullptr;
  const bool file = ends_with(arguments[1], ".irf") || ends_with(arguments[1], ".onnx");
  if ((file ? edgeirf_load : edgeirf_connect)(arguments[1], &options, &line)) return std::fprintf(stderr, "%s\n", edgeirf_last_error()), 2;
  int worst = 0;
  for (int i = 2; i < count; ++i) {
    const int code = inspect(line, arguments[i]);
    worst = code > worst ? code : worst;
  }
  edgeirf_free(line);
  return worst;
}
