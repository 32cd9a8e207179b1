// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <algorithm>

#include "preempt/policy.h"

namespace xsched {
namespace {

// Strictly the highest priority first: while a queue is ready, those below it
// wait, however long that takes. Equal priorities launch side by side and
// share the device as the hardware lets them.
class HighestPriorityFirstPolicy final : public Policy {
 public:
  const char*
  Name() const override
  {
    return "HPF";
  }

  void
  Decide(Candidate* candidates, size_t count) const override
  {
    Priority top_ready = PRIORITY_NO_EXECUTE;
    Priority top = PRIORITY_NO_EXECUTE;
    for (size_t i = 0; i < count; ++i) {
      top = std::max(top, candidates[i].priority);
      if (candidates[i].ready) {
        top_ready = std::max(top_ready, candidates[i].priority);
      }
    }
    for (size_t i = 0; i < count; ++i) {
      Candidate& candidate = candidates[i];
      candidate.may_launch = candidate.priority != PRIORITY_NO_EXECUTE &&
                             candidate.priority >= top_ready;
      // Nobody can preempt the highest: it runs at full speed.
      candidate.bounded = candidate.priority < top;
    }
  }

  bool
  Blocks(Priority other, Priority waiting) const override
  {
    return other > waiting;
  }
};

}  // namespace

const Policy*
HighestPriorityFirst()
{
  static const HighestPriorityFirstPolicy* policy =
      new HighestPriorityFirstPolicy;
  return policy;
}

}  // namespace xsched
