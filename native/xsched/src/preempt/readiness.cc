// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// When a queue has work, and how the scheduler learns that it has none left.

#include <algorithm>

#include "preempt/clock.h"
#include "preempt/inquiries.h"
#include "preempt/scheduler.h"
#include "preempt/thread_work.h"

namespace xsched {
namespace {

// A queue whose work has finished while its owner is still launching is not
// idle. Nothing must have been launched for this long before the scheduler
// believes its own look at the device.
constexpr int64_t kQuietNs = 50000;
// How often to look where the application synchronises by itself.
constexpr int64_t kLazyPollNs = 500000;

}  // namespace

void
Scheduler::BeforeWork(Queue* queue)
{
  if (disabled_.load(std::memory_order_relaxed)) {
    return;
  }
  // Sequentially consistent with MarkIdle: either it sees this launch, or
  // this launch sees that the queue is idle.
  queue->submitted.fetch_add(1, std::memory_order_seq_cst);
  if (!queue->ready.load(std::memory_order_seq_cst)) {
    MarkReady(queue);
  }
  RememberWork(queue);
}

void
Scheduler::MarkReady(Queue* queue)
{
  if (!queue->scheduled.load(std::memory_order_acquire)) {
    return;
  }
  queue->device->Change(queue, [queue] {
    if (queue->ready.exchange(true, std::memory_order_seq_cst)) {
      return;
    }
    queue->epoch.fetch_add(1, std::memory_order_relaxed);
    queue->ready_since_ns.store(NowNs(), std::memory_order_relaxed);
  });
}

bool
Scheduler::MarkIdle(Queue* queue, uint64_t launched, int64_t busy_until_ns)
{
  bool idle = false;
  queue->device->Change(nullptr, [&] {
    if (!queue->ready.load(std::memory_order_relaxed)) {
      return;
    }
    queue->ready.store(false, std::memory_order_seq_cst);
    if (queue->submitted.load(std::memory_order_seq_cst) != launched) {
      queue->ready.store(true, std::memory_order_seq_cst);
      return;
    }
    idle = true;
    // Here, where a launch that follows makes the queue ready first, so
    // that nothing of it is forgotten.
    queue->uncounted.store(false, std::memory_order_relaxed);
    queue->flight.Clear();
    for (auto& foreign : queue->foreign) {
      foreign.store(0, std::memory_order_relaxed);
    }
    const int64_t took_ns = std::max<int64_t>(
        busy_until_ns -
            queue->ready_since_ns.load(std::memory_order_relaxed),
        1);
    const int64_t usual_ns =
        queue->usual_ready_ns.load(std::memory_order_relaxed);
    queue->usual_ready_ns.store(
        usual_ns == 0 ? took_ns : usual_ns + (took_ns - usual_ns) / 4,
        std::memory_order_relaxed);
  });
  return idle;
}

void
Scheduler::Finished(Queue* queue, uint64_t launched)
{
  if (Drained(queue, launched)) {
    queue->app_synchronizes.store(true, std::memory_order_relaxed);
  }
}

bool
Scheduler::Drained(Queue* queue, uint64_t launched)
{
  if (disabled_.load(std::memory_order_relaxed) ||
      !queue->ready.load(std::memory_order_relaxed) ||
      queue->submitted.load(std::memory_order_relaxed) != launched ||
      !ForeignDone(*queue)) {
    return false;
  }
  return MarkIdle(queue, launched, NowNs());
}

void
Scheduler::Poll(Queue* queue)
{
  // One thread at a time.
  if (queue->being_polled.exchange(true, std::memory_order_acquire)) {
    return;
  }
  const int64_t now_ns = NowNs();
  const uint64_t launched = Launched(queue);
  const int64_t quiet_ns =
      queue->app_synchronizes.load(std::memory_order_relaxed) ? kLazyPollNs
                                                              : kQuietNs;
  if (queue->polled_launches.exchange(launched, std::memory_order_relaxed) !=
      launched) {
    queue->polled_since_ns.store(now_ns, std::memory_order_relaxed);
    queue->polled_busy_ns.store(now_ns, std::memory_order_relaxed);
  } else if (
      now_ns - queue->polled_since_ns.load(std::memory_order_relaxed) >=
          quiet_ns &&
      queue->submitted.load(std::memory_order_relaxed) == launched) {
    const CallScope calls(queue->hardware);
    const uint64_t stream = queue->stream.load(std::memory_order_relaxed);
    const Progress progress =
        stream == 0 ? Progress::kDone : Ask(*queue, stream, [&] {
          return queue->stream.load(std::memory_order_seq_cst) == stream;
        });
    // A device that fails will never finish: nobody may wait for it.
    if (progress == Progress::kFailed ||
        (progress == Progress::kDone && ForeignDone(*queue))) {
      // It ended at some time since the last look. A thread that slept for as
      // long as the queue usually takes must not take that to be how long it
      // took.
      MarkIdle(
          queue, launched,
          queue->polled_busy_ns.load(std::memory_order_relaxed));
    } else {
      queue->polled_since_ns.store(
          now_ns - quiet_ns + kQuietNs, std::memory_order_relaxed);
      queue->polled_busy_ns.store(now_ns, std::memory_order_relaxed);
    }
  }
  queue->being_polled.store(false, std::memory_order_release);
}

void
Scheduler::AddForeign(Queue* queue, uint64_t stream)
{
  for (auto& foreign : queue->foreign) {
    uint64_t known = foreign.load(std::memory_order_relaxed);
    if (known == stream ||
        (known == 0 && foreign.compare_exchange_strong(
                           known, stream, std::memory_order_relaxed)) ||
        known == stream) {
      return;
    }
  }
  // No place: the stream's work is scheduled, but not waited for at the end.
}

template <typename Exists>
Progress
Scheduler::Ask(const Queue& queue, uint64_t stream, const Exists& exists)
{
  {
    const Inquiry inquiry(stream, queue.context);
    if (inquiry.Allowed()) {
      return exists() ? queue.hardware->QueryStream(stream, queue.context)
                      : Progress::kDone;
    }
  }
  queue.hardware->Refused(stream);
  return Progress::kBusy;
}

bool
Scheduler::ForeignDone(const Queue& queue)
{
  for (const auto& foreign : queue.foreign) {
    const uint64_t stream = foreign.load(std::memory_order_relaxed);
    if (stream != 0 && Ask(queue, stream, [&] {
          return foreign.load(std::memory_order_seq_cst) == stream;
        }) == Progress::kBusy) {
      return false;
    }
  }
  return true;
}

std::vector<std::pair<Queue*, uint64_t>>
Scheduler::LaunchedIn(uint64_t context)
{
  std::vector<std::pair<Queue*, uint64_t>> launched;
  if (Disabled()) {
    return launched;
  }
  std::lock_guard<std::mutex> lock(registry_mutex_);
  for (uint32_t slot = 0; slot < slot_count_; ++slot) {
    Queue* queue = &chunks_[slot / kChunk].load(
        std::memory_order_relaxed)[slot % kChunk];
    if (queue->scheduled.load(std::memory_order_relaxed) &&
        queue->context == context &&
        queue->ready.load(std::memory_order_relaxed)) {
      launched.emplace_back(queue, Launched(queue));
    }
  }
  return launched;
}

void
Scheduler::RecordedEvent(uint64_t event, Queue* queue)
{
  if (Disabled()) {
    return;
  }
  if (queue == nullptr) {
    events_.Remove(event);
    return;
  }
  // A table that is full only costs the shortcut: polling notices as well.
  events_.Insert(
      event, (static_cast<uint64_t>(queue->slot + 1) << 48) |
                 (Launched(queue) & ((UINT64_C(1) << 48) - 1)));
}

void
Scheduler::FinishedEvent(uint64_t event)
{
  const uint64_t value = events_.Find(event);
  if (value == 0) {
    return;
  }
  const uint64_t slot = (value >> 48) - 1;
  Queue* queue = &chunks_[slot / kChunk].load(
      std::memory_order_acquire)[slot % kChunk];
  if (queue->scheduled.load(std::memory_order_acquire)) {
    Finished(queue, value & ((UINT64_C(1) << 48) - 1));
  }
}

}  // namespace xsched
