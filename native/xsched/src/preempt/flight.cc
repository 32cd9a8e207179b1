// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/flight.h"

#include <algorithm>
#include <utility>

#include "preempt/clock.h"

namespace xsched {

Flight::~Flight()
{
  Clear();
  for (void* event : free_events_) {
    hardware_->DestroyEvent(event);
  }
}

int64_t
Flight::Admit(int64_t limit_ns, int64_t max_launches)
{
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    const bool has_time = closed_ns_ + open_.estimate_ns < limit_ns;
    const bool has_place =
        max_launches == 0 || closed_launches_ + open_.launches < max_launches;
    if (has_time && has_place) {
      return 0;
    }
    if (closed_.empty()) {
      if (open_.launches == 0) {
        // Another thread is just recording the event of a segment.
        return closed_ns_ == 0 && closed_launches_ == 0 ? 0 : 1;
      }
      Close(&lock);
      continue;
    }
    const uint64_t id = closed_.front().id;
    void* end = closed_.front().end;
    lock.unlock();
    const Progress progress = hardware_->QueryEvent(end);
    lock.lock();
    if (closed_.empty() || closed_.front().id != id) {
      continue;  // another thread was faster
    }
    if (progress == Progress::kBusy) {
      const Segment& front = closed_.front();
      return std::max<int64_t>(
          1, front.since_ns + front.estimate_ns - NowNs());
    }
    if (progress == Progress::kFailed) {
      lock.unlock();
      Clear();  // the launch itself will report the error
      return 0;
    }
    Retire(&lock);
  }
}

void
Flight::Begin(const Launch& launch, int64_t limit_ns)
{
  const int64_t known_ns = launch.duration->EstimateNs();
  std::unique_lock<std::mutex> lock(mutex_);
  if (open_.launches > 0 &&
      (open_.stream != launch.stream || known_ns == 0 || open_.alone ||
       open_.launches == kMaxLaunches)) {
    Close(&lock);
  }
  if (open_.launches == 0) {
    // If the device is still at work on the segment before, this one begins
    // when that one ends. Otherwise it needs an event of its own to tell.
    bool follows = false;
    if (!closed_.empty() && closed_.back().stream == launch.stream) {
      void* end = closed_.back().end;
      lock.unlock();
      follows = hardware_->QueryEvent(end) == Progress::kBusy;
      lock.lock();
    }
    void* start = nullptr;
    if (!follows) {
      start = TakeEvent(&lock);
      lock.unlock();
      const bool recorded =
          start != nullptr && hardware_->RecordEvent(start, launch.stream);
      lock.lock();
      if (!recorded && start != nullptr) {
        free_events_.push_back(start);
        start = nullptr;
      }
    }
    if (open_.launches == 0) {  // no other thread began one meanwhile
      open_.id = next_id_++;
      open_.stream = launch.stream;
      open_.start = start;
      open_.teaches = follows || start != nullptr;
      open_.alone = known_ns == 0;
      open_.since_ns = NowNs();
    } else {
      open_.teaches = false;
      if (start != nullptr) {
        free_events_.push_back(start);
      }
    }
  }
  if (open_.launches < kMaxLaunches) {
    open_.durations[open_.launches++] = launch.duration;
  }
  // A kernel that is not known counts as half the limit: two at a time until
  // the first has been measured.
  open_.estimate_ns += known_ns == 0 ? (limit_ns + 1) / 2 : known_ns;
}

void
Flight::End(int64_t limit_ns, int64_t max_segment)
{
  std::unique_lock<std::mutex> lock(mutex_);
  if (open_.launches == 0) {
    return;  // another thread has closed the segment
  }
  if (open_.alone || open_.estimate_ns * 2 >= limit_ns ||
      open_.launches == kMaxLaunches ||
      (max_segment != 0 && open_.launches >= max_segment)) {
    Close(&lock);
  }
}

void
Flight::Disturb()
{
  std::lock_guard<std::mutex> lock(mutex_);
  open_.teaches = false;
  for (Segment& segment : closed_) {
    segment.teaches = false;
  }
}

void
Flight::Finished()
{
  std::lock_guard<std::mutex> lock(mutex_);
  // Closed segments stay until their times have been read. An open one must
  // not: it would come to include the time until the next launch.
  Reclaim(&open_);
}

