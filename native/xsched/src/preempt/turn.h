// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_TURN_H_
#define XSCHED_PREEMPT_TURN_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "domain/layout.h"
#include "preempt/policy.h"

namespace xsched {

// Whose turn it is on a device: the policy's decision, where every launch finds
// it. Written by the device, under its lock; read by anyone.
//
// In a scheduling domain other processes decide, too, and that is not waited
// for: a launch looks at what they claim. So that launches without a domain pay
// nothing for this, those in one are told that a limit may apply to all of them,
// which is where they look closely.
class Turn {
 public:
  // Everybody's.
  Turn() { Set({PRIORITY_NO_EXECUTE, PRIORITY_NO_EXECUTE}); }

  // What all processes of the domain claim, and what says there that this one
  // has the slice; null: there is no domain.
  void Follow(const std::atomic<uint64_t>* claims, int own_slice)
  {
    own_slice_.store(own_slice, std::memory_order_relaxed);
    // Release: the memory is there before a launch looks at it.
    claims_.store(claims, std::memory_order_release);
  }

  void Set(const Decision& decision)
  {
    Store(&decided_, decision);
    const bool in_domain = claims_.load(std::memory_order_relaxed) != nullptr;
    Store(
        &word_, {decision.open_from,
                 in_domain ? PRIORITY_MAX + 1 : decision.bounded_below});
  }

  // At first sight. To be looked at closely if a launch is below one of these.
  Decision Get() const { return Load(word_); }

  // As it is, with what other processes claim now.
  Decision Closely() const
  {
    Decision decision = Load(decided_);
    if (const auto* claims = claims_.load(std::memory_order_acquire)) {
      // Acquire, as above.
      const domain::Claim all(claims->load(std::memory_order_acquire));
      decision.open_from = std::max(decision.open_from, all.Ready());
      decision.bounded_below =
          all.Floors() != 0 ? PRIORITY_MAX + 1
                            : std::max(decision.bounded_below, all.Ceiling());
      if (all.Slice() != 0) {
        decision.open_from = PRIORITY_MAX + 1;
      }
    }
    return decision;
  }

  // Whether no other process has the slice that this one's device has given to a
  // queue: it may have been revoked while this process was stopped.
  bool SliceHolds() const
  {
    const auto* claims = claims_.load(std::memory_order_acquire);
    return claims == nullptr ||
           domain::Claim(claims->load(std::memory_order_acquire)).Slice() ==
               own_slice_.load(std::memory_order_relaxed);
  }

 private:
  static void Store(std::atomic<uint64_t>* word, const Decision& decision)
  {
    // Sequentially consistent: whoever opens or closes goes on to look at what
    // launches do, and they at this.
    word->store(
        static_cast<uint64_t>(static_cast<uint32_t>(decision.open_from)) |
            static_cast<uint64_t>(decision.bounded_below) << 32,
        std::memory_order_seq_cst);
  }

  static Decision Load(const std::atomic<uint64_t>& from)
  {
    // Acquire: what the thread that opened did comes before.
    const uint64_t word = from.load(std::memory_order_acquire);
    return {
        static_cast<int32_t>(static_cast<uint32_t>(word)),
        static_cast<int32_t>(static_cast<uint32_t>(word >> 32))};
  }

  std::atomic<uint64_t> word_;
  std::atomic<uint64_t> decided_;
  std::atomic<const std::atomic<uint64_t>*> claims_{nullptr};
  std::atomic<int> own_slice_{0};
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_TURN_H_
