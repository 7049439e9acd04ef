// Inspects what OpenCV reads: a camera number, a video, or pictures like 'parts/%03d.png'.
//     camera BUNDLE.irf 0
#include <edgeirf.h>

#include <cstdio>
#include <cstdlib>
#include <opencv2/videoio.hpp>
#include <string>

int main(int count, char **arguments) {
  if (count != 3) return std::fprintf(stderr, "usage: camera BUNDLE.irf NUMBER|VIDEO|PICTURES\n"), 2;
  edgeirf *line = nullptr;
  if (edgeirf_load(arguments[1], nullptr, &line)) return std::fprintf(stderr, "%s\n", edgeirf_last_error()), 2;
  const std::string source = arguments[2];
  const bool number = source.find_first_not_of("0123456789") == std::string::npos;
  cv::VideoCapture camera;
  if (!(number ? camera.open(std::atoi(source.c_str())) : camera.open(source)))
    return std::fprintf(stderr, "cannot open %s\n", source.c_str()), 2;
  cv::Mat frame;
  int rejects = 0;
  for (int part = 0; camera.read(frame); ++part) {
    edgeirf_verdict verdict = EDGEIRF_VERDICT;
    if (edgeirf_inspect(line, frame.data, frame.cols, frame.rows, int32_t(frame.step), EDGEIRF_BGR8, &verdict, nullptr, 0, nullptr, 0))
      std::fprintf(stderr, "%s\n", edgeirf_last_error());  // verdict.reject is 1
    std::printf("part %d: %s, score %.6g\n", part, verdict.reject ? "REJECT" : "good", verdict.score);
    rejects += verdict.reject;
  }
  edgeirf_free(line);
  return rejects > 0;
}
