// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_CLOCK_TURNS_H_
#define XSCHED_PREEMPT_CLOCK_TURNS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

namespace xsched {

// Whose turn it is among those that share something by weights and have nothing
// in common but a clock and each other's weights: all of them find the same.
//
// Turns have numbers, the same for all. With each one a point goes on by the
// golden ratio around a circle, on which everyone has an arc as long as its
// weight; whose arc it is in, its turn it is. So each gets its part, and the
// turns of each are spread as evenly as can be: of n turns in a row, all but a
// few.
class ClockTurns {
 public:
  void Clear()
  {
    entrants_.clear();
    whole_ = 0;
  }

  // Of one that is there already, the higher weight counts.
  void Add(uint64_t who, int weight)
  {
    const auto place = std::lower_bound(
        entrants_.begin(), entrants_.end(), who,
        [](const Entrant& each, uint64_t wanted) { return each.who < wanted; });
    if (place == entrants_.end() || place->who != who) {
      entrants_.insert(place, {who, weight});
      whole_ += static_cast<uint64_t>(weight);
    } else if (weight > place->weight) {
      whole_ += static_cast<uint64_t>(weight - place->weight);
      place->weight = weight;
    }
  }

  // Nobody has to take turns.
  bool IsTrivial() const { return entrants_.size() < 2; }

  // Not if there is nobody.
  uint64_t At(int64_t turn) const
  {
    // 2^64 divided by the golden ratio.
    const uint64_t point =
        static_cast<uint64_t>(turn) * UINT64_C(0x9E3779B97F4A7C15);
    uint64_t place = (point >> 32) * whole_ >> 32;
    for (const Entrant& each : entrants_) {
      if (place < static_cast<uint64_t>(each.weight)) {
        return each.who;
      }
      place -= static_cast<uint64_t>(each.weight);
    }
    return entrants_.back().who;
  }

 private:
  struct Entrant {
    uint64_t who;
    int weight;
  };

  std::vector<Entrant> entrants_;
  uint64_t whole_ = 0;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_CLOCK_TURNS_H_
