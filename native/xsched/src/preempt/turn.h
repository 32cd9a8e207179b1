// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_TURN_H_
#define XSCHED_PREEMPT_TURN_H_

#include <atomic>
#include <cstdint>

#include "preempt/policy.h"

namespace xsched {

// Whose turn it is on a device: the policy's decision, where every launch finds
// it. Written by the device, under its lock; read by anyone.
class Turn {
 public:
  // Everybody's.
  Turn() { Set({PRIORITY_NO_EXECUTE, PRIORITY_NO_EXECUTE}); }

  void Set(const Decision& decision)
  {
    // Sequentially consistent: whoever opens or closes goes on to look at what
    // launches do, and they at this.
    word_.store(
        static_cast<uint64_t>(static_cast<uint32_t>(decision.open_from)) |
            static_cast<uint64_t>(decision.bounded_below) << 32,
        std::memory_order_seq_cst);
  }

  Decision Get() const
  {
    // Acquire: what the thread that opened did comes before.
    const uint64_t word = word_.load(std::memory_order_acquire);
    return {
        static_cast<int32_t>(static_cast<uint32_t>(word)),
        static_cast<int32_t>(static_cast<uint32_t>(word >> 32))};
  }

 private:
  std::atomic<uint64_t> word_;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_TURN_H_
