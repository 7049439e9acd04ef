// edgeirf.h for ONNX Runtime: reads a sealed bundle, runs its graph line.onnx, turns the map into regions.
// C++17, no dependency at build time. There is no arithmetic on pixels or scores here, so nothing can differ from Python.
#define EDGEIRF_BUILD
#include "edgeirf.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>
#include <locale>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#include <sys/stat.h>
#endif
#if defined(__linux__)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#endif

namespace {

// ---- Errors: thrown inside, one line for the host

thread_local std::string last_error;

struct Error : std::runtime_error {
  int32_t code;
  Error(int32_t the_code, const std::string &message) : std::runtime_error(message), code(the_code) {}
};

void keep_error(const char *message) noexcept {
  try {
    last_error = message;
    std::replace(last_error.begin(), last_error.end(), '\n', ' ');
  } catch (...) {
  }
}

template <class Work>
int32_t guarded(Work work) noexcept {
  try {
    last_error.clear();
    work();
    return EDGEIRF_OK;
  } catch (const Error &error) {
    keep_error(error.what());
    return error.code;
  } catch (const std::exception &error) {
    keep_error(error.what());
  } catch (...) {
    keep_error("unknown error");
  }
  return EDGEIRF_RUNTIME;
}

std::string text(int64_t number) { return std::to_string(number); }

// ---- Frames as the host has them

struct Format {
  const char *name;
  int bytes;  // a pixel
  bool red_first;
  bool raw;  // colours are spread over several pixels: even sides
};
constexpr Format kFormats[] = {
    {"bgr8", 3, false, false},       {"rgb8", 3, true, false},        {"gray8", 1, false, false},      {"bgr16", 6, false, false},
    {"rgb16", 6, true, false},       {"gray16", 2, false, false},     {"bayer_rggb8", 1, false, true}, {"bayer_grbg8", 1, false, true},
    {"bayer_gbrg8", 1, false, true}, {"bayer_bggr8", 1, false, true}, {"nv12", 1, false, true}};
constexpr int32_t kFormatCount = sizeof kFormats / sizeof *kFormats;
constexpr double kMostOff = 0.03;  // of the check frame's peak: INT8 that is rounded otherwise is off by 0.002
constexpr int32_t kMaxSide = 65535, kSmallestRaw = 4, kSchema = 1;

struct Frame {
  const uint8_t *pixels;
  int32_t width, height, format;
  ptrdiff_t stride;

  const Format &layout() const { return kFormats[format]; }
  size_t rows() const { return format == EDGEIRF_NV12 ? size_t(height) / 2 * 3 : size_t(height); }
  size_t row_bytes() const { return size_t(width) * size_t(layout().bytes); }
  size_t bytes() const { return rows() * row_bytes(); }
  bool packed() const { return stride == ptrdiff_t(row_bytes()); }
  const uint8_t *row(size_t index) const { return pixels + ptrdiff_t(index) * stride; }

