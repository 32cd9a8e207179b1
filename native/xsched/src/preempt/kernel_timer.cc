// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/kernel_timer.h"

#include <algorithm>

#include "preempt/clock.h"

namespace xsched {

bool
KernelTimer::Enter(State from)
{
  int expected = from;
  return state_.compare_exchange_strong(
      expected, kBusy, std::memory_order_acquire, std::memory_order_relaxed);
}

void
KernelTimer::Reset()
{
  for (void** event : {&start_, &end_, &after_}) {
    if (*event != nullptr) {
      sample_.pool->Give(EventKind::kTimed, *event);
      *event = nullptr;
    }
  }
  state_.store(kIdle, std::memory_order_release);
}

bool
KernelTimer::Begin(const Sample& sample, uint64_t stream)
{
  if (!Enter(kIdle)) {
    return false;
  }
  sample_ = sample;
  forgotten_ = sample.durations->Forgotten();
  start_ = sample.pool->Take(EventKind::kTimed);
  end_ = sample.pool->Take(EventKind::kTimed);
  if (start_ == nullptr || end_ == nullptr ||
      !sample.pool->Record(start_, stream)) {
    Reset();
    return false;
  }
  // The launch that is timed has been asked for; no other may be under way.
  submitted_ = counts_.submitted->load(std::memory_order_acquire);
  exact_ = counts_.launched->load(std::memory_order_acquire) + 1 == submitted_;
  launch_ns_ = NowNs();
  return true;
}

void
KernelTimer::End(uint64_t stream, bool launched)
{
  launch_ns_ = NowNs() - launch_ns_;
  const EventPool& events = *sample_.pool;
  // If the device has not come to the start yet, the kernel was there before
  // the device wanted it.
  const bool was_ahead = events.Query(start_) == Progress::kBusy;
  if (!launched || !events.Record(end_, stream)) {
    Reset();
    return;
  }
  if (was_ahead) {
    launch_ns_ = 0;
  }
  // If it still has not, so was the end, however late this thread was with it:
  // the time is the kernel's alone. Acquire: whoever launched before the end
  // has counted it.
  exact_ = exact_ && was_ahead && events.Query(start_) == Progress::kBusy &&
           counts_.submitted->load(std::memory_order_acquire) == submitted_;
  if (sample_.pool->MeasuresTimedEvent()) {
    after_ = sample_.pool->Take(EventKind::kTimed);
    // Once the device has come to the end, it waits for this thread to record
    // what is behind it: the time between them is then the thread's.
    if (after_ != nullptr && (!events.Record(after_, stream) ||
                              events.Query(end_) != Progress::kBusy)) {
      sample_.pool->Give(EventKind::kTimed, after_);
      after_ = nullptr;
    }
  }
  state_.store(kPending, std::memory_order_release);
}

void
KernelTimer::Read()
{
  if (!Enter(kPending)) {
    return;
  }
  const EventPool& events = *sample_.pool;
  const Progress progress = events.Query(after_ != nullptr ? after_ : end_);
  if (progress == Progress::kBusy) {
    state_.store(kPending, std::memory_order_release);
    return;
  }
  // Acquire, and after the end was seen: a gate that closed while the kernel
  // ran has been counted.
  if (progress == Progress::kDone &&
      sample_.closures->load(std::memory_order_acquire) ==
          sample_.closures_before) {
    const int64_t event_ns =
        after_ != nullptr ? events.ElapsedNs(end_, after_) : -1;
    if (event_ns >= 0) {
      sample_.pool->LearnTimedEvent(event_ns);
    }
    const int64_t measured_ns = events.ElapsedNs(start_, end_);
    if (measured_ns > 0) {
      // However wrong the cost may be, a kernel is never taken to be so short
      // that the limit on what is in flight would mean nothing.
      const int64_t elapsed_ns = std::max(
          measured_ns - sample_.pool->TimedEventNs(), (measured_ns + 1) / 2);
      sample_.durations->Learn(
          sample_.key,
          {exact_ ? elapsed_ns
                  : std::max(elapsed_ns - launch_ns_, elapsed_ns / 2),
           exact_, elapsed_ns},
          forgotten_);
    }
  }
  Reset();
}

void
KernelTimer::Cancel()
{
  if (Enter(kPending)) {
    Reset();
  }
}

}  // namespace xsched
