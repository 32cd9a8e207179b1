// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_ROOM_TURN_H_
#define XSCHED_PREEMPT_ROOM_TURN_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "preempt/wait.h"

namespace xsched {

// Which of a device's threads looks closely when there will be room in flight.
// The others sleep until it has found some; each queue then has more room than
// it had before. It is no lock: who does not get it looks by itself now and
// then, the less often the more of them there are, as its own room may come
// first, and as the one that has it may depend on that.
class RoomTurn {
 public:
  // One thread's claim to it, for as long as it waits.
  class Scope {
   public:
    explicit Scope(RoomTurn* turn) : turn_(turn) {}
    ~Scope()
    {
      // Who was woken and went on without it has to wake the next one.
      if (taken_) {
        turn_->Give();
      } else if (slept_) {
        FutexWakeOne(&turn_->state_);
      }
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    // True if this thread has it. Otherwise after it was given back, or when
    // it is time to look: the next look of one that had it would be after
    // 'rest_ns'.
    bool TakeOrSleep(int64_t rest_ns)
    {
      if (!taken_) {
        taken_ = turn_->TakeOrSleep(rest_ns);
        slept_ = slept_ || !taken_;
      }
      return taken_;
    }

   private:
    RoomTurn* const turn_;
    bool taken_ = false;
    bool slept_ = false;
  };

 private:
  enum State : uint32_t { kFree, kTaken, kTakenWithSleepers };

  static constexpr int64_t kFewerLooks = 4;
  static constexpr int64_t kMaxSleepNs = 5000000;

  bool TakeOrSleep(int64_t rest_ns)
  {
    uint32_t state = kFree;
    if (state_.compare_exchange_strong(
            state, kTaken, std::memory_order_acquire,
            std::memory_order_relaxed)) {
      return true;
    }
    // Whoever comes after others takes it with sleepers: there may be more.
    state = state_.exchange(kTakenWithSleepers, std::memory_order_acquire);
    if (state == kFree) {
      return true;
    }
    // Relaxed: only says how many there are.
    const int64_t sleepers =
        sleepers_.fetch_add(1, std::memory_order_relaxed) + 1;
    FutexWait(
        &state_, kTakenWithSleepers,
        std::min(kFewerLooks * sleepers * rest_ns, kMaxSleepNs));
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }

  void Give()
  {
    if (state_.exchange(kFree, std::memory_order_release) ==
        kTakenWithSleepers) {
      FutexWakeOne(&state_);
    }
  }

  std::atomic<uint32_t> state_{kFree};
  std::atomic<int64_t> sleepers_{0};
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_ROOM_TURN_H_
