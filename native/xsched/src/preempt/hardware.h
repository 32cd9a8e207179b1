// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_HARDWARE_H_
#define XSCHED_PREEMPT_HARDWARE_H_

#include <cstdint>
#include <string>

namespace xsched {

// kUnasked: to ask would disturb the application, as during capture.
enum class Progress { kDone, kBusy, kFailed, kUnasked };

// The default streams: their handles mean another stream in each context, and
// the second one also in each thread.
constexpr uint64_t kLegacyStream = 1;
constexpr uint64_t kPerThreadStream = 2;

// Handles that stand for no stream of the driver's, whose addresses all lie
// below: of queues that only have work in the default streams. Nobody asks the
// driver about them.
constexpr uint64_t kVirtualStreams = UINT64_C(1) << 63;
constexpr bool
IsVirtualStream(uint64_t stream)
{
  return stream >= kVirtualStreams;
}

// Only a timed event can be asked for the time since another one.
enum class EventKind { kPlain, kTimed };

// What the scheduler needs of a kind of device. Streams, contexts and events
// are opaque. Implementations are called from any thread, whatever context it
// works in, and never with a lock of the scheduler held, because a driver call
// may take long.
class Hardware {
 public:
  virtual ~Hardware() = default;

  // Whether the device has finished what was launched into 'stream'. Within an
  // Inquiry about the stream.
  virtual Progress QueryStream(uint64_t stream, uint64_t context) = 0;
  // Such an inquiry was not allowed.
  virtual void Refused(uint64_t stream) = 0;
  // Blocks until it has. False on an error of the device.
  virtual bool Synchronize(uint64_t stream, uint64_t context) = 0;

  // Null if the driver gives none. Events end with their context.
  virtual void* CreateEvent(EventKind kind, uint64_t context) = 0;
  virtual bool RecordEvent(void* event, uint64_t stream, uint64_t context) = 0;
  virtual Progress QueryEvent(void* event, uint64_t context) = 0;
  // Time between two timed events that are done; negative if not known.
  virtual int64_t ElapsedNs(void* from, void* to, uint64_t context) = 0;

  // A name of the device that is the same in every process and fit for a file;
  // empty if it has none.
  virtual std::string NameOf(int device) = 0;

  // Brackets calls of the scheduler's own: they must not count as unsafe
  // ones in some other thread's capture.
  virtual int EnterCalls() = 0;
  virtual void LeaveCalls(int state) = 0;
};

// Such a bracket.
class CallScope {
 public:
  explicit CallScope(Hardware* hardware)
      : hardware_(hardware), state_(hardware->EnterCalls())
  {
  }
  ~CallScope() { hardware_->LeaveCalls(state_); }
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

 private:
  Hardware* const hardware_;
  const int state_;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_HARDWARE_H_
