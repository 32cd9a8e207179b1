// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_POLICY_H_
#define XSCHED_PREEMPT_POLICY_H_

#include <cstddef>

#include "xsched/types.h"

namespace xsched {

// One queue of a device, as a policy sees it.
struct Candidate {
  Priority priority;
  // It has launches that wait or work that the device has not finished.
  bool ready;

  // The decision: may it launch now, and if it may, does the limit in flight
  // apply, because another queue could preempt it later?
  bool may_launch;
  bool bounded;
};

// Decides for all queues of one device at once, whenever one becomes ready or
// idle, is created or destroyed, or gets another priority. Called with the
// device's lock held: a policy only computes. It has no state, so that one
// instance serves all devices.
class Policy {
 public:
  virtual ~Policy() = default;
  virtual const char* Name() const = 0;
  virtual void Decide(Candidate* candidates, size_t count) const = 0;
  // Whether 'other', being ready, keeps 'waiting' from launching.
  virtual bool Blocks(Priority other, Priority waiting) const = 0;
};

// The policy for a scheduler and a policy type; null if there is none.
const Policy* FindPolicy(XSchedulerType scheduler, XPolicyType type);

const Policy* HighestPriorityFirst();
const Policy* AppManaged();

}  // namespace xsched

#endif  // XSCHED_PREEMPT_POLICY_H_
