// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/flight.h"

#include <algorithm>
#include <utility>

#include "preempt/clock.h"
#include "preempt/inquiries.h"

namespace xsched {
namespace {

// A segment that takes more than twice its estimate and this has been
// misjudged, or shares the device: nothing is admitted before it ends.
constexpr int64_t kGraceNs = 20000;
// How soon to look again at something that should have ended already, as a
// part of the time by which it is late.
constexpr int64_t kLatePart = 8;
constexpr int64_t kMinFlightLookNs = 10000;
constexpr int64_t kMaxFlightLookNs = 100000;
// What must be left on the device when a thread is to launch a long kernel: it
// takes some 20 us to wake up and be back with it.
constexpr int64_t kWakeUpNs = 40000;
constexpr int kMaxExtensions = 2;
// Of the limit, what is handed out between two looks at the clock: less than
// what may be left when the next segment begins, so that a slow thread is not
// kept waiting by not knowing better.
constexpr int64_t kParts = 4;
// See PatienceNs.
constexpr int64_t kPatienceNs = 100000000;

int64_t
Clamp(int64_t value, int64_t low, int64_t high)
{
  return std::min(std::max(value, low), std::max(low, high));
}

}  // namespace

bool
Flight::Streams::Has(uint64_t stream) const
{
  return std::find(handles.begin(), handles.begin() + count, stream) !=
         handles.begin() + count;
}

// False if there is no place for another one.
bool
Flight::Streams::Add(uint64_t stream)
{
  if (Has(stream)) {
    return true;
  }
  if (count == kMaxStreams) {
    return false;
  }
  handles[count++] = stream;
  return true;
}

void
Flight::Streams::Remove(uint64_t stream)
{
  const auto end =
      std::remove(handles.begin(), handles.begin() + count, stream);
  count = static_cast<size_t>(end - handles.begin());
}

void
Flight::Attach(EventPool* pool)
{
  Clear();
  std::lock_guard<std::mutex> lock(mutex_);
  pool_ = pool;
}

void
Flight::Follow(const std::atomic<uint64_t>* closures)
{
  std::lock_guard<std::mutex> lock(mutex_);
  closures_ = closures;
  // Of another number than what was read before.
  open_closures_ = UINT64_MAX;
}

int64_t
Flight::Admit(const Estimate& estimate, uint64_t stream, const Limits& limits)
{
  // What is not known takes all of the limit: it goes alone.
  const Kind kind = estimate.known ? Kind::kKnown : Kind::kUnknown;
  const int64_t cost_ns =
      estimate.known ? estimate.ns : std::max(estimate.ns, limits.ns);
  Lock lock(mutex_);
  part_ns_ = limits.ns / kParts;
  const int64_t left_ns = Settle();
  Came(NowNs());
  if (left_ns > 0 && limits.launches == 0 && kind == Kind::kKnown &&
      AddLaunch(cost_ns, stream)) {
    Grant(left_ns - cost_ns);
    return 0;
  }
  if (!closed_.empty()) {
    Collect(&lock);
  }
  if (given_up_) {
    if (open_ns_ == 0) {
      // How much this will be nobody knows.
      Open(NowNs(), Kind::kUncounted);
    }
    AddLaunch(cost_ns, stream);
    return 0;
  }
  int64_t now_ns = NowNs();
  if (open_ns_ > 0) {
    if (open_in_driver_) {
      return kMinFlightLookNs;
    }
    const int64_t open_left_ns = std::max<int64_t>(open_due_ns_ - now_ns, 0);
    if (closed_.empty() && limits.launches == 0 && kind == Kind::kKnown &&
        open_kind_ == Kind::kKnown && open_extensions_ < kMaxExtensions &&
        open_left_ns <= part_ns_ && !GateClosedSince(open_closures_) &&
        AddLaunch(cost_ns, stream)) {
      // The device has had the time for the rest, and had it for this queue.
      ++open_extensions_;
      finished_ns_.fetch_add(
          open_ns_ - cost_ns - open_left_ns, std::memory_order_relaxed);
      open_ns_ = open_left_ns + cost_ns;
      open_since_ns_ = now_ns;
      Grant(limits.ns - open_left_ns - cost_ns);
      return 0;
    }
    Close(&lock);
    Collect(&lock);
    if (open_ns_ > 0) {
      return 1;  // another thread was faster
    }
    now_ns = NowNs();
  }
  int64_t remaining_ns = 0;
  if (!closed_.empty()) {
    const Segment& front = closed_.front();
    if (HasOpaque() || FrontOverruns(now_ns)) {
      if (FrontOverruns(now_ns) && front.kind == Kind::kKnown &&
          front.recorded && !GateClosedSince(front.closures)) {
        misjudged_.store(true, std::memory_order_relaxed);
      }
      return Clamp(
          (now_ns - front_due_ns_) / kLatePart, kMinFlightLookNs,
          kMaxFlightLookNs);
    }
    remaining_ns = RemainingNs(now_ns);
    // A third of the limit keeps the device busy until the thread is back; to
    // wait for that much makes the segments, and the sleeps between them,
    // longer.
    const int64_t low_ns =
        std::min(limits.ns / 3, std::max(limits.ns - cost_ns, kWakeUpNs));
    if (remaining_ns > low_ns) {
      return remaining_ns - low_ns;
    }
    if (limits.launches != 0 && closed_launches_ >= limits.launches) {
      return Clamp(front_due_ns_ - now_ns, 1, kMaxFlightLookNs);
    }
  }
  Open(now_ns, kind);
  AddLaunch(cost_ns, stream);
  // With a cap on their number, each launch asks; behind one whose time is not
  // known, too.
  Grant(
      limits.launches != 0 || kind != Kind::kKnown
          ? 0
          : limits.ns - remaining_ns - cost_ns);
  return 0;
}

bool
Flight::TakeNextPart(const Estimate& estimate, uint64_t stream)
{
  if (!estimate.known || stream_.load(std::memory_order_relaxed) != stream) {
    return false;
  }
  std::lock_guard<std::mutex> lock(mutex_);
  if (open_rest_ns_ <= 0) {
    return false;
  }
  const int64_t left_ns = Settle();
  Came(NowNs());
  if (left_ns <= 0 || !AddLaunch(estimate.ns, stream)) {
    return false;
  }
  Grant(left_ns - estimate.ns);
  return true;
}

void
Flight::Returned(bool unknown)
{
  std::lock_guard<std::mutex> lock(mutex_);
  Came(NowNs());
  if (unknown) {
    open_in_driver_ = false;
  }
}

void
Flight::AddUncounted(uint64_t stream)
{
  Lock lock(mutex_);
  Settle();
  if (open_ns_ > 0 && !open_in_driver_) {
    Close(&lock);
  }
  if (open_ns_ > 0) {
    return;  // another thread launches already
  }
  Open(NowNs(), Kind::kUncounted);
  AddLaunch(1, stream);
  Close(&lock);
}

void
Flight::Clear()
{
  std::lock_guard<std::mutex> lock(mutex_);
  Settle();
  given_up_ = false;
  open_in_driver_ = false;
  open_ns_ = 0;
  open_coming_ns_ = 0;
  open_launches_ = 0;
  open_streams_ = {};
  for (Segment& segment : closed_) {
    GiveBack(pool_, &segment);
  }
  closed_.clear();
  closed_ns_ = 0;
  closed_launches_ = 0;
  // Relaxed: only says that something has happened.
  completions_.fetch_add(1, std::memory_order_relaxed);
}

void
Flight::GiveUp()
{
  std::lock_guard<std::mutex> lock(mutex_);
  // With nothing in flight there is nothing that it could wait for.
  given_up_ = !closed_.empty();
}

bool
Flight::GivenUp() const
{
  std::lock_guard<std::mutex> lock(mutex_);
  return given_up_;
}

int64_t
Flight::PatienceNs() const
{
  std::lock_guard<std::mutex> lock(mutex_);
  return (HasOpaque() ? kUnknownPatienceNs : kPatienceNs) +
         2 * (closed_ns_ + open_ns_);
}

void
Flight::DropStream(uint64_t stream)
{
  std::lock_guard<std::mutex> lock(mutex_);
  Settle();
  open_streams_.Remove(stream);
  if (open_streams_.count == 0) {
    open_ns_ = 0;
    open_coming_ns_ = 0;
    open_launches_ = 0;
  }
  // Another thread may be about to record its end.
  for (Segment& segment : closed_) {
    segment.streams.Remove(stream);
  }
  stream_.store(0, std::memory_order_relaxed);
}

bool
Flight::HasUnknown() const
{
  std::lock_guard<std::mutex> lock(mutex_);
  return (open_ns_ > 0 && open_kind_ == Kind::kUnknown) ||
         std::any_of(closed_.begin(), closed_.end(), [](const Segment& each) {
           return each.kind == Kind::kUnknown;
         });
}

void
Flight::Look()
{
  Lock lock(mutex_);
  const EventPool* const pool = pool_;
  lock.unlock();
  // Those who launch are in the context, so that it does not end; whoever looks
  // from elsewhere says so.
  const ContextInquiry inquiry(pool->Context());
  if (!inquiry.Allowed()) {
    return;
  }
  lock.lock();
  if (pool_ != pool) {
    return;  // the queue begins another life
  }
  Settle();
  // Only a stream's own thread can record into a per-thread stream.
  if (open_ns_ > 0 && !open_in_driver_ &&
      !open_streams_.Has(kPerThreadStream)) {
    Close(&lock);
  }
  Collect(&lock);
}

int64_t
Flight::InFlightNs() const
{
  const int64_t now_ns = NowNs();
  std::lock_guard<std::mutex> lock(mutex_);
  const int64_t spent_ns =
      open_part_ns_ - granted_ns_.load(std::memory_order_relaxed);
  return RemainingNs(now_ns) + open_ns_ + std::max<int64_t>(spent_ns, 0);
}

int64_t
Flight::Settle()
{
  const int64_t left_ns = granted_ns_.exchange(0, std::memory_order_relaxed);
  const int64_t spent_ns = std::exchange(open_part_ns_, 0) - left_ns;
  open_ns_ += spent_ns;
  open_coming_ns_ += spent_ns;
  return left_ns + std::exchange(open_rest_ns_, 0);
}

void
Flight::Came(int64_t now_ns)
{
  if (open_coming_ns_ != 0) {
    open_due_ns_ =
        std::max(open_due_ns_, now_ns) + std::exchange(open_coming_ns_, 0);
  }
}

bool
Flight::GateClosedSince(uint64_t closures) const
{
  return closures_->load(std::memory_order_acquire) != closures;
}

bool
Flight::HasOpaque() const
{
  return std::any_of(closed_.begin(), closed_.end(), [](const Segment& each) {
    return each.kind != Kind::kKnown;
  });
}

Flight::Segment*
Flight::FindClosed(uint64_t id)
{
  const auto found = std::find_if(
      closed_.begin(), closed_.end(),
      [id](const Segment& closed) { return closed.id == id; });
  return found == closed_.end() ? nullptr : &*found;
}

void
Flight::Open(int64_t now_ns, Kind kind)
{
  open_kind_ = kind;
  open_in_driver_ = kind == Kind::kUnknown;
  open_since_ns_ = now_ns;
  open_due_ns_ = now_ns;
  open_extensions_ = 0;
  // Acquire: what closed the gate comes before whatever is launched now.
  open_closures_ = closures_->load(std::memory_order_acquire);
}

// False if the open segment has no place for another stream.
bool
Flight::AddLaunch(int64_t cost_ns, uint64_t stream)
{
  if (!open_streams_.Add(stream)) {
    return false;
  }
  open_ns_ += cost_ns;
  open_coming_ns_ += cost_ns;
  ++open_launches_;
  stream_.store(stream, std::memory_order_relaxed);
  return true;
}

void
Flight::Grant(int64_t granted_ns)
{
  const int64_t whole_ns = std::max<int64_t>(granted_ns, 0);
  open_part_ns_ = std::min(whole_ns, part_ns_);
  open_rest_ns_ = whole_ns - open_part_ns_;
  granted_ns_.store(open_part_ns_, std::memory_order_relaxed);
}

void
Flight::Close(Lock* lock)
{
  Came(NowNs());
  Segment segment;
  segment.id = next_id_++;
  segment.kind = open_kind_;
  segment.streams = open_streams_;
  segment.ns = open_ns_;
  segment.launches = open_launches_;
  segment.since_ns = open_since_ns_;
  segment.due_ns = open_due_ns_;
  segment.closures = open_closures_;
  open_ns_ = 0;
  open_launches_ = 0;
  open_streams_ = {};
  // Counted before the lock is let go: no other thread may see room that is
  // not there.
  closed_.push_back(segment);
  closed_ns_ += segment.ns;
  closed_launches_ += segment.launches;
  if (closed_.size() == 1) {
    StartFront(segment.since_ns);
  }
  EventPool* const pool = pool_;
  RecordEnds(lock, &segment);
  if (Segment* closed = FindClosed(segment.id)) {
    closed->ends = segment.ends;
    closed->end_count = segment.end_count;
    closed->recorded = true;
  } else {
    GiveBack(pool, &segment);  // all was cleared meanwhile
  }
}

// An event at the end of each of the segment's streams. Without one there is
// nothing to wait for.
void
Flight::RecordEnds(Lock* lock, Segment* segment)
{
  EventPool* const pool = pool_;
  for (size_t i = 0; i < segment->streams.count; ++i) {
    const uint64_t stream = segment->streams.handles[i];
    lock->unlock();
    void* event = pool->Take(EventKind::kPlain);
    {
      const Inquiry inquiry(stream, pool->Context());
      // After the inquiry was announced: whoever destroys the stream has
      // either dropped it here or waits for the inquiry to end.
      lock->lock();
      const Segment* closed = FindClosed(segment->id);
      const bool exists = closed != nullptr && closed->streams.Has(stream);
      lock->unlock();
      if (event != nullptr) {
        if (inquiry.Allowed() && exists && pool->Record(event, stream)) {
          segment->ends[segment->end_count++] = event;
        } else {
          pool->Give(EventKind::kPlain, event);
        }
      }
    }
    lock->lock();
  }
}

void
Flight::StartFront(int64_t now_ns)
{
  const Segment& front = closed_.front();
  const int64_t began_ns = std::max(now_ns, front.since_ns);
  front_due_ns_ = std::max(began_ns + front.ns, front.due_ns);
  front_busy_ns_ = began_ns;
}

void
Flight::Collect(Lock* lock)
{
  while (!closed_.empty()) {
    const Segment front = closed_.front();
    if (!front.recorded) {
      front_busy_ns_ = NowNs();
      return;
    }
    const EventPool& events = *pool_;
    lock->unlock();
    Progress progress = Progress::kDone;
    for (size_t i = 0; i < front.end_count && progress == Progress::kDone;
         ++i) {
      progress = events.Query(front.ends[i]);
    }
    const int64_t now_ns = NowNs();
    lock->lock();
    if (closed_.empty() || closed_.front().id != front.id) {
      continue;  // another thread was faster
    }
    if (progress == Progress::kBusy) {
      front_busy_ns_ = now_ns;
      return;
    }
    // A device that fails never finishes: the launch itself reports the error.
    // It ended between the last look and this one, and when it should have,
    // if the estimate is right.
    const int64_t ended_ns = Clamp(front_due_ns_, front_busy_ns_, now_ns);
    finished_ns_.fetch_add(front.ns, std::memory_order_relaxed);
    closed_ns_ -= front.ns;
    closed_launches_ -= front.launches;
    GiveBack(pool_, &closed_.front());
    closed_.pop_front();
    if (!closed_.empty()) {
      StartFront(ended_ns);
    } else {
      // The device comes to the open one only now.
      open_due_ns_ =
          std::max(open_due_ns_, ended_ns + open_ns_ - open_coming_ns_);
    }
    given_up_ = false;
    completions_.fetch_add(1, std::memory_order_relaxed);
  }
}

int64_t
Flight::RemainingNs(int64_t now_ns) const
{
  if (closed_.empty()) {
    return 0;
  }
  const int64_t front_ns = closed_.front().ns;
  return closed_ns_ - front_ns + Clamp(front_due_ns_ - now_ns, 0, front_ns);
}

bool
Flight::FrontOverruns(int64_t now_ns) const
{
  const Segment& front = closed_.front();
  return now_ns - front_due_ns_ > front.ns + kGraceNs;
}

void
Flight::GiveBack(EventPool* pool, Segment* segment)
{
  for (size_t i = 0; i < segment->end_count; ++i) {
    pool->Give(EventKind::kPlain, segment->ends[i]);
  }
  segment->end_count = 0;
}

}  // namespace xsched
