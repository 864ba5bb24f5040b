// The steps of a Tacotron 2 decoder, for s2s_tts.decoders.native_steps: an LSTM, location-sensitive attention, and, where
// it speaks freely, the prenet before, a second LSTM and the projection behind them.
//
// A step reads every weight once and does little with it, so it is bound by that reading. Weights come packed in panels of
// 64 outputs (an LSTM's: 16 units of each of its four gates), [panel][input][64], float32 or bfloat16; each thread owns
// some panels, and some rows' attention, and threads meet between the layers. Sums run in a fixed order: results depend
// neither on the number of threads nor on which rows share a batch.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <vector>

#include "barrier.h"
#include "team.h"
#include "vectors.h"

namespace {

constexpr int64_t kPanel = 64;
constexpr int kVecs = 4, kRows = 4;

}  // namespace

// Mirrored by s2s_tts.decoders.native_steps. Sizes are multiples of 16; T steps, B rows, N tokens.
struct Loop {
    int64_t steps, rows, tokens, hidden, memory, size, kernel, bfloat16, only_forward, threads;
    const int64_t *lengths;                      // (B,)
    const void *recurrent, *query;               // panels of (4 hidden, inputs) and (size, hidden)
    const float *keys, *values, *location, *score;  // (B, N, size), (B, N, memory), (2 kernel, size), (size,)
    float *hidden_state, *cell, *context, *weights, *cumulative;  // (B, ...): before the first step, and after the last
    // training: what follows is null where the decoder speaks freely
    const float *gates, *keep;  // (T, B, 4 hidden), and (T, B, hidden) or null
    float *all_hidden, *activations, *all_cells, *all_contexts;
    float *all_weights;  // (T, B, N), in both modes
    // free speech
    int64_t mels, outputs, prenet, prenet_layers;
    const void *const *prenet_weights;  // panels
    const float *const *prenet_masks;   // each (T, B, prenet), or null
    const void *second, *projection;    // panels of (4 hidden, 2 hidden + memory) and (outputs, hidden + memory)
    const float *bias, *second_bias, *projection_bias;
    float *second_state, *second_cell, *frame;  // (B, hidden), (B, hidden), (B, mels)
    float *made;                                // (T, B, outputs), the stop token's logit last
    double stop_logit;                          // rows whose logit passes it have ended ...
    const int64_t *limits;                      // ... and those that have made so many steps; (B,)
    int64_t done;                               // steps made: fewer than asked for once all rows have ended
};

