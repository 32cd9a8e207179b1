// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/policy.h"
#include "preempt/priority_counts.h"

namespace xsched {
namespace {

// Strictly the highest priority first: while a queue is ready, those below it
// wait, however long that takes. Equal priorities launch side by side and
// share the device as the hardware lets them.
class HighestPriorityFirstPolicy final : public Policy {
 public:
  const char* Name() const override { return "HPF"; }

  void Added(const Standing& queue) override
  {
    all_.Add(queue.priority);
    if (queue.ready) {
      ready_.Add(queue.priority);
    }
  }

  void Removed(const Standing& queue) override
  {
    all_.Remove(queue.priority);
    if (queue.ready) {
      ready_.Remove(queue.priority);
    }
  }

  void Changed(const Standing& before, const Standing& after) override
  {
    Removed(before);
    Added(after);
  }

  // However much a queue has had, it comes before those below it.
  void Used(const Standing&, int64_t) override {}

  Decision Decide() override
  {
    // Nobody can preempt the highest: it runs at full speed.
    return {ready_.Highest(), all_.Highest()};
  }

  int Blockers(Priority priority) const override
  {
    return ready_.Between(priority + 1, PRIORITY_MAX + 1);
  }

 private:
  PriorityCounts all_;
  PriorityCounts ready_;
};

}  // namespace

std::unique_ptr<Policy>
HighestPriorityFirst()
{
  return std::make_unique<HighestPriorityFirstPolicy>();
}

}  // namespace xsched
