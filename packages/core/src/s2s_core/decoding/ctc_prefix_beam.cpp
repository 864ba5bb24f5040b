// CTC prefix beam search on the host, for s2s_core.decoding.ctc_prefix_beam.
//
// A beam holds prefixes, each a node of a tree, with the log-probabilities of its paths that end in blank and of those
// that do not. In a frame a prefix stays, or grows by a label. It can grow into a prefix that is in the beam already:
// that is seen from the grown one, whose parent is looked up, so no candidate needs hashing. All other growths are new
// and distinct. Candidates are cut back to the best as they come, which sets a floor that the rest has to pass; labels
// are tried from the most probable on, so most growths are never looked at. The floor drops nothing that could survive.
//
// Each utterance is one thread's from start to end: results depend neither on the number of threads nor on the batch.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "team.h"

// The three structs are mirrored by s2s_core.decoding.native_prefix_beam.
struct Words {
    int64_t order, vocab_size, begin_id, end_id, unknown_id, alphabet;
    const int64_t *const *keys;  // (order), each sorted, see NgramTable
    const double *const *log_probs, *const *backoffs;
    const int64_t *counts;
    const int32_t *next, *word;             // (nodes, alphabet) and (nodes): -1 where there is none
    const double *best;                     // (nodes)
    const int32_t *spelling;                // characters of the labels, one after the other
    const int64_t *spelling_starts;         // (labels + 1)
    const uint8_t *begins;                  // (labels)
    double weight, bonus, unknown_penalty;
};

struct Batch {
    int64_t utterances, frames, labels;
    const float *log_probs;                 // (utterances, frames, labels), the blank last
    const int64_t *lengths;                 // (utterances)
    int64_t beam, nbest;
    double beam_threshold;
};

struct Found {
    int32_t *tokens;                        // (utterances, nbest, frames)
    int64_t *lengths, *counts;              // (utterances, nbest) and (utterances)
    double *acoustic, *words;               // (utterances, nbest)
};

namespace {

constexpr int64_t kSlack = 32;              // candidates beyond twice the beam before they are cut
constexpr double kNever = -std::numeric_limits<double>::infinity();

inline double add(double a, double b) {
    if (a < b) std::swap(a, b);
    return b == kNever ? a : a + std::log1p(std::exp(b - a));
}

struct Node {
    int32_t parent, label, child, sibling;  // child: the newest of a list
    int32_t slot = -1;                      // its place in the beam, valid in the frame `seen`
    int64_t seen = -1;
    int32_t trie = 0;                       // where the unfinished word is in the lexicon; -1: nowhere
    bool unfinished = false, closed = false;
    double words = 0.0;                     // weighted score of the finished words
    double closed_words = 0.0;              // the same once the unfinished one is finished as well
    double ahead = 0.0;                     // what ranks count for the unfinished word
};

struct Candidate {
    double rank;
    int32_t slot, label;                    // label -1: the prefix stays
};

struct Prefix {
    int32_t node;
    double blank, label;                    // log-probabilities of the paths that end in either
    double total() const { return add(blank, label); }
};

class Search {
public:
    Search(const Batch &batch, const Words *words) : batch_(batch), words_(words) {
        width_ = words ? std::max<int64_t>(words->order - 1, 0) : 0;
        taken_.assign(batch.beam * batch.labels, -1);
    }

    void run(int64_t utterance, Found &found) {
        nodes_.clear();
        contexts_.clear();
        closed_.clear();
        std::fill(taken_.begin(), taken_.end(), -1);
        start();
        const float *scores = batch_.log_probs + utterance * batch_.frames * batch_.labels;
        for (int64_t frame = 0; frame < batch_.lengths[utterance]; ++frame)
            step(scores + frame * batch_.labels, frame);
        finish(utterance, found);
    }

private:
    const Batch &batch_;
    const Words *words_;
    int64_t width_;                         // context indices of a prefix
    std::vector<Node> nodes_;
    std::vector<int64_t> contexts_, closed_;  // (nodes, width_): after the finished words; closed_ once all are
    std::vector<Prefix> beam_, next_;
    std::vector<double> totals_, blanks_, labels_, ranks_;
    std::vector<Candidate> candidates_;
    std::vector<int32_t> order_;
    std::vector<int64_t> taken_;            // (beam, labels): the last frame in which the growth was another's stay

    // ---- words ----------------------------------------------------------------------------------------------------

    int64_t lookup(int64_t order, int64_t context, int64_t word) const {
        if (context < 0) return -1;
        const int64_t *keys = words_->keys[order], *end = keys + words_->counts[order];
        const int64_t key = context * words_->vocab_size + word;
        const int64_t *place = std::lower_bound(keys, end, key);
        return place != end && *place == key ? place - keys : -1;
    }