  void copy_to(uint8_t *out) const {
    for (size_t y = 0; y < rows(); ++y) std::memcpy(out + y * row_bytes(), row(y), row_bytes());
  }
};

Frame checked_frame(const void *pixels, int32_t width, int32_t height, int32_t stride, int32_t format) {
  if (!pixels) throw Error(EDGEIRF_FRAME, "the frame has no pixels: pixels is NULL");
  if (format < 0 || format >= kFormatCount)
    throw Error(EDGEIRF_FRAME, "there is no pixel format " + text(format) + ": use one of EDGEIRF_BGR8, ...");
  const Format &layout = kFormats[format];
  const int32_t smallest = layout.raw ? kSmallestRaw : 1;
  if (width < smallest || height < smallest || width > kMaxSide || height > kMaxSide)
    throw Error(EDGEIRF_FRAME, "a frame of " + text(width) + "x" + text(height) + " pixels cannot be inspected: sides are " +
                                   text(smallest) + " to " + text(kMaxSide));
  if (layout.raw && (width % 2 || height % 2))
    throw Error(EDGEIRF_FRAME, std::string("a ") + layout.name + " frame has even sides, not " + text(width) + "x" + text(height));
  Frame frame{static_cast<const uint8_t *>(pixels), width, height, format, stride};
  const auto row = ptrdiff_t(frame.row_bytes());
  if (stride == 0) frame.stride = row;
  if (frame.stride < row && -frame.stride < row)
    throw Error(EDGEIRF_FRAME, "a stride of " + text(stride) + " bytes is too short: a row of " + text(width) + " " + layout.name +
                                   " pixels has " + text(row));
  if (format == EDGEIRF_NV12 && stride < 0)
    throw Error(EDGEIRF_FRAME, "an nv12 frame has its chroma below its luma: its stride is not negative");
  return frame;
}

// ---- SHA-256 (FIPS 180-4): the bundle's seal

uint32_t rotate(uint32_t value, int bits) { return value >> bits | value << (32 - bits); }

void sha256_block(uint32_t *state, const uint8_t *block) {
  static const uint32_t kRound[64] = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
      0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
      0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
      0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
      0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
      0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
      0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
  uint32_t w[64];
  for (int i = 0; i < 16; ++i)
    w[i] = uint32_t(block[4 * i]) << 24 | uint32_t(block[4 * i + 1]) << 16 | uint32_t(block[4 * i + 2]) << 8 | block[4 * i + 3];
  for (int i = 16; i < 64; ++i) {
    const uint32_t x = w[i - 15], y = w[i - 2];
    w[i] = w[i - 16] + w[i - 7] + (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) + (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10);
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (int i = 0; i < 64; ++i) {
    const uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + kRound[i] + w[i];
    const uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  const uint32_t sums[8] = {a, b, c, d, e, f, g, h};
  for (int i = 0; i < 8; ++i) state[i] += sums[i];
}

std::string sha256_hex(const uint8_t *data, size_t size) {
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  const size_t whole = size / 64 * 64, rest = size - whole;
  for (size_t at = 0; at < whole; at += 64) sha256_block(state, data + at);
  uint8_t tail[128] = {};
  if (rest) std::memcpy(tail, data + whole, rest);
  tail[rest] = 0x80;
  const size_t length = rest < 56 ? 64 : 128;
  for (size_t i = 0; i < 8; ++i) tail[length - 1 - i] = uint8_t(uint64_t(size) * 8 >> 8 * i);
  for (size_t at = 0; at < length; at += 64) sha256_block(state, tail + at);
  char hex[65];
  for (size_t i = 0; i < 8; ++i) std::snprintf(hex + 8 * i, 9, "%08x", unsigned(state[i]));
  return hex;
}

// ---- The bundle: a zip of stored members. Its seal covers every byte but proves no author: each number is checked

using Bytes = std::vector<uint8_t>;
constexpr char kSeal[] = "edgeirf-sha256:";
constexpr size_t kSealSize = sizeof kSeal - 1, kComment = kSealSize + 64, kEnd = 22 + kComment;
constexpr uint64_t kMaxBundle = 0xffffffff;  // a zip without its 64-bit extension
constexpr size_t kMaxMembers = 64;

struct View {
  const uint8_t *data = nullptr;
  size_t size = 0;
};

uint32_t little(const uint8_t *at, int bytes) {
  uint32_t value = 0;
  while (bytes--) value = value << 8 | at[bytes];
  return value;
}

Error bad_zip() { return Error(EDGEIRF_BUNDLE, "not a readable zip"); }

FILE *open_file(const std::string &path) {
#if defined(_WIN32)
  std::wstring wide(path.size() + 1, L'\0');
  if (!MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, &wide[0], int(wide.size()))) return nullptr;
  return _wfopen(wide.c_str(), L"rb");
#else
  return std::fopen(path.c_str(), "rb");
#endif
}

// Messages do not name the file: the caller does.
Bytes read_file(const std::string &path) {
#if !defined(_WIN32)
  struct stat status {};  // a pipe or device may never end
  if (!stat(path.c_str(), &status) && !S_ISREG(status.st_mode)) throw Error(EDGEIRF_BUNDLE, "not a regular file");
#endif
  std::unique_ptr<FILE, int (*)(FILE *)> file(open_file(path), std::fclose);
  if (!file) throw Error(EDGEIRF_BUNDLE, std::string("cannot be read: ") + std::strerror(errno));
#if defined(_WIN32)
  const bool sized = !_fseeki64(file.get(), 0, SEEK_END);
  const int64_t size = sized ? _ftelli64(file.get()) : -1;
#else
  const bool sized = !fseeko(file.get(), 0, SEEK_END);
  const int64_t size = sized ? int64_t(ftello(file.get())) : -1;
#endif
  if (size < 0) throw Error(EDGEIRF_BUNDLE, "not a regular file");
  if (uint64_t(size) > kMaxBundle) throw Error(EDGEIRF_BUNDLE, text(size) + " bytes is more than a bundle may have");
  std::rewind(file.get());
  Bytes data(static_cast<size_t>(size));
  if (size && std::fread(data.data(), 1, data.size(), file.get()) != data.size())
    throw Error(EDGEIRF_BUNDLE, "cannot be read: it became shorter");
  return data;
}

void check_seal(const Bytes &data) {
  static const char kZip[] = "PK\3\4";
  if (data.size() < kEnd || std::memcmp(data.data(), kZip, 4)) throw Error(EDGEIRF_BUNDLE, "not an edgeirf bundle");
  const size_t body = data.size() - 64;
  if (std::memcmp(&data[body - kSealSize], kSeal, kSealSize))
    throw Error(EDGEIRF_BUNDLE, "not an edgeirf bundle, or cut short: copy it again");
  if (std::memcmp(sha256_hex(data.data(), body).data(), &data[body], 64))
    throw Error(EDGEIRF_BUNDLE, "damaged (its checksum does not match): copy it again or export it again");
}

bool plain_name(const std::string &name) {
  const auto letter = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
  if (name.empty() || name.size() > 128 || !letter(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || c == '.' || c == '_' || c == '-'; });
}

// The bytes of a member, behind its local header.
View member_at(const Bytes &data, size_t local, size_t size, const std::string &name, size_t stop) {
  if (local > stop || stop - local < 30 || little(&data[local], 4) != 0x04034b50) throw bad_zip();
  const size_t name_size = little(&data[local + 26], 2), from = local + 30 + name_size + little(&data[local + 28], 2);
  if (from > stop || stop - from < size) throw bad_zip();
  if (name_size != name.size() || std::memcmp(&data[local + 30], name.data(), name_size)) throw bad_zip();
  return {data.data() + from, size};
}

// Every member of a sealed bundle by name. The seal's length is fixed, and so is the place of the central directory's end.
std::map<std::string, View> members_of(const Bytes &data) {
  check_seal(data);
  const size_t stop = data.size() - kEnd;
  const uint8_t *end = &data[stop];
  size_t count = little(end + 10, 2), at = little(end + 16, 4);
  if (little(end, 4) != 0x06054b50 || little(end + 20, 2) != kComment || at > stop) throw bad_zip();
  if (count > kMaxMembers) throw Error(EDGEIRF_BUNDLE, text(int64_t(count)) + " members, " + text(kMaxMembers) + " at most are allowed");
  std::map<std::string, View> members;
  uint64_t total = 0;
  for (bool first = true; count--; first = false) {
    if (stop - at < 46 || little(&data[at], 4) != 0x02014b50) throw bad_zip();
    const uint8_t *entry = &data[at];
    const size_t size = little(entry + 24, 4), name_size = little(entry + 28, 2), local = little(entry + 42, 4);
    const size_t whole = 46 + name_size + little(entry + 30, 2) + little(entry + 32, 2);
    if (stop - at < whole) throw bad_zip();
    const std::string name(reinterpret_cast<const char *>(entry + 46), name_size);
    if (!plain_name(name)) throw Error(EDGEIRF_BUNDLE, "a member's name is not a plain file name");
    if (first && name != "manifest.json") throw Error(EDGEIRF_BUNDLE, "not an edgeirf bundle: manifest.json is not its first member");
    if (little(entry + 10, 2) || little(entry + 20, 4) != size)
      throw Error(EDGEIRF_BUNDLE, name + " is compressed, which a bundle never is");
    total += size;
    if (total > data.size() || !members.emplace(name, member_at(data, local, size, name, stop)).second)
      throw Error(EDGEIRF_BUNDLE, "members overlap");
    at += whole;
  }
  return members;
}

View member(const Bytes &data, const std::string &name) {
  const auto members = members_of(data);
  const auto found = members.find(name);
  if (found == members.end())
    throw Error(EDGEIRF_BUNDLE, "has no " + name + ": export it again with this version of edgeirf");
  return found->second;
}

// ---- The graph: an allow-list, as edgeirf.onnx_check has it, read before ONNX Runtime parses the file
//
// What it cannot hold: data in other files, functions, loops, operators of other domains. A hostile graph can still take
// memory and time, but reads no file.

const char *const kOperators[] = {
    "Abs", "Add", "And", "AveragePool", "Cast", "Clip", "Concat", "Conv", "DequantizeLinear", "Div",
    "Equal", "Erf", "Exp", "Expand", "Floor", "Gather", "Gemm", "GlobalAveragePool", "GreaterOrEqual",
    "HardSigmoid", "HardSwish", "Identity", "LayerNormalization", "Less", "LessOrEqual", "Log", "MatMul",
    "MatMulInteger", "Max", "MaxPool", "Min", "Mod", "Mul", "Neg", "Not", "Pad", "Pow", "QLinearMatMul", "QuantizeLinear",
    "Range", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape",
    "Resize", "Round", "Shape", "Sigmoid", "Slice", "Softmax", "Softplus", "Split", "Sqrt", "Squeeze",
    "Sub", "Tanh", "Tile", "TopK", "Transpose", "Unsqueeze", "Where"};

Error foreign(const std::string &what) {
  return Error(EDGEIRF_BUNDLE, "line.onnx is not a graph that edgeirf exports: " + what);
}

enum Wire : uint32_t { kVarint = 0, kLength = 2, kFixed32 = 5 };
struct Message;
struct Field {
  uint32_t number;  // of onnx.proto
  Wire wire;
  const Message *inside;                  // or nullptr
  void (*check)(const std::string &text);  // or nullptr
};
struct Message {
  const char *name;
  std::vector<Field> fields;
};

uint64_t varint(View &rest) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && rest.size; shift += 7) {
    const uint8_t byte = *rest.data++;
    --rest.size;
    value |= uint64_t(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  throw foreign("a number is cut short or too long");
}

View take(View &rest, uint64_t size) {
  if (size > rest.size) throw foreign("a field is cut short");
  const View taken{rest.data, size_t(size)};
  rest.data += taken.size;
  rest.size -= taken.size;
  return taken;
}

void check_message(View rest, const Message &message) {
  while (rest.size) {
    const uint64_t tag = varint(rest), number = tag >> 3;
    const auto known = std::find_if(message.fields.begin(), message.fields.end(),
                                    [&](const Field &field) { return field.number == number && field.wire == (tag & 7); });
    if (known == message.fields.end())
      throw foreign(message.name + std::string(" has field ") + std::to_string(number) + ", which edgeirf never writes");
    if (known->wire == kVarint) {
      varint(rest);
      continue;
    }
    const View value = take(rest, known->wire == kFixed32 ? 4 : varint(rest));
    if (known->inside) check_message(value, *known->inside);
    if (known->check) known->check(std::string(reinterpret_cast<const char *>(value.data), value.size));
  }
}

void check_operator(const std::string &name) {
  if (std::find(std::begin(kOperators), std::end(kOperators), name) == std::end(kOperators))
    throw foreign("operator " + name.substr(0, 60) + ", which edgeirf never writes");
}

void check_domain(const std::string &name) {
  if (!name.empty()) throw foreign("operators of the domain " + name.substr(0, 60));
}

// Every field that edgeirf writes; external data, functions, graphs inside of nodes and sparse tensors are not among them.
void check_graph(const View &graph) {
  static const auto number = [](uint32_t field) { return Field{field, kVarint, nullptr, nullptr}; };
  static const auto bytes = [](uint32_t field) { return Field{field, kLength, nullptr, nullptr}; };
  static const auto inside = [](uint32_t field, const Message &message) { return Field{field, kLength, &message, nullptr}; };
  static const Field domain_of_node{7, kLength, nullptr, check_domain}, domain_of_set{1, kLength, nullptr, check_domain};
  static const Message dimension{"a dimension", {number(1), bytes(2)}}, shape{"a shape", {inside(1, dimension)}};
  static const Message tensor_type{"a type", {number(1), inside(2, shape)}}, type{"a type", {inside(1, tensor_type)}};
  static const Message value{"a value", {bytes(1), inside(2, type), bytes(3)}};
  static const Message tensor{"an initializer", {number(1), bytes(1), number(2), bytes(8), bytes(9)}};
  static const Message attribute{
      "an attribute", {bytes(1), Field{2, kFixed32, nullptr, nullptr}, number(3), bytes(4), number(8), bytes(8), bytes(13), number(20)}};
  static const Message node{"a node",
                            {bytes(1), bytes(2), bytes(3), Field{4, kLength, nullptr, check_operator}, inside(5, attribute), bytes(6), domain_of_node}};
  static const Message body{
      "the graph", {inside(1, node), bytes(2), inside(5, tensor), bytes(10), inside(11, value), inside(12, value), inside(13, value)}};
  static const Message operators{"a set of operators", {domain_of_set, number(2)}}, entry{"an entry of the metadata", {bytes(1), bytes(2)}};
  static const Message model{"the model", {number(1), bytes(2), bytes(3), bytes(6), inside(7, body), inside(8, operators), inside(14, entry)}};
  check_message(graph, model);
}

// ---- ONNX Runtime, opened at run time
//
// Its C API is a table of functions to which new ones are only appended, so the places below hold for every version.
// They are declared here because the package that brings the library brings no header.

#if defined(_WIN32)
#define EDGEIRF_CALL __stdcall
#else
#define EDGEIRF_CALL
#endif
struct OrtStatus;
struct OrtEnv;
struct OrtSession;
struct OrtOptions;
struct OrtRunOptions;
struct OrtValue;
struct OrtMemory;
struct OrtAllocator;
struct OrtTypeInfo;
struct OrtTensorInfo;
struct OrtMetadata;
struct OrtCuda;

enum OrtType : int { kFloat = 1, kUint8 = 2, kUint16 = 4, kInt32 = 6, kInt64 = 7, kBool = 9, kDouble = 11 };

template <class... Arguments>
using Call = OrtStatus *(EDGEIRF_CALL *)(Arguments...);
template <class Object>
using Release = void(EDGEIRF_CALL *)(Object *);
template <class Object>
using Owned = std::unique_ptr<Object, Release<Object>>;

struct OrtApi {
  void *gap0[2];
  const char *(EDGEIRF_CALL *GetErrorMessage)(const OrtStatus *);                    // 2
  Call<int, const char *, OrtEnv **> CreateEnv;                                      // 3
  void *gap4[2];
  Call<const OrtEnv *> DisableTelemetryEvents;                                       // 6
  void *gap7[1];
  Call<const OrtEnv *, const void *, size_t, const OrtOptions *, OrtSession **> CreateSessionFromArray;  // 8
  Call<OrtSession *, const OrtRunOptions *, const char *const *, const OrtValue *const *, size_t, const char *const *,
       size_t, OrtValue **> Run;                                                     // 9
  Call<OrtOptions **> CreateSessionOptions;                                          // 10
  void *gap11[13];
  Call<OrtOptions *, int> SetIntraOpNumThreads, SetInterOpNumThreads;                // 24, 25
  void *gap26[4];
  Call<const OrtSession *, size_t *> SessionGetInputCount, SessionGetOutputCount;    // 30, 31
  void *gap32[1];
  Call<const OrtSession *, size_t, OrtTypeInfo **> SessionGetInputTypeInfo, SessionGetOutputTypeInfo;  // 33, 34
  void *gap35[1];
  Call<const OrtSession *, size_t, OrtAllocator *, char **> SessionGetInputName, SessionGetOutputName;  // 36, 37
  void *gap38[11];
  Call<const OrtMemory *, void *, size_t, const int64_t *, size_t, int, OrtValue **> CreateTensorWithDataAsOrtValue;  // 49
  void *gap50[1];
  Call<OrtValue *, void **> GetTensorMutableData;                                    // 51
  void *gap52[3];
  Call<const OrtTypeInfo *, const OrtTensorInfo **> CastTypeInfoToTensorInfo;        // 55
  void *gap56[4];
  Call<const OrtTensorInfo *, int *> GetTensorElementType;                           // 60
  Call<const OrtTensorInfo *, size_t *> GetDimensionsCount;                          // 61
  Call<const OrtTensorInfo *, int64_t *, size_t> GetDimensions;                      // 62
  void *gap63[2];
  Call<const OrtValue *, OrtTensorInfo **> GetTensorTypeAndShape;                    // 65
  void *gap66[3];
  Call<int, int, OrtMemory **> CreateCpuMemoryInfo;                                  // 69
  void *gap70[6];
  Call<OrtAllocator *, void *> AllocatorFree;                                        // 76
  void *gap77[1];
  Call<OrtAllocator **> GetAllocatorWithDefaultOptions;                              // 78
  void *gap79[13];
  Release<OrtEnv> ReleaseEnv;                                                        // 92
  Release<OrtStatus> ReleaseStatus;                                                  // 93
  Release<OrtMemory> ReleaseMemoryInfo;                                              // 94
  Release<OrtSession> ReleaseSession;                                                // 95
  Release<OrtValue> ReleaseValue;                                                    // 96
  void *gap97[1];
  Release<OrtTypeInfo> ReleaseTypeInfo;                                              // 98
  Release<OrtTensorInfo> ReleaseTensorTypeAndShapeInfo;                              // 99
  Release<OrtOptions> ReleaseSessionOptions;                                         // 100
  void *gap101[10];
  Call<const OrtSession *, OrtMetadata **> SessionGetModelMetadata;                  // 111
  void *gap112[4];
  Call<const OrtMetadata *, OrtAllocator *, const char *, char **> ModelMetadataLookup;  // 116
  void *gap117[1];
  Release<OrtMetadata> ReleaseModelMetadata;                                         // 118
  void *gap119[4];
  Call<const OrtMetadata *, OrtAllocator *, char ***, int64_t *> ModelMetadataKeys;  // 123
  void *gap124[6];
  Call<OrtOptions *, const char *, const char *> AddSessionConfigEntry;              // 130
  void *gap131[73];
  Call<OrtOptions *, const OrtCuda *> AppendCuda;                                    // 204
  Call<OrtCuda **> CreateCudaOptions;                                                // 205
  void *gap206[2];
  Release<OrtCuda> ReleaseCudaOptions;                                               // 208
  void *gap209[7];
  Call<OrtOptions *, const char *, const char *const *, const char *const *, size_t> AppendProvider;  // 216
};
#define EDGEIRF_PLACE(name, place) static_assert(offsetof(OrtApi, name) == (place) * sizeof(void *), "OrtApi::" #name)
EDGEIRF_PLACE(Run, 9);
EDGEIRF_PLACE(SessionGetOutputName, 37);
EDGEIRF_PLACE(GetTensorTypeAndShape, 65);
EDGEIRF_PLACE(ReleaseSessionOptions, 100);
EDGEIRF_PLACE(ReleaseModelMetadata, 118);
EDGEIRF_PLACE(AddSessionConfigEntry, 130);
EDGEIRF_PLACE(AppendCuda, 204);
EDGEIRF_PLACE(AppendProvider, 216);

struct OrtApiBase {
  const OrtApi *(EDGEIRF_CALL *GetApi)(uint32_t version);
  const char *(EDGEIRF_CALL *GetVersionString)();
};
constexpr uint32_t kOldestApi = 14;  // ONNX Runtime 1.14

class Ort {
 public:
  const OrtApi *api = nullptr;
  OrtEnv *env = nullptr;
  OrtAllocator *allocator = nullptr;

  void ok(OrtStatus *status, int32_t code = EDGEIRF_RUNTIME, const char *what = "ONNX Runtime failed: ") const {
    if (!status) return;
    const std::string message = api->GetErrorMessage(status);
    api->ReleaseStatus(status);
    throw Error(code, what + message.substr(0, message.find('\n')));
  }

  template <class Object>
  Owned<Object> own(Object *object, Release<Object> release) const {
    return {object, release};
  }

  std::string take(char *from_allocator) const {
    const std::string copy = from_allocator ? from_allocator : "";
    if (from_allocator) ok(api->AllocatorFree(allocator, from_allocator));
    return copy;
  }
};

std::string library_path(const char *asked) {
  if (asked && *asked) return asked;
  const char *environment = std::getenv("EDGEIRF_ONNXRUNTIME");
  if (environment && *environment) return environment;
#if defined(EDGEIRF_ONNXRUNTIME)
  return EDGEIRF_ONNXRUNTIME;
#elif defined(_WIN32)
  return "onnxruntime.dll";
#elif defined(__APPLE__)
  return "libonnxruntime.dylib";
#else
  return "libonnxruntime.so.1";
#endif
}

// OrtGetApiBase of a library; the library stays open.
void *open_library(const std::string &path) {
  const std::string cure = ": pip install onnxruntime, and name its library in $EDGEIRF_ONNXRUNTIME or in the options";
#if defined(_WIN32)
  _putenv_s("ORT_DISABLE_TELEMETRY", "1");
  HMODULE library = LoadLibraryExA(path.c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (!library) throw Error(EDGEIRF_RUNTIME, "cannot load ONNX Runtime from " + path + " (error " + text(GetLastError()) + ")" + cure);
  return reinterpret_cast<void *>(GetProcAddress(library, "OrtGetApiBase"));
#else
  setenv("ORT_DISABLE_TELEMETRY", "1", 1);  // read when the library starts: else it keeps a device id and calls home
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    throw Error(EDGEIRF_RUNTIME, std::string("cannot load ONNX Runtime (") + (reason ? reason : path) + ")" + cure);
  }
  return dlsym(library, "OrtGetApiBase");
#endif
}

Ort open_ort(const std::string &path) {
  Ort ort;
  const auto base = reinterpret_cast<const OrtApiBase *(EDGEIRF_CALL *)()>(open_library(path));
  if (!base) throw Error(EDGEIRF_RUNTIME, path + " is not ONNX Runtime: it has no OrtGetApiBase");
  ort.api = base()->GetApi(kOldestApi);
  if (!ort.api)
    throw Error(EDGEIRF_RUNTIME, path + " is ONNX Runtime " + base()->GetVersionString() + ": 1.14 or later is necessary");
  ort.ok(ort.api->CreateEnv(3, "edgeirf", &ort.env));
  ort.ok(ort.api->DisableTelemetryEvents(ort.env));
  ort.ok(ort.api->GetAllocatorWithDefaultOptions(&ort.allocator));
  return ort;
}

// One for the process, as ONNX Runtime has one environment; opened again when the first try failed.
const Ort &shared_ort(const char *asked) {
  static std::mutex mutex;
  static std::string opened;
  static Ort ort;
  const std::lock_guard<std::mutex> lock(mutex);
  const std::string path = library_path(asked);
  if (!ort.api) {
    ort = open_ort(path);
    opened = path;
  } else if (path != opened) {
    throw Error(EDGEIRF_ARGUMENT, "this process uses ONNX Runtime from " + opened + " already, not " + path);
  }
  return ort;
}

struct Tensor {
  int type = 0;
  std::vector<int64_t> shape;

  Tensor() = default;
  Tensor(const Ort &ort, const OrtTensorInfo *info) {
    size_t rank = 0;
    ort.ok(ort.api->GetTensorElementType(info, &type));
    ort.ok(ort.api->GetDimensionsCount(info, &rank));
    shape.resize(rank);
    if (rank) ort.ok(ort.api->GetDimensions(info, shape.data(), rank));
  }
};

// ---- What inspects: the graph of a bundle in this process, or a server

struct Result {
  edgeirf_verdict verdict{};
  std::vector<edgeirf_region> regions;
  float *map = nullptr;  // of the host, large enough; or nullptr
};

}  // namespace

struct edgeirf {
  int32_t map_width = 0, map_height = 0;
  std::map<std::string, std::string> info;

