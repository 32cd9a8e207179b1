// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_ROOM_TURN_H_
#define XSCHED_PREEMPT_ROOM_TURN_H_

#include <atomic>
#include <cstdint>

#include "preempt/wait.h"

namespace xsched {

// Which of a device's threads looks closely when there will be room in flight.
// The others sleep until it has found some; each queue then has more room than
// it had before. It is no lock: who does not get it goes on by itself after a
// while, as the one that has it may depend on that.
class RoomTurn {
 public:
  // One thread's claim to it, for as long as it waits.
  class Scope {
   public:
    explicit Scope(RoomTurn* turn) : turn_(turn) {}
    ~Scope()
    {
      if (taken_) {
        turn_->Give();
      }
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    // True if this thread has it; otherwise after it was given back, or
    // 'timeout_ns' later.
    bool TakeOrSleep(int64_t timeout_ns)
    {
      taken_ = taken_ || turn_->TakeOrSleep(timeout_ns);
      return taken_;
    }

   private:
    RoomTurn* const turn_;
    bool taken_ = false;
  };

 private:
  enum State : uint32_t { kFree, kTaken, kTakenWithSleepers };

  bool TakeOrSleep(int64_t timeout_ns)
  {
    uint32_t state = kFree;
    if (state_.compare_exchange_strong(
            state, kTaken, std::memory_order_acquire,
            std::memory_order_relaxed)) {
      return true;
    }
    // Whoever has slept takes it with sleepers: there may be more.
    state = state_.exchange(kTakenWithSleepers, std::memory_order_acquire);
    if (state == kFree) {
      return true;
    }
    FutexWait(&state_, kTakenWithSleepers, timeout_ns);
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
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_ROOM_TURN_H_
