// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/thread_work.h"

#include <atomic>

namespace xsched {
namespace {

struct Worked {
  const Queue* queue;
  uint64_t epoch;
};

// What the calling thread has launched into.
struct ThreadState {
  static constexpr int kCount = 8;
  // The last one; what every launch looks at.
  Queue* current;
  uint64_t epoch;
  uint32_t generation;
  // The last few, in a ring.
  uint32_t next;
  Worked worked[kCount];
};

thread_local ThreadState this_thread = {};

}  // namespace

void
RememberWork(Queue* queue)
{
  const uint64_t epoch = queue->epoch.load(std::memory_order_relaxed);
  ThreadState& state = this_thread;
  if (state.current == queue && state.epoch == epoch) {
    return;
  }
  state.current = queue;
  state.epoch = epoch;
  state.generation = queue->generation.load(std::memory_order_relaxed);
  for (Worked& worked : state.worked) {
    if (worked.queue == queue) {
      worked.epoch = epoch;
      return;
    }
  }
  state.worked[state.next % ThreadState::kCount] = {queue, epoch};
  ++state.next;
}

bool
HasOwnWork(const Queue& queue)
{
  const uint64_t epoch = queue.epoch.load(std::memory_order_relaxed);
  for (const Worked& worked : this_thread.worked) {
    if (worked.queue == &queue && worked.epoch == epoch) {
      return true;
    }
  }
  return false;
}

uint64_t
ThreadId()
{
  // Relaxed: only has to be another number for each.
  static std::atomic<uint64_t> last{0};
  thread_local uint64_t id = 0;
  if (id == 0) {
    id = last.fetch_add(1, std::memory_order_relaxed) + 1;
  }
  return id;
}

Queue*
LastQueueOfThread()
{
  Queue* queue = this_thread.current;
  return queue != nullptr &&
                 queue->generation.load(std::memory_order_relaxed) ==
                     this_thread.generation
             ? queue
             : nullptr;
}

}  // namespace xsched