  edgeirf() = default;
  edgeirf(const edgeirf &) = delete;
  edgeirf &operator=(const edgeirf &) = delete;
  virtual ~edgeirf() = default;
  virtual void inspect(const Frame &frame, Result &result) = 0;

  size_t map_values() const { return size_t(map_width) * size_t(map_height); }
};

namespace {

// ---- Regions: the map above the pixel threshold, as edgeirf.runtime.scoring has them

struct Area {
  int64_t x, y, width, height;  // in frame pixels
};

// Frame pixels from..to that `length` map pixels from `start` on touch.
void outward(int64_t start, int64_t length, int64_t size, int64_t frame_size, int32_t &from, int32_t &extent) {
  from = int32_t(start * frame_size / size);
  extent = int32_t(((start + length) * frame_size + size - 1) / size) - from;
}

// Map pixels x0..x1 of a row that are above the threshold; `parent` is a run of the same area, or the run itself.
struct Run {
  int y, x0, x1;
  size_t parent;
  float peak;
};

struct Blob {
  int x0, y0, x1, y1;
  int64_t pixels;
  float peak;
};

edgeirf_region region_in_frame(const Blob &blob, int width, int height, const Area &area) {
  edgeirf_region region{};
  outward(blob.x0, blob.x1 - blob.x0 + 1, width, area.width, region.x, region.width);
  outward(blob.y0, blob.y1 - blob.y0 + 1, height, area.height, region.y, region.height);
  region.x += int32_t(area.x);
  region.y += int32_t(area.y);
  const double cover = double(blob.pixels * area.width * area.height) / (double(width) * height);
  region.area = int32_t(std::min(std::max(1.0, std::nearbyint(cover)), double(std::numeric_limits<int32_t>::max())));
  region.peak = blob.peak;
  return region;
}

size_t root(const std::vector<Run> &runs, size_t run) {
  while (runs[run].parent != run) run = runs[run].parent;
  return run;
}

// The runs of a map, row by row; runs that touch those of the row above (8-neighbours) are of one area.
std::vector<Run> find_runs(const float *map, int width, int height, double limit) {
  std::vector<Run> runs;
  size_t above = 0;
  for (int y = 0; y < height; ++y, map += width) {
    const size_t here = runs.size();
    for (int x = 0; x < width; ++x) {
      if (!(double(map[x]) > limit)) continue;
      Run run{y, x, x, runs.size(), map[x]};
      for (; x + 1 < width && double(map[x + 1]) > limit; run.x1 = ++x) run.peak = std::max(run.peak, map[x + 1]);
      runs.push_back(run);
      while (above < here && runs[above].x1 + 1 < run.x0) ++above;
      for (size_t k = above; k < here && runs[k].x0 <= run.x1 + 1; ++k) {
        const size_t a = root(runs, k), b = root(runs, runs.size() - 1);
        runs[std::max(a, b)].parent = std::min(a, b);
      }
    }
    above = here;
  }
  return runs;
}

// Connected areas of the map above the threshold, largest peak first; equal peaks in the order of their first pixel.
std::vector<edgeirf_region> find_regions(const float *map, int width, int height, double limit, const Area &area) {
  const std::vector<Run> runs = find_runs(map, width, height, limit);
  std::vector<size_t> blob_of(runs.size());
  std::vector<Blob> blobs;
  for (size_t i = 0; i < runs.size(); ++i) {
    const Run &run = runs[i];
    const size_t first = root(runs, i);
    if (first == i) {
      blob_of[i] = blobs.size();
      blobs.push_back({run.x0, run.y, run.x1, run.y, 0, run.peak});
    }
    Blob &blob = blobs[blob_of[first]];
    blob = {std::min(blob.x0, run.x0), blob.y0, std::max(blob.x1, run.x1), run.y, blob.pixels + run.x1 - run.x0 + 1, std::max(blob.peak, run.peak)};
  }
  std::vector<edgeirf_region> regions;
  for (const Blob &blob : blobs) regions.push_back(region_in_frame(blob, width, height, area));
  std::stable_sort(regions.begin(), regions.end(), [](const auto &a, const auto &b) { return a.peak > b.peak; });
  return regions;
}

// ---- What the graph says of itself: text, whoever wrote it

Error bad_entry(const std::string &key) { return Error(EDGEIRF_BUNDLE, "line.onnx has no valid entry " + key + ": export it again"); }

int32_t whole_number(const std::map<std::string, std::string> &info, const std::string &key, int32_t most) {
  const auto found = info.find(key);
  if (found == info.end() || found->second.empty() || found->second.size() > 9 ||
      found->second.find_first_not_of("0123456789") != std::string::npos)
    throw bad_entry(key);
  const int32_t number = std::atoi(found->second.c_str());
  if (number < 1 || number > most) throw bad_entry(key);
  return number;
}

// A decimal number, whatever the locale of the host.
double decimal_number(const std::string &digits) {
  std::istringstream in(digits);
  in.imbue(std::locale::classic());
  double number = 0;
  if (!(in >> number) || !std::isfinite(number) || number == 0) throw bad_entry("edgeirf.check_peak");
  return number;
}

std::array<bool, kFormatCount> formats_in(const std::string &names) {
  std::array<bool, kFormatCount> known{};
  for (int32_t i = 0; i < kFormatCount; ++i) known[size_t(i)] = ("," + names + ",").find("," + std::string(kFormats[i].name) + ",") != std::string::npos;
  return known;
}

// A JSON list of strings. The writer escapes quotes, backslashes and control characters, and leaves the rest in UTF-8.
std::vector<std::string> json_strings(const std::string &json) {
  std::vector<std::string> strings;
  bool inside = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '"') {
      if (!inside) strings.emplace_back();
      inside = !inside;
    } else if (inside && c == '\\') {
      if (++i == json.size() || (json[i] != '"' && json[i] != '\\' && json[i] != '/')) throw bad_entry("edgeirf.products");
      strings.back().push_back(json[i]);
    } else if (inside) {
      strings.back().push_back(c);
    } else if (!std::strchr("[], ", c)) {
      throw bad_entry("edgeirf.products");
    }
  }
  if (inside || strings.empty()) throw bad_entry("edgeirf.products");
  return strings;
}

