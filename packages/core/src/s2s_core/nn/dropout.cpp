// Dropout in one pass over memory, for s2s_core.nn.dropout. Which elements are dropped is a function of seed and place
// alone: Philox4x32 (Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3) with the seed as its key counts
// tiles of 128 elements, each of which takes half a word. So the backward pass needs no mask, the number of threads
// changes nothing, and float32 and bfloat16 drop the same elements.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "team.h"
#include "vectors.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace {

constexpr int64_t kTile = 128;
constexpr int kRounds = 7;  // the fewest that pass BigCrush (section 5.1)

typedef uint64_t LongVec __attribute__((vector_size(64)));  // 8 numbers: every other one of 16, widened

// Products of the low halves of 8 numbers with a factor.
inline LongVec low_product(LongVec x, uint32_t factor) {
#if defined(__AVX512F__)
    // one instruction; compilers take the product of all 64 bits, which is three
    const LongVec factors = LongVec{} + factor;
    return reinterpret_cast<LongVec>(_mm512_mul_epu32(reinterpret_cast<__m512i>(x), reinterpret_cast<__m512i>(factors)));
#else
    return (x & 0xffffffffu) * factor;
#endif
}

// The high and low halves of the products of 16 numbers with one.
inline void multiply(UintVec x, uint32_t factor, UintVec &high, UintVec &low) {
    const LongVec both = reinterpret_cast<LongVec>(x), mask = LongVec{} + 0xffffffffu;
    const LongVec even = low_product(both, factor), odd = low_product(both >> 32, factor);
    high = reinterpret_cast<UintVec>((even >> 32) | (odd & ~mask));
    low = reinterpret_cast<UintVec>((even & mask) | (odd << 32));
}

// Four words for each of 16 counters.
inline void philox(uint64_t first, uint64_t seed, UintVec words[4]) {
    const UintVec lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    words[0] = lane + static_cast<uint32_t>(first);  // `first` is a multiple of 16: no lane carries
    words[1] = UintVec{} + static_cast<uint32_t>(first >> 32);
    words[2] = words[3] = UintVec{};
    uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < kRounds; ++round) {
        UintVec high0, low0, high1, low1;
        multiply(words[0], 0xD2511F53u, high0, low0);
        multiply(words[2], 0xCD9E8D57u, high1, low1);
        words[0] = high1 ^ words[1] ^ key0;
        words[1] = low1;
        words[2] = high0 ^ words[3] ^ key1;
        words[3] = low0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

// With `rectifies`, what is negative is 0 before.
template <bool rectifies, typename Number>
void drop_tile(const Number *x, Number *y, const UintVec words[4], uint32_t keep, float scale) {
    for (int part = 0; part < 8; ++part) {
        const UintVec share = part < 4 ? words[part] & 0xffffu : words[part - 4] >> 16;
        Vec value = widen(x + part * kLanes) * scale;
        if (rectifies) value = value < 0.0f ? Vec{} : value;
        store(y + part * kLanes, share < keep ? value : Vec{});
    }
}

// `keep` of 65536 elements are kept.
template <bool rectifies, typename Number>
void drop(const Number *x, Number *y, int64_t count, uint32_t keep, float scale, uint64_t seed, int64_t threads) {
    const int64_t tiles = (count + kTile - 1) / kTile, each = (tiles + threads - 1) / threads;
    on_team(threads, [=](int64_t member) {
        UintVec words[4];
        for (int64_t tile = member * each; tile < std::min(tiles, (member + 1) * each); ++tile) {
            philox(static_cast<uint64_t>(tile) * kLanes, seed, words);
            const int64_t start = tile * kTile, left = std::min(kTile, count - start);
            if (left == kTile) {
                drop_tile<rectifies>(x + start, y + start, words, keep, scale);
                continue;
            }
            Number in[kTile] = {}, out[kTile];
            std::copy(x + start, x + start + left, in);
            drop_tile<rectifies>(in, out, words, keep, scale);
            std::copy(out, out + left, y + start);
        }
    });
}

template <bool rectifies>
void drop_any(
    const void *x, void *y, int64_t count, int64_t bfloat16, double share, uint64_t seed, int64_t threads) {
    const uint32_t keep = static_cast<uint32_t>(std::lround(share * 65536));
    const float scale = static_cast<float>(1 / share);
    if (bfloat16)
        drop<rectifies>(static_cast<const uint16_t *>(x), static_cast<uint16_t *>(y), count, keep, scale, seed, threads);
    else
        drop<rectifies>(static_cast<const float *>(x), static_cast<float *>(y), count, keep, scale, seed, threads);
}

// The gradient where `y`, what was rectified and dropped, is above 0 or no number, scaled; elsewhere 0.
template <typename Number>
void pass(const Number *grad, const Number *y, Number *out, int64_t count, float scale, int64_t threads) {
    const int64_t vectors = (count + kLanes - 1) / kLanes, each = (vectors + threads - 1) / threads;
    on_team(threads, [=](int64_t member) {
        const auto one = [scale](const Number *given, const Number *result, Number *to) {
            const Vec value = widen(result);
            store(to, value <= 0.0f ? Vec{} : widen(given) * scale);
        };
        for (int64_t vector = member * each; vector < std::min(vectors, (member + 1) * each); ++vector) {
            const int64_t start = vector * kLanes, left = std::min<int64_t>(kLanes, count - start);
            if (left == kLanes) {
                one(grad + start, y + start, out + start);
                continue;
            }
            Number given[kLanes] = {}, result[kLanes] = {}, to[kLanes];
            std::copy(grad + start, grad + start + left, given);
            std::copy(y + start, y + start + left, result);
            one(given, result, to);
            std::copy(to, to + left, out + start);
        }
    });
}

}  // namespace

extern "C" void s2s_dropout(
    const void *x, void *y, int64_t count, int64_t bfloat16, double share, uint64_t seed, int64_t threads) {
    drop_any<false>(x, y, count, bfloat16, share, seed, threads);
}

extern "C" void s2s_relu_dropout(
    const void *x, void *y, int64_t count, int64_t bfloat16, double share, uint64_t seed, int64_t threads) {
    drop_any<true>(x, y, count, bfloat16, share, seed, threads);
}

extern "C" void s2s_relu_dropout_backward(
    const void *grad, const void *y, void *out, int64_t count, int64_t bfloat16, double scale, int64_t threads) {
    const float factor = static_cast<float>(scale);
    if (bfloat16)
        pass(static_cast<const uint16_t *>(grad), static_cast<const uint16_t *>(y), static_cast<uint16_t *>(out), count,
             factor, threads);
    else
        pass(static_cast<const float *>(grad), static_cast<const float *>(y), static_cast<float *>(out), count, factor,
             threads);
}
