// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/thread_work.h"

#include <atomic>
#include <vector>

#include "preempt/owner.h"

namespace xsched {
namespace {

struct Worked {
  Queue* queue;
  uint32_t epoch;
};

// What the calling thread has launched into.
struct ThreadState {
  static constexpr int kCount = 8;
  // The last one; what every launch looks at.
  Queue* current;
  uint32_t epoch;
  uint32_t generation;
  Owner* owner;
  uint64_t owner_handle;
  // A few of those that are ready with work of this thread. Where there are
  // more, the others are in MoreWork.
  Worked worked[kCount];
};

thread_local ThreadState this_thread = {};

thread_local bool has_more_work = false;
// Other objects of the thread, destroyed later, may still launch.
thread_local bool more_work_is_gone = false;

class More {
 public:
  ~More()
  {
    has_more_work = false;
    more_work_is_gone = true;
  }
  std::vector<Worked>& List() { return list_; }

 private:
  std::vector<Worked> list_;
};

// Apart, as few threads need it: what has a destructor is slow to reach.
std::vector<Worked>&
MoreWork()
{
  thread_local More more;
  return more.List();
}

// Whether it may still be ready with what the thread has launched.
bool
IsCurrent(const Worked& worked)
{
  return worked.queue != nullptr &&
         worked.queue->epoch.load(std::memory_order_relaxed) == worked.epoch &&
         worked.queue->ready.load(std::memory_order_relaxed);
}

void
RememberMore(const Worked& worked)
{
  if (more_work_is_gone) {
    return;
  }
  std::vector<Worked>& more = MoreWork();
  for (Worked& each : more) {
    if (each.queue == worked.queue || !IsCurrent(each)) {
      each = worked;
      return;
    }
  }
  more.push_back(worked);
  has_more_work = true;
}

}  // namespace

void
RememberWork(Queue* queue)
{
  const uint32_t epoch = queue->epoch.load(std::memory_order_relaxed);
  ThreadState& state = this_thread;
  if (state.current == queue && state.epoch == epoch) {
    return;
  }
  state.current = queue;
  state.epoch = epoch;
  state.generation = queue->generation.load(std::memory_order_relaxed);
  Worked* place = nullptr;
  for (Worked& worked : state.worked) {
    if (worked.queue == queue) {
      worked.epoch = epoch;
      return;
    }
    if (place == nullptr && !IsCurrent(worked)) {
      place = &worked;
    }
  }
  if (place != nullptr) {
    *place = {queue, epoch};
  } else {
    RememberMore({queue, epoch});
  }
}

int
CountOwnWorkAbove(const Queue& queue)
{
  const Device* const device = queue.Home()->GetDevice();
  const int16_t priority = queue.priority.load(std::memory_order_relaxed);
  const auto is_above = [&](const Worked& worked) {
    return IsCurrent(worked) && worked.queue->Home()->GetDevice() == device &&
           worked.queue->priority.load(std::memory_order_relaxed) > priority;
  };
  std::vector<const Queue*> counted;
  const auto count = [&](const Worked& worked) {
    // One may be in both lists.
    for (const Queue* each : counted) {
      if (each == worked.queue) {
        return;
      }
    }
    if (is_above(worked)) {
      counted.push_back(worked.queue);
    }
  };
  for (const Worked& worked : this_thread.worked) {
    count(worked);
  }
  if (has_more_work) {
    for (const Worked& worked : MoreWork()) {
      count(worked);
    }
  }
  return static_cast<int>(counted.size());
}

uint64_t
OwnerHandleOfThread()
{
  return this_thread.owner_handle;
}

Owner*
OwnerOfThread()
{
  const ThreadState& state = this_thread;
  return state.owner != nullptr &&
                 Owners::HandleOf(*state.owner) == state.owner_handle
             ? state.owner
             : nullptr;
}

void
SetOwnerOfThread(uint64_t handle, Owner* owner)
{
  this_thread.owner = owner;
  this_thread.owner_handle = handle;
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
