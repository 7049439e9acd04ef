// Figures of the C library, for benchmarks/embed_c.py:
//   embed_c start BUNDLE WIDTH HEIGHT              load to first verdict, resident memory
//   embed_c overhead BUNDLE WIDTH HEIGHT FRAMES    a frame through the library, and the bare run of its graph, in turn
//   embed_c server SOCKET WIDTH HEIGHT FRAMES      round trip of a frame to a server
#include <sstream>

#define private public  // the bare run of the graph is a private function
#include "edgeirf.cpp"
#undef private

#include <chrono>
#include <ctime>

static double wall_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static double cpu_ms() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return double(now.tv_sec) * 1e3 + double(now.tv_nsec) / 1e6;
}

static double at(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[size_t(share * double(values.size() - 1))];
}

static double resident_mb(const char *key) {
  char line[256];
  double found = 0;
  std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen("/proc/self/status", "r"), std::fclose);
  while (std::fgets(line, sizeof line, file.get()))
    if (!std::strncmp(line, key, std::strlen(key))) found = std::atof(line + std::strlen(key)) / 1024;
  return found;
}

// Gray with noise, and a bright square: the map has regions.
static Bytes part(int width, int height) {
  Bytes pixels(size_t(width) * size_t(height) * 3);
  uint32_t state = 1;
  for (auto &value : pixels) value = uint8_t(120 + ((state = state * 1664525 + 1013904223) >> 28));
  for (int y = height / 4; y < height / 2; ++y) std::memset(&pixels[size_t(y * width + width / 4) * 3], 255, size_t(width / 4) * 3);
  return pixels;
}

int main(int count, char **arguments) {
  if (count < 5) return 2;
  const std::string what = arguments[1];
  const int width = std::atoi(arguments[3]), height = std::atoi(arguments[4]), frames = count > 5 ? std::atoi(arguments[5]) : 0;
  const Bytes pixels = part(width, height);
  edgeirf *line = nullptr;
  edgeirf_verdict verdict = EDGEIRF_VERDICT;
  edgeirf_region regions[16];
  const double start = wall_ms(), start_cpu = cpu_ms();
  if ((what == "server" ? edgeirf_connect : edgeirf_load)(arguments[2], nullptr, &line)) return std::puts(edgeirf_last_error()), 1;
  std::vector<float> map(line->map_values());
  const auto inspect = [&] {
    return edgeirf_inspect(line, pixels.data(), width, height, 0, EDGEIRF_BGR8, &verdict, regions, 16, map.data(), int32_t(map.size()));
  };
  if (inspect()) return std::puts(edgeirf_last_error()), 1;
  if (what == "start")
    std::printf("{\"wall_ms\": %.1f, \"cpu_ms\": %.1f, \"resident_mb\": %.1f, \"peak_mb\": %.1f}\n", wall_ms() - start, cpu_ms() - start_cpu,
                resident_mb("VmRSS:"), resident_mb("VmHWM:"));
  if (what == "overhead") {
    const auto *local = static_cast<Local *>(line);
    const Frame frame = checked_frame(pixels.data(), width, height, 0, EDGEIRF_BGR8);
    std::vector<double> graph, library;
    for (int i = 0; i < frames; ++i) {
      const double before = cpu_ms();
      local->run(frame, pixels.data());
      const double between = cpu_ms();
      inspect();
      graph.push_back(between - before);
      library.push_back(cpu_ms() - between);
    }
    std::printf("{\"graph_ms\": %.4f, \"library_ms\": %.4f, \"regions\": %d}\n", at(graph, 0.5), at(library, 0.5), verdict.n_regions);
  }
  if (what == "server") {
    std::vector<double> times;
    for (int i = 0; i < frames; ++i) {
      const double before = wall_ms();
      if (inspect()) return std::puts(edgeirf_last_error()), 1;
      times.push_back(wall_ms() - before);
    }
    std::printf("{\"least_ms\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n", at(times, 0), at(times, 0.5), at(times, 0.99));
  }
  edgeirf_free(line);
}
