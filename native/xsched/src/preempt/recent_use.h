// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_RECENT_USE_H_
#define XSCHED_PREEMPT_RECENT_USE_H_

#include <array>
#include <cstdint>

namespace xsched {

// Device time of two seconds: the eight last quarters of one that have ended.
class RecentUse {
 public:
  static constexpr int64_t kWindowNs = 2000000000;

  void Add(int64_t device_ns, int64_t now_ns)
  {
    Forget(now_ns);
    parts_[static_cast<size_t>(last_part_) % kParts] += device_ns;
  }

  int64_t Sum(int64_t now_ns) const
  {
    RecentUse now = *this;
    now.Forget(now_ns);
    int64_t sum_ns = -now.parts_[static_cast<size_t>(now.last_part_) % kParts];
    for (const int64_t part_ns : now.parts_) {
      sum_ns += part_ns;
    }
    return sum_ns;
  }

 private:
  static constexpr size_t kParts = 9;

  // What is older than the window.
  void Forget(int64_t now_ns)
  {
    const int64_t part =
        now_ns / (kWindowNs / static_cast<int64_t>(kParts - 1));
    if (part - last_part_ >= static_cast<int64_t>(kParts)) {
      parts_ = {};
      last_part_ = part;
    }
    while (last_part_ < part) {
      parts_[static_cast<size_t>(++last_part_) % kParts] = 0;
    }
  }

  std::array<int64_t, kParts> parts_ = {};
  int64_t last_part_ = 0;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_RECENT_USE_H_
