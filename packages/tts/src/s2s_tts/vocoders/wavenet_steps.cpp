// Samples of a WaveNet, one after the other, for s2s_tts.vocoders.wavenet_native.
//
// A sample multiplies one vector by every weight of the network, so it is bound by reading the weights: they are packed
// once into the order in which they are read, as bfloat16 on request, which halves the traffic and lets the usual
// network stay in a core's second-level cache. Activations, sums and states are float32 either way. Rows of a batch are
// spread over threads, and up to four of them share one reading of the weights; every sum runs in the order of the
// inputs, so results depend neither on the number of threads nor on which rows share a batch.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "team.h"
#include "vectors.h"

namespace {

constexpr int64_t kPanel = 64;  // outputs whose weights for one input lie side by side; widths are multiples of it
constexpr int kRows = 4;        // rows that share one reading of the weights

}  // namespace

// Mirrored by s2s_tts.vocoders.wavenet_native. Widths are padded to whole panels; what is added is zero.
struct Network {
    int64_t layers, kernel, channels, skips, hidden, padded_levels, levels, bfloat16;
    const int64_t *dilations;
    const float *embedding;  // [levels][channels]
    const void *weights;     // for each layer gates and outputs, then the two last layers; see wavenet_native
    const float *biases;     // the same without the gates'
};

struct Job {
    int64_t rows, samples, position, stride, first, conditions, threads;
    const float *shares;    // [rows][conditions][layers][2 * channels]: the gates' biases and what conditions add
    const float *uniforms;  // [rows][samples]
    float *rings;           // [rows][sum over layers of (kernel - 1) * dilation][channels]
    int64_t *previous;      // [rows]: the level before the first sample
    int64_t *out;           // [rows][samples]
    double temperature;
};

