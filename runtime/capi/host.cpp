// Inspects pictures (binary PPM or PGM):  host BUNDLE.irf PICTURE.ppm ...
// A bundle whose name does not end in .irf is the socket of `edgeirf serve`.
// Exit code: 0 all parts passed, 1 a part was rejected, 2 an error.
#include <edgeirf.h>

#include <cstdio>
#include <string>
#include <vector>

struct Picture {
  int width = 0, height = 0, format = EDGEIRF_RGB8;
  std::vector<unsigned char> pixels;
};

static bool read_picture(const char *path, Picture &picture) {
  std::FILE *file = std::fopen(path, "rb");
  char kind = 0;
  int white = 0;
  bool ok = file && std::fscanf(file, "P%c %d %d %d", &kind, &picture.width, &picture.height, &white) == 4 && std::fgetc(file) != EOF;
  ok = ok && (kind == '5' || kind == '6') && white == 255 && picture.width > 0 && picture.height > 0 && picture.width < 65536 &&
       picture.height < 65536;
  if (ok) {
    picture.format = kind == '5' ? EDGEIRF_GRAY8 : EDGEIRF_RGB8;
    picture.pixels.resize(std::size_t(picture.width) * std::size_t(picture.height) * (kind == '5' ? 1 : 3));
    ok = std::fread(picture.pixels.data(), 1, picture.pixels.size(), file) == picture.pixels.size();
  }
  if (file) std::fclose(file);
  return ok;
}

static bool ends_with(const std::string &text, const std::string &end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

int main(int count, char **arguments) {
  if (count < 3) return std::fprintf(stderr, "usage: host BUNDLE.irf PICTURE.ppm ...\n"), 2;
  edgeirf *line = nullptr;
  const auto open = ends_with(arguments[1], ".irf") ? edgeirf_load : edgeirf_connect;
  if (open(arguments[1], nullptr, &line)) return std::fprintf(stderr, "%s\n", edgeirf_last_error()), 2;
  int worst = 0;
  for (int i = 2; i < count; ++i) {
    Picture picture;
    edgeirf_verdict verdict = EDGEIRF_VERDICT;
    edgeirf_region regions[16];
    if (!read_picture(arguments[i], picture)) {
      std::printf("%s: REJECT, not a binary PPM or PGM picture of 8 bits\n", arguments[i]);
      worst = 2;
    } else if (edgeirf_inspect(line, picture.pixels.data(), picture.width, picture.height, 0, picture.format, &verdict, regions, 16,
                               nullptr, 0)) {
      std::printf("%s: REJECT, %s\n", arguments[i], edgeirf_last_error());
      worst = 2;
    } else {
      std::printf("%s: %s, score %.6g, p-value %.6g", arguments[i], verdict.reject ? "REJECT" : "good", verdict.score, verdict.p_value);
      for (int k = 0; k < verdict.n_regions && k < 16; ++k)
        std::printf(", %dx%d at %d,%d", regions[k].width, regions[k].height, regions[k].x, regions[k].y);
      std::printf("\n");
      if (verdict.reject && worst == 0) worst = 1;
    }
  }
  edgeirf_free(line);
  return worst;
}
