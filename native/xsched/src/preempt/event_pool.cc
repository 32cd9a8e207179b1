// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/event_pool.h"

namespace xsched {

std::vector<void*>&
EventPool::Free(EventKind kind)
{
  return kind == EventKind::kTimed ? timed_ : plain_;
}

void*
EventPool::Take(EventKind kind)
{
  {
    std::lock_guard<std::mutex> lock(mutex_);
    std::vector<void*>& free = Free(kind);
    if (!free.empty()) {
      void* event = free.back();
      free.pop_back();
      return event;
    }
  }
  return hardware_->CreateEvent(kind, context_);
}

void
EventPool::Give(EventKind kind, void* event)
{
  std::lock_guard<std::mutex> lock(mutex_);
  Free(kind).push_back(event);
}

void
EventPool::Drop()
{
  std::lock_guard<std::mutex> lock(mutex_);
  plain_.clear();
  timed_.clear();
}

void
EventPool::LearnTimedEvent(int64_t measured_ns)
{
  int64_t known_ns = timed_event_ns_.load(std::memory_order_relaxed);
  while (measured_ns < known_ns &&
         !timed_event_ns_.compare_exchange_weak(
             known_ns, measured_ns, std::memory_order_relaxed)) {
  }
  measurements_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace xsched
