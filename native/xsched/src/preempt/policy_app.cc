// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/options.h"
#include "preempt/policy.h"

namespace xsched {
namespace {

// The application schedules, with XQueueSuspend and XQueueResume.
class AppManagedPolicy final : public Policy {
 public:
  const char* Name() const override { return "APP"; }

  void Added(const Standing&) override {}
  void Removed(const Standing&) override {}
  void Changed(const Standing&, const Standing&) override {}
  void Used(const Standing&, int64_t) override {}

  Decision Decide() override
  {
    return {PRIORITY_NO_EXECUTE, PRIORITY_NO_EXECUTE};
  }

  int Blockers(Priority) const override { return 0; }
};

}  // namespace

std::unique_ptr<Policy>
AppManaged()
{
  return std::make_unique<AppManagedPolicy>();
}

std::unique_ptr<Policy>
MakePolicy(XSchedulerType scheduler, XPolicyType type)
{
  if (scheduler == kSchedulerAppManaged) {
    return AppManaged();
  }
  if ((scheduler == kSchedulerLocal || scheduler == kSchedulerGlobal) &&
      type == kPolicyHighestPriorityFirst) {
    const int64_t slice_ns = GetOptions().slice_ns;
    return WithWeights(WithFloors(HighestPriorityFirst(), slice_ns), slice_ns);
  }
  return nullptr;
}

}  // namespace xsched