namespace {

inline Vec clamped(Vec x, float low, float high) {
    const Vec floor = Vec{} + low, ceiling = Vec{} + high;
    x = x < floor ? floor : x;
    return x > ceiling ? ceiling : x;
}

// tanh(content) * sigmoid(gate) with one division; beyond 20, tanh is 1 in float32
inline Vec gated(Vec content, Vec gate) {
    Vec e = exponential(clamped(content, -20.0f, 20.0f) * -2.0f);
    return (1.0f - e) / ((1.0f + e) * (1.0f + exponential(-gate)));
}

// ---- products -------------------------------------------------------------------------------------------------------

// One input's weights of a panel: [64]
struct Plain {
    typedef float Stored;
    static constexpr int kInputs = 1;
    template <int Rows> static inline void add(const float *w, const float *x, int64_t stride, Vec (&sums)[Rows][4]) {
        for (int v = 0; v < 4; ++v) {
            Vec weights = load(w + v * kLanes);
            for (int r = 0; r < Rows; ++r) sums[r][v] += weights * x[r * stride];
        }
    }
};

// Two inputs' weights of a panel: [64][2], so that either half of a word is a float's upper half
struct Halves {
    typedef uint16_t Stored;
    static constexpr int kInputs = 2;
    template <int Rows> static inline void add(const uint16_t *w, const float *x, int64_t stride, Vec (&sums)[Rows][4]) {
        for (int v = 0; v < 4; ++v) {
            UintVec words;
            std::memcpy(&words, w + v * 2 * kLanes, sizeof words);
            UintVec low = words << 16, high = words & 0xffff0000u;
            Vec first, second;
            std::memcpy(&first, &low, sizeof first);
            std::memcpy(&second, &high, sizeof second);
            for (int r = 0; r < Rows; ++r) {
                sums[r][v] += first * x[r * stride];
                sums[r][v] += second * x[r * stride + 1];
            }
        }
    }
};

// y += W x for so many rows and panels, with all sums in registers.
template <typename Kind, int Rows, int Panels>
void block(const typename Kind::Stored *w, int64_t inputs, const float *x, int64_t xs, float *y, int64_t ys) {
    Vec sums[Panels][Rows][4];
    for (int p = 0; p < Panels; ++p)
        for (int r = 0; r < Rows; ++r)
            for (int v = 0; v < 4; ++v) sums[p][r][v] = load(y + r * ys + p * kPanel + v * kLanes);
    for (int64_t k = 0; k < inputs; k += Kind::kInputs)
        for (int p = 0; p < Panels; ++p)
            Kind::template add<Rows>(w + (p * inputs + k) * kPanel, x + k, xs, sums[p]);
    for (int p = 0; p < Panels; ++p)
        for (int r = 0; r < Rows; ++r)
            for (int v = 0; v < 4; ++v) store(y + r * ys + p * kPanel + v * kLanes, sums[p][r][v]);
}

// One or two rows work on two panels at a time: fewer sums would wait for one another.
template <typename Kind, int Rows>
void product(const typename Kind::Stored *w, int64_t inputs, int64_t outputs, const float *x, int64_t xs, float *y, int64_t ys) {
    constexpr int panels = Rows <= 2 ? 2 : 1;
    int64_t at = 0;
    for (; at + panels * kPanel <= outputs; at += panels * kPanel) block<Kind, Rows, panels>(w + at * inputs, inputs, x, xs, y + at, ys);
    for (; at < outputs; at += kPanel) block<Kind, Rows, 1>(w + at * inputs, inputs, x, xs, y + at, ys);
}

template <typename Kind>
void product(int64_t rows, const typename Kind::Stored *w, int64_t inputs, int64_t outputs, const float *x, int64_t xs, float *y, int64_t ys) {
    for (int64_t r = 0; r < rows; r += kRows, x += kRows * xs, y += kRows * ys) switch (std::min<int64_t>(kRows, rows - r)) {
            case 1: product<Kind, 1>(w, inputs, outputs, x, xs, y, ys); break;
            case 2: product<Kind, 2>(w, inputs, outputs, x, xs, y, ys); break;
            case 3: product<Kind, 3>(w, inputs, outputs, x, xs, y, ys); break;
            default: product<Kind, 4>(w, inputs, outputs, x, xs, y, ys);
        }
}

// ---- sampling -------------------------------------------------------------------------------------------------------

// The first level at which the cumulative weight exceeds its share of the whole.
int64_t draw(const Network &n, float *scores, float uniform, double temperature) {
    int64_t best = 0;
    for (int64_t i = 1; i < n.levels; ++i)
        if (scores[i] > scores[best]) best = i;
    if (temperature == 0) return best;
    const float scale = static_cast<float>(1 / temperature), highest = scores[best];
    for (int64_t i = 0; i < n.padded_levels; i += kLanes) store(scores + i, exponential((load(scores + i) - highest) * scale));
    double total = 0;
    for (int64_t i = 0; i < n.levels; ++i) total += scores[i];
    const double wanted = uniform * total;
    double reached = 0;
    for (int64_t i = 0; i + 1 < n.levels; ++i) {
        reached += scores[i];
        if (reached > wanted) return i;
    }
    return n.levels - 1;
}

// ---- a thread's rows ------------------------------------------------------------------------------------------------

struct Room {
    std::vector<float> memory;
    float *carve(int64_t count) {  // aligned to cache lines
        memory.resize(count + kLanes);
        auto address = reinterpret_cast<uintptr_t>(memory.data());
        return memory.data() + (64 - address % 64) % 64 / sizeof(float);
    }
};

template <typename Kind> class Rows {
  public:
    Rows(const Network &n, const Job &job, int64_t begin, int64_t end) : n_(n), job_(job), begin_(begin), rows_(end - begin) {
        const int64_t taps = n.kernel * n.channels, outs = n.channels + n.skips;
        float *at = room_.carve(rows_ * (taps + 3 * n.channels + outs + n.skips + n.hidden + n.padded_levels));
        auto take = [&](int64_t width) { float *here = at; at += rows_ * width; return here; };
        taps_ = take(taps), gates_ = take(2 * n.channels), gated_ = take(n.channels), outs_ = take(outs);
        skips_ = take(n.skips), hidden_ = take(n.hidden), scores_ = take(n.padded_levels);
        for (int64_t layer = 0; layer < n.layers; ++layer) ring_rows_ += (n.kernel - 1) * n.dilations[layer];
    }

    void run() {
        for (int64_t t = 0; t < job_.samples; ++t) step(t);
    }

  private:
    float *current(int64_t r) const { return taps_ + (r * n_.kernel + n_.kernel - 1) * n_.channels; }

    void step(int64_t t) {
        for (int64_t r = 0; r < rows_; ++r)
            std::memcpy(current(r), n_.embedding + job_.previous[begin_ + r] * n_.channels, n_.channels * sizeof(float));
        std::memset(skips_, 0, rows_ * n_.skips * sizeof(float));
        auto *w = static_cast<const typename Kind::Stored *>(n_.weights);
        const float *bias = n_.biases;
        const int64_t taps = n_.kernel * n_.channels, outs = n_.channels + n_.skips;
        int64_t ring = 0;
        for (int64_t layer = 0; layer < n_.layers; ++layer) {
            recall(ring, n_.dilations[layer], t);
            begin_gates(layer, t);
            product<Kind>(rows_, w, taps, 2 * n_.channels, taps_, taps, gates_, 2 * n_.channels);
            w += taps * 2 * n_.channels;
            gate(bias, outs);
            product<Kind>(rows_, w, n_.channels, outs, gated_, n_.channels, outs_, outs);
            w += n_.channels * outs;
            bias += outs;
            connect(outs);
            ring += (n_.kernel - 1) * n_.dilations[layer];
        }
        finish(w, bias, t);
    }

    // Fetch what the layer saw dilation, 2 * dilation ... samples ago, and put what it sees now in the oldest's place.
    void recall(int64_t ring, int64_t dilation, int64_t t) {
        const int64_t size = (n_.kernel - 1) * dilation, width = n_.channels;
        if (size == 0) return;
        const int64_t now = (job_.position + t) % size;
        for (int64_t r = 0; r < rows_; ++r) {
            float *mine = job_.rings + ((begin_ + r) * ring_rows_ + ring) * width;
            for (int64_t tap = 0; tap + 1 < n_.kernel; ++tap) {
                const float *past = mine + (now + tap * dilation) % size * width;
                std::memcpy(taps_ + (r * n_.kernel + tap) * width, past, width * sizeof(float));
                const float *next = mine + (now + 1 + tap * dilation) % size * width;  // not in the cache by itself
                for (int64_t c = 0; c < width; c += kLanes) __builtin_prefetch(next + c);
            }
            std::memcpy(mine + now * width, current(r), width * sizeof(float));
        }
    }

    void begin_gates(int64_t layer, int64_t t) {
        const int64_t width = 2 * n_.channels;
        const int64_t condition = std::min((job_.position + t + job_.stride / 2) / job_.stride - job_.first, job_.conditions - 1);
        for (int64_t r = 0; r < rows_; ++r) {
            const float *share = job_.shares + (((begin_ + r) * job_.conditions + condition) * n_.layers + layer) * width;
            std::memcpy(gates_ + r * width, share, width * sizeof(float));
        }
    }

    void gate(const float *bias, int64_t outs) {
        for (int64_t r = 0; r < rows_; ++r) {
            const float *content = gates_ + r * 2 * n_.channels, *gate = content + n_.channels;
            for (int64_t c = 0; c < n_.channels; c += kLanes)
                store(gated_ + r * n_.channels + c, gated(load(content + c), load(gate + c)));
            std::memcpy(outs_ + r * outs, bias, outs * sizeof(float));
        }
    }

    void connect(int64_t outs) {
        for (int64_t r = 0; r < rows_; ++r) {
            const float *out = outs_ + r * outs;
            float *x = current(r), *skips = skips_ + r * n_.skips;
            for (int64_t c = 0; c < n_.channels; c += kLanes) store(x + c, load(x + c) + load(out + c));
            for (int64_t c = 0; c < n_.skips; c += kLanes) store(skips + c, load(skips + c) + load(out + n_.channels + c));
        }
    }

    void finish(const typename Kind::Stored *w, const float *bias, int64_t t) {
        rectify(skips_, n_.skips);
        for (int64_t r = 0; r < rows_; ++r) {
            std::memcpy(hidden_ + r * n_.hidden, bias, n_.hidden * sizeof(float));
            std::memcpy(scores_ + r * n_.padded_levels, bias + n_.hidden, n_.padded_levels * sizeof(float));
        }
        product<Kind>(rows_, w, n_.skips, n_.hidden, skips_, n_.skips, hidden_, n_.hidden);
        rectify(hidden_, n_.hidden);
        product<Kind>(rows_, w + n_.skips * n_.hidden, n_.hidden, n_.padded_levels, hidden_, n_.hidden, scores_, n_.padded_levels);
        for (int64_t r = 0; r < rows_; ++r) {
            const int64_t place = (begin_ + r) * job_.samples + t;
            const int64_t level = draw(n_, scores_ + r * n_.padded_levels, job_.uniforms[place], job_.temperature);
            job_.previous[begin_ + r] = job_.out[place] = level;
        }
    }

    void rectify(float *x, int64_t width) {
        const Vec zero = {};
        for (int64_t i = 0; i < rows_ * width; i += kLanes) {
            Vec value = load(x + i);
            store(x + i, value > zero ? value : zero);
        }
    }

    const Network &n_;
    const Job &job_;
    const int64_t begin_, rows_;
    int64_t ring_rows_ = 0;
    Room room_;
    float *taps_, *gates_, *gated_, *outs_, *skips_, *hidden_, *scores_;
};

template <typename Kind> void spread(const Network &n, const Job &job) {
    const int64_t threads = std::max<int64_t>(1, std::min(job.threads, job.rows));
    on_team(threads, [&](int64_t i) { Rows<Kind>(n, job, job.rows * i / threads, job.rows * (i + 1) / threads).run(); });
}

}  // namespace

extern "C" void s2s_wavenet(const Network *network, const Job *job) {
    if (network->bfloat16)
        spread<Halves>(*network, *job);
    else
        spread<Plain>(*network, *job);
}