    // Natural log-probability of a word; `after` takes the contexts that follow it.
    double advance(const int64_t *context, int64_t word, int64_t *after) const {
        double value = words_->log_probs[0][word];
        if (width_ > 0) after[0] = word;
        for (int64_t length = 1; length < words_->order; ++length) {
            const int64_t known = context[length - 1], found = lookup(length, known, word);
            if (found >= 0)
                value = words_->log_probs[length][found];
            else if (known >= 0)
                value += words_->backoffs[length - 1][known];
            if (length < words_->order - 1) after[length] = found;
        }
        return value;
    }

    double unknown_score() const {
        return words_->weight * words_->log_probs[0][words_->unknown_id] + words_->unknown_penalty;
    }

    void close(int32_t id) {
        Node &node = nodes_[id];
        if (node.closed) return;
        node.closed = true;
        node.closed_words = node.words;
        const int64_t *context = &contexts_[id * width_];
        if (!node.unfinished) {
            std::copy_n(context, width_, closed_.begin() + id * width_);
            return;
        }
        int64_t word = node.trie < 0 ? -1 : words_->word[node.trie];
        if (word < 0) {
            word = words_->unknown_id;
            node.closed_words += words_->unknown_penalty;
        }
        const double value = advance(context, word, &closed_[id * width_]);
        node.closed_words += words_->weight * value + words_->bonus;
    }

    // What the words count for in a prefix grown by a label. Fills `child` but for its links, if given.
    double grown(int32_t id, int32_t label, Node *child) {
        const bool begins = words_->begins[label];
        if (begins) close(id);
        const Node &node = nodes_[id];
        int32_t trie = begins ? 0 : node.trie;
        bool unfinished = begins ? false : node.unfinished;
        for (int64_t i = words_->spelling_starts[label]; i < words_->spelling_starts[label + 1]; ++i) {
            const int32_t character = words_->spelling[i];
            trie = trie < 0 || character < 0 ? -1 : words_->next[trie * words_->alphabet + character];
            unfinished = true;
        }
        const double finished = begins ? node.closed_words : node.words;
        double ahead = 0.0;
        if (unfinished)
            ahead = words_->bonus + (trie < 0 ? unknown_score() : words_->weight * words_->best[trie]);
        if (child) {
            child->trie = trie;
            child->unfinished = unfinished;
            child->words = finished;
            child->ahead = ahead;
        }
        return finished + ahead;
    }

    // More than this no label makes of a prefix's words.
    double most_grown(int32_t id) {
        close(id);
        const Node &node = nodes_[id];
        const double unknown = unknown_score(), fresh = std::max(unknown, words_->weight * words_->best[0]);
        const double going = node.trie < 0 ? unknown : std::max(unknown, words_->weight * words_->best[node.trie]);
        return std::max(node.words + std::max(0.0, words_->bonus + going),
                        node.closed_words + std::max(0.0, words_->bonus + fresh));
    }

    // ---- prefixes -------------------------------------------------------------------------------------------------

    void start() {
        nodes_.push_back({-1, -1, -1, -1});
        if (words_) {
            contexts_.assign(width_, -1);
            closed_.assign(width_, -1);
            const std::vector<int64_t> nothing(width_, -1);
            advance(nothing.data(), words_->begin_id, contexts_.data());
        }
        beam_.assign(1, {0, 0.0, kNever});
    }

    int32_t child_of(int32_t parent, int32_t label) {
        for (int32_t id = nodes_[parent].child; id >= 0; id = nodes_[id].sibling)
            if (nodes_[id].label == label) return id;
        const int32_t id = static_cast<int32_t>(nodes_.size());
        Node node{parent, label, -1, nodes_[parent].child};
        if (words_) {
            grown(parent, label, &node);
            contexts_.resize((id + 1) * width_);
            closed_.resize((id + 1) * width_);
            const std::vector<int64_t> &from = words_->begins[label] ? closed_ : contexts_;
            std::copy_n(from.begin() + parent * width_, width_, contexts_.begin() + id * width_);
        }
        nodes_.push_back(node);
        nodes_[parent].child = id;
        return id;
    }

    double word_part(int32_t id) const { return nodes_[id].words + nodes_[id].ahead; }

    void step(const float *scores, int64_t frame) {
        const int32_t count = static_cast<int32_t>(beam_.size());
        stay(scores, frame, count);
        grow(scores, frame, count);
        select();
        next_.clear();
        for (const Candidate &one : candidates_) {
            const Prefix &from = beam_[one.slot];
            if (one.label < 0)
                next_.push_back({from.node, blanks_[one.slot], labels_[one.slot]});
            else
                next_.push_back({child_of(from.node, one.label), kNever, path(one.slot, one.label) + scores[one.label]});
        }
        beam_.swap(next_);
    }

    // Log-probability of a prefix's paths that a label can follow: a repeated one needs a blank before it.
    double path(int32_t slot, int32_t label) const {
        return nodes_[beam_[slot].node].label == label ? beam_[slot].blank : totals_[slot];
    }

