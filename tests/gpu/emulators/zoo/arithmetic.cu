// A bit of everything that the kernels compute with; compared between nvcc's PTX in the interpreter and g++.
#include "platform.cuh"

struct ArithmeticArgs {
  const uint32* input;
  uint32* output;
  int count;
};

constexpr int kResults = 24;

extern "C" __global__ void arithmetic(ArithmeticArgs args) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32 a = args.input[2 * i], b = args.input[2 * i + 1];
  const int s = static_cast<int>(a), t = static_cast<int>(b);
  const float f = static_cast<float>(s) * 0x1p-16f, g = static_cast<float>(t % 1000 + 1) * 0.125f;
  const uint64 wide = static_cast<uint64>(a) * b;
  uint32 r[kResults];
  r[0] = a + b;
  r[1] = a * b;
  r[2] = static_cast<uint32>(wide >> 32);
  r[3] = b ? a / b : 0;
  r[4] = t > 0 ? static_cast<uint32>(s / t) : 7;
  r[5] = t > 0 ? static_cast<uint32>(s % t) : 7;
  r[6] = (a << (b & 31)) ^ static_cast<uint32>(__clz(static_cast<int>(b)));
  r[7] = a >> (b & 31);
  r[8] = static_cast<uint32>(s >> (b & 31));
  r[9] = static_cast<uint32>(min(s, t)) ^ static_cast<uint32>(max(s, t));
  r[10] = a > b ? a - b : b - a;
  r[11] = (a & b) | (~a ^ b);
  r[12] = __float_as_uint(__fadd_rn(__fmul_rn(f, g), f));
  r[13] = __float_as_uint(fmaf(f, g, 0.5f));
  r[14] = __float_as_uint(__fdiv_rn(f, g));
  r[15] = __float_as_uint(sqrtf(fabsf(f)));
  r[16] = __float_as_uint(rintf(f)) + __float_as_uint(floorf(f));
  r[17] = __float_as_uint(fminf(f, g)) ^ __float_as_uint(fmaxf(f, g));
  r[18] = static_cast<uint32>(static_cast<int>(f));
  r[19] = half_bits(f);
  r[20] = __float_as_uint(half_value(static_cast<uint16>(b & 0x7bff)));
  r[21] = __float_as_uint(static_cast<float>(wide));
  const double ratio = static_cast<double>(s) / (t | 1);
  r[22] = static_cast<uint32>(wide % 1000003u) + static_cast<uint32>(ratio > 0 && ratio < 1e6 ? ratio * 16.0 : 5.0);
  r[23] = f < g ? 1 : f == g ? 2 : 3;
  for (int k = 0; k < kResults; ++k) store(args.output + kResults * i + k, r[k]);
}
