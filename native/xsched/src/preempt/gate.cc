// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/gate.h"

#include <pthread.h>

#include <algorithm>

#include "preempt/clock.h"
#include "preempt/device.h"
#include "preempt/options.h"
#include "preempt/scheduler.h"
#include "preempt/thread_work.h"
#include "preempt/wait.h"

namespace xsched {
namespace {

// A turn that is expected within this is waited for awake, by one thread of a
// device, since the device has nothing to do until the thread is back.
constexpr int64_t kSpinNs = 100000;
// The longest spin for a turn that does not come.
constexpr int64_t kMaxSpinNs = 300000;

// Room is waited for asleep as far as a sleep ends in time (Lateness), and
// looked for at least this often. Who is awake looks the more often the closer
// it is.
constexpr int64_t kLongestSleepNs = 100000;
constexpr int64_t kAwakeLookNs = 2000;
constexpr int64_t kAwakeLookPart = 8;
// How often to ask for a launch whose time is not known, while another queue
// has one in flight.
constexpr int64_t kUnknownLookNs = 50000;

// How often those look at the rest of their gang that wait for it, and how often
// they look whether it lives.
constexpr int64_t kGangLookNs = 50000;
constexpr int64_t kGangLivesNs = 100000000;
// How long a higher priority keeps one from finishing what others have begun. It
// is quickest done if what is urgent is done before.
constexpr int64_t kFollowAfterNs = 5000000;

// How long a member waits for others that are not held back to come to the same
// collective, for how long of that it is awake, and how often it looks then.
constexpr int64_t kMeetNs = 2000000;
constexpr int64_t kMeetAwakeNs = 50000;
constexpr int64_t kMeetLookNs = 10000;

// A kernel whose time is known is timed again in one of so many slow passes.
constexpr uint32_t kSampleEvery = 32;

// The reasons to be held back that do not concern the launch.
uint8_t
MayIgnore(Patience patience)
{
  return patience == Patience::kWaitsForTurn ? kSuspended | kNoExecute : 0;
}

bool
IsClosed(const Queue& queue, Patience patience)
{
  const Turn& turn = *queue.turn.load(std::memory_order_relaxed);
  if ((queue.held_back.load(std::memory_order_relaxed) &
       ~MayIgnore(patience)) != 0) {
    return true;
  }
  // Acquire, of all that opens: what the thread that did comes before.
  const bool its_turn = queue.priority.load(std::memory_order_relaxed) >=
                            turn.Closely().open_from &&
                        !queue.passed_over.load(std::memory_order_acquire);
  return !its_turn &&
         !(queue.in_slice.load(std::memory_order_acquire) && turn.SliceHolds());
}

bool
IsBounded(const Queue& queue)
{
  return queue.priority.load(std::memory_order_relaxed) <
         queue.turn.load(std::memory_order_relaxed)->Closely().bounded_below;
}

// Waits until all members of the gang would launch the collective, so that none has
// it on its device when another one is held back.
void
MeetGang(domain::Gang* gang)
{
  gang->Arrives();
  if (!gang->Meets() || gang->OthersHaveArrived()) {
    gang->Met(true);
    return;
  }
  int64_t since_ns = NowNs();
  int64_t dead_ns = since_ns + kGangLivesNs;
  while (!gang->OthersHaveArrived() && !Scheduler::Unwatched()) {
    const int64_t now_ns = NowNs();
    if (gang->OthersAreHeld()) {
      since_ns = now_ns;
      if (now_ns >= dead_ns) {
        dead_ns = now_ns + kGangLivesNs;
        gang->LookForDead();
      }
    } else if (now_ns - since_ns > kMeetNs) {
      gang->Met(false);
      return;
    }
    if (now_ns - since_ns < kMeetAwakeNs) {
      SpinPause();
    } else {
      SleepNs(kMeetLookNs);
    }
  }
  gang->Met(true);
}

// A launch that is under way here. If the thread is cancelled, it asks for
// nothing any more.
class Asked {
 public:
  explicit Asked(Queue* queue) : queue_(queue) {}
  ~Asked()
  {
    if (!goes_) {
      if (admitted_) {
        queue_->flight.Returned(true);
      }
      queue_->launches_before.fetch_add(1, std::memory_order_relaxed);
      queue_->launched.fetch_add(1, std::memory_order_release);
    }
  }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;

  void Goes() { goes_ = true; }
  // It was not put in flight.
  void IsDeferred() { admitted_ = false; }

