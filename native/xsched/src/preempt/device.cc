// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/device.h"

#include <algorithm>

#include "preempt/wait.h"

namespace xsched {
namespace {

// However many queues share the limit, each may keep its part of the device
// busy.
constexpr int kMaxSharers = 8;

}  // namespace

void
ChangeGate(Queue* queue, uint32_t clear, uint32_t set)
{
  uint32_t old = queue->gate.load(std::memory_order_relaxed);
  uint32_t next = 0;
  do {
    next = (old & ~clear) | set;
    if (next == old) {
      return;
    }
    // Sequentially consistent, as is 'sleepers': either a launch that goes
    // to sleep sees the new gate, or this thread sees the sleeper.
  } while (!queue->gate.compare_exchange_weak(
      old, next, std::memory_order_seq_cst, std::memory_order_relaxed));
  if (queue->sleepers.load(std::memory_order_seq_cst) != 0) {
    FutexWakeAll(&queue->gate);
  }
}

void
Device::Add(Queue* queue)
{
  std::lock_guard<std::mutex> lock(mutex_);
  candidates_.reserve(queues_.size() + 1);  // so that Apply never fails
  queues_.push_back(queue);
  Apply(queue);
}

void
Device::Remove(Queue* queue)
{
  std::lock_guard<std::mutex> lock(mutex_);
  queues_.erase(
      std::remove(queues_.begin(), queues_.end(), queue), queues_.end());
  ChangeGate(queue, ~0u, 0);
  Apply(nullptr);
}

void
Device::Blockers(const Queue& queue, std::vector<Queue*>* blockers)
{
  blockers->clear();
  const Priority own = queue.priority.load(std::memory_order_relaxed);
  std::lock_guard<std::mutex> lock(mutex_);
  const Policy& policy = CurrentPolicy();
  for (Queue* other : queues_) {
    if (other != &queue && other->ready.load(std::memory_order_relaxed) &&
        policy.Blocks(
            other->priority.load(std::memory_order_relaxed), own)) {
      blockers->push_back(other);
    }
  }
}

void
Device::Apply(Queue* cause)
{
  candidates_.clear();
  for (Queue* queue : queues_) {
    candidates_.push_back(
        {queue->priority.load(std::memory_order_relaxed),
         queue->ready.load(std::memory_order_relaxed), true, false});
  }
  CurrentPolicy().Decide(candidates_.data(), candidates_.size());
  int sharers = 0;
  for (size_t i = 0; i < queues_.size(); ++i) {
    Queue* queue = queues_[i];
    const Candidate& decided = candidates_[i];
    const uint32_t old = queue->gate.load(std::memory_order_relaxed);
    uint32_t set = 0;
    set |= decided.may_launch ? 0u : kGateClosed;
    set |= decided.bounded ? kGateBounded : 0u;
    set |= decided.priority == PRIORITY_NO_EXECUTE ? kGateHeld : 0u;
    if (!decided.may_launch && (old & kGateClosed) == 0 && decided.ready &&
        cause != nullptr && cause != queue) {
      cause->preemptions.fetch_add(1, std::memory_order_relaxed);
    }
    if (decided.bounded && (old & kGateBounded) == 0 && decided.ready) {
      queue->uncounted.store(true, std::memory_order_relaxed);
    }
    if (!decided.may_launch && (old & kGateClosed) == 0) {
      // Release, and before the gate closes: who sees it open afterwards and
      // finds the same number has not missed anything.
      queue->closures.fetch_add(1, std::memory_order_release);
    }
    if (decided.bounded && decided.may_launch && decided.ready &&
        queue->shares_limit.load(std::memory_order_relaxed)) {
      ++sharers;
    }
    ChangeGate(
        queue, (kGateClosed | kGateBounded | kGateHeld) & ~set, set);
  }
  sharers_.store(
      std::min(std::max(sharers, 1), kMaxSharers), std::memory_order_relaxed);
}

}  // namespace xsched
