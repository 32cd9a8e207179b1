// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_EVENT_POOL_H_
#define XSCHED_PREEMPT_EVENT_POOL_H_

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
  // The context is about to be destroyed, and with it all of its events.
  void Drop();

 private:
  std::vector<void*>& Free(EventKind kind);

  Hardware* const hardware_;
  const uint64_t context_;
  std::mutex mutex_;
  std::vector<void*> plain_;
  std::vector<void*> timed_;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_EVENT_POOL_H_
