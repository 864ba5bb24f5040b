// Batch norm, the addition of a shortcut and ReLU over the pixels of channels-last images, forward and backward in two
// passes over memory each, for s2s_core.nn.image_norm. Pixels are rows of channels. Sums run over chunks of rows of a
// fixed size, whose totals are added in order: results do not depend on the number of threads.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

// Mirrored by s2s_core.nn.image_norm.
struct ImageNorm {
    int64_t rows, channels, bfloat16, relu, threads;
    double eps;
    const void *x, *residual;  // residual may be null
    void *y;
    const float *weight, *bias;
    float *mean, *variance;  // of the batch, biased; the forward pass writes them
    const void *grad_y;  // null in the forward pass, as are those that follow
    void *grad_x, *grad_residual;  // grad_residual may be null
    float *grad_weight, *grad_bias;
};

namespace {

constexpr int64_t kChunk = 256;  // rows
constexpr int64_t kBlock = 64;   // channels whose sums stay in registers and the first cache

inline float widen(float x) { return x; }

inline float widen(uint16_t x) {
    uint32_t bits = static_cast<uint32_t>(x) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline void narrow(float value, float *to) { *to = value; }

inline void narrow(float value, uint16_t *to) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    uint16_t rounded = static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    *to = value != value ? 0x7fc0 : rounded;
}

// The gradient of ReLU. Both numbers are read whatever the output is: a loop with a load behind a condition stays scalar.
template <bool Relu> inline float passed(float grad, float out) { return Relu && out <= 0.0f ? 0.0f : grad; }

template <typename Work> void for_chunks(const ImageNorm &a, Work work) {
    const int64_t chunks = (a.rows + kChunk - 1) / kChunk;
    std::atomic<int64_t> next{0};
    auto run = [&] {
        for (int64_t chunk; (chunk = next.fetch_add(1)) < chunks;)
            work(chunk, chunk * kChunk, std::min(a.rows, (chunk + 1) * kChunk));
    };
    std::vector<std::thread> others;
    for (int64_t i = 1; i < std::min(a.threads, chunks); ++i) others.emplace_back(run);
    run();
    for (std::thread &other : others) other.join();
}

// Two sums a channel over all rows, in double between chunks. `add(row, first, count, one, two)` adds a row's terms.
template <typename Add> void sums(const ImageNorm &a, std::vector<double> &one, std::vector<double> &two, Add add) {
    const int64_t chunks = (a.rows + kChunk - 1) / kChunk, n = a.channels;
    std::vector<float> parts(2 * chunks * n, 0.0f);
    for_chunks(a, [&](int64_t chunk, int64_t begin, int64_t end) {
        float *first = &parts[2 * chunk * n], *second = first + n;
        for (int64_t c = 0; c < n; c += kBlock) {
            const int64_t count = std::min(kBlock, n - c);
            float s[kBlock] = {}, q[kBlock] = {};
            if (count == kBlock)
                for (int64_t row = begin; row < end; ++row) add(row, c, kBlock, s, q);
            else
                for (int64_t row = begin; row < end; ++row) add(row, c, count, s, q);
            std::memcpy(first + c, s, count * sizeof(float));
            std::memcpy(second + c, q, count * sizeof(float));
        }
    });
    one.assign(n, 0.0), two.assign(n, 0.0);
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        const float *first = &parts[2 * chunk * n], *second = first + n;
        for (int64_t c = 0; c < n; ++c) one[c] += first[c], two[c] += second[c];
    }
}

