// Where threads that work in step meet.

#pragma once

#include <atomic>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

class Barrier {
  public:
    explicit Barrier(int count) : count_(count), waiting_(0), round_(0) {}

    void wait() {
        if (count_ == 1) return;
        int round = round_.load(std::memory_order_relaxed);
        if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == count_) {
            waiting_.store(0, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
            return;
        }
        for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins) {
            if (spins > 4000) std::this_thread::yield();  // more threads than free cores
#if defined(__x86_64__)
            _mm_pause();
#endif
        }
    }

  private:
    const int count_;
    std::atomic<int> waiting_, round_;
};

}  // namespace
