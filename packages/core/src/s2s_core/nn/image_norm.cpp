// Batch norm, the addition of a shortcut and ReLU over the pixels of channels-last images, forward and backward in two
// passes over memory each, for s2s_core.nn.image_norm. Pixels are rows of channels, a multiple of 16. Sums run over
// chunks of rows of a fixed size, whose totals are added in order: results do not depend on the number of threads.
//
// Passes are bound by memory. So the gradient of ReLU looks at no output: without a shortcut the sign of the output
// follows from the input, and with one the first pass leaves its gradient behind for the second.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <vector>

#include "team.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

// Mirrored by s2s_core.nn.image_norm.
struct ImageNorm {
    int64_t rows, channels, bfloat16, relu, threads;
    double eps, momentum;
    const void *x, *residual;  // residual may be null
    void *y;  // read in the backward pass only where grad_residual is given
    const float *weight, *bias;
    float *mean, *variance;  // of the batch, biased; the forward pass writes them
    float *running_mean, *running_variance;  // moved towards them by `momentum` in the forward pass
    const void *grad_y;  // null in the forward pass, as are those that follow
    void *grad_x, *grad_residual;  // grad_residual is null without a shortcut or without ReLU
    float *grad_weight, *grad_bias;
};

namespace {

constexpr int64_t kChunk = 256;  // rows
constexpr int kLanes = 16;

typedef float Vec __attribute__((vector_size(64)));
typedef uint32_t UintVec __attribute__((vector_size(64)));
typedef uint16_t HalfVec __attribute__((vector_size(32)));
// Memory is read and written as these and not through memcpy, whose stores may be anything's, even a loop's own pointers.
typedef float VecInMemory __attribute__((vector_size(64), aligned(4)));
typedef uint16_t HalfInMemory __attribute__((vector_size(32), aligned(2)));

inline Vec load(const float *from) { return *reinterpret_cast<const VecInMemory *>(from); }

inline Vec load(const uint16_t *from) {
    const HalfVec half = *reinterpret_cast<const HalfInMemory *>(from);
    return reinterpret_cast<Vec>(__builtin_convertvector(half, UintVec) << 16);
}

inline void store(float *to, Vec value) { *reinterpret_cast<VecInMemory *>(to) = value; }

inline void store(uint16_t *to, Vec value) {
#if defined(__AVX512BF16__)
    *reinterpret_cast<HalfInMemory *>(to) = reinterpret_cast<HalfVec>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(value)));
#else
    const UintVec bits = reinterpret_cast<UintVec>(value), nan = UintVec{} + 0x7fc0;
    const UintVec rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    *reinterpret_cast<HalfInMemory *>(to) = __builtin_convertvector(value != value ? nan : rounded, HalfVec);
#endif
}

template <typename Work> void for_chunks(const ImageNorm &a, Work work) {
    const int64_t chunks = (a.rows + kChunk - 1) / kChunk;
    std::atomic<int64_t> next{0};
    on_team(std::min(a.threads, chunks), [&](int64_t) {
        for (int64_t chunk; (chunk = next.fetch_add(1)) < chunks;)
            work(chunk, chunk * kChunk, std::min(a.rows, (chunk + 1) * kChunk));
    });
}

// Sums of `Vecs` vectors of channels from `c` on over some rows, kept in registers.
template <int Vecs, typename Add>
inline void block_sums(int64_t c, int64_t begin, int64_t end, float *one, float *two, const Add &add) {
    Vec s[Vecs] = {}, q[Vecs] = {};
    for (int64_t row = begin; row < end; ++row)
        for (int v = 0; v < Vecs; ++v) add(row, c + v * kLanes, s[v], q[v]);
    for (int v = 0; v < Vecs; ++v) store(one + c + v * kLanes, s[v]), store(two + c + v * kLanes, q[v]);
}

// Two sums a channel over all rows, in double between chunks. `add(row, channel, one, two)` adds a row's terms.
template <typename Add> void sums(const ImageNorm &a, std::vector<double> &one, std::vector<double> &two, Add add) {
    const int64_t chunks = (a.rows + kChunk - 1) / kChunk, n = a.channels;
    std::vector<float> parts(2 * chunks * n);
    for_chunks(a, [&](int64_t chunk, int64_t begin, int64_t end) {
        float *first = &parts[2 * chunk * n], *second = first + n;
        int64_t c = 0;
        for (; c + 8 * kLanes <= n; c += 8 * kLanes) block_sums<8>(c, begin, end, first, second, add);
        for (; c + 4 * kLanes <= n; c += 4 * kLanes) block_sums<4>(c, begin, end, first, second, add);
        for (; c < n; c += kLanes) block_sums<1>(c, begin, end, first, second, add);
    });
    one.assign(n, 0.0), two.assign(n, 0.0);
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        const float *first = &parts[2 * chunk * n], *second = first + n;
        for (int64_t c = 0; c < n; ++c) one[c] += first[c], two[c] += second[c];
    }
}

// What makes a channel's outputs of its inputs.
struct Affine {
    explicit Affine(const ImageNorm &a) : scale(a.channels), shift(a.channels) {
        for (int64_t c = 0; c < a.channels; ++c) {
            scale[c] = static_cast<float>(a.weight[c] / std::sqrt(static_cast<double>(a.variance[c]) + a.eps));
            shift[c] = a.bias[c] - a.mean[c] * scale[c];
        }
    }
    std::vector<float> scale, shift;
};