template <typename T> void forward(const ImageNorm &a) {
    const int64_t n = a.channels;
    const T *x = static_cast<const T *>(a.x), *residual = static_cast<const T *>(a.residual);
    T *y = static_cast<T *>(a.y);
    // sums of distances from the first row: the variance of a channel far from zero stays exact
    std::vector<float> origin(n), scale(n), shift(n);
    for (int64_t c = 0; c < n; ++c) origin[c] = widen(x[c]);
    std::vector<double> total, squares;
    sums(a, total, squares, [&](int64_t row, int64_t c, int64_t count, float *s, float *q) __attribute__((always_inline)) {
        const T *from = x + row * n + c;
        const float *zero = &origin[c];
        for (int64_t i = 0; i < count; ++i) {
            const float d = widen(from[i]) - zero[i];
            s[i] += d, q[i] += d * d;
        }
    });
    for (int64_t c = 0; c < n; ++c) {
        const double mean = total[c] / a.rows, variance = std::max(0.0, squares[c] / a.rows - mean * mean);
        a.mean[c] = static_cast<float>(origin[c] + mean);
        a.variance[c] = total[c] == total[c] ? static_cast<float>(variance) : static_cast<float>(total[c]);
        scale[c] = static_cast<float>(a.weight[c] / std::sqrt(static_cast<double>(a.variance[c]) + a.eps));
        shift[c] = a.bias[c] - a.mean[c] * scale[c];
    }
    const bool relu = a.relu != 0;
    for_chunks(a, [&](int64_t, int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            const T *from = x + row * n, *more = residual ? residual + row * n : nullptr;
            T *to = y + row * n;
            const float *m = scale.data(), *b = shift.data();
            if (more)
                for (int64_t i = 0; i < n; ++i) {
                    const float v = widen(from[i]) * m[i] + b[i] + widen(more[i]);
                    narrow(relu && v < 0.0f ? 0.0f : v, to + i);
                }
            else
                for (int64_t i = 0; i < n; ++i) {
                    const float v = widen(from[i]) * m[i] + b[i];
                    narrow(relu && v < 0.0f ? 0.0f : v, to + i);
                }
        }
    });
}

template <typename T, bool Relu> void backward(const ImageNorm &a) {
    const int64_t n = a.channels;
    const T *x = static_cast<const T *>(a.x), *y = static_cast<const T *>(a.y);
    const T *grad_y = static_cast<const T *>(a.grad_y);
    T *grad_x = static_cast<T *>(a.grad_x), *grad_residual = static_cast<T *>(a.grad_residual);
    std::vector<double> total, moments;
    sums(a, total, moments, [&](int64_t row, int64_t c, int64_t count, float *s, float *q) __attribute__((always_inline)) {
        const T *from = x + row * n + c, *out = y + row * n + c, *grad = grad_y + row * n + c;
        const float *mean = a.mean + c;
        for (int64_t i = 0; i < count; ++i) {
            const float g = passed<Relu>(widen(grad[i]), widen(out[i]));
            s[i] += g, q[i] += g * (widen(from[i]) - mean[i]);
        }
    });
    // grad_x = slope * g + tilt * x + level
    std::vector<float> slope(n), tilt(n), level(n);
    for (int64_t c = 0; c < n; ++c) {
        const double inverse = 1.0 / std::sqrt(static_cast<double>(a.variance[c]) + a.eps);
        a.grad_bias[c] = static_cast<float>(total[c]);
        a.grad_weight[c] = static_cast<float>(moments[c] * inverse);
        const double along = -a.weight[c] * inverse * inverse * inverse * moments[c] / a.rows;
        slope[c] = static_cast<float>(a.weight[c] * inverse);
        tilt[c] = static_cast<float>(along);
        level[c] = static_cast<float>(-a.weight[c] * inverse * total[c] / a.rows);
    }
    for_chunks(a, [&](int64_t, int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            const T *from = x + row * n, *out = y + row * n, *grad = grad_y + row * n;
            T *to = grad_x + row * n, *more = grad_residual ? grad_residual + row * n : nullptr;
            const float *k = slope.data(), *t = tilt.data(), *l = level.data(), *mean = a.mean;
            for (int64_t i = 0; i < n; ++i) {
                const float g = passed<Relu>(widen(grad[i]), widen(out[i]));
                narrow(k[i] * g + t[i] * (widen(from[i]) - mean[i]) + l[i], to + i);
            }
            if (more)
                for (int64_t i = 0; i < n; ++i) {
                    const float g = passed<Relu>(widen(grad[i]), widen(out[i]));
                    narrow(g, more + i);
                }
        }
    });
}

template <typename T> void run(const ImageNorm &a) {
    if (!a.grad_y)
        forward<T>(a);
    else if (a.relu)
        backward<T, true>(a);
    else
        backward<T, false>(a);
}

}  // namespace

extern "C" void s2s_image_norm(const ImageNorm *a) {
    if (a->bfloat16)
        run<uint16_t>(*a);
    else
        run<float>(*a);
}
