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
// Whether it does, the clock says: a thread may be stopped anywhere, and the
// device gets nothing meanwhile. A grant is therefore handed out in parts, and
// what was launched since the clock was last read came as late as it may have.
//
// Protocol for a launch: Take; if that says no, TakeNextPart; if that does too,
// Admit until it says 0. Then the driver's launch. Then Returned, unless Take
// was enough. No method calls the driver with the lock held.
class Flight {
 public:
  struct Limits {
    int64_t ns;
    int64_t launches;  // 0: no cap
  };

  // See PatienceNs.
  static constexpr int64_t kUnknownPatienceNs = 1000000000;

  // For a queue that begins a life.
  void Attach(EventPool* pool);
  // 'closures' is the number of times that the queue's turn has ended.
  void Follow(const std::atomic<uint64_t>* closures);

  // The fast path: takes the launch out of what is handed out, if its time is
  // known and it goes where the last one went.
  bool Take(const Estimate& estimate, uint64_t stream)
  {
    // Relaxed: an estimate, corrected by every event.
    if (!estimate.known || stream_.load(std::memory_order_relaxed) != stream) {
      return false;
    }
    const int64_t cost_ns = estimate.ns;
    int64_t left_ns = granted_ns_.load(std::memory_order_relaxed);
    // Nothing is taken that would have to be given back: another thread could
    // have settled the grant meanwhile.
    while (left_ns >= cost_ns) {
      if (granted_ns_.compare_exchange_weak(
              left_ns, left_ns - cost_ns, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  // The same where a part of the grant is spent and there is more of it. The
  // last launch may take more than what is left.
  bool TakeNextPart(const Estimate& estimate, uint64_t stream);

  // 0: the launch may happen, and is counted. Otherwise when to ask again, in
  // nanoseconds from now.
  int64_t Admit(
      const Estimate& estimate, uint64_t stream, const Limits& limits);

  // The launch has returned from the driver: only now an event would be recorded
  // behind one whose time is not known.
  void Returned(bool unknown);
  // Work that was never counted is in 'stream': it ends before anything else
  // is admitted.
  void AddUncounted(uint64_t stream);
  // The device has finished all of it.
  void Clear();
  // How long a launch waits without anything being seen to finish. Longer where
  // long kernels are in flight, or one whose time is not known.
  int64_t PatienceNs() const;
  // Nothing has finished for that long: what is in flight may wait for something
  // that only this thread will do, after further launches perhaps. Until the
  // device is seen to have finished something, everything is admitted.
  void GiveUp();
  bool GivenUp() const;
  // Whether a segment took much longer than estimated since the last time that
  // this was asked, with the device for itself: what is believed of its
  // kernels is out of date.
  bool TakeMisjudged()
  {
    return misjudged_.load(std::memory_order_relaxed) &&
           misjudged_.exchange(false, std::memory_order_relaxed);
  }
  // 'stream' is about to be destroyed: no call about it begins any more. One
  // that is under way must be awaited (Inquiries).
  void DropStream(uint64_t stream);

  int64_t InFlightNs() const;
  // Whether a launch whose time is not known has not been seen to end.
  bool HasUnknown() const;
  // Looks what the device has finished, from a thread that may work elsewhere.
  void Look();
  // Device time, by estimate, of what was seen to finish since the last time
  // that this was asked.
  int64_t TakeFinishedNs()
  {
    return finished_ns_.load(std::memory_order_relaxed) == 0
               ? 0
               : finished_ns_.exchange(0, std::memory_order_relaxed);
  }
  // Grows whenever the device is seen to have finished something.
  uint64_t Completions() const
  {
    return completions_.load(std::memory_order_relaxed);
  }

 private:
  static constexpr size_t kMaxStreams = 4;

  // Of launches whose time is known; of one launch whose time is not; of work
  // that was never counted, which may be anything. Nothing is admitted behind
  // the last two before they have ended.
  enum class Kind { kKnown, kUnknown, kUncounted };

  // The streams that a segment launched into, while they exist.
  struct Streams {
    std::array<uint64_t, kMaxStreams> handles = {};
    size_t count = 0;

    bool Has(uint64_t stream) const;
    bool Add(uint64_t stream);
    void Remove(uint64_t stream);
  };

  struct Segment {
    uint64_t id = 0;
    Kind kind = Kind::kKnown;
    // Until its events are recorded, it is busy.
    bool recorded = false;
    Streams streams;
    // Events of these streams.
    std::array<void*, kMaxStreams> ends = {};
    size_t end_count = 0;
    int64_t ns = 0;
    int64_t launches = 0;
    int64_t since_ns = 0;   // when its first launch came
    int64_t due_ns = 0;     // see open_due_ns_
    uint64_t closures = 0;  // of the gate, when its first launch came
  };

  using Lock = std::unique_lock<std::mutex>;

  // Adds what was spent of the grant to the open segment; returns what was
  // left of it.
  int64_t Settle();
  // All that the open segment has launched has come by now.
  void Came(int64_t now_ns);
  bool AddLaunch(int64_t cost_ns, uint64_t stream);
  void Grant(int64_t granted_ns);
  void Open(int64_t now_ns, Kind kind);
  bool GateClosedSince(uint64_t closures) const;
  // Whether something is in flight that nothing is admitted behind.
  bool HasOpaque() const;
  // The closed segment of that id; null if it is not there any more.
  Segment* FindClosed(uint64_t id);
  // These let go of the lock while they call the driver.
  void Close(Lock* lock);
  void RecordEnds(Lock* lock, Segment* segment);
  void Collect(Lock* lock);
  // Makes the oldest segment the one that the device is at.
  void StartFront(int64_t now_ns);
  // What is still to come of the closed segments.
  int64_t RemainingNs(int64_t now_ns) const;
  bool FrontOverruns(int64_t now_ns) const;
  static void GiveBack(EventPool* pool, Segment* segment);

  std::atomic<bool> misjudged_{false};

  // Of the open segment: what is left of the part that was handed out, and the
  // stream that the last launch went to.
  std::atomic<int64_t> granted_ns_{0};
  std::atomic<uint64_t> stream_{0};
  std::atomic<uint64_t> completions_{0};
  std::atomic<int64_t> finished_ns_{0};

  // Guards all that follows.
  mutable std::mutex mutex_;
  const std::atomic<uint64_t>* closures_ = nullptr;
  EventPool* pool_ = nullptr;
  // Of the open segment. Its time is 'open_ns_' and what is spent of the
  // 'open_part_ns_'; 'open_rest_ns_' is what was granted and is not handed out.
  Kind open_kind_ = Kind::kKnown;
  // Its launch, whose time is not known, has not returned from the driver.
  bool open_in_driver_ = false;
  int64_t open_ns_ = 0;
  int64_t open_part_ns_ = 0;
  int64_t open_rest_ns_ = 0;
  int64_t open_since_ns_ = 0;
  // When the device should be done with what has come, if it had nothing else;
  // and what came since then, or is about to.
  int64_t open_due_ns_ = 0;
  int64_t open_coming_ns_ = 0;
  int64_t open_launches_ = 0;
  int open_extensions_ = 0;
  uint64_t open_closures_ = 0;
  Streams open_streams_;
  int64_t part_ns_ = 0;
  // Closed segments, the oldest first.
  std::deque<Segment> closed_;
  int64_t closed_ns_ = 0;
  int64_t closed_launches_ = 0;
  // When the oldest should end, and when it was last seen not to have ended.
  int64_t front_due_ns_ = 0;
  int64_t front_busy_ns_ = 0;
  uint64_t next_id_ = 1;
  // What is in flight was given up, and nothing has finished since.
  bool given_up_ = false;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_FLIGHT_H_
