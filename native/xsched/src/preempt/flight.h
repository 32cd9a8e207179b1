// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_FLIGHT_H_
#define XSCHED_PREEMPT_FLIGHT_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>

#include "preempt/durations.h"
#include "preempt/event_pool.h"

namespace xsched {

// What one queue has on the device, in estimated GPU time that is still to
// come.
//
// Launches are counted in segments. The open one takes launches until the
// time granted to it is spent; then an event ends it, so that its completion
// can be seen, and the next one is granted the time that fits under the limit.
// Short kernels thus share an event, and long ones have one each. A launch
// that is granted already takes no lock and calls no driver. Where the thread
// is slower than the device, a segment is granted more time a few times before
// an event must show that the device keeps up.
//
// Protocol for a launch: Take; if that says no, Admit until it says 0. Then
// the driver's launch. No method calls the driver with the lock held.
class Flight {
 public:
  struct Limits {
    int64_t ns;
    int64_t launches;  // 0: no cap
  };

  // 'closures' is the number of times that the queue's gate has closed.
  explicit Flight(const std::atomic<uint64_t>* closures) : closures_(closures)
  {
  }

  // For a queue of another context, while nothing launches into it.
  void Attach(EventPool* pool);

  // The fast path: takes the launch out of what is granted, if its time is
  // known and it goes where the last one went.
  bool
  Take(const Duration& duration, uint64_t stream)
  {
    // Relaxed: an estimate, corrected by every event.
    if (!duration.Known() ||
        stream_.load(std::memory_order_relaxed) != stream) {
      return false;
    }
    const int64_t cost_ns = duration.EstimateNs();
    int64_t left_ns = granted_ns_.load(std::memory_order_relaxed);
    // Nothing is taken that would have to be given back: another thread could
    // have settled the grant meanwhile.
    while (left_ns > 0) {
      if (granted_ns_.compare_exchange_weak(
              left_ns, left_ns - cost_ns, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  // 0: the launch may happen, and is counted. Otherwise when to ask again, in
  // nanoseconds from now.
  int64_t Admit(
      const Duration& duration, uint64_t stream, const Limits& limits);

  // Work that was never counted is in 'stream': it ends before anything else
  // is admitted.
  void AddUncounted(uint64_t stream);
  // The device has finished all of it.
  void Clear();
  // How long a launch waits without anything being seen to finish: its thread
  // may be the one that this waits for. Longer where long kernels are in
  // flight, and each time that it was given up in vain, so that kernels whose
  // time is not known do not pile up.
  int64_t PatienceNs() const;
  // Forgets what does not finish.
  void GiveUp();
  // Whether a segment took much longer than estimated since the last time that
  // this was asked, with the device for itself: what is believed of its
  // kernels is out of date.
  bool
  TakeMisjudged()
  {
    return misjudged_.load(std::memory_order_relaxed) &&
           misjudged_.exchange(false, std::memory_order_relaxed);
  }
  // 'stream' is about to be destroyed.
  void DropStream(uint64_t stream);

  int64_t InFlightNs() const;
  // Grows whenever the device is seen to have finished something.
  uint64_t
  Completions() const
  {
    return completions_.load(std::memory_order_relaxed);
  }

 private:
  static constexpr size_t kMaxStreams = 4;

  struct Segment {
    uint64_t id = 0;
    // Until its events are recorded, it is busy.
    bool recorded = false;
    // Events of the streams that it launched into.
    std::array<void*, kMaxStreams> ends = {};
    size_t end_count = 0;
    int64_t ns = 0;
    int64_t launches = 0;
    int64_t since_ns = 0;   // when its first launch came
    int64_t closed_ns = 0;  // when its last launch had come
    uint64_t closures = 0;  // of the gate, when its first launch came
    // Its time is not known: it counts in full until it has ended.
    bool uncounted = false;
  };

  using Lock = std::unique_lock<std::mutex>;

  // Adds what was spent of the grant to the open segment; returns what was
  // left of it.
  int64_t Settle();
  bool AddLaunch(int64_t cost_ns, uint64_t stream);
  void Grant(int64_t granted_ns);
  void Open(int64_t now_ns);
  void Reset();
  // These let go of the lock while they call the driver.
  void Close(Lock* lock, bool uncounted);
  void Collect(Lock* lock);
  // Makes the oldest segment the one that the device is at.
  void StartFront(int64_t now_ns);
  // What is still to come of the closed segments.
  int64_t RemainingNs(int64_t now_ns) const;
  // Whether the thread was stopped while it launched the segment.
  static bool WasStopped(const Segment& segment);
  bool FrontOverruns(int64_t now_ns) const;
  static void GiveBack(EventPool* pool, Segment* segment);

  const std::atomic<uint64_t>* const closures_;
  EventPool* pool_ = nullptr;
  std::atomic<bool> misjudged_{false};

  // Of the open segment: what is left of the grant, and the stream that the
  // last launch went to.
  std::atomic<int64_t> granted_ns_{0};
  std::atomic<uint64_t> stream_{0};
  std::atomic<uint64_t> completions_{0};

  mutable std::mutex mutex_;
  // Of the open segment. Its time is 'open_ns_' and what is spent of the
  // 'open_grant_ns_'.
  int64_t open_ns_ = 0;
  int64_t open_grant_ns_ = 0;
  int64_t open_since_ns_ = 0;
  int64_t open_launches_ = 0;
  int open_extensions_ = 0;
  uint64_t open_closures_ = 0;
  std::array<uint64_t, kMaxStreams> open_streams_ = {};
  size_t open_stream_count_ = 0;
  // Closed segments, the oldest first.
  std::deque<Segment> closed_;
  int64_t closed_ns_ = 0;
  int64_t closed_launches_ = 0;
  // When the oldest should end, and when it was last seen not to have ended.
  int64_t front_due_ns_ = 0;
  int64_t front_busy_ns_ = 0;
  uint64_t next_id_ = 1;
  // Times that what is in flight was given up since anything finished.
  int given_up_ = 0;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_FLIGHT_H_