    void stay(const float *scores, int64_t frame, int32_t count) {
        totals_.resize(count), blanks_.resize(count), labels_.resize(count), ranks_.resize(count);
        candidates_.clear();
        for (int32_t i = 0; i < count; ++i) {
            Node &node = nodes_[beam_[i].node];
            node.slot = i, node.seen = frame;
            totals_[i] = beam_[i].total();
            blanks_[i] = totals_[i] + scores[batch_.labels - 1];
            labels_[i] = node.label < 0 ? kNever : beam_[i].label + scores[node.label];
        }
        for (int32_t i = 0; i < count; ++i) {
            const Node &node = nodes_[beam_[i].node];
            if (node.parent >= 0 && nodes_[node.parent].seen == frame) {
                const int32_t from = nodes_[node.parent].slot;
                labels_[i] = add(labels_[i], path(from, node.label) + scores[node.label]);
                taken_[from * batch_.labels + node.label] = frame;
            }
            candidates_.push_back({add(blanks_[i], labels_[i]) + word_part(beam_[i].node), i, -1});
        }
    }

    void grow(const float *scores, int64_t frame, int32_t count) {
        double floor = kNever;
        if (count == batch_.beam)
            floor = std::max_element(candidates_.begin(), candidates_.end(), better)->rank;
        order_.resize(batch_.labels - 1);
        std::iota(order_.begin(), order_.end(), 0);
        std::sort(order_.begin(), order_.end(), [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
        for (int32_t i = 0; i < count; ++i) {
            const int32_t id = beam_[i].node;
            const double most = words_ ? most_grown(id) : 0.0;
            for (int32_t label : order_) {
                if (totals_[i] + scores[label] + most <= floor) break;
                if (taken_[i * batch_.labels + label] == frame) continue;
                double rank = path(i, label) + scores[label];
                if (words_) rank += grown(id, label, nullptr);
                if (rank <= floor) continue;
                candidates_.push_back({rank, i, label});
                if (static_cast<int64_t>(candidates_.size()) >= 2 * batch_.beam + kSlack) floor = cut();
            }
        }
    }

    // Leaves as many candidates as the beam holds, the worst of them last; returns its rank.
    double cut() {
        std::nth_element(candidates_.begin(), candidates_.begin() + batch_.beam - 1, candidates_.end(), better);
        candidates_.resize(batch_.beam);
        return candidates_.back().rank;
    }

    static bool better(const Candidate &a, const Candidate &b) {
        if (a.rank != b.rank) return a.rank > b.rank;
        return a.slot != b.slot ? a.slot < b.slot : a.label < b.label;
    }

    void select() {
        if (static_cast<int64_t>(candidates_.size()) > batch_.beam) cut();
        std::sort(candidates_.begin(), candidates_.end(), better);
        const double best = candidates_.front().rank;
        if (best == kNever) return;         // impossible frames: whoever is there stays
        const double least = best - batch_.beam_threshold;
        candidates_.erase(std::remove_if(candidates_.begin(), candidates_.end(),
                                         [&](const Candidate &one) { return one.rank < least || one.rank == kNever; }),
                          candidates_.end());
    }

    // ---- results --------------------------------------------------------------------------------------------------

    void finish(int64_t utterance, Found &found) {
        std::vector<double> words(beam_.size(), 0.0);
        candidates_.clear();
        for (size_t i = 0; i < beam_.size(); ++i) {
            const int32_t id = beam_[i].node;
            if (words_) {
                close(id);
                std::vector<int64_t> unused(width_ + 1);
                words[i] = nodes_[id].closed_words +
                           words_->weight * advance(&closed_[id * width_], words_->end_id, unused.data());
            }
            candidates_.push_back({beam_[i].total() + words[i], static_cast<int32_t>(i), -1});
        }
        std::sort(candidates_.begin(), candidates_.end(), better);
        const int64_t count = std::min<int64_t>(batch_.nbest, candidates_.size());
        found.counts[utterance] = count;
        for (int64_t n = 0; n < count; ++n) {
            const int32_t slot = candidates_[n].slot;
            const int64_t row = utterance * batch_.nbest + n;
            int32_t *tokens = found.tokens + row * batch_.frames;
            int64_t length = 0;
            for (int32_t id = beam_[slot].node; nodes_[id].parent >= 0; id = nodes_[id].parent)
                tokens[length++] = nodes_[id].label;
            std::reverse(tokens, tokens + length);
            found.lengths[row] = length;
            found.acoustic[row] = beam_[slot].total();
            found.words[row] = words[slot];
        }
    }
};

}  // namespace

extern "C" void s2s_ctc_prefix_beam(const Batch *batch, const Words *words, Found *found, int64_t threads) {
    std::atomic<int64_t> next{0};
    on_team(std::min(threads, batch->utterances), [&](int64_t) {
        Search search(*batch, words);
        for (int64_t i = next++; i < batch->utterances; i = next++) search.run(i, *found);
    });
}