 private:
  Queue* const queue_;
  bool goes_ = false;
  bool admitted_ = true;
};

// A waiter that the device knows of until it is left.
class Waiting {
 public:
  Waiting(Device* device, Waiter* waiter) : device_(device), waiter_(waiter) {}
  ~Waiting() { device_->Leave(waiter_); }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  Device* const device_;
  Waiter* const waiter_;
};

// The part of the queue's device in a gang, if it is in one.
domain::Gang*
GangOf(const Queue& queue)
{
  return Scheduler::InGang() ? queue.Home()->GetDevice()->GetGang() : nullptr;
}

// Whether the launch goes although it is not its turn, as others wait on their
// devices for what it is a part of. What the application has suspended stays so.
bool
Follows(domain::Gang* gang, const Queue& queue)
{
  if (gang == nullptr ||
      (queue.held_back.load(std::memory_order_relaxed) & kSuspended) != 0) {
    return false;
  }
  const bool is_equals_turn =
      queue.priority.load(std::memory_order_relaxed) >=
      queue.turn.load(std::memory_order_relaxed)->Closely().open_from;
  return gang->IsBehindFor(is_equals_turn ? 0 : kFollowAfterNs, NowNs());
}

// Awake, for a turn that is close, if this is the thread that may be.
void
SpinForTurn(Device* device, const Waiter& waiter)
{
  const int64_t begin_ns = NowNs();
  if (!device->TakeSpin(begin_ns)) {
    return;
  }
  int64_t now_ns = begin_ns;
  while (!waiter.Woken() && now_ns - begin_ns < kMaxSpinNs) {
    SpinPause();
    now_ns = NowNs();
  }
  device->GiveSpin(now_ns - begin_ns);
}

void
SleepUntilWoken(Device* device, Waiter* waiter, int64_t expected_ns)
{
  bool may_spin = expected_ns != 0;
  domain::Gang* const gang = GangOf(*waiter->GetQueue());
  const int64_t look_ns = gang == nullptr ? kCancelLookNs : kGangLookNs;
  if (gang != nullptr) {
    gang->SetHeld(true);
  }
  while (!waiter->Woken() && !Scheduler::Unwatched() &&
         !Follows(gang, *waiter->GetQueue())) {
    const int64_t rest_ns = expected_ns - NowNs() - kSpinNs;
    if (may_spin && rest_ns <= 0) {
      may_spin = false;
      SpinForTurn(device, *waiter);
      continue;
    }
    waiter->Sleep(may_spin ? std::min(rest_ns, look_ns) : look_ns);
    pthread_testcancel();
  }
}

// Until it is time to look for the room that is expected in 'rest_ns'.
void
RestUntilRoom(
    Lateness* lateness, const Queue& queue, Patience patience, int64_t rest_ns,
    int64_t now_ns)
{
  const int64_t sleep_ns =
      std::min(lateness->SleepFor(rest_ns, now_ns), kLongestSleepNs);
  if (sleep_ns > 0) {
    const int64_t begin_ns = NowNs();
    SleepNs(sleep_ns);
    const int64_t end_ns = NowNs();
    lateness->Slept(sleep_ns, end_ns - begin_ns, end_ns);
    return;
  }
  const int64_t until_ns =
      now_ns +
      std::min(rest_ns, std::max(kAwakeLookNs, rest_ns / kAwakeLookPart));
  while (NowNs() < until_ns && !IsClosed(queue, patience)) {
    SpinPause();
  }
}

}  // namespace

LaunchTicket
Gate::Pass(
    Queue* queue, uint64_t stream, const LaunchKey& key, Patience patience)
{
  if (Scheduler::Disabled()) {
    return LaunchTicket();
  }
  Device* const device = queue->Home()->GetDevice();
  // In a domain the highest looks here, too. One that was held back goes on
  // below.
  if (queue->ready.load(std::memory_order_relaxed) &&
      !IsClosed(*queue, patience) && !IsBounded(*queue)) {
    if (!queue->uncounted.load(std::memory_order_relaxed)) {
      queue->uncounted.store(true, std::memory_order_relaxed);
    }
    return LaunchTicket();
  }
  if (!IsClosed(*queue, patience) &&
      !queue->uncounted.load(std::memory_order_relaxed)) {
    const Estimate estimate = device->GetDurations()->Find(key);
    LaunchTicket ticket;
    if (queue->flight.Take(estimate, stream)) {
      return ticket;
    }
    if (queue->flight.TakeNextPart(estimate, stream)) {
      ticket.counted = true;
      return ticket;
    }
  }
  return PassSlowly(queue, stream, key, patience);
}

LaunchTicket
Gate::PassSlowly(
    Queue* queue, uint64_t stream, const LaunchKey& key, Patience patience)
{
  Asked asked(queue);
  Context* const home = queue->Home();
  Device* const device = home->GetDevice();
  const uint32_t generation = queue->generation.load(std::memory_order_relaxed);
  const CallScope calls(home->GetHardware());
  if (IsBounded(*queue) &&
      !queue->shares_limit.load(std::memory_order_relaxed)) {
    device->Share(queue);
  }
  const std::atomic<uint64_t>* const closures_of =
      device->Closures(queue->priority.load(std::memory_order_relaxed));
  LaunchTicket ticket;
  int64_t began_ns = 0;
  uint64_t closures = 0;
  while (!ticket.counted) {
    // Acquire: before whose turn it is is looked at.
    closures = closures_of->load(std::memory_order_acquire);
    if (IsClosed(*queue, patience)) {
      // One that is deferred waits later, and is counted then.
      if (began_ns == 0 && patience != Patience::kDefers) {
        began_ns = NowNs();
        queue->blocked.fetch_add(1, std::memory_order_relaxed);
      }
      const Outcome outcome = WaitForTurn(queue, generation, patience);
      ticket.deferred = outcome == Outcome::kDeferred;
      if (outcome == Outcome::kGoesAnyway) {
        ticket.out_of_turn = true;
        break;
      }
    } else if (IsBounded(*queue)) {
      WaitForRoom(queue, stream, key, patience, &ticket);
    } else {
      break;
    }
    if (ticket.deferred) {
      asked.IsDeferred();
      return ticket;
    }
  }
  if (began_ns != 0) {
    queue->blocked_ns.fetch_add(NowNs() - began_ns, std::memory_order_relaxed);
  }
  ticket.unknown = ticket.unknown && ticket.counted;
  if (!ticket.counted) {
    queue->uncounted.store(true, std::memory_order_relaxed);
  }
  // One that was held back is ready only now that it launches.
  if (!queue->ready.load(std::memory_order_seq_cst)) {
    device->MarkReady(queue);
    RememberWork(queue);
  }
  if (const int64_t used_ns = queue->flight.TakeFinishedNs()) {
    device->Used(queue, used_ns);
  }
  queue->timer.Read();
  const uint32_t passes =
      queue->slow_passes.fetch_add(1, std::memory_order_relaxed);
  ticket.timed =
      ticket.counted &&
      (ticket.unknown || passes % kSampleEvery == 0 ||
       queue->flight.TakeMisjudged()) &&
      queue->timer.Begin(
          {home->Events(), device->GetDurations(), key, closures_of, closures},
          stream);
  asked.Goes();
  return ticket;
}

void
Gate::AfterLaunch(
    Queue* queue, uint64_t stream, LaunchTicket ticket, bool launched)
{
  if (ticket.counted) {
    queue->flight.Returned(ticket.unknown);
  }
  if (ticket.timed) {
    const CallScope calls(queue->Home()->GetHardware());
    queue->timer.End(stream, launched);
  }
}

Gate::Outcome
Gate::WaitForTurn(Queue* queue, uint32_t generation, Patience patience)
{
  Device* const device = queue->Home()->GetDevice();
  domain::Gang* const gang = GangOf(*queue);
  Waiter waiter(queue);
  while (!Scheduler::Unwatched() && !Follows(gang, *queue)) {
    // The thread that suspended the queue is not held back by that: nobody
    // else might resume it.
    uint8_t may_ignore = MayIgnore(patience);
    if (queue->suspender.load(std::memory_order_relaxed) == ThreadId()) {
      may_ignore |= kSuspended;
    }
    const Device::Answer answer =
        device->Enter(&waiter, generation, may_ignore);
    if (answer.what != Device::Answer::kWait) {
      // What is ignored throughout does not make it another one's turn.
      const bool its_turn =
          answer.what == Device::Answer::kGo ||
          (patience == Patience::kWaitsForTurn && !IsClosed(*queue, patience));
      return its_turn ? Outcome::kItsTurn : Outcome::kGoesAnyway;
    }
    const Waiting waiting(device, &waiter);
    if (patience == Patience::kDefers) {
      return Outcome::kDeferred;
    }
    SleepUntilWoken(device, &waiter, answer.expected_ns);
  }
  return Outcome::kGoesAnyway;
}

bool
Gate::AwaitGang(Queue* queue, Patience patience)
{
  domain::Gang* const gang = GangOf(*queue);
  if (gang == nullptr) {
    return true;
  }
  const Turn& turn = *queue->turn.load(std::memory_order_relaxed);
  int64_t began_ns = 0;
  int64_t look_ns = 0;
  while (
      gang->OthersAreHeld() && !gang->IsBehind() && !Scheduler::Unwatched() &&
      !(queue->in_slice.load(std::memory_order_acquire) && turn.SliceHolds())) {
    if (patience == Patience::kDefers) {
      return false;
    }
    const int64_t now_ns = NowNs();
    if (began_ns == 0) {
      began_ns = now_ns;
      look_ns = now_ns + kGangLivesNs;
      queue->blocked.fetch_add(1, std::memory_order_relaxed);
    } else if (now_ns >= look_ns) {
      look_ns = now_ns + kGangLivesNs;
      gang->LookForDead();
    }
    gang->SetHeld(IsClosed(*queue, patience));
    pthread_testcancel();
    SleepNs(kGangLookNs);
  }
  if (began_ns != 0) {
    queue->blocked_ns.fetch_add(NowNs() - began_ns, std::memory_order_relaxed);
  }
  return true;
}

void
Gate::GoInGang(Queue* queue, const LaunchTicket& ticket, bool collective)
{
  domain::Gang* const gang = GangOf(*queue);
  if (gang == nullptr) {
    return;
  }
  gang->SetHeld(ticket.out_of_turn);
  if (collective) {
    if (IsBounded(*queue)) {
      MeetGang(gang);
    }
    gang->Launches();
  }
}

// 0 if the launch is in flight now. Otherwise when to ask again, in
// nanoseconds. 'alone' says that one whose time is not known has to be the only
// one of the device.
int64_t
Gate::TryToAdmit(
    Queue* queue, uint64_t stream, const LaunchKey& key, bool alone,
    bool* unknown)
{
  Device* const device = queue->Home()->GetDevice();
  const Flight::Limits limits = {
      device->ShareOf(GetOptions().inflight_ns),
      queue->max_launches.load(std::memory_order_relaxed)};
  Estimate estimate = device->GetDurations()->Find(key);
  if (!estimate.known) {
    // A sample of it may have come.
    queue->timer.Read();
    estimate = device->GetDurations()->Find(key);
  }
  *unknown = !estimate.known;
  if (estimate.known || !alone) {
    return queue->flight.Admit(estimate, stream, limits);
  }
  // Sequentially consistent: see Device::MayTryUnknown.
  queue->tries_unknown.store(true, std::memory_order_seq_cst);
  const int64_t rest_ns = device->MayTryUnknown(queue)
                              ? queue->flight.Admit(estimate, stream, limits)
                              : kUnknownLookNs;
  queue->tries_unknown.store(false, std::memory_order_seq_cst);
  return rest_ns;
}

void
Gate::WaitForRoom(
    Queue* queue, uint64_t stream, const LaunchKey& key, Patience patience,
    LaunchTicket* ticket)
{
  Flight& flight = queue->flight;
  Device* const device = queue->Home()->GetDevice();
  RoomTurn::Scope turn(device->GetRoomTurn());
  // The stream of a queue that still serves others may be gone.
  uint64_t own = queue->stream.load(std::memory_order_relaxed);
  if (IsVirtualStream(own)) {
    own = stream;
  }
  if (queue->uncounted.exchange(false, std::memory_order_relaxed) && own != 0) {
    flight.AddUncounted(own);
  }
  uint64_t completions = flight.Completions();
  int64_t since_ns = 0;
  int64_t patience_ns = 0;
  // What another queue has in flight may wait for this thread, too.
  bool alone = !flight.GivenUp();
  while (!Scheduler::Disabled()) {
    const int64_t rest_ns =
        TryToAdmit(queue, stream, key, alone, &ticket->unknown);
    if (rest_ns == 0) {
      break;
    }
    if (IsClosed(*queue, patience) || !IsBounded(*queue)) {
      return;
    }
    if (patience == Patience::kDefers) {
      ticket->deferred = true;
      return;
    }
    const int64_t now_ns = NowNs();
    if (since_ns == 0 || flight.Completions() != completions) {
      completions = flight.Completions();
      since_ns = now_ns;
      patience_ns = flight.PatienceNs();
      if (alone && !device->GetDurations()->Find(key).known) {
        // Another queue may have such a one in flight.
        patience_ns = std::max(patience_ns, Flight::kUnknownPatienceNs);
      }
    } else if (now_ns - since_ns > patience_ns) {
      flight.GiveUp();
      alone = false;
      continue;
    }
    pthread_testcancel();
    if (!turn.TakeOrSleep(std::min(rest_ns, kLongestSleepNs))) {
      continue;
    }
    RestUntilRoom(device->GetLateness(), *queue, patience, rest_ns, now_ns);
  }
  ticket->counted = true;
}

}  // namespace xsched
