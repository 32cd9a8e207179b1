// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_CONTEXT_H_
#define XSCHED_PREEMPT_CONTEXT_H_

#include <cstdint>

#include "preempt/event_pool.h"
#include "preempt/hardware.h"

namespace xsched {

class Device;

// Where a stream lives: what the queues of one context have in common. Made
// once for a device and a handle, never changed after that and never freed, so
// that a thread that still works with an earlier life of a queue reads a whole
// one, if an old one.
class Context {
 public:
  Context(Hardware* hardware, Device* device, uint64_t handle)
      : events_(hardware, handle), hardware_(hardware), device_(device),
        handle_(handle)
  {
  }

  Hardware* GetHardware() const { return hardware_; }
  Device* GetDevice() const { return device_; }
  uint64_t Handle() const { return handle_; }
  // With a lock of its own.
  EventPool* Events() { return &events_; }

 private:
  EventPool events_;
  Hardware* const hardware_;
  Device* const device_;
  const uint64_t handle_;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_CONTEXT_H_