void
Flight::Clear()
{
  std::lock_guard<std::mutex> lock(mutex_);
  for (Segment& segment : closed_) {
    Reclaim(&segment);
  }
  closed_.clear();
  closed_ns_ = 0;
  closed_launches_ = 0;
  ++clears_;
  Reclaim(&open_);
  if (last_end_ != nullptr) {
    free_events_.push_back(last_end_);
    last_end_ = nullptr;
  }
}

void
Flight::DropStream(uint64_t stream)
{
  std::lock_guard<std::mutex> lock(mutex_);
  if (open_.stream == stream) {
    Reclaim(&open_);
  }
}

void
Flight::AddUnknown(uint64_t stream, int64_t limit_ns)
{
  std::unique_lock<std::mutex> lock(mutex_);
  if (open_.launches > 0) {
    Close(&lock);
  }
  if (open_.launches > 0) {
    return;
  }
  open_.id = next_id_++;
  open_.stream = stream;
  open_.teaches = false;
  open_.since_ns = NowNs();
  open_.estimate_ns = limit_ns;
  Close(&lock);
}

int64_t
Flight::InFlightNs() const
{
  std::lock_guard<std::mutex> lock(mutex_);
  return closed_ns_ + open_.estimate_ns;
}

void*
Flight::TakeEvent(std::unique_lock<std::mutex>* lock)
{
  if (!free_events_.empty()) {
    void* event = free_events_.back();
    free_events_.pop_back();
    return event;
  }
  lock->unlock();
  void* event = hardware_->CreateEvent();
  lock->lock();
  return event;
}

void
Flight::Close(std::unique_lock<std::mutex>* lock)
{
  Segment segment = open_;
  open_ = Segment();
  // Counted before the lock is let go: no other thread may see room that is
  // not there.
  closed_ns_ += segment.estimate_ns;
  closed_launches_ += segment.launches;
  const uint64_t clears = clears_;
  segment.end = TakeEvent(lock);
  lock->unlock();
  const bool recorded =
      segment.end != nullptr &&
      hardware_->RecordEvent(segment.end, segment.stream);
  lock->lock();
  if (recorded && clears == clears_) {
    closed_.push_back(segment);
    return;
  }
  // No event, or Clear came between: there is nothing to wait for.
  if (clears == clears_) {
    closed_ns_ -= segment.estimate_ns;
    closed_launches_ -= segment.launches;
  }
  Reclaim(&segment);
}

void
Flight::Retire(std::unique_lock<std::mutex>* lock)
{
  Segment segment = closed_.front();
  closed_.pop_front();
  closed_ns_ -= segment.estimate_ns;
  closed_launches_ -= segment.launches;
  if (!closed_.empty()) {
    closed_.front().since_ns = NowNs();
  }
  // Taken out while it is read: another thread must not record it again.
  void* before = std::exchange(last_end_, nullptr);
  void* from = segment.start != nullptr ? segment.start : before;
  if (segment.teaches && from != nullptr) {
    lock->unlock();
    Teach(segment, hardware_->ElapsedNs(from, segment.end));
    lock->lock();
  }
  if (before != nullptr) {
    free_events_.push_back(before);
  }
  if (segment.start != nullptr) {
    free_events_.push_back(segment.start);
  }
  if (last_end_ != nullptr) {
    free_events_.push_back(last_end_);
  }
  last_end_ = segment.end;
}

void
Flight::Reclaim(Segment* segment)
{
  if (segment->start != nullptr) {
    free_events_.push_back(segment->start);
  }
  if (segment->end != nullptr) {
    free_events_.push_back(segment->end);
  }
  *segment = Segment();
}

void
Flight::Teach(const Segment& segment, int64_t elapsed_ns)
{
  if (elapsed_ns <= 0 || segment.launches == 0) {
    return;
  }
  // What the segment as a whole was off by is shared in proportion; over
  // segments of different make-up the single durations come out.
  for (uint32_t i = 0; i < segment.launches; ++i) {
    Duration* duration = segment.durations[i];
    const auto begin = segment.durations.begin();
    if (std::find(begin, begin + i, duration) != begin + i) {
      continue;
    }
    const int64_t old_ns = duration->EstimateNs();
    duration->Learn(
        segment.alone || old_ns == 0 || segment.estimate_ns == 0
            ? elapsed_ns / segment.launches
            : static_cast<int64_t>(
                  static_cast<double>(old_ns) * elapsed_ns /
                  segment.estimate_ns));
  }
}

}  // namespace xsched
