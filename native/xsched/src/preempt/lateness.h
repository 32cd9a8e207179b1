// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_LATENESS_H_
#define XSCHED_PREEMPT_LATENESS_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace xsched {

// How late sleeps end here. On a processor of one's own that is some 8 us; on a
// virtual one, or under a kernel in user space, it may be 100 us and more, and
// a device has no more than that in flight. So it is learned from each sleep,
// and who would be late stays awake.
//
// Any thread may call it: an estimate, all relaxed.
class Lateness {
 public:
  // For how long to sleep if something is due in 'rest_ns'; 0: stay awake.
  int64_t SleepFor(int64_t rest_ns, int64_t now_ns)
  {
    const int64_t sleep_ns = rest_ns - late_ns_.load(std::memory_order_relaxed);
    if (sleep_ns >= kShortestSleepNs) {
      return sleep_ns;
    }
    // Sleeps may end in time again, which only a sleep can show.
    if (rest_ns >= kUsuallyLateNs + kShortestSleepNs &&
        now_ns - learned_ns_.load(std::memory_order_relaxed) > kTryAgainNs) {
      return kShortestSleepNs;
    }
    return 0;
  }

  void Slept(int64_t asked_ns, int64_t took_ns, int64_t now_ns)
  {
    // A thread that was kept from running says little about the next sleep.
    const int64_t sample_ns =
        std::min(std::max<int64_t>(took_ns - asked_ns, 0), kMaxSampleNs);
    const int64_t late_ns = late_ns_.load(std::memory_order_relaxed);
    // To be late costs more than to be early: most sleeps must end in time.
    const int64_t part = sample_ns > late_ns ? kRisePart : kFallPart;
    late_ns_.store(
        std::max(late_ns + (sample_ns - late_ns) / part, kUsuallyLateNs),
        std::memory_order_relaxed);
    learned_ns_.store(now_ns, std::memory_order_relaxed);
  }

 private:
  static constexpr int64_t kUsuallyLateNs = 8000;
  static constexpr int64_t kShortestSleepNs = 12000;
  static constexpr int64_t kMaxSampleNs = 300000;
  static constexpr int64_t kRisePart = 4;
  static constexpr int64_t kFallPart = 32;
  static constexpr int64_t kTryAgainNs = 100000000;

  std::atomic<int64_t> late_ns_{kUsuallyLateNs};
  std::atomic<int64_t> learned_ns_{0};
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_LATENESS_H_
