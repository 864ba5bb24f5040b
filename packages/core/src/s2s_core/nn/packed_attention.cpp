// Scaled dot-product attention of a packed batch, and its gradients, for s2s_core.nn.packed_attention.
//
// Every head of every sentence is a piece of work of its own: its queries, keys and values fit into a core's cache, are
// read once where the linear layers left them, and what comes out is written where the next one reads it. Nothing is
// padded, and the scores of a sentence never leave the core; the backward pass computes them again. Numbers are float32
// inside. Which weights are dropped is a function of seed, sentence, head and place, so that it needs no memory.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "team.h"
#include "vectors.h"

// Mirrored by s2s_core.nn.packed_attention. Strides are of rows, in numbers; heads lie side by side.
struct Attention {
    int64_t sentences, heads, size, causal, bfloat16, threads, seed;
    int64_t query_stride, key_stride, out_stride, grad_query_stride, grad_key_stride;
    double scale, dropout;
    const int64_t *query_starts, *key_starts;  // one more than there are sentences
    const void *query, *key, *value;
    void *out;
    float *normaliser;  // (queries, heads)
    const void *grad_out;  // null in the forward pass, as are those that follow
    void *grad_query, *grad_key, *grad_value;
};

namespace {

constexpr int kRows = 4;  // rows of a product that share one reading of the right-hand side
constexpr int kVecs = 4;  // vectors of columns that a block of a product holds in registers

inline float widen(float x) { return x; }

inline float widen(uint16_t x) {
    uint32_t bits = static_cast<uint32_t>(x) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

// e^x for x <= 0; what is under -87 becomes 0.
inline Vec decayed(Vec x) {
    const Vec low = Vec{} - 87.0f, zero = {};
    const IntVec tiny = x < low;
    return tiny ? zero : exponential(x);
}

int64_t padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// ---- products -------------------------------------------------------------------------------------------------------

// How the left-hand side lies in memory: row i, column k at i * row + k * column.
struct Left {
    const float *data;
    int64_t row, column;
};

template <int Rows, int Vecs>
inline void block(Left a, const float *b, int64_t b_stride, float *c, int64_t c_stride, int64_t inner) {
    Vec sums[Rows][Vecs] = {};
    for (int64_t k = 0; k < inner; ++k)
        for (int v = 0; v < Vecs; ++v) {
            Vec right = load(b + k * b_stride + v * kLanes);
            for (int r = 0; r < Rows; ++r) sums[r][v] += right * a.data[r * a.row + k * a.column];
        }
    for (int r = 0; r < Rows; ++r)
        for (int v = 0; v < Vecs; ++v) store(c + r * c_stride + v * kLanes, sums[r][v]);
}

template <int Vecs>
void columns(Left a, const float *b, int64_t b_stride, float *c, int64_t c_stride, int64_t rows, int64_t inner) {
    int64_t i = 0;
    for (; i + kRows <= rows; i += kRows, a.data += kRows * a.row, c += kRows * c_stride)
        block<kRows, Vecs>(a, b, b_stride, c, c_stride, inner);
    for (; i < rows; ++i, a.data += a.row, c += c_stride) block<1, Vecs>(a, b, b_stride, c, c_stride, inner);
}

// c = a b for a of (rows, inner) and b of (inner, width); width is a multiple of 16.
void multiply(Left a, const float *b, float *c, int64_t rows, int64_t inner, int64_t width) {
    for (int64_t j = 0; j < width; j += kVecs * kLanes) {
        switch (std::min<int64_t>(kVecs, (width - j) / kLanes)) {
        case 1: columns<1>(a, b + j, width, c + j, width, rows, inner); break;
        case 2: columns<2>(a, b + j, width, c + j, width, rows, inner); break;
        case 3: columns<3>(a, b + j, width, c + j, width, rows, inner); break;
        default: columns<kVecs>(a, b + j, width, c + j, width, rows, inner);
        }
    }
}

// ---- one head of one sentence ---------------------------------------------------------------------------------------

struct Piece {
    int64_t sentence, head, queries, keys, width;  // width: the keys' padded number
};

struct Scratch {
    std::vector<float> query, key, value, key_t, value_t, scores, grad_scores, grad_out, result;

    static float *room(std::vector<float> &buffer, int64_t numbers) {
        if (static_cast<int64_t>(buffer.size()) < numbers) buffer.resize(numbers);
        return buffer.data();
    }
};

template <typename T>
const float *gather(std::vector<float> &to, const void *from, int64_t rows, int64_t size, int64_t stride, float factor) {
    float *out = Scratch::room(to, rows * size);
    const T *in = static_cast<const T *>(from);
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t d = 0; d < size; ++d) out[i * size + d] = widen(in[i * stride + d]) * factor;
    return out;
}

// (rows, size) to (size, width), zeros beyond the rows
const float *transposed(std::vector<float> &to, const float *from, int64_t rows, int64_t size, int64_t width) {
    float *out = Scratch::room(to, size * width);
    for (int64_t d = 0; d < size; ++d)
        for (int64_t j = 0; j < width; ++j) out[d * width + j] = j < rows ? from[j * size + d] : 0.0f;
    return out;
}

template <typename T> void scatter(const float *from, void *to, int64_t rows, int64_t size, int64_t stride) {
    T *out = static_cast<T *>(to);
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t d = 0; d < size; ++d) narrow(from[i * size + d], &out[i * stride + d]);
}

