// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_HARDWARE_H_
#define XSCHED_PREEMPT_HARDWARE_H_

#include <cstdint>

namespace xsched {

enum class Progress { kDone, kBusy, kFailed };

// What the scheduler needs of a kind of device. Streams, contexts and events
// are opaque. Implementations are called from any thread and never with a
// lock of the scheduler held, because a driver call may take long.
class Hardware {
 public:
  virtual ~Hardware() = default;

  // Whether the device has finished what was launched into 'stream'. kBusy
  // also when asking would disturb the application, as during capture.
  virtual Progress QueryStream(uint64_t stream, uint64_t context) = 0;
  // Blocks until it has. False on an error of the device.
  virtual bool Synchronize(uint64_t stream, uint64_t context) = 0;

  // An event with timing in the current context; null if there is none.
  virtual void* CreateEvent() = 0;
  virtual void DestroyEvent(void* event) = 0;
  virtual bool RecordEvent(void* event, uint64_t stream) = 0;
  virtual Progress QueryEvent(void* event) = 0;
  // Time between two finished events; negative if it is not known.
  virtual int64_t ElapsedNs(void* from, void* to) = 0;

  // Brackets a thread's wait: while it waits, its queries must not count as
  // unsafe calls in some other thread's capture.
  virtual int EnterWait() = 0;
  virtual void LeaveWait(int state) = 0;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_HARDWARE_H_
