// The steps of GRU and LSTM layers and of their gradients, for s2s_core.nn.native.
//
// A step multiplies a few rows by a matrix of megabytes, so it is bound by reading the weights. Each thread owns a slice
// of one direction's hidden units for the whole sequence: its weights are packed once into the order in which they are
// read (as bfloat16 on request, which halves the traffic), gates are finished in registers, and threads of a direction
// meet once a step. Every sum runs in the order of the hidden units, so results depend neither on the number of threads
// nor on which rows share a batch. Where the processor multiplies tiles, bfloat16 weights meet bfloat16 states in those.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "barrier.h"
#include "team.h"
#include "tiles.h"
#include "vectors.h"

namespace {

constexpr int64_t kBlock = 2 * kLanes;  // slices of hidden units are multiples of this
constexpr int kRows = 4;                // rows that share one reading of the weights

}  // namespace

// Mirrored by s2s_core.nn.native.
enum Products : int64_t { kFloat, kHalfWeights, kTiles };

struct Direction {
    int64_t steps, batch, hidden, reverse, products, output_stride;
    const int64_t *batch_sizes, *offsets;
    const float *weight;
    float *previous, *previous_cell, *activations;  // null where no gradient is wanted
    const float *gates, *bias;                      // what follows is null in the other pass
    float *outputs, *state, *cell;
    const float *grad_outputs;
    float *grad_state, *grad_cell, *grad_gates, *grad_recurrent;
};