inline UintVec mixed(UintVec x) {  // a permutation of 32 bits that leaves no trace of their order
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

// The factors of 16 weights from column j on in row i: 0 or 1 / (1 - dropout).
class Dropout {
  public:
    Dropout(const Attention &a, const Piece &at)
        : on_(a.dropout > 0), limit_(static_cast<uint32_t>(std::min(4294967295.0, a.dropout * 4294967296.0))),
          factor_(static_cast<float>(1 / (1 - a.dropout))),
          low_(static_cast<uint32_t>(a.seed) + static_cast<uint32_t>(at.sentence * a.heads + at.head) * 0x9e3779b9u),
          high_(static_cast<uint32_t>(a.seed >> 32)) {}

    explicit operator bool() const { return on_; }

    Vec factors(int64_t i, int64_t j) const {
        UintVec lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        UintVec bits = mixed(mixed((lanes + static_cast<uint32_t>(j)) ^ high_) + static_cast<uint32_t>(i));
        bits = mixed(bits ^ low_);
        const Vec zero = {}, kept = Vec{} + factor_;
        const UintVec limit = UintVec{} + limit_;
        return bits >= limit ? kept : zero;
    }

  private:
    bool on_;
    uint32_t limit_;
    float factor_;
    uint32_t low_, high_;
};

int64_t seen(const Attention &a, const Piece &at, int64_t i) { return a.causal ? std::min(at.keys, i + 1) : at.keys; }

float *row_normaliser(const Attention &a, const Piece &at, int64_t i) {
    return a.normaliser + (a.query_starts[at.sentence] + i) * a.heads + at.head;
}

// Scores to weights, in place; zeros where nothing is seen. Keeps log(sum(exp)) of each row.
void softmax(const Attention &a, const Piece &at, float *scores) {
    for (int64_t i = 0; i < at.queries; ++i) {
        float *row = scores + i * at.width, largest = -INFINITY;
        const int64_t count = seen(a, at, i);
        for (int64_t j = 0; j < count; ++j) largest = std::max(largest, row[j]);
        for (int64_t j = count; j < at.width; ++j) row[j] = -INFINITY;
        Vec sums = {};
        for (int64_t j = 0; j < at.width; j += kLanes) {
            Vec weight = decayed(load(row + j) - largest);
            sums += weight;
            store(row + j, weight);
        }
        float sum = 0;
        for (int lane = 0; lane < kLanes; ++lane) sum += sums[lane];
        for (int64_t j = 0; j < at.width; j += kLanes) store(row + j, load(row + j) * (1 / sum));
        *row_normaliser(a, at, i) = largest + std::log(sum);
    }
}

template <typename T> const T *at_head(const void *base, int64_t start, int64_t stride, const Attention &a, const Piece &at) {
    return static_cast<const T *>(base) + start * stride + at.head * a.size;
}

template <typename T> T *at_head(void *base, int64_t start, int64_t stride, const Attention &a, const Piece &at) {
    return static_cast<T *>(base) + start * stride + at.head * a.size;
}

template <typename T> void forward(const Attention &a, const Piece &at, Scratch &s) {
    const int64_t q0 = a.query_starts[at.sentence], k0 = a.key_starts[at.sentence], size = a.size;
    const float scale = static_cast<float>(a.scale);
    const float *query = gather<T>(s.query, at_head<T>(a.query, q0, a.query_stride, a, at), at.queries, size, a.query_stride, scale);
    const float *key = gather<T>(s.key, at_head<T>(a.key, k0, a.key_stride, a, at), at.keys, size, a.key_stride, 1);
    const float *value = gather<T>(s.value, at_head<T>(a.value, k0, a.key_stride, a, at), at.keys, size, a.key_stride, 1);
    float *scores = Scratch::room(s.scores, at.queries * at.width);
    multiply({query, size, 1}, transposed(s.key_t, key, at.keys, size, at.width), scores, at.queries, size, at.width);
    softmax(a, at, scores);
    const Dropout dropout(a, at);
    if (dropout)
        for (int64_t i = 0; i < at.queries; ++i)
            for (int64_t j = 0; j < at.width; j += kLanes) {
                float *weights = scores + i * at.width + j;
                store(weights, load(weights) * dropout.factors(i, j));
            }
    float *out = Scratch::room(s.result, at.queries * size);
    multiply({scores, at.width, 1}, value, out, at.queries, at.keys, size);
    scatter<T>(out, at_head<T>(a.out, q0, a.out_stride, a, at), at.queries, size, a.out_stride);
}

// Weights after dropout into `scores`, and gradients of the scores before scaling into `grads`, which holds those of the
// weights after dropout.
void through_softmax(const Attention &a, const Piece &at, float *scores, float *grads) {
    const Dropout dropout(a, at);
    for (int64_t i = 0; i < at.queries; ++i) {
        float *row = scores + i * at.width, *grad = grads + i * at.width;
        const float normaliser = *row_normaliser(a, at, i);
        for (int64_t j = seen(a, at, i); j < at.width; ++j) row[j] = -INFINITY;
        Vec sums = {};
        for (int64_t j = 0; j < at.width; j += kLanes) {
            Vec weight = decayed(load(row + j) - normaliser), change = load(grad + j);
            if (dropout) change *= dropout.factors(i, j);
            sums += weight * change;
            store(row + j, weight);
            store(grad + j, change);
        }
        float sum = 0;
        for (int lane = 0; lane < kLanes; ++lane) sum += sums[lane];
        for (int64_t j = 0; j < at.width; j += kLanes) {
            Vec weight = load(row + j);
            store(grad + j, weight * (load(grad + j) - sum));
            if (dropout) store(row + j, weight * dropout.factors(i, j));
        }
    }
}

template <typename T> void backward(const Attention &a, const Piece &at, Scratch &s) {
    const int64_t q0 = a.query_starts[at.sentence], k0 = a.key_starts[at.sentence], size = a.size;
    const float scale = static_cast<float>(a.scale);
    const float *query = gather<T>(s.query, at_head<T>(a.query, q0, a.query_stride, a, at), at.queries, size, a.query_stride, scale);
    const float *key = gather<T>(s.key, at_head<T>(a.key, k0, a.key_stride, a, at), at.keys, size, a.key_stride, 1);
    const float *value = gather<T>(s.value, at_head<T>(a.value, k0, a.key_stride, a, at), at.keys, size, a.key_stride, 1);
    const float *grad = gather<T>(s.grad_out, at_head<T>(a.grad_out, q0, a.out_stride, a, at), at.queries, size, a.out_stride, 1);
    float *scores = Scratch::room(s.scores, at.queries * at.width);
    float *grads = Scratch::room(s.grad_scores, at.queries * at.width);
    multiply({query, size, 1}, transposed(s.key_t, key, at.keys, size, at.width), scores, at.queries, size, at.width);
    multiply({grad, size, 1}, transposed(s.value_t, value, at.keys, size, at.width), grads, at.queries, size, at.width);
    through_softmax(a, at, scores, grads);
    float *result = Scratch::room(s.result, std::max(at.queries, at.keys) * size);
    multiply({scores, 1, at.width}, grad, result, at.keys, at.queries, size);
    scatter<T>(result, at_head<T>(a.grad_value, k0, a.grad_key_stride, a, at), at.keys, size, a.grad_key_stride);
    multiply({grads, 1, at.width}, query, result, at.keys, at.queries, size);  // the queries are scaled already
    scatter<T>(result, at_head<T>(a.grad_key, k0, a.grad_key_stride, a, at), at.keys, size, a.grad_key_stride);
    multiply({grads, at.width, 1}, key, result, at.queries, at.keys, size);
    for (int64_t i = 0; i < at.queries * size; ++i) result[i] *= scale;
    scatter<T>(result, at_head<T>(a.grad_query, q0, a.grad_query_stride, a, at), at.queries, size, a.grad_query_stride);
}

template <typename T> void work(const Attention &a, std::atomic<int64_t> &next) {
    Scratch scratch;
    for (int64_t piece = next++; piece < a.sentences * a.heads; piece = next++) {
        const int64_t sentence = piece / a.heads;
        const int64_t queries = a.query_starts[sentence + 1] - a.query_starts[sentence];
        const int64_t keys = a.key_starts[sentence + 1] - a.key_starts[sentence];
        const Piece at{sentence, piece % a.heads, queries, keys, padded(keys)};
        if (a.grad_out)
            backward<T>(a, at, scratch);
        else
            forward<T>(a, at, scratch);
    }
}

}  // namespace

extern "C" void s2s_packed_attention(const Attention *attention) {
    const Attention &a = *attention;
    std::atomic<int64_t> next{0};
    on_team(std::min(a.threads, a.sentences * a.heads),
            [&](int64_t) { a.bfloat16 ? work<uint16_t>(a, next) : work<float>(a, next); });
}
