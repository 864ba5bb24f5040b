// Products of a few rows with a matrix in bfloat16 tiles (AMX), summed in float32, for s2s_core.nn's kernels.
//
// A block is 32 columns of a matrix in the order in which it is read: [depth / 32][half of the columns][16 pairs of
// rows][16 columns][2]. A row's sums do not depend on the rows beside it.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__linux__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define S2S_TILES 1
#endif

namespace tiles {

constexpr int64_t kBlock = 32;  // columns of a block; rows that share one reading of it; numbers of a row in a tile

inline int64_t padded(int64_t count) { return (count + kBlock - 1) / kBlock * kBlock; }

// Fills a block; `pair(k, column)` holds the rows `k` in its lower half and `k + 1` in the upper. Depth is a multiple of 32.
template <typename Pair> void pack(uint16_t *block, int64_t depth, Pair pair) {
    uint32_t *to = reinterpret_cast<uint32_t *>(block);
    for (int64_t k0 = 0; k0 < depth; k0 += kBlock)
        for (int64_t half = 0; half < kBlock; half += 16)
            for (int64_t k = k0; k < k0 + kBlock; k += 2)
                for (int64_t column = half; column < half + 16; ++column) *to++ = pair(k, column);
}

#if defined(S2S_TILES)

// The kernel asks every process to ask before it uses tiles.
inline bool permitted() {
    constexpr long kRequest = 0x1023, kTileData = 18;
    static const bool granted = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
    return granted;
}

// A thread's tiles: eight of 16 rows of 64 bytes. Afterwards they are configured as before: oneDNN uses them, too.
class Session {
  public:
    Session() {
        _tile_storeconfig(&before_);
        Config config = {};
        config.palette = 1;
        std::fill_n(config.row_bytes, 8, 64), std::fill_n(config.rows, 8, 16);
        _tile_loadconfig(&config);
    }
    ~Session() {
        if (before_.palette)
            _tile_loadconfig(&before_);
        else
            _tile_release();
    }

  private:
    struct alignas(64) Config {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    };
    Config before_;
};

// `out` (32, 32) is the product of `count` rows, up to 32, `depth` apart, with a block. Rows are read up to the next
// multiple of 16.
inline void product(const uint16_t *rows, int64_t count, const uint16_t *block, int64_t depth, float *out) {
    const int64_t stride = depth * 2;
    asm volatile("" ::: "memory");  // the intrinsics do not say that they read and write memory
    _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
    for (int64_t k = 0; k < depth; k += kBlock, block += kBlock * kBlock) {
        _tile_loadd(6, block, 64);
        _tile_loadd(7, block + kBlock * 16, 64);
        _tile_loadd(4, rows + k, stride);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if (count <= 16) continue;
        _tile_loadd(5, rows + 16 * depth + k, stride);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, out, 128); _tile_stored(1, out + 16, 128);
    _tile_stored(2, out + 16 * 32, 128); _tile_stored(3, out + 16 * 32 + 16, 128);
    asm volatile("" ::: "memory");
}

#else

inline bool permitted() { return false; }

class Session {};

inline void product(const uint16_t *, int64_t, const uint16_t *, int64_t, float *) {}

#endif

}  // namespace tiles