// ---- A bundle in this process

enum Output : size_t { kScore, kReject, kPValue, kThreshold, kPixelThreshold, kPeak, kMap, kArea, kOutputCount };
const char *const kOutputs[] = {"score", "reject", "p_value", "threshold", "pixel_threshold", "peak", "map", "area"};
static_assert(sizeof kOutputs / sizeof *kOutputs == kOutputCount, "one name each");

class Local final : public edgeirf {
 public:
  Local(const Ort &ort, const std::string &path, const edgeirf_options &options)
      : ort_(ort), memory_(nullptr, ort.api->ReleaseMemoryInfo), session_(nullptr, ort.api->ReleaseSession) {
    try {
      open_graph(path, options);
      read_metadata();
      read_signature();
    } catch (const Error &error) {
      throw Error(error.code, path + ": " + error.what());
    }
    choose_product(options.product);
    try {
      warm_up();
    } catch (const Error &error) {
      throw Error(error.code, path + ": " + error.what());
    }
  }

  void inspect(const Frame &frame, Result &result) override {
    check_frame(frame);
    Bytes room;
    if (!frame.packed()) {
      room.resize(frame.bytes());
      frame.copy_to(room.data());
    }
    const std::vector<Owned<OrtValue>> outputs = run(frame, frame.packed() ? frame.pixels : room.data());
    edgeirf_verdict &verdict = result.verdict;
    verdict.score = scalar(outputs[kScore]);
    verdict.p_value = scalar(outputs[kPValue]);
    verdict.threshold = scalar(outputs[kThreshold]);
    verdict.pixel_threshold = scalar(outputs[kPixelThreshold]);
    if (!std::isfinite(verdict.score)) throw Error(EDGEIRF_SCORE, "the score is not a finite number: export the bundle again");
    const float *map = values<float>(outputs[kMap], kFloat, {map_height, map_width});
    if (scalar(outputs[kPeak]) > verdict.pixel_threshold)
      result.regions = find_regions(map, map_width, map_height, verdict.pixel_threshold, area_of(outputs[kArea]));
    if (result.map) std::memcpy(result.map, map, map_values() * sizeof(float));
    verdict.reject = *values<uint8_t>(outputs[kReject], kBool, {}) != 0;
  }

