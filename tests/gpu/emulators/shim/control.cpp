// What a test says to the shim, and hears from it.
#include <cstdio>
#include <cstdlib>

#include "cuda_on_cpu.h"

namespace shim {

std::string& last_error() {
  static std::string text;
  return text;
}

bool& errors_are_kept() {
  static bool kept = false;
  return kept;
}

void finish(const std::string& error) {
  last_error() = error;
  if (error.empty() || errors_are_kept()) return;
  fprintf(stderr, "kernel on the CPU: %s\n", error.c_str());
  abort();
}

}  // namespace shim

extern "C" void shim_order(int order, unsigned seed) {
  shim::settings.order = static_cast<shim::Order>(order);
  shim::settings.seed = seed;
}

extern "C" void shim_keep_errors(int kept) { shim::errors_are_kept() = kept; }

// Empty when the last launch went well.
extern "C" const char* shim_error() { return shim::last_error().c_str(); }
