// Runs one launch that a test wrote to a file, under AddressSanitizer: buffers are heap blocks of exactly their size.
//
//   run-kernel KERNEL ORDER FILE
//
// The file: grid and block (6 uint32), bytes of the arguments (uint32), the arguments, number of buffers (uint32), and
// for each: where its address goes in the arguments (uint32), its size (uint64), its bytes. The bytes of the buffers
// are written back to FILE.out, one after the other.
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "fibers.h"

extern "C" void shim_order(int order, unsigned seed);

namespace {

template <class T>
T take(std::ifstream& file) {
  T value;
  file.read(reinterpret_cast<char*>(&value), sizeof value);
  return value;
}

struct Buffer {
  char* bytes;
  uint64_t size;
};

}  // namespace

int main(int count, char** words) {
  if (count != 4) return 2;
  std::ifstream file(words[3], std::ios::binary);
  unsigned shape[6];
  file.read(reinterpret_cast<char*>(shape), sizeof shape);
  std::vector<char> args(take<uint32_t>(file));
  file.read(args.data(), args.size());
  std::vector<Buffer> buffers(take<uint32_t>(file));
  for (Buffer& buffer : buffers) {
    const uint32_t field = take<uint32_t>(file);
    buffer.size = take<uint64_t>(file);
    buffer.bytes = static_cast<char*>(malloc(buffer.size));
    file.read(buffer.bytes, buffer.size);
    memcpy(args.data() + field, &buffer.bytes, sizeof buffer.bytes);
  }
  using Launcher = void (*)(const unsigned*, unsigned, const void*);
  const auto launch = reinterpret_cast<Launcher>(dlsym(nullptr, ("cudacpu_launch_" + std::string(words[1])).c_str()));
  if (!file || !launch) return 2;
  shim_order(atoi(words[2]), 11);
  launch(shape, 0, args.data());
  std::ofstream out(std::string(words[3]) + ".out", std::ios::binary);
  for (const Buffer& buffer : buffers) {
    out.write(buffer.bytes, buffer.size);
    free(buffer.bytes);
  }
}