 private:
  const Ort &ort_;
  Owned<OrtMemory> memory_;
  Owned<OrtSession> session_;
  std::array<bool, kFormatCount> formats_{};
  int32_t min_width_ = 0, min_height_ = 0, max_side_ = 0;
  bool has_product_ = false, has_red_first_ = false;
  int64_t product_ = 0;

  // A bare graph has no seal: its name alone says what it is, so that a damaged bundle is never taken for one.
  void open_graph(const std::string &path, const edgeirf_options &options) {
    const Bytes data = read_file(path);
    const bool bare = path.size() > 5 && !path.compare(path.size() - 5, 5, ".onnx");
    const View graph = bare ? View{data.data(), data.size()} : member(data, "line.onnx");
    check_graph(graph);
    open_session(graph, options);
    if (!bare) info["edgeirf.bundle"] = sha256_hex(data.data(), data.size());
  }

  void open_session(const View &graph, const edgeirf_options &options) {
    const OrtApi *api = ort_.api;
    OrtOptions *raw = nullptr;
    ort_.ok(api->CreateSessionOptions(&raw));
    const auto session_options = ort_.own(raw, api->ReleaseSessionOptions);
    ort_.ok(api->SetIntraOpNumThreads(raw, options.threads > 0 ? options.threads : 1));
    ort_.ok(api->SetInterOpNumThreads(raw, 1));
    // Spinning threads take the cores from the camera and the host.
    ort_.ok(api->AddSessionConfigEntry(raw, "session.intra_op.allow_spinning", "0"));
    append_provider(raw, options.provider ? options.provider : "CPU");
    OrtSession *session = nullptr;
    const std::string refuses = (options.provider ? "the provider " + std::string(options.provider) : "ONNX Runtime") + " refuses line.onnx: ";
    ort_.ok(api->CreateSessionFromArray(ort_.env, graph.data, graph.size, raw, &session), options.provider ? EDGEIRF_RUNTIME : EDGEIRF_BUNDLE,
            refuses.c_str());
    session_.reset(session);
    OrtMemory *memory = nullptr;
    ort_.ok(api->CreateCpuMemoryInfo(0, 0, &memory));
    memory_.reset(memory);
  }

  void append_provider(OrtOptions *options, std::string name) const {
    const std::string suffix = "ExecutionProvider";
    if (name.size() > suffix.size() && !name.compare(name.size() - suffix.size(), suffix.size(), suffix))
      name.resize(name.size() - suffix.size());
    if (name == "CPU" || name == "cpu") return;
    const std::string failed = "ONNX Runtime has no provider " + name + " here: ";
    if (name == "CUDA" || name == "cuda") {
      OrtCuda *cuda = nullptr;
      ort_.ok(ort_.api->CreateCudaOptions(&cuda), EDGEIRF_RUNTIME, failed.c_str());
      const auto owned = ort_.own(cuda, ort_.api->ReleaseCudaOptions);
      ort_.ok(ort_.api->AppendCuda(options, cuda), EDGEIRF_RUNTIME, failed.c_str());
      return;
    }
    ort_.ok(ort_.api->AppendProvider(options, name.c_str(), nullptr, nullptr, 0), EDGEIRF_RUNTIME, failed.c_str());
  }

