// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_FLIGHT_H_
#define XSCHED_PREEMPT_FLIGHT_H_

#include <array>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "preempt/durations.h"
#include "preempt/hardware.h"

namespace xsched {

// What one queue has in flight, in estimated GPU time.
//
// Launches are gathered into segments. A segment ends with an event, so that
// its completion can be seen, when it is worth half the limit: two segments
// then keep the device fed while one of them is waited for. Short kernels
// thus share an event, and long ones have one each. The time between two
// events teaches the durations.
//
// Protocol for a launch: Admit until it lets the launch pass, Begin, the
// driver's launch, End. The driver is never called with the lock held.
class Flight {
 public:
  struct Launch {
    Duration* duration;
    uint64_t stream;
  };

  explicit Flight(Hardware* hardware) : hardware_(hardware) {}
  ~Flight();
  Flight(const Flight&) = delete;
  Flight& operator=(const Flight&) = delete;

  // How long what is in flight is expected to need until there is room: 0 if
  // there is room now. Looks at the events, takes finished segments out.
  // 'max_launches' of 0 is no cap.
  int64_t Admit(int64_t limit_ns, int64_t max_launches);

  // Notes a launch that is about to happen.
  void Begin(const Launch& launch, int64_t limit_ns);
  // Notes that it happened. Ends the segment if it is worth half the limit or
  // has 'max_segment' launches; 0 is no cap.
  void End(int64_t limit_ns, int64_t max_segment);

  // The queue did not have the device for itself: what is in flight now
  // teaches nothing.
  void Disturb();
  // The device has finished all of it, as far as the application knows.
  void Finished();
  // Forgets everything.
  void Clear();
  // 'stream' is about to be destroyed.
  void DropStream(uint64_t stream);
  // Work that was never counted is in flight in 'stream'.
  void AddUnknown(uint64_t stream, int64_t limit_ns);

  int64_t InFlightNs() const;

 private:
  static constexpr size_t kMaxLaunches = 64;

  struct Segment {
    uint64_t id = 0;
    uint64_t stream = 0;
    void* start = nullptr;  // only if the segment before was finished
    void* end = nullptr;
    int64_t estimate_ns = 0;
    uint32_t launches = 0;
    bool teaches = true;
    bool alone = false;  // a kernel whose duration is not known yet
    int64_t since_ns = 0;  // when the device can have begun with it
    std::array<Duration*, kMaxLaunches> durations;
  };

  // These three let go of the lock while they call the driver.
  void* TakeEvent(std::unique_lock<std::mutex>* lock);
  void Close(std::unique_lock<std::mutex>* lock);
  void Retire(std::unique_lock<std::mutex>* lock);
  void Reclaim(Segment* segment);
  static void Teach(const Segment& segment, int64_t elapsed_ns);

  Hardware* const hardware_;
  mutable std::mutex mutex_;
  // Closed segments, oldest first.
  std::deque<Segment> closed_;
  Segment open_;
  // The end of the last segment that finished.
  void* last_end_ = nullptr;
  int64_t closed_ns_ = 0;
  int64_t closed_launches_ = 0;
  uint64_t next_id_ = 1;
  uint64_t clears_ = 0;
  std::vector<void*> free_events_;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_FLIGHT_H_