template <typename T, bool Relu, bool Added> void outputs(const ImageNorm &a) {
    const T *x = static_cast<const T *>(a.x), *residual = static_cast<const T *>(a.residual);
    T *y = static_cast<T *>(a.y);
    const Affine affine(a);
    const float *scale = affine.scale.data(), *shift = affine.shift.data();
    const int64_t n = a.channels;
    for_chunks(a, [=](int64_t, int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row)
            for (int64_t c = 0, i = row * n; c < n; c += kLanes, i += kLanes) {
                Vec v = load(x + i) * load(scale + c) + load(shift + c);
                if (Added) v = v + load(residual + i);
                store(y + i, Relu ? (v < 0.0f ? Vec{} : v) : v);
            }
    });
}

template <typename T> void forward(const ImageNorm &a) {
    const int64_t n = a.channels;
    const T *x = static_cast<const T *>(a.x);
    // sums of distances from the first row: the variance of a channel far from zero stays exact
    std::vector<float> origin(n);
    for (int64_t c = 0; c < n; c += kLanes) store(&origin[c], load(x + c));
    std::vector<double> total, squares;
    const float *zero = origin.data();
    sums(a, total, squares, [=](int64_t row, int64_t c, Vec &s, Vec &q) __attribute__((always_inline)) {
        const Vec d = load(x + row * n + c) - load(zero + c);
        s += d, q += d * d;
    });
    for (int64_t c = 0; c < n; ++c) {
        const double mean = total[c] / a.rows, variance = std::max(0.0, squares[c] / a.rows - mean * mean);
        a.mean[c] = static_cast<float>(origin[c] + mean);
        a.variance[c] = total[c] == total[c] ? static_cast<float>(variance) : static_cast<float>(total[c]);
    }
    const float share = static_cast<float>(a.momentum), unbiased = static_cast<float>(a.rows) / (a.rows - 1);
    for (int64_t c = 0; c < n; ++c) {
        a.running_mean[c] += share * (a.mean[c] - a.running_mean[c]);
        a.running_variance[c] += share * (a.variance[c] * unbiased - a.running_variance[c]);
    }
    if (a.relu)
        a.residual ? outputs<T, true, true>(a) : outputs<T, true, false>(a);
    else
        a.residual ? outputs<T, false, true>(a) : outputs<T, false, false>(a);
}

// The gradient at an output before ReLU.
enum class Relu { none, from_input, from_output };

template <typename T, Relu Kind> void backward(const ImageNorm &a) {
    const int64_t n = a.channels;
    const T *x = static_cast<const T *>(a.x), *y = static_cast<const T *>(a.y);
    const T *grad_y = static_cast<const T *>(a.grad_y);
    T *grad_x = static_cast<T *>(a.grad_x), *grad_residual = static_cast<T *>(a.grad_residual);
    const Affine affine(a);
    const float *mean = a.mean, *scale = affine.scale.data(), *shift = affine.shift.data();
    std::vector<double> total, moments;
    sums(a, total, moments, [=](int64_t row, int64_t c, Vec &s, Vec &q) __attribute__((always_inline)) {
        const int64_t i = row * n + c;
        const Vec in = load(x + i);
        Vec g = load(grad_y + i);
        if (Kind == Relu::from_input) g = in * load(scale + c) + load(shift + c) <= 0.0f ? Vec{} : g;
        if (Kind == Relu::from_output) {
            g = load(y + i) <= 0.0f ? Vec{} : g;
            store(grad_residual + i, g);
        }
        s += g, q += g * (in - load(mean + c));
    });
    // grad_x = slope * g + tilt * (x - mean) + level
    std::vector<float> slope(n), tilt(n), level(n);
    for (int64_t c = 0; c < n; ++c) {
        const double inverse = 1.0 / std::sqrt(static_cast<double>(a.variance[c]) + a.eps);
        a.grad_bias[c] = static_cast<float>(total[c]);
        a.grad_weight[c] = static_cast<float>(moments[c] * inverse);
        slope[c] = static_cast<float>(a.weight[c] * inverse);
        tilt[c] = static_cast<float>(-a.weight[c] * inverse * inverse * inverse * moments[c] / a.rows);
        level[c] = static_cast<float>(-a.weight[c] * inverse * total[c] / a.rows);
    }
    const float *of_grad = slope.data(), *of_x = tilt.data(), *constant = level.data();
    const T *grad = Kind == Relu::from_output ? grad_residual : grad_y;
    for_chunks(a, [=](int64_t, int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row)
            for (int64_t c = 0, i = row * n; c < n; c += kLanes, i += kLanes) {
                const Vec in = load(x + i);
                Vec g = load(grad + i);
                if (Kind == Relu::from_input) g = in * load(scale + c) + load(shift + c) <= 0.0f ? Vec{} : g;
                store(grad_x + i, load(of_grad + c) * g + load(of_x + c) * (in - load(mean + c)) + load(constant + c));
            }
    });
}

template <typename T> void run(const ImageNorm &a) {
    if (!a.grad_y)
        forward<T>(a);
    else if (a.grad_residual)
        backward<T, Relu::from_output>(a);
    else if (a.relu)
        backward<T, Relu::from_input>(a);
    else
        backward<T, Relu::none>(a);
}

}  // namespace

extern "C" void s2s_image_norm(const ImageNorm *a) {
    if (a->bfloat16)
        run<uint16_t>(*a);
    else
        run<float>(*a);
}