namespace {

// ---- vectors --------------------------------------------------------------------------------------------------------

inline Vec load(const float *from, int64_t count) {
    Vec value = {};
    if (count >= kLanes)
        std::memcpy(&value, from, sizeof value);
    else
        std::memcpy(&value, from, count * sizeof(float));
    return value;
}

inline void store(float *to, Vec value, int64_t count) {
    if (count >= kLanes)
        std::memcpy(to, &value, sizeof value);
    else
        std::memcpy(to, &value, count * sizeof(float));
}

struct Slice {
    int64_t begin, end;
};

Slice slice_of(int64_t hidden, int member, int members) {
    int64_t blocks = (hidden + kBlock - 1) / kBlock;
    return {std::min(hidden, blocks * member / members * kBlock), std::min(hidden, blocks * (member + 1) / members * kBlock)};
}

int64_t step_at(const Direction &d, int64_t turn, bool backward) {
    return (d.reverse != 0) != backward ? d.steps - 1 - turn : turn;
}

// ---- forward --------------------------------------------------------------------------------------------------------

// [unit / 16][input][gate][16], zeros beyond the last unit
template <int Gates, typename Stored> std::vector<Stored> pack_forward(const Direction &d, Slice slice) {
    const int64_t hidden = d.hidden, panels = (slice.end - slice.begin + kLanes - 1) / kLanes;
    std::vector<Stored> packed(panels * hidden * Gates * kLanes);
    for (int64_t p = 0; p < panels; ++p)
        for (int64_t k0 = 0; k0 < hidden; k0 += kLanes)
            for (int gate = 0; gate < Gates; ++gate)
                for (int64_t lane = 0; lane < kLanes && slice.begin + p * kLanes + lane < slice.end; ++lane) {
                    const float *row = d.weight + (gate * hidden + slice.begin + p * kLanes + lane) * hidden;
                    for (int64_t k = k0; k < std::min(hidden, k0 + kLanes); ++k)
                        narrow(row[k], &packed[((p * hidden + k) * Gates + gate) * kLanes + lane]);
                }
    return packed;
}

struct Place {
    int64_t frame, row, unit, count;
};

// recurrent: the products for each gate, without bias. Returns the new hidden state.
inline Vec finish(const Direction &d, const Place &at, Vec before, const Vec (&recurrent)[3]) {
    const int64_t h = d.hidden, u = at.unit, n = at.count;
    const float *x = d.gates + at.frame * 3 * h + u, *b = d.bias + u;
    Vec reset = sigmoid(load(x, n) + recurrent[0] + load(b, n));
    Vec update = sigmoid(load(x + h, n) + recurrent[1] + load(b + h, n));
    Vec share = recurrent[2] + load(b + 2 * h, n);
    Vec fresh = hyperbolic_tangent(load(x + 2 * h, n) + reset * share);
    if (d.activations) {
        float *kept = d.activations + at.frame * 4 * h + u;
        store(kept, reset, n);
        store(kept + h, update, n);
        store(kept + 2 * h, fresh, n);
        store(kept + 3 * h, share, n);
    }
    return fresh + update * (before - fresh);
}

inline Vec finish(const Direction &d, const Place &at, Vec, const Vec (&recurrent)[4]) {
    const int64_t h = d.hidden, u = at.unit, n = at.count;
    const float *x = d.gates + at.frame * 4 * h + u, *b = d.bias + u;
    Vec in = sigmoid(load(x, n) + recurrent[0] + load(b, n));
    Vec forget = sigmoid(load(x + h, n) + recurrent[1] + load(b + h, n));
    Vec fresh = hyperbolic_tangent(load(x + 2 * h, n) + recurrent[2] + load(b + 2 * h, n));
    Vec out = sigmoid(load(x + 3 * h, n) + recurrent[3] + load(b + 3 * h, n));
    float *cell = d.cell + at.row * h + u;
    Vec before = load(cell, n);
    Vec after = forget * before + in * fresh;
    if (d.activations) {
        store(d.previous_cell + at.frame * h + u, before, n);
        float *kept = d.activations + at.frame * 4 * h + u;
        store(kept, in, n);
        store(kept + h, forget, n);
        store(kept + 2 * h, fresh, n);
        store(kept + 3 * h, out, n);
    }
    store(cell, after, n);
    return out * hyperbolic_tangent(after);
}

template <int Gates> inline Vec take_step(const Direction &d, const float *now, float *next, const Place &at, const Vec (&recurrent)[Gates]) {
    const int64_t hidden = d.hidden;
    Vec before = load(now + at.row * hidden + at.unit, at.count);
    Vec after = finish(d, at, before, recurrent);
    if (d.previous) store(d.previous + at.frame * hidden + at.unit, before, at.count);
    store(next + at.row * hidden + at.unit, after, at.count);
    store(d.state + at.row * hidden + at.unit, after, at.count);
    store(d.outputs + at.frame * d.output_stride + at.unit, after, at.count);
    return after;
}

template <int Gates, int Rows, typename Stored>
void forward_rows(const Direction &d, const Stored *panel, const float *now, float *next, Place at) {
    const int64_t hidden = d.hidden;
    Vec sums[Rows][Gates] = {};
    for (int64_t k = 0; k < hidden; ++k)
        for (int gate = 0; gate < Gates; ++gate) {
            Vec weights = widen(panel + (k * Gates + gate) * kLanes);
            for (int r = 0; r < Rows; ++r) sums[r][gate] += weights * now[(at.row + r) * hidden + k];
        }
    for (int r = 0; r < Rows; ++r, ++at.row, ++at.frame) take_step(d, now, next, at, sums[r]);
}

template <int Gates, typename Stored>
void forward_slice(const Direction &d, Slice slice, float *now, float *next, Barrier &barrier) {
    std::vector<Stored> packed = pack_forward<Gates, Stored>(d, slice);
    for (int64_t turn = 0; turn < d.steps; ++turn) {
        int64_t step = step_at(d, turn, false), active = d.batch_sizes[step];
        const Stored *panel = packed.data();
        for (int64_t unit = slice.begin; unit < slice.end; unit += kLanes, panel += d.hidden * Gates * kLanes)
            for (int64_t row = 0; row < active; row += kRows) {
                Place at{d.offsets[step] + row, row, unit, std::min(kLanes, slice.end - unit)};
                switch (std::min<int64_t>(kRows, active - row)) {
                case 1: forward_rows<Gates, 1>(d, panel, now, next, at); break;
                case 2: forward_rows<Gates, 2>(d, panel, now, next, at); break;
                case 3: forward_rows<Gates, 3>(d, panel, now, next, at); break;
                default: forward_rows<Gates, kRows>(d, panel, now, next, at);
                }
            }
        barrier.wait();
        std::swap(now, next);
    }
}

// One block of 32 units and gate after the other, zeros beyond the last unit.
template <int Gates> std::vector<uint16_t> pack_forward_tiles(const Direction &d, Slice slice) {
    const int64_t hidden = d.hidden, depth = tiles::padded(hidden), size = depth * kBlock;
    std::vector<uint16_t> packed((slice.end - slice.begin + kBlock - 1) / kBlock * Gates * size);
    uint16_t *block = packed.data();
    for (int64_t unit = slice.begin; unit < slice.end; unit += kBlock)
        for (int gate = 0; gate < Gates; ++gate, block += size)
            tiles::pack(block, depth, [&](int64_t k, int64_t column) -> uint32_t {
                if (unit + column >= hidden || k >= hidden) return 0;
                const float *row = d.weight + (gate * hidden + unit + column) * hidden;
                return half(row[k]) | (k + 1 < hidden ? static_cast<uint32_t>(half(row[k + 1])) << 16 : 0);
            });
    return packed;
}

// `halves_now` and `halves_next` are the states in bfloat16, rows `tiles::padded(hidden)` apart.
template <int Gates>
void forward_slice_tiles(const Direction &d, Slice slice, float *now, float *next, uint16_t *halves_now,
                         uint16_t *halves_next, Barrier &barrier) {
    const std::vector<uint16_t> packed = pack_forward_tiles<Gates>(d, slice);
    const int64_t depth = tiles::padded(d.hidden);
    alignas(64) float sums[Gates][kBlock][kBlock];
    tiles::Session session;
    for (int64_t turn = 0; turn < d.steps; ++turn) {
        const int64_t step = step_at(d, turn, false), active = d.batch_sizes[step];
        const uint16_t *block = packed.data();
        for (int64_t unit = slice.begin; unit < slice.end; unit += kBlock, block += Gates * depth * kBlock)
            for (int64_t first = 0; first < active; first += kBlock) {
                const int64_t rows = std::min(kBlock, active - first);
                for (int gate = 0; gate < Gates; ++gate)
                    tiles::product(halves_now + first * depth, rows, block + gate * depth * kBlock, depth, sums[gate][0]);
                for (int64_t row = first; row < first + rows; ++row)
                    for (int64_t u = unit; u < std::min(slice.end, unit + kBlock); u += kLanes) {
                        Vec recurrent[Gates];
                        for (int gate = 0; gate < Gates; ++gate) recurrent[gate] = widen(&sums[gate][row - first][u - unit]);
                        const Place at{d.offsets[step] + row, row, u, std::min(kLanes, slice.end - u)};
                        const HalfVec after = half(take_step(d, now, next, at, recurrent));
                        std::memcpy(halves_next + row * depth + u, &after, sizeof after);
                    }
            }
        barrier.wait();
        std::swap(now, next);
        std::swap(halves_now, halves_next);
    }
}

// ---- backward -------------------------------------------------------------------------------------------------------

// [unit / 32][gate output][32], zeros beyond the last unit
template <int Gates, typename Stored> std::vector<Stored> pack_backward(const Direction &d, Slice slice) {
    const int64_t outputs = Gates * d.hidden, panels = (slice.end - slice.begin + kBlock - 1) / kBlock;
    std::vector<Stored> packed(panels * outputs * kBlock);
    for (int64_t p = 0; p < panels; ++p)
        for (int64_t k = 0; k < outputs; ++k) {
            const int64_t begin = slice.begin + p * kBlock, count = std::min(kBlock, slice.end - begin);
            for (int64_t i = 0; i < count; ++i)
                narrow(d.weight[k * d.hidden + begin + i], &packed[(p * outputs + k) * kBlock + i]);
        }
    return packed;
}

// Gradients of the gates; what goes straight to the state before is left in grad_state.
inline void gate_gradients(const Direction &d, const Place &at, std::integral_constant<int, 3>) {
    const int64_t h = d.hidden, u = at.unit, n = at.count;
    const float *kept = d.activations + at.frame * 4 * h + u;
    Vec reset = load(kept, n), update = load(kept + h, n), fresh = load(kept + 2 * h, n), share = load(kept + 3 * h, n);
    Vec before = load(d.previous + at.frame * h + u, n);
    float *grad = d.grad_state + at.row * h + u;
    Vec total = load(grad, n) + load(d.grad_outputs + at.frame * d.output_stride + u, n);
    Vec d_update = total * (before - fresh) * update * (1.0f - update);
    Vec d_fresh = total * (1.0f - update) * (1.0f - fresh * fresh);
    Vec d_reset = d_fresh * share * reset * (1.0f - reset);
    float *x = d.grad_gates + at.frame * 3 * h + u, *r = d.grad_recurrent + at.frame * 3 * h + u;
    store(x, d_reset, n);
    store(x + h, d_update, n);
    store(x + 2 * h, d_fresh, n);
    store(r, d_reset, n);
    store(r + h, d_update, n);
    store(r + 2 * h, d_fresh * reset, n);
    store(grad, total * update, n);
}

inline void gate_gradients(const Direction &d, const Place &at, std::integral_constant<int, 4>) {
    const int64_t h = d.hidden, u = at.unit, n = at.count;
    const float *kept = d.activations + at.frame * 4 * h + u;
    Vec in = load(kept, n), forget = load(kept + h, n), fresh = load(kept + 2 * h, n), out = load(kept + 3 * h, n);
    Vec before = load(d.previous_cell + at.frame * h + u, n);
    Vec squashed = hyperbolic_tangent(forget * before + in * fresh);
    float *grad = d.grad_state + at.row * h + u, *grad_cell = d.grad_cell + at.row * h + u;
    Vec total = load(grad, n) + load(d.grad_outputs + at.frame * d.output_stride + u, n);
    Vec d_cell = load(grad_cell, n) + total * out * (1.0f - squashed * squashed);
    float *x = d.grad_gates + at.frame * 4 * h + u;
    store(x, d_cell * fresh * in * (1.0f - in), n);
    store(x + h, d_cell * before * forget * (1.0f - forget), n);
    store(x + 2 * h, d_cell * in * (1.0f - fresh * fresh), n);
    store(x + 3 * h, total * squashed * out * (1.0f - out), n);
    store(grad, Vec{}, n);
    store(grad_cell, d_cell * forget, n);
}

template <int Gates, int Rows, typename Stored>
void backward_rows(const Direction &d, const Stored *panel, Place at) {
    const int64_t outputs = Gates * d.hidden;
    const float *gates = d.grad_recurrent + at.frame * outputs;
    Vec sums[Rows][2] = {};
    for (int64_t k = 0; k < outputs; ++k)
        for (int half = 0; half < 2; ++half) {
            Vec weights = widen(panel + k * kBlock + half * kLanes);
            for (int r = 0; r < Rows; ++r) sums[r][half] += weights * gates[r * outputs + k];
        }
    for (int r = 0; r < Rows; ++r)
        for (int half = 0; half < 2; ++half) {
            int64_t count = at.count - half * kLanes;
            if (count <= 0) continue;
            float *grad = d.grad_state + (at.row + r) * d.hidden + at.unit + half * kLanes;
            store(grad, load(grad, count) + sums[r][half], count);
        }
}

template <int Gates, typename Stored> void backward_slice(const Direction &d, Slice slice, Barrier &barrier) {
    std::vector<Stored> packed = pack_backward<Gates, Stored>(d, slice);
    for (int64_t turn = 0; turn < d.steps; ++turn) {
        int64_t step = step_at(d, turn, true), active = d.batch_sizes[step];
        for (int64_t row = 0; row < active; ++row)
            for (int64_t unit = slice.begin; unit < slice.end; unit += kLanes)
                gate_gradients(d, {d.offsets[step] + row, row, unit, std::min(kLanes, slice.end - unit)},
                               std::integral_constant<int, Gates>());
        barrier.wait();
        const Stored *panel = packed.data();
        for (int64_t unit = slice.begin; unit < slice.end; unit += kBlock, panel += Gates * d.hidden * kBlock)
            for (int64_t row = 0; row < active; row += kRows) {
                Place at{d.offsets[step] + row, row, unit, std::min(kBlock, slice.end - unit)};
                switch (std::min<int64_t>(kRows, active - row)) {
                case 1: backward_rows<Gates, 1>(d, panel, at); break;
                case 2: backward_rows<Gates, 2>(d, panel, at); break;
                case 3: backward_rows<Gates, 3>(d, panel, at); break;
                default: backward_rows<Gates, kRows>(d, panel, at);
                }
            }
    }
}

// One block of 32 units after the other.
template <int Gates> std::vector<uint16_t> pack_backward_tiles(const Direction &d, Slice slice) {
    const int64_t hidden = d.hidden, outputs = Gates * hidden, depth = tiles::padded(outputs), size = depth * kBlock;
    std::vector<uint16_t> packed((slice.end - slice.begin + kBlock - 1) / kBlock * size);
    uint16_t *block = packed.data();
    for (int64_t unit = slice.begin; unit < slice.end; unit += kBlock, block += size)
        tiles::pack(block, depth, [&](int64_t k, int64_t column) -> uint32_t {
            if (unit + column >= hidden || k >= outputs) return 0;
            const float *at = d.weight + k * hidden + unit + column;
            return half(at[0]) | (k + 1 < outputs ? static_cast<uint32_t>(half(at[hidden])) << 16 : 0);
        });
    return packed;
}

// `halves` and `others` take turns: a thread may begin a step while another still reads the one before.
template <int Gates>
void backward_slice_tiles(const Direction &d, Slice slice, uint16_t *halves, uint16_t *others, Barrier &barrier) {
    const std::vector<uint16_t> packed = pack_backward_tiles<Gates>(d, slice);
    const int64_t hidden = d.hidden, depth = tiles::padded(Gates * hidden);
    alignas(64) float sums[kBlock][kBlock];
    tiles::Session session;
    for (int64_t turn = 0; turn < d.steps; ++turn, std::swap(halves, others)) {
        const int64_t step = step_at(d, turn, true), active = d.batch_sizes[step];
        for (int64_t row = 0; row < active; ++row)
            for (int64_t unit = slice.begin; unit < slice.end; unit += kLanes) {
                const Place at{d.offsets[step] + row, row, unit, std::min(kLanes, slice.end - unit)};
                gate_gradients(d, at, std::integral_constant<int, Gates>());
                for (int64_t k = unit; k < Gates * hidden; k += hidden) {
                    const HalfVec grad = half(load(d.grad_recurrent + at.frame * Gates * hidden + k, at.count));
                    std::memcpy(halves + row * depth + k, &grad, at.count * sizeof(uint16_t));
                }
            }
        barrier.wait();
        const uint16_t *block = packed.data();
        for (int64_t unit = slice.begin; unit < slice.end; unit += kBlock, block += depth * kBlock)
            for (int64_t first = 0; first < active; first += kBlock) {
                const int64_t rows = std::min(kBlock, active - first);
                tiles::product(halves + first * depth, rows, block, depth, sums[0]);
                for (int64_t row = first; row < first + rows; ++row)
                    for (int64_t u = unit; u < std::min(slice.end, unit + kBlock); u += kLanes) {
                        const int64_t count = std::min(kLanes, slice.end - u);
                        float *grad = d.grad_state + row * hidden + u;
                        store(grad, load(grad, count) + widen(&sums[row - first][u - unit]), count);
                    }
            }
    }
}

// ---- all directions -------------------------------------------------------------------------------------------------

struct Team {
    Team(const Direction &d, int64_t outputs, int members) : members(members), barrier(members) {
        // the state before a step and after it; rows that are not active yet wait in both
        for (int copy = 0; copy < 2 && d.state; ++copy) states.insert(states.end(), d.state, d.state + d.batch * d.hidden);
        if (d.products != kTiles) return;
        const int64_t width = tiles::padded(d.state ? d.hidden : outputs);
        half_size = tiles::padded(d.batch) * width;
        halves.resize(2 * half_size);
        for (int64_t i = 0; d.state && i < d.batch * d.hidden; ++i)
            halves[i / d.hidden * width + i % d.hidden] = half(d.state[i]);
        std::copy_n(halves.begin(), half_size, halves.begin() + half_size);
    }
    const int members;
    Barrier barrier;
    std::vector<float> states;
    int64_t half_size = 0;
    std::vector<uint16_t> halves;  // what tiles multiply: the states, or the gradients of the gates; also twice
};

template <int Gates, typename Stored> void run_slice(const Direction &d, Team &team, int member, bool backward) {
    Slice slice = slice_of(d.hidden, member, team.members);
    if (backward)
        backward_slice<Gates, Stored>(d, slice, team.barrier);
    else
        forward_slice<Gates, Stored>(d, slice, team.states.data(), team.states.data() + d.batch * d.hidden, team.barrier);
}

template <int Gates> void run_slice_tiles(const Direction &d, Team &team, int member, bool backward) {
    Slice slice = slice_of(d.hidden, member, team.members);
    float *states = team.states.data();
    uint16_t *halves = team.halves.data(), *others = halves + team.half_size;
    if (backward)
        backward_slice_tiles<Gates>(d, slice, halves, others, team.barrier);
    else
        forward_slice_tiles<Gates>(d, slice, states, states + d.batch * d.hidden, halves, others, team.barrier);
}

template <int Gates> void run(const Direction *directions, int64_t count, bool backward, int64_t threads) {
    const int members = static_cast<int>(std::max<int64_t>(1, threads / count));
    std::vector<std::unique_ptr<Team>> teams;
    for (int64_t i = 0; i < count; ++i) teams.emplace_back(new Team(directions[i], Gates * directions[i].hidden, members));
    auto work = [&](int64_t i, int member) {
        auto *run_typed = directions[i].products == kTiles         ? run_slice_tiles<Gates>
                          : directions[i].products == kHalfWeights ? run_slice<Gates, uint16_t>
                                                                   : run_slice<Gates, float>;
        run_typed(directions[i], *teams[i], member, backward);
    };
    if (threads < count) {
        for (int64_t i = 0; i < count; ++i) work(i, 0);
        return;
    }
    on_team(count * members, [&](int64_t i) { work(i / members, static_cast<int>(i % members)); });
}

}  // namespace

extern "C" void s2s_recurrence(const Direction *directions, int64_t count, int64_t gates, int64_t backward, int64_t threads) {
    if (gates == 3)
        run<3>(directions, count, backward != 0, threads);
    else
        run<4>(directions, count, backward != 0, threads);
}

// Whether this process may multiply in tiles.
extern "C" int s2s_tiles() { return tiles::permitted(); }
