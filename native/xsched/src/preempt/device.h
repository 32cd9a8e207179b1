// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_DEVICE_H_
#define XSCHED_PREEMPT_DEVICE_H_

#include <atomic>
#include <mutex>
#include <vector>

#include "preempt/durations.h"
#include "preempt/policy.h"
#include "preempt/queue.h"

namespace xsched {

// The queues that compete for one device, and what the policy decided for
// each: it stands in the queue's gate, so that a launch need not ask.
class Device {
 public:
  // The policy may change at any time; whoever changes it calls Change() then,
  // on every device.
  Device(int id, const std::atomic<const Policy*>& policy)
      : id_(id), policy_(policy)
  {
  }

  int Id() const { return id_; }
  Durations* GetDurations() { return &durations_; }
  // The part of the limit in flight that each of the queues gets that may
  // launch now under it: all of them together delay a queue of higher
  // priority.
  int64_t
  ShareOf(int64_t limit_ns) const
  {
    // Relaxed: a share is right soon after it changes.
    return limit_ns / sharers_.load(std::memory_order_relaxed);
  }

  void Add(Queue* queue);
  void Remove(Queue* queue);
  // Runs 'change' on the state that the policy looks at, then the policy.
  // 'cause' is blamed for the queues that have to stop.
  template <typename Function>
  void
  Change(Queue* cause, const Function& change)
  {
    std::lock_guard<std::mutex> lock(mutex_);
    change();
    Apply(cause);
  }
  // The ready queues that keep 'queue' from launching.
  void Blockers(const Queue& queue, std::vector<Queue*>* blockers);

 private:
  void Apply(Queue* cause);
  // With the lock held: what is decided last is decided by the last policy.
  const Policy& CurrentPolicy() const
  {
    return *policy_.load(std::memory_order_acquire);
  }

  const int id_;
  const std::atomic<const Policy*>& policy_;
  std::mutex mutex_;
  std::vector<Queue*> queues_;
  std::vector<Candidate> candidates_;
  std::atomic<int> sharers_{1};
  Durations durations_;
};

// Sets and clears bits of a queue's gate, and wakes its launches if that lets
// them go.
void ChangeGate(Queue* queue, uint32_t clear, uint32_t set);

}  // namespace xsched

#endif  // XSCHED_PREEMPT_DEVICE_H_