  void read_metadata() {
    const OrtApi *api = ort_.api;
    OrtMetadata *raw = nullptr;
    ort_.ok(api->SessionGetModelMetadata(session_.get(), &raw));
    const auto metadata = ort_.own(raw, api->ReleaseModelMetadata);
    char **keys = nullptr;
    int64_t count = 0;
    ort_.ok(api->ModelMetadataKeys(raw, ort_.allocator, &keys, &count));
    for (int64_t i = 0; i < count; ++i) {
      char *value = nullptr;
      ort_.ok(api->ModelMetadataLookup(raw, ort_.allocator, keys[i], &value));
      const std::string key = ort_.take(keys[i]);
      info[key] = ort_.take(value);
    }
    if (keys) ort_.ok(api->AllocatorFree(ort_.allocator, keys));
    const int32_t schema = whole_number(info, "edgeirf.schema", 999999999);
    if (schema > kSchema)
      throw Error(EDGEIRF_BUNDLE, "line.onnx is of schema " + text(schema) + ", this library reads " + text(kSchema) + ": upgrade the library");
    formats_ = formats_in(info["edgeirf.pixel_formats"]);
    if (std::find(formats_.begin(), formats_.end(), true) == formats_.end()) throw bad_entry("edgeirf.pixel_formats");
    min_width_ = whole_number(info, "edgeirf.min_width", kMaxSide);
    min_height_ = whole_number(info, "edgeirf.min_height", kMaxSide);
    max_side_ = whole_number(info, "edgeirf.max_side", kMaxSide);
  }

  Tensor tensor_of(bool input, size_t index) const {
    OrtTypeInfo *raw = nullptr;
    const auto get = input ? ort_.api->SessionGetInputTypeInfo : ort_.api->SessionGetOutputTypeInfo;
    ort_.ok(get(session_.get(), index, &raw));
    const auto owned = ort_.own(raw, ort_.api->ReleaseTypeInfo);
    const OrtTensorInfo *tensor = nullptr;
    ort_.ok(ort_.api->CastTypeInfoToTensorInfo(raw, &tensor));
    if (!tensor) throw Error(EDGEIRF_BUNDLE, "line.onnx has an input or output that is no tensor");
    return Tensor(ort_, tensor);
  }

  std::map<std::string, Tensor> tensors(bool input) const {
    std::map<std::string, Tensor> found;
    size_t count = 0;
    ort_.ok((input ? ort_.api->SessionGetInputCount : ort_.api->SessionGetOutputCount)(session_.get(), &count));
    for (size_t i = 0; i < count; ++i) {
      char *name = nullptr;
      ort_.ok((input ? ort_.api->SessionGetInputName : ort_.api->SessionGetOutputName)(session_.get(), i, ort_.allocator, &name));
      found[ort_.take(name)] = tensor_of(input, i);
    }
    return found;
  }

  void read_signature() {
    const auto inputs = tensors(true), outputs = tensors(false);
    const auto takes = [&](const char *name, int type, size_t rank) {
      const auto found = inputs.find(name);
      if (found != inputs.end() && (found->second.type != type || found->second.shape.size() != rank))
        throw Error(EDGEIRF_BUNDLE, std::string("line.onnx has another kind of input ") + name + " than edgeirf writes");
      return found != inputs.end();
    };
    const bool has_frame = takes("frame", kUint8, 3);
    has_product_ = takes("product", kInt64, 0);
    has_red_first_ = takes("red_first", kBool, 0);
    if (!has_frame || inputs.size() != size_t(1 + has_product_ + has_red_first_))
      throw Error(EDGEIRF_BUNDLE, "line.onnx has other inputs than this library knows: upgrade the library");
    for (const char *name : kOutputs)
      if (!outputs.count(name)) throw Error(EDGEIRF_BUNDLE, std::string("line.onnx has no output ") + name);
    const Tensor &map = outputs.at("map");
    constexpr int64_t kMost = 8192;
    if (map.type != kFloat || map.shape.size() != 2 || std::min(map.shape[0], map.shape[1]) < 1 || std::max(map.shape[0], map.shape[1]) > kMost)
      throw Error(EDGEIRF_BUNDLE, "line.onnx has a map of unknown size");
    map_height = int32_t(map.shape[0]);
    map_width = int32_t(map.shape[1]);
  }

  void choose_product(const char *asked) {
    const auto known = has_product_ ? json_strings(info["edgeirf.products"]) : std::vector<std::string>{info["edgeirf.product"]};
    if (!asked && known.size() > 1) throw Error(EDGEIRF_ARGUMENT, "the bundle knows several products: name one in options.product");
    const auto found = asked ? std::find(known.begin(), known.end(), asked) : known.begin();
    if (found == known.end()) throw Error(EDGEIRF_ARGUMENT, std::string("the bundle knows no product ") + asked);
    product_ = found - known.begin();
    info["edgeirf.product"] = *found;
  }

  // Runs the graph once. The frame is one that the exporter knows the peak of: sums of 8-bit products overflow on
  // processors without VNNI, and a provider may compute otherwise, so the peak must be that of the exporter.
  void warm_up() {
    constexpr int64_t kMost = 1 << 26;  // pixels: a region of interest may lie far inside of a large frame
    const auto format = int32_t(std::find(formats_.begin(), formats_.end(), true) - formats_.begin());
    int32_t width = min_width_, height = min_height_;
    if (kFormats[format].raw) {
      width = std::max(kSmallestRaw, width + width % 2);
      height = std::max(kSmallestRaw, height + height % 2);
    }
    if (int64_t(width) * height > kMost) return;
    Frame drawn{nullptr, width, height, format, 0};
    const Bytes pixels = draw(drawn);
    drawn.pixels = pixels.data();
    drawn.stride = ptrdiff_t(drawn.row_bytes());
    const double peak = scalar(run(drawn, drawn.pixels)[kPeak]);
    if (!std::isfinite(peak)) throw Error(EDGEIRF_SCORE, "the score is not a finite number: export the bundle again");
    const auto said = info.find("edgeirf.check_peak");
    if (said == info.end()) return;  // written by an older edgeirf
    const double off = std::abs(peak / decimal_number(said->second) - 1);
    if (!(off <= kMostOff))
      throw Error(EDGEIRF_RUNTIME, "this processor or provider computes " + info["edgeirf.precision"] + " wrongly (the check frame is off by " +
                                       text(int64_t(std::min(off, 1e9) * 100)) +
                                       " %): write a graph with `edgeirf export BUNDLE.irf --standalone FILE.onnx --precision fp32`");
  }

  // The check frame: edgeirf.export.standalone.check has the same rule.
  Bytes draw(const Frame &frame) const {
    Bytes pixels(frame.bytes(), 128);  // gray, where NV12 has its chroma
    const bool wide = std::strstr(frame.layout().name, "16") != nullptr;
    const int values = frame.layout().bytes / (wide ? 2 : 1), shift = wide ? whole_number(info, "edgeirf.bits", 16) - 8 : 0;
    uint8_t *out = pixels.data();
    for (int64_t y = 0; y < frame.height; ++y)
      for (int64_t x = 0; x < frame.width; ++x) {
        const bool odd = (16 * x / frame.width + 16 * y / frame.height) % 2 != 0;
        const int64_t value = (odd ? 255 * y / frame.height : 255 - 255 * x / frame.width) << std::max(shift, 0);
        for (int i = 0; i < values; ++i) {
          *out++ = uint8_t(value);
          if (wide) *out++ = uint8_t(value >> 8);
        }
      }
    return pixels;
  }

  void check_frame(const Frame &frame) const {
    if (!formats_[size_t(frame.format)])
      throw Error(EDGEIRF_FRAME, std::string("the bundle takes ") + info.at("edgeirf.pixel_formats") + " frames, not " + frame.layout().name +
                                     ": convert the frame, or export the bundle for this format");
    const std::string sides = text(frame.width) + "x" + text(frame.height), size = "the frame has " + sides + " pixels, ";
    const auto known = info.find("edgeirf.frame");
    if (known != info.end() && !known->second.empty() && known->second != sides)
      throw Error(EDGEIRF_FRAME, size + "the model knows " + known->second + ": set the camera to the resolution the model was trained with");
    if (std::max(frame.width, frame.height) > max_side_) throw Error(EDGEIRF_FRAME, size + "a side has " + text(max_side_) + " at most");
    if (frame.width >= min_width_ && frame.height >= min_height_) return;
    const auto roi = info.find("edgeirf.roi");
    const bool whole = roi == info.end() || roi->second.empty();
    throw Error(EDGEIRF_FRAME, size + "the " + (whole ? "network" : "region of interest (" + roi->second + ")") + " needs " + text(min_width_) +
                                   "x" + text(min_height_) + " at least: set the camera to the resolution the model was trained with");
  }

