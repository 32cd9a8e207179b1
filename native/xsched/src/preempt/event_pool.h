// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_EVENT_POOL_H_
#define XSCHED_PREEMPT_EVENT_POOL_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "preempt/hardware.h"

namespace xsched {

// The events of one context, for all of its queues: creating one costs more
// than a launch. A pool lives as long as the process; only what is in it ends
// with the context.
class EventPool {
 public:
  EventPool(Hardware* hardware, uint64_t context)
      : hardware_(hardware), context_(context)
  {
  }
  EventPool(const EventPool&) = delete;
  EventPool& operator=(const EventPool&) = delete;

  uint64_t Context() const { return context_; }
  Hardware* GetHardware() const { return hardware_; }

  // Null if the driver gives none.
  void* Take(EventKind kind);
  void Give(EventKind kind, void* event);
  // What the hardware does with an event of the pool.
  bool Record(void* event, uint64_t stream) const
  {
    return hardware_->RecordEvent(event, stream, context_);
  }
  Progress Query(void* event) const
  {
    return hardware_->QueryEvent(event, context_);
  }
  int64_t ElapsedNs(void* from, void* to) const
  {
    return hardware_->ElapsedNs(from, to, context_);
  }
  // The context is about to be destroyed, and with it all of its events.
  void Drop();

  // What a timed event takes of the device's own time: 1.25 us on an H100,
  // always within 0.1 us. Two events around a kernel show that much more than
  // the kernel takes among others. 0 until it is measured.
  int64_t TimedEventNs() const
  {
    // Relaxed throughout: a single number.
    const int64_t ns = timed_event_ns_.load(std::memory_order_relaxed);
    return ns == kUnknown ? 0 : ns;
  }
  // Whether one more measurement would be of use.
  bool MeasuresTimedEvent() const
  {
    return measurements_.load(std::memory_order_relaxed) < kMeasurements;
  }
  // Takes in the time between two events with nothing in between, both of them
  // submitted before the device came to the first. The least counts: the
  // device may have served others meanwhile.
  void LearnTimedEvent(int64_t measured_ns);

 private:
  static constexpr int kMeasurements = 8;
  static constexpr int64_t kUnknown = INT64_MAX;

  std::vector<void*>& Free(EventKind kind);

  Hardware* const hardware_;
  const uint64_t context_;
  std::mutex mutex_;
  std::vector<void*> plain_;
  std::vector<void*> timed_;
  std::atomic<int64_t> timed_event_ns_{kUnknown};
  std::atomic<int> measurements_{0};
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_EVENT_POOL_H_
