// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Where launches wait: for their queue's turn, and for room in flight.

#include <algorithm>
#include <vector>

#include "preempt/clock.h"
#include "preempt/options.h"
#include "preempt/scheduler.h"
#include "preempt/thread_work.h"
#include "preempt/wait.h"

namespace xsched {
namespace {

// A turn that is expected within this is waited for awake, since the device
// has nothing to do until the thread is back.
constexpr int64_t kSpinNs = 100000;
// The longest spin for a turn that does not come, and the naps after it.
constexpr int64_t kMaxSpinNs = 400000;
constexpr int64_t kNapNs = 200000;
// However long the others usually take, they are looked at this often: who
// never synchronises is not seen to be idle otherwise.
constexpr int64_t kMaxSleepNs = 5000000;
// How often a spinning thread looks at the other queues; that its turn has
// come it sees at once.
constexpr int64_t kLookNs = 20000;
constexpr int64_t kSuspendedNapNs = 10000000;

// Room that is expected within this is waited for awake. A sleep ends about
// this late.
constexpr int64_t kShortestSleepNs = 20000;
constexpr int64_t kWakeUpNs = 8000;
constexpr int64_t kAwakeLookNs = 2000;

// A kernel whose time is known is timed again in one of so many slow passes.
constexpr uint32_t kSampleEvery = 32;

// Sleeps while the gate holds 'gate', at most 'timeout_ns'.
void
SleepAtGate(Queue* queue, uint32_t gate, int64_t timeout_ns)
{
  // See ChangeGate.
  queue->sleepers.fetch_add(1, std::memory_order_seq_cst);
  FutexWait(&queue->gate, gate, timeout_ns);
  queue->sleepers.fetch_sub(1, std::memory_order_relaxed);
}

// Spins until then, or until the gate changes.
void
SpinAtGate(const Queue& queue, uint32_t gate, int64_t until_ns)
{
  while (NowNs() < until_ns &&
         queue.gate.load(std::memory_order_relaxed) == gate) {
    SpinPause();
  }
}

}  // namespace

LaunchTicket
Scheduler::Pass(Queue* queue, uint64_t stream, const LaunchKey& key)
{
  if (disabled_.load(std::memory_order_relaxed)) {
    return LaunchTicket();
  }
  const uint32_t gate = queue->gate.load(std::memory_order_acquire);
  if (gate == kGateBounded &&
      !queue->uncounted.load(std::memory_order_relaxed) &&
      queue->flight.Take(queue->durations->Find(key), stream)) {
    return LaunchTicket();
  }
  return PassSlowly(queue, stream, key);
}

LaunchTicket
Scheduler::PassSlowly(Queue* queue, uint64_t stream, const LaunchKey& key)
{
  CallScope calls(queue->hardware);
  if ((queue->gate.load(std::memory_order_relaxed) & kGateBounded) != 0 &&
      !queue->shares_limit.exchange(true, std::memory_order_relaxed)) {
    queue->device->Change(nullptr, [] {});
  }
  int64_t began_ns = 0;
  bool counted = false;
  uint64_t closures = 0;
  while (!counted) {
    // Acquire: before the gate is looked at.
    closures = queue->closures.load(std::memory_order_acquire);
    const uint32_t gate = queue->gate.load(std::memory_order_acquire);
    if ((gate & kGateWait) != 0) {
      if (began_ns == 0) {
        began_ns = NowNs();
        queue->blocked.fetch_add(1, std::memory_order_relaxed);
      }
      if (!WaitForTurn(queue)) {
        break;
      }
    } else if ((gate & kGateBounded) != 0) {
      counted = WaitForRoom(queue, stream, key);
    } else {
      break;
    }
  }
  if (began_ns != 0) {
    queue->blocked_ns.fetch_add(
        NowNs() - began_ns, std::memory_order_relaxed);
  }
  queue->timer.Read();
  const uint32_t passes =
      queue->slow_passes.fetch_add(1, std::memory_order_relaxed);
  LaunchTicket ticket;
  ticket.timed =
      counted &&
      (!queue->durations->Find(key).known || passes % kSampleEvery == 0 ||
       queue->flight.TakeMisjudged()) &&
      queue->timer.Begin(
          {queue->events, queue->durations, key, &queue->closures, closures},
          stream);
  return ticket;
}

void
Scheduler::AfterTimedLaunch(Queue* queue, uint64_t stream, bool launched)
{
  CallScope calls(queue->hardware);
  queue->timer.End(stream, launched);
}

// False if the launch is to go ahead although it is not its turn.
bool
Scheduler::WaitForTurn(Queue* queue)
{
  std::vector<Queue*> blockers;
  int64_t spin_since_ns = NowNs();
  for (;;) {
    const uint32_t gate = queue->gate.load(std::memory_order_acquire);
    if ((gate & kGateWait) == 0) {
      return true;
    }
    if (disabled_.load(std::memory_order_relaxed) ||
        ((gate & kGateWait) == kGateSuspended &&
         queue->suspender.load(std::memory_order_relaxed) == ThreadId())) {
      return false;
    }
    if ((gate & (kGateSuspended | kGateHeld)) != 0) {
      SleepAtGate(queue, gate, kSuspendedNapNs);
      continue;
    }
    queue->device->Blockers(*queue, &blockers);
    blockers.erase(
        std::remove_if(
            blockers.begin(), blockers.end(),
            [](const Queue* other) { return HasOwnWork(*other); }),
        blockers.end());
    if (blockers.empty()) {
      // A thread never waits for its own work; but its turn may just have
      // come.
      if (queue->gate.load(std::memory_order_acquire) != gate) {
        continue;
      }
      return false;
    }
    const int64_t now_ns = NowNs();
    int64_t rest_ns = 0;
    bool known = true;
    for (Queue* blocker : blockers) {
      Poll(blocker);
      const int64_t usual_ns =
          blocker->usual_ready_ns.load(std::memory_order_relaxed);
      known = known && usual_ns != 0;
      rest_ns = std::max(
          rest_ns,
          blocker->ready_since_ns.load(std::memory_order_relaxed) + usual_ns -
              now_ns);
    }
    if (known && rest_ns > 2 * kSpinNs) {
      SleepAtGate(queue, gate, std::min(rest_ns - kSpinNs, kMaxSleepNs));
      spin_since_ns = NowNs();
    } else if (now_ns - spin_since_ns > kMaxSpinNs) {
      SleepAtGate(queue, gate, kNapNs);
    } else {
      SpinAtGate(*queue, gate, now_ns + kLookNs);
    }
  }
}

// Waits until what the queue has in flight leaves room, and counts the
// launch. False if the queue's turn ended meanwhile.
bool
Scheduler::WaitForRoom(
    Queue* queue, uint64_t stream, const LaunchKey& key)
{
  Flight& flight = queue->flight;
  // The stream of a queue that still serves others may be gone.
  const uint64_t own = queue->stream.load(std::memory_order_relaxed);
  if (queue->uncounted.exchange(false, std::memory_order_relaxed) &&
      own != 0) {
    flight.AddUncounted(own);
  }
  uint64_t completions = flight.Completions();
  int64_t since_ns = 0;
  int64_t patience_ns = 0;
  while (!disabled_.load(std::memory_order_relaxed)) {
    const Flight::Limits limits = {
        queue->device->ShareOf(GetOptions().inflight_ns),
        queue->max_launches.load(std::memory_order_relaxed)};
    queue->timer.Read();
    const int64_t rest_ns =
        flight.Admit(queue->durations->Find(key), stream, limits);
    if (rest_ns == 0) {
      return true;
    }
    if ((queue->gate.load(std::memory_order_relaxed) & kGateWait) != 0) {
      return false;
    }
    const int64_t now_ns = NowNs();
    if (since_ns == 0 || flight.Completions() != completions) {
      completions = flight.Completions();
      since_ns = now_ns;
      patience_ns = flight.PatienceNs();
    } else if (now_ns - since_ns > patience_ns) {
      flight.GiveUp();
      continue;
    }
    if (rest_ns > kShortestSleepNs) {
      SleepNs(rest_ns - kWakeUpNs);
    } else {
      SpinAtGate(
          *queue, queue->gate.load(std::memory_order_relaxed),
          now_ns + std::min(rest_ns, kAwakeLookNs));
    }
  }
  return true;
}

}  // namespace xsched