  Owned<OrtValue> tensor(void *data, size_t bytes, const std::vector<int64_t> &shape, int type) const {
    OrtValue *value = nullptr;
    ort_.ok(ort_.api->CreateTensorWithDataAsOrtValue(memory_.get(), data, bytes, shape.data(), shape.size(), type, &value));
    return ort_.own(value, ort_.api->ReleaseValue);
  }

  std::vector<Owned<OrtValue>> run(const Frame &frame, const uint8_t *pixels) const {
    int64_t product = product_;
    bool red_first = frame.layout().red_first;
    std::vector<Owned<OrtValue>> inputs, outputs;
    std::vector<const char *> names{"frame"};
    // ONNX Runtime takes the input without const and does not write to it.
    inputs.push_back(tensor(const_cast<uint8_t *>(pixels), frame.bytes(), {int64_t(frame.rows()), frame.width, frame.layout().bytes}, kUint8));
    if (has_product_) {
      names.push_back("product");
      inputs.push_back(tensor(&product, sizeof product, {}, kInt64));
    }
    if (has_red_first_) {
      names.push_back("red_first");
      inputs.push_back(tensor(&red_first, sizeof red_first, {}, kBool));
    }
    std::vector<const OrtValue *> given;
    for (const auto &input : inputs) given.push_back(input.get());
    std::array<OrtValue *, kOutputCount> raw{};
    ort_.ok(ort_.api->Run(session_.get(), nullptr, names.data(), given.data(), given.size(), kOutputs, kOutputCount, raw.data()), EDGEIRF_FRAME,
            "the frame cannot be inspected: ");
    for (OrtValue *value : raw) outputs.push_back(ort_.own(value, ort_.api->ReleaseValue));
    return outputs;
  }

  // The values of an output after its type and shape were compared.
  template <class Value>
  const Value *values(const Owned<OrtValue> &output, int type, const std::vector<int64_t> &shape) const {
    OrtTensorInfo *raw = nullptr;
    ort_.ok(ort_.api->GetTensorTypeAndShape(output.get(), &raw));
    const auto owned = ort_.own(raw, ort_.api->ReleaseTensorTypeAndShapeInfo);
    const Tensor found(ort_, raw);
    if (found.type != type || found.shape != shape) throw Error(EDGEIRF_BUNDLE, "line.onnx gave a value of another type or size than it says");
    void *data = nullptr;
    ort_.ok(ort_.api->GetTensorMutableData(output.get(), &data));
    return static_cast<const Value *>(data);
  }

  double scalar(const Owned<OrtValue> &output) const { return *values<double>(output, kDouble, {}); }

  Area area_of(const Owned<OrtValue> &output) const {
    const int64_t *side = values<int64_t>(output, kInt64, {4});
    if (std::any_of(side, side + 4, [](int64_t value) { return value < 0 || value > kMaxSide; }))
      throw Error(EDGEIRF_BUNDLE, "line.onnx gave an area outside of every frame");
    return {side[0], side[1], side[2], side[3]};
  }
};

}  // namespace

// ---- A bundle in a server's process: edgeirf/runtime/serve/protocol.py has the same layouts

#if defined(__linux__)
namespace {

constexpr uint32_t kMagic = 0x31524945, kProtocol = 1;  // "EIR1"
constexpr size_t kMaxPacket = 1 << 16;

struct Hello {
  uint32_t magic, protocol;
  int32_t map_width, map_height, info_bytes, reserved;
};
struct Request {
  uint32_t magic, sequence;
  int32_t width, height, format, map_values;
  uint64_t memory_bytes, map_at;  // size of the shared memory; where the map goes
};
struct Reply {
  uint32_t magic, sequence;
  int32_t error, reject;
  double score, p_value, threshold, pixel_threshold;
  int32_t n_regions, n_sent, message_bytes, reserved;
};
static_assert(sizeof(Hello) == 24 && sizeof(Request) == 40 && sizeof(Reply) == 64, "no padding");

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  ~Descriptor() { reset(); }
  int get() const { return number_; }
  void reset(int number = -1) {
    if (number_ >= 0) close(number_);
    number_ = number;
  }

 private:
  int number_;
};

// Memory that the server sees too. It is sealed, so that it cannot shrink under the server.
class Shared {
 public:
  ~Shared() { release(); }
  uint8_t *data() const { return data_; }
  size_t size() const { return size_; }
  int descriptor() const { return file_.get(); }

  // True when the memory is new, so that the server has to be given it.
  bool provide(size_t size) {
    if (size <= size_) return false;
    release();
    file_.reset(memfd_create("edgeirf", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (file_.get() < 0 || ftruncate(file_.get(), off_t(size)) || fcntl(file_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
      throw Error(EDGEIRF_SERVER, std::string("no shared memory for the frame: ") + std::strerror(errno));
    void *mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    if (mapped == MAP_FAILED) throw Error(EDGEIRF_SERVER, std::string("no shared memory for the frame: ") + std::strerror(errno));
    data_ = static_cast<uint8_t *>(mapped);
    size_ = size;
    return true;
  }
  void release() {
    if (data_) munmap(data_, size_);
    data_ = nullptr;
    size_ = 0;
    file_.reset();
  }

 private:
  uint8_t *data_ = nullptr;
  size_t size_ = 0;
  Descriptor file_;
};

class Remote final : public edgeirf {
 public:
  Remote(const std::string &path, const edgeirf_options &options)
      : path_(path), timeout_ms_(options.timeout_ms > 0 ? options.timeout_ms : 5000) {
    const std::lock_guard<std::mutex> lock(mutex_);
    connect_now();
    const std::string serves = info["edgeirf.product"];
    if (options.product && serves != options.product)
      throw Error(EDGEIRF_ARGUMENT, path + ": the server inspects " + serves + ", not " + options.product + ": start it with --product");
  }

  void inspect(const Frame &frame, Result &result) override {
    const std::lock_guard<std::mutex> lock(mutex_);  // one frame at a time: the server has one network
    if (socket_.get() < 0) connect_now();
    try {
      exchange(frame, result);
    } catch (const Error &error) {
      // A verdict that comes later must not be taken for that of the next frame.
      if (error.code == EDGEIRF_SERVER) disconnect();
      throw;
    }
  }

 private:
  std::mutex mutex_;
  std::string path_;
  int timeout_ms_;
  uint32_t sequence_ = 0;
  Descriptor socket_;
  Shared memory_;

  Error lost(const std::string &why) const { return Error(EDGEIRF_SERVER, path_ + ": " + why + ": see whether `edgeirf serve` runs"); }

  void disconnect() {
    socket_.reset();
    memory_.release();
  }

  void connect_now() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path) throw Error(EDGEIRF_ARGUMENT, path_ + ": the path of a socket has 107 bytes at most");
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    socket_.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const timeval limit{timeout_ms_ / 1000, (timeout_ms_ % 1000) * 1000};
    if (socket_.get() < 0 || setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) ||
        setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) ||
        connect(socket_.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address)) {
      const Error error = lost(std::string("no server answers (") + std::strerror(errno) + ")");
      disconnect();
      throw error;
    }
    try {
      greet();
    } catch (...) {
      disconnect();
      throw;
    }
  }

