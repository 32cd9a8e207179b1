// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/policy.h"

namespace xsched {
namespace {

// The application schedules, with XQueueSuspend and XQueueResume.
class AppManagedPolicy final : public Policy {
 public:
  const char*
  Name() const override
  {
    return "APP";
  }

  void
  Decide(Candidate* candidates, size_t count) const override
  {
    for (size_t i = 0; i < count; ++i) {
      candidates[i].may_launch = true;
      candidates[i].bounded = false;
    }
  }

  bool
  Blocks(Priority, Priority) const override
  {
    return false;
  }
};

}  // namespace

const Policy*
AppManaged()
{
  static const AppManagedPolicy* policy = new AppManagedPolicy;
  return policy;
}

const Policy*
FindPolicy(XSchedulerType scheduler, XPolicyType type)
{
  if (scheduler == kSchedulerAppManaged) {
    return AppManaged();
  }
  if (scheduler == kSchedulerLocal && type == kPolicyHighestPriorityFirst) {
    return HighestPriorityFirst();
  }
  return nullptr;
}

}  // namespace xsched
