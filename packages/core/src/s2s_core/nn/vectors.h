// Vectors of 16 numbers, as the compilers of GCC's family have them on every processor, for the kernels of all packages.

#pragma once

#include <cstdint>
#include <cstring>

namespace {

constexpr int64_t kLanes = 16;

typedef float Vec __attribute__((vector_size(64)));
typedef int32_t IntVec __attribute__((vector_size(64)));
typedef uint32_t UintVec __attribute__((vector_size(64)));
typedef uint16_t HalfVec __attribute__((vector_size(32)));

inline Vec load(const float *from) {
    Vec value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

inline void store(float *to, Vec value) { std::memcpy(to, &value, sizeof value); }

inline Vec widen(const float *from) { return load(from); }

// Sixteen bfloat16 numbers.
inline Vec widen(const uint16_t *from) {
    HalfVec half;
    std::memcpy(&half, from, sizeof half);
    UintVec bits = __builtin_convertvector(half, UintVec) << 16;
    Vec value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline uint16_t half(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bool nan = value != value;
    return nan ? 0x7fc0 : static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

inline void narrow(float value, float *to) { *to = value; }

inline void narrow(float value, uint16_t *to) { *to = half(value); }

inline HalfVec half(Vec value) {
    UintVec bits, nan = UintVec{} + 0x7fc0;
    std::memcpy(&bits, &value, sizeof bits);
    UintVec rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return __builtin_convertvector(value != value ? nan : rounded, HalfVec);
}

inline void store(uint16_t *to, Vec value) {
    HalfVec rounded = half(value);
    std::memcpy(to, &rounded, sizeof rounded);
}

// e^x to 2 ulp: 2^n * e^r with |r| <= ln 2 / 2 and Taylor's series to the seventh power. NaN stays NaN.
inline Vec exponential(Vec x) {
    const Vec low = Vec{} - 87.0f, high = Vec{} + 87.0f;
    x = x < low ? low : x;
    x = x > high ? high : x;
    const float magic = 12582912.0f;  // adding 1.5 * 2^23 rounds to an integer
    Vec n = (x * 1.44269504088896341f + magic) - magic;
    Vec r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    Vec p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r * r + r + 1.0f;
    IntVec bits = (__builtin_convertvector(n, IntVec) + 127) << 23;
    Vec scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exponential(-x)); }

inline Vec hyperbolic_tangent(Vec x) { return 1.0f - 2.0f / (1.0f + exponential(x + x)); }

inline float total(Vec x) {
    float sum = 0.0f;
    for (int64_t i = 0; i < kLanes; ++i) sum += x[i];
    return sum;
}

}  // namespace