namespace {

struct Share {
    int64_t begin, end;
};

Share share_of(int64_t count, int64_t member, int64_t members) {
    return {count * member / members, count * (member + 1) / members};
}

// Rows of inputs by panels of weights; `emit(row, panel, sums)` takes 64 sums.
template <int Rows, typename Stored, typename Emit>
inline void product_rows(const Stored *panel, const float *x, int64_t stride, int64_t inner, int64_t row, int64_t p, Emit emit) {
    Vec sums[Rows][kVecs] = {};
    for (int64_t k = 0; k < inner; ++k)
        for (int v = 0; v < kVecs; ++v) {
            Vec weights = widen(panel + k * kPanel + v * kLanes);
            for (int r = 0; r < Rows; ++r) sums[r][v] += weights * x[(row + r) * stride + k];
        }
    for (int r = 0; r < Rows; ++r) emit(row + r, p, sums[r]);
}

template <typename Stored, typename Emit>
void product(const void *weights, const float *x, int64_t stride, int64_t inner, Share rows, Share panels, Emit emit) {
    for (int64_t p = panels.begin; p < panels.end; ++p) {
        const Stored *panel = static_cast<const Stored *>(weights) + p * inner * kPanel;
        for (int64_t row = rows.begin; row < rows.end; row += kRows) switch (std::min<int64_t>(kRows, rows.end - row)) {
            case 1: product_rows<1>(panel, x, stride, inner, row, p, emit); break;
            case 2: product_rows<2>(panel, x, stride, inner, row, p, emit); break;
            case 3: product_rows<3>(panel, x, stride, inner, row, p, emit); break;
            default: product_rows<kRows>(panel, x, stride, inner, row, p, emit);
            }
    }
}

int64_t panels_of(int64_t outputs) { return (outputs + kPanel - 1) / kPanel; }

// What the threads share. Layers read one copy of the states while they write the other.
struct Room {
    std::vector<float> first[2];   // (B, [prenet |] context | hidden)
    std::vector<float> second[2];  // (B, hidden | context | second hidden)
    std::vector<float> layers[2];  // (B, prenet or mels): what the prenet's layers hand on
    std::vector<float> queries;    // (B, hidden), after dropout
    std::vector<char> ended;
    bool stop = false;
};

struct Cell {
    const float *gates, *bias;  // (4 hidden,) of a row, or null
    float *cell, *activations, *all_cells;
    int64_t hidden;
};

// Finishes 16 units of a row; returns the new hidden state.
inline Vec finish(const Cell &c, int64_t unit, const Vec *sums) {
    Vec gate[4];
    for (int g = 0; g < 4; ++g) {
        gate[g] = sums[g];
        if (c.gates) gate[g] += load(c.gates + g * c.hidden + unit);
        if (c.bias) gate[g] += load(c.bias + g * c.hidden + unit);
    }
    Vec in = sigmoid(gate[0]), forget = sigmoid(gate[1]), fresh = hyperbolic_tangent(gate[2]), out = sigmoid(gate[3]);
    Vec after = forget * load(c.cell + unit) + in * fresh;
    store(c.cell + unit, after);
    if (c.activations) {
        store(c.activations + unit, in);
        store(c.activations + c.hidden + unit, forget);
        store(c.activations + 2 * c.hidden + unit, fresh);
        store(c.activations + 3 * c.hidden + unit, out);
        store(c.all_cells + unit, after);
    }
    return out * hyperbolic_tangent(after);
}

// Scores of some tokens: 64 of the inner units at a time, four tokens that share a reading of the location weights.
template <int Tokens>
inline void score_tokens(const Loop &a, int64_t row, int64_t n, const float *query, const float *last, const float *sum, float *scores) {
    Vec totals[Tokens] = {};
    for (int64_t s = 0; s < a.size; s += kLanes) {
        Vec inner[Tokens];
        for (int t = 0; t < Tokens; ++t)
            inner[t] = load(query + s) + load(a.keys + (row * a.tokens + n + t) * a.size + s);
        for (int64_t k = 0; k < a.kernel; ++k) {
            Vec near = load(a.location + k * a.size + s), far = load(a.location + (a.kernel + k) * a.size + s);
            for (int t = 0; t < Tokens; ++t) inner[t] += near * last[n + t + k] + far * sum[n + t + k];
        }
        Vec score = load(a.score + s);
        for (int t = 0; t < Tokens; ++t) totals[t] += score * hyperbolic_tangent(inner[t]);
    }
    for (int t = 0; t < Tokens; ++t) scores[n + t] = total(totals[t]);
}

// One row's attention: from its query to its context.
template <typename Stored> void attend(const Loop &a, int64_t row, const float *hidden, float *context, std::vector<float> &scratch) {
    const int64_t pad = a.kernel / 2, length = a.lengths[row], padded = a.tokens + 2 * pad;
    scratch.assign(panels_of(a.size) * kPanel + 2 * padded + a.tokens, 0.0f);
    float *query = scratch.data(), *last = query + panels_of(a.size) * kPanel, *sum = last + padded, *scores = sum + padded;
    product<Stored>(a.query, hidden, 0, a.hidden, {0, 1}, {0, panels_of(a.size)}, [&](int64_t, int64_t p, const Vec *sums) {
        for (int v = 0; v < kVecs; ++v) store(query + p * kPanel + v * kLanes, sums[v]);
    });
    float *weights = a.weights + row * a.tokens, *cumulative = a.cumulative + row * a.tokens;
    std::memcpy(last + pad, weights, length * sizeof(float));
    std::memcpy(sum + pad, cumulative, length * sizeof(float));
    int64_t n = 0;
    for (; n + 4 <= length; n += 4) score_tokens<4>(a, row, n, query, last, sum, scores);
    for (; n < length; ++n) score_tokens<1>(a, row, n, query, last, sum, scores);
    float highest = scores[0], mass = 0.0f;
    for (n = 1; n < length; ++n) highest = std::max(highest, scores[n]);
    for (n = 0; n < length; ++n) {
        Vec lane = {};
        lane[0] = scores[n] - highest;
        scores[n] = exponential(lane)[0];
        mass += scores[n];
    }
    for (n = 0; n < length; ++n) scores[n] /= mass;
    if (a.only_forward) {
        mass = 0.0f;
        for (n = 0; n < length; ++n) {
            scores[n] *= last[pad + n] + (n ? last[pad + n - 1] : 0.0f);
            mass += scores[n];
        }
        for (n = 0; n < length; ++n) scores[n] /= std::max(mass, 1e-8f);
    }
    for (n = 0; n < length; ++n) weights[n] = scores[n], cumulative[n] += scores[n];
    for (n = length; n < a.tokens; ++n) weights[n] = 0.0f;
    for (int64_t m = 0; m < a.memory; m += kLanes) {
        Vec mixed = {};
        for (n = 0; n < length; ++n) mixed += load(a.values + (row * a.tokens + n) * a.memory + m) * scores[n];
        store(context + m, mixed);
    }
}

template <typename Stored> void prenet(const Loop &a, Room &room, int64_t t, int64_t member, Barrier &barrier) {
    const int64_t width = a.prenet + a.memory + a.hidden;
    for (int64_t layer = 0; layer < a.prenet_layers; ++layer) {
        const bool final = layer + 1 == a.prenet_layers;
        const float *x = layer ? room.layers[layer % 2].data() : a.frame, *mask = a.prenet_masks[layer];
        const int64_t inner = layer ? a.prenet : a.mels;
        float *to = final ? room.first[t % 2].data() : room.layers[(layer + 1) % 2].data();
        const int64_t stride = final ? width : a.prenet;
        product<Stored>(a.prenet_weights[layer], x, inner, inner, {0, a.rows}, share_of(panels_of(a.prenet), member, a.threads),
                        [&](int64_t row, int64_t p, const Vec *sums) {
                            for (int v = 0; v < kVecs; ++v) {
                                const int64_t unit = p * kPanel + v * kLanes;
                                if (unit >= a.prenet) break;
                                Vec y = sums[v], zero = {};
                                y = y > zero ? y : zero;
                                if (mask) y *= load(mask + (t * a.rows + row) * a.prenet + unit);
                                store(to + row * stride + unit, y);
                            }
                        });
        barrier.wait();
    }
}

template <typename Stored> void run(Loop &a, Room &room, int64_t member, Barrier &barrier) {
    const bool speaks = a.gates == nullptr;
    const int64_t before = speaks ? a.prenet : 0, width = before + a.memory + a.hidden, behind = 2 * a.hidden + a.memory;
    const Share units = share_of(a.hidden / kLanes, member, a.threads), mine = share_of(a.rows, member, a.threads);
    const Share out = share_of(speaks ? panels_of(a.outputs) : 0, member, a.threads);
    std::vector<float> scratch;
    for (int64_t t = 0; t < a.steps; ++t) {
        if (speaks) prenet<Stored>(a, room, t, member, barrier);
        float *now = room.first[t % 2].data(), *next = room.first[(t + 1) % 2].data();
        product<Stored>(a.recurrent, now, width, width, {0, a.rows}, units, [&](int64_t row, int64_t p, const Vec *sums) {
            const int64_t unit = p * kLanes, frame = t * a.rows + row;
            Cell cell{speaks ? nullptr : a.gates + frame * 4 * a.hidden, speaks ? a.bias : nullptr, a.cell + row * a.hidden,
                      speaks ? nullptr : a.activations + frame * 4 * a.hidden,
                      speaks ? nullptr : a.all_cells + frame * a.hidden, a.hidden};
            Vec hidden = finish(cell, unit, sums);
            store(next + row * width + before + a.memory + unit, hidden);
            store(a.hidden_state + row * a.hidden + unit, hidden);
            if (!speaks) store(a.all_hidden + frame * a.hidden + unit, hidden);
            if (a.keep) hidden *= load(a.keep + frame * a.hidden + unit);
            store(room.queries.data() + row * a.hidden + unit, hidden);
            if (speaks) store(room.second[t % 2].data() + row * behind + unit, hidden);
        });
        barrier.wait();
        for (int64_t row = mine.begin; row < mine.end; ++row) {
            const int64_t frame = t * a.rows + row;
            float *context = a.context + row * a.memory;
            attend<Stored>(a, row, room.queries.data() + row * a.hidden, context, scratch);
            std::memcpy(next + row * width + before, context, a.memory * sizeof(float));
            std::memcpy(a.all_weights + frame * a.tokens, a.weights + row * a.tokens, a.tokens * sizeof(float));
            if (speaks)
                std::memcpy(room.second[t % 2].data() + row * behind + a.hidden, context, a.memory * sizeof(float));
            else
                std::memcpy(a.all_contexts + frame * a.memory, context, a.memory * sizeof(float));
        }
        barrier.wait();
        if (!speaks) continue;
        float *deep = room.second[t % 2].data(), *deeper = room.second[(t + 1) % 2].data();
        product<Stored>(a.second, deep, behind, behind, {0, a.rows}, units, [&](int64_t row, int64_t p, const Vec *sums) {
            const int64_t unit = p * kLanes;
            Cell cell{nullptr, a.second_bias, a.second_cell + row * a.hidden, nullptr, nullptr, a.hidden};
            Vec hidden = finish(cell, unit, sums);
            store(deeper + row * behind + a.hidden + a.memory + unit, hidden);
            store(a.second_state + row * a.hidden + unit, hidden);
        });
        barrier.wait();
        // the projection reads the context and the new second state: let them lie side by side in the old room
        for (int64_t row = mine.begin; row < mine.end; ++row) {
            float *side = deep + row * behind;
            std::memmove(side, a.second_state + row * a.hidden, a.hidden * sizeof(float));
        }
        barrier.wait();
        product<Stored>(a.projection, deep, behind, a.hidden + a.memory, {0, a.rows}, out, [&](int64_t row, int64_t p, const Vec *sums) {
            float *to = a.made + (t * a.rows + row) * a.outputs;
            for (int64_t i = 0; i < kPanel && p * kPanel + i < a.outputs; ++i)
                to[p * kPanel + i] = sums[i / kLanes][i % kLanes] + a.projection_bias[p * kPanel + i];
        });
        barrier.wait();
        if (member == 0) {
            bool all = true;
            for (int64_t row = 0; row < a.rows; ++row) {
                const float *from = a.made + (t * a.rows + row) * a.outputs;
                std::memcpy(a.frame + row * a.mels, from + a.outputs - 1 - a.mels, a.mels * sizeof(float));
                if (from[a.outputs - 1] > a.stop_logit || t + 1 >= a.limits[row]) room.ended[row] = 1;
                all = all && room.ended[row];
            }
            room.stop = all;
            a.done = t + 1;
        }
        barrier.wait();
        if (room.stop) break;
    }
}

template <typename Stored> void start(Loop &a) {
    const bool speaks = a.gates == nullptr;
    const int64_t before = speaks ? a.prenet : 0, width = before + a.memory + a.hidden, behind = 2 * a.hidden + a.memory;
    Room room;
    for (auto &copy : room.first) copy.assign(a.rows * width, 0.0f);
    room.queries.assign(a.rows * a.hidden, 0.0f);
    room.ended.assign(a.rows, 0);
    for (int64_t row = 0; row < a.rows; ++row) {
        float *to = room.first[0].data() + row * width + before;
        std::memcpy(to, a.context + row * a.memory, a.memory * sizeof(float));
        std::memcpy(to + a.memory, a.hidden_state + row * a.hidden, a.hidden * sizeof(float));
    }
    if (speaks) {
        for (auto &copy : room.second) copy.assign(a.rows * behind, 0.0f);
        for (auto &copy : room.layers) copy.assign(a.rows * a.prenet, 0.0f);
        for (int64_t row = 0; row < a.rows; ++row)
            std::memcpy(room.second[0].data() + row * behind + a.hidden + a.memory, a.second_state + row * a.hidden,
                        a.hidden * sizeof(float));
    }
    Barrier barrier(static_cast<int>(a.threads));
    on_team(a.threads, [&](int64_t member) { run<Stored>(a, room, member, barrier); });
}

}  // namespace

extern "C" void s2s_tacotron2_steps(Loop *a) {
    if (a->bfloat16)
        start<uint16_t>(*a);
    else
        start<float>(*a);
}
