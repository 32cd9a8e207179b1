// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_PRIORITY_COUNTS_H_
#define XSCHED_PREEMPT_PRIORITY_COUNTS_H_

#include <array>
#include <cstdint>

#include "xsched/types.h"

namespace xsched {

// How many there are of each priority. No operation looks at more than the
// priorities that there are any of.
//
// Invariant: a bit of 'some_' is set if and only if its count is not 0.
class PriorityCounts {
 public:
  static constexpr int kLevels = PRIORITY_MAX - PRIORITY_NO_EXECUTE + 1;

  void Add(Priority priority)
  {
    const int level = LevelOf(priority);
    ++counts_[level];
    some_[level / 64] |= UINT64_C(1) << level % 64;
    ++total_;
  }

  void Remove(Priority priority)
  {
    const int level = LevelOf(priority);
    if (--counts_[level] == 0) {
      some_[level / 64] &= ~(UINT64_C(1) << level % 64);
    }
    --total_;
  }

  int Total() const { return total_; }
  int At(Priority priority) const { return counts_[LevelOf(priority)]; }

  // The highest priority that there are any of; PRIORITY_NO_EXECUTE if there
  // are none.
  Priority Highest() const
  {
    for (int word = kWords - 1; word >= 0; --word) {
      if (some_[word] != 0) {
        return PRIORITY_NO_EXECUTE + word * 64 + 63 -
               __builtin_clzll(some_[word]);
      }
    }
    return PRIORITY_NO_EXECUTE;
  }

  // Calls 'visit' with each priority in [from, below) that there are any of.
  template <typename Visit>
  void ForEach(int from, int below, const Visit& visit) const
  {
    for (int level = from - PRIORITY_NO_EXECUTE;
         level < below - PRIORITY_NO_EXECUTE; ++level) {
      const uint64_t rest = some_[level / 64] >> level % 64;
      if (rest == 0) {
        level |= 63;  // on to the next word
        continue;
      }
      level += __builtin_ctzll(rest);
      if (level < below - PRIORITY_NO_EXECUTE) {
        visit(static_cast<Priority>(PRIORITY_NO_EXECUTE + level));
      }
    }
  }

  // How many there are in [from, below).
  int Between(int from, int below) const
  {
    int sum = 0;
    ForEach(from, below, [&](Priority each) { sum += At(each); });
    return sum;
  }

 private:
  static constexpr int kWords = kLevels / 64;
  static_assert(kLevels % 64 == 0, "whole words");

  static int LevelOf(Priority priority)
  {
    return priority - PRIORITY_NO_EXECUTE;
  }

  std::array<int, kLevels> counts_ = {};
  std::array<uint64_t, kWords> some_ = {};
  int total_ = 0;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_PRIORITY_COUNTS_H_
