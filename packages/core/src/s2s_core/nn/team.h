// Runs work on several threads at once: on those of torch's own operations, where torch computes with libgomp.
//
// libgomp's workers spin for some milliseconds behind each operation of torch's before they sleep. A thread of our own
// would have to share a core with one of them for as long, and most calls of our kernels do not take longer.

#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

// Of the libgomp that torch has loaded for the whole process; null without one.
extern "C" {
void GOMP_parallel(void (*work)(void *), void *data, unsigned threads, unsigned flags) __attribute__((weak));
int omp_in_parallel() __attribute__((weak));
int omp_get_dynamic() __attribute__((weak));
int omp_get_thread_limit() __attribute__((weak));
}

namespace {

// Members of a team wait for each other, so all must run: a team that may come out smaller is no use.
inline bool torch_lends(int64_t count) {
    if (!GOMP_parallel || !omp_in_parallel || !omp_get_dynamic || !omp_get_thread_limit) return false;
    return !omp_in_parallel() && !omp_get_dynamic() && omp_get_thread_limit() >= count;
}

// Calls `work(member)` for every member below `count`, all at the same time.
template <typename Work> void on_team(int64_t count, Work work) {
    if (count > 1 && torch_lends(count)) {
        struct Call {
            Work &work;
            std::atomic<int64_t> next;
        } call{work, {0}};
        auto run = [](void *data) {
            Call &shared = *static_cast<Call *>(data);
            shared.work(shared.next.fetch_add(1));
        };
        GOMP_parallel(run, &call, static_cast<unsigned>(count), 0);
        return;
    }
    std::vector<std::thread> others;
    for (int64_t member = 1; member < count; ++member) others.emplace_back(work, member);
    work(0);
    for (std::thread &other : others) other.join();
}

}  // namespace