  void greet() {
    const Bytes packet = receive();
    Hello hello;
    if (packet.size() < sizeof hello) throw lost("the answer is not that of an edgeirf server");
    std::memcpy(&hello, packet.data(), sizeof hello);
    if (hello.magic != kMagic || hello.protocol != kProtocol) throw lost("the server speaks another protocol: install equal versions");
    const bool known = map_width != 0;
    if (hello.map_width < 1 || hello.map_height < 1 || hello.map_width > 8192 || hello.map_height > 8192 || hello.info_bytes < 0 ||
        size_t(hello.info_bytes) != packet.size() - sizeof hello)
      throw lost("the answer is not that of an edgeirf server");
    std::map<std::string, std::string> said;
    const char *at = reinterpret_cast<const char *>(packet.data()) + sizeof hello, *end = at + hello.info_bytes;
    while (at < end) {  // key, 0, value, 0
      const char *value = std::find(at, end, '\0');
      if (value == end) break;
      const char *next = std::find(value + 1, end, '\0');
      said[std::string(at, value)] = std::string(value + 1, next);
      at = next == end ? end : next + 1;
    }
    // What the host has read of the bundle, and its room for the map, are those of the first one.
    if (known) {
      if (said == info && hello.map_width == map_width && hello.map_height == map_height) return;
      throw lost("the server has another bundle or other settings now: connect again");
    }
    info = std::move(said);
    map_width = hello.map_width;
    map_height = hello.map_height;
  }

  Bytes receive() {
    Bytes packet(kMaxPacket);
    ssize_t size;
    do size = recv(socket_.get(), packet.data(), packet.size(), 0);
    while (size < 0 && errno == EINTR);
    if (size == 0) throw lost("the server has closed the connection");
    if (size < 0) throw lost(errno == EAGAIN ? "no verdict within " + text(timeout_ms_) + " ms" : std::string("the server is lost (") + std::strerror(errno) + ")");
    packet.resize(size_t(size));
    return packet;
  }

  void send_request(Request &request, bool with_memory) {
    iovec part{&request, sizeof request};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (with_memory) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr *header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      const int descriptor = memory_.descriptor();
      std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    ssize_t sent;
    do sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent != ssize_t(sizeof request)) throw lost(std::string("the server is lost (") + std::strerror(errno) + ")");
  }

  void exchange(const Frame &frame, Result &result) {
    const size_t map_at = (frame.bytes() + 63) / 64 * 64;
    const bool fresh = memory_.provide(map_at + map_values() * sizeof(float));
    frame.copy_to(memory_.data());
    Request request{kMagic,        ++sequence_, frame.width, frame.height, frame.format, result.map ? int32_t(map_values()) : 0,
                    memory_.size(), map_at};
    send_request(request, fresh);
    const Bytes packet = receive();
    Reply reply;
    if (packet.size() < sizeof reply) throw lost("the answer is not that of an edgeirf server");
    std::memcpy(&reply, packet.data(), sizeof reply);
    const size_t rest = packet.size() - sizeof reply;
    if (reply.magic != kMagic || reply.sequence != sequence_ || reply.n_sent < 0 || reply.message_bytes < 0 ||
        size_t(reply.n_sent) * sizeof(edgeirf_region) + size_t(reply.message_bytes) != rest)
      throw lost("the answer is not that of an edgeirf server");
    take(reply, packet.data() + sizeof reply, map_at, result);
  }

  void take(const Reply &reply, const uint8_t *rest, size_t map_at, Result &result) const {
    const size_t regions = size_t(reply.n_sent) * sizeof(edgeirf_region);
    if (reply.error)
      throw Error(reply.error, std::string(reinterpret_cast<const char *>(rest) + regions, size_t(reply.message_bytes)));
    edgeirf_verdict &verdict = result.verdict;
    verdict.score = reply.score;
    verdict.p_value = reply.p_value;
    verdict.threshold = reply.threshold;
    verdict.pixel_threshold = reply.pixel_threshold;
    verdict.n_regions = reply.n_regions;
    result.regions.resize(size_t(reply.n_sent));
    if (regions) std::memcpy(result.regions.data(), rest, regions);
    if (result.map) std::memcpy(result.map, memory_.data() + map_at, map_values() * sizeof(float));
    if (!std::isfinite(verdict.score)) throw Error(EDGEIRF_SCORE, "the server gave a score that is not a finite number");
    verdict.reject = reply.reject != 0;
  }
};

}  // namespace
#endif

// ---- The functions of the header

namespace {

edgeirf_options checked_options(const edgeirf_options *options) {
  const edgeirf_options defaults = EDGEIRF_OPTIONS;
  if (!options) return defaults;
  if (options->struct_size < sizeof(edgeirf_options))
    throw Error(EDGEIRF_ARGUMENT, "options.struct_size is not set: start with EDGEIRF_OPTIONS");
  return *options;
}

template <class Open>
int32_t open_line(const char *path, const edgeirf_options *options, edgeirf **out, Open open) {
  if (out) *out = nullptr;
  return guarded([&] {
    if (!path || !out) throw Error(EDGEIRF_ARGUMENT, "a path and a place for the result are necessary");
    *out = open(std::string(path), checked_options(options));
  });
}

// reject lies in the first 8 bytes of every version of the struct, so it is set whatever the host says of its size.
bool fail_safe(edgeirf_verdict *verdict) {
  if (!verdict) return false;
  verdict->reject = 1;
  if (verdict->struct_size < sizeof(edgeirf_verdict)) return false;
  const double none = std::numeric_limits<double>::quiet_NaN();
  *verdict = {verdict->struct_size, 1, none, none, none, none, 0, EDGEIRF_ARGUMENT};
  return true;
}

void hand_over(const Result &result, edgeirf_verdict &verdict, edgeirf_region *regions, int32_t max_regions) {
  const auto room = size_t(regions && max_regions > 0 ? max_regions : 0);
  std::copy_n(result.regions.begin(), std::min(result.regions.size(), room), regions);
  const uint32_t size = verdict.struct_size;
  verdict = result.verdict;
  verdict.struct_size = size;
  verdict.n_regions = std::max(int32_t(result.regions.size()), result.verdict.n_regions);
}

}  // namespace

extern "C" {

int32_t edgeirf_abi(void) { return EDGEIRF_ABI; }

int32_t edgeirf_load(const char *path, const edgeirf_options *options, edgeirf **out) {
  return open_line(path, options, out, [](const std::string &bundle, const edgeirf_options &chosen) -> edgeirf * {
    return new Local(shared_ort(chosen.onnxruntime), bundle, chosen);
  });
}

int32_t edgeirf_connect(const char *socket, const edgeirf_options *options, edgeirf **out) {
  return open_line(socket, options, out, [](const std::string &path, const edgeirf_options &chosen) -> edgeirf * {
#if defined(__linux__)
    return new Remote(path, chosen);
#else
    (void)chosen;
    throw Error(EDGEIRF_SERVER, path + ": shared memory with a server works on Linux only: use edgeirf_load()");
#endif
  });
}

int32_t edgeirf_inspect(edgeirf *line, const void *pixels, int32_t width, int32_t height, int32_t stride, int32_t format,
                        edgeirf_verdict *verdict, edgeirf_region *regions, int32_t max_regions, float *map, int32_t map_values) {
  const bool usable = fail_safe(verdict);
  const int32_t code = guarded([&] {
    if (!usable) throw Error(EDGEIRF_ARGUMENT, "there is no verdict, or its struct_size is not set: start with EDGEIRF_VERDICT");
    if (!line) throw Error(EDGEIRF_ARGUMENT, "no bundle is open: see what edgeirf_load() returned");
    if (map && (map_values < 0 || size_t(map_values) < line->map_values()))
      throw Error(EDGEIRF_ARGUMENT, "the map has " + text(int64_t(line->map_values())) + " values, there is room for " + text(map_values));
    Result result;
    result.map = map;
    line->inspect(checked_frame(pixels, width, height, stride, format), result);
    hand_over(result, *verdict, regions, max_regions);
  });
  if (usable) verdict->error = code;
  return code;
}

int32_t edgeirf_map_size(const edgeirf *line, int32_t *width, int32_t *height) {
  return guarded([&] {
    if (!line || !width || !height) throw Error(EDGEIRF_ARGUMENT, "no bundle is open, or there is no place for the size");
    *width = line->map_width;
    *height = line->map_height;
  });
}

const char *edgeirf_info(const edgeirf *line, const char *key) {
  if (!line || !key) return nullptr;
  const auto found = line->info.find(key);
  return found == line->info.end() ? nullptr : found->second.c_str();
}

const char *edgeirf_last_error(void) { return last_error.c_str(); }

void edgeirf_free(edgeirf *line) { delete line; }

}  // extern "C"
