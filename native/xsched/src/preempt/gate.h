// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_GATE_H_
#define XSCHED_PREEMPT_GATE_H_

#include <cstdint>

#include "preempt/durations.h"
#include "preempt/export.h"
#include "preempt/queue.h"

namespace xsched {

// What BeforeLaunch tells AfterLaunch.
struct LaunchTicket {
  bool timed = false;
  // What is in flight has to know when it has returned from the driver.
  bool counted = false;
  // It is in flight, and its time is not known.
  bool unknown = false;
  // It goes although it is not its turn.
  bool out_of_turn = false;
  // It goes to a stream that cannot be asked: see StreamEnds.
  bool unasked = false;
  // It would have had to wait, and may not: it is given up, and AfterLaunch must
  // not follow.
  bool deferred = false;
};

// What a launch does where it cannot go ahead at once.
enum class Patience : uint8_t {
  kWaits,
  // It is given up: see LaunchTicket::deferred.
  kDefers,
  // It waits, but not for its queue to be resumed or to get a priority: its
  // thread asked for it before, and was told that it has been launched.
  kWaitsForTurn,
};

// Where launches wait: for their queue's turn, and for room in flight. Whatever
// a thread waits for here can happen without that thread: it never waits for
// queues that are ready with its own work alone, nor for long for what it has
// in flight itself.
class XSCHED_INTERNAL Gate {
 public:
  // Returns when the launch may go to the driver. A thread that is cancelled
  // does not return; its launch is given up.
  static LaunchTicket Pass(
      Queue* queue, uint64_t stream, const LaunchKey& key, Patience patience);
  // Before a launch that the same launches on other devices wait for: waits while
  // another member of the gang is held back, unless this one is behind. False if
  // it would have to, and may not.
  static bool AwaitGang(Queue* queue, Patience patience);
  // A launch of a process in a gang goes to the driver now.
  static void GoInGang(
      Queue* queue, const LaunchTicket& ticket, bool collective);
  // After the launch, if its ticket says anything.
  static void AfterLaunch(
      Queue* queue, uint64_t stream, LaunchTicket ticket, bool launched);

 private:
  static LaunchTicket PassSlowly(
      Queue* queue, uint64_t stream, const LaunchKey& key, Patience patience);
  enum class Outcome { kItsTurn, kGoesAnyway, kDeferred };
  // kGoesAnyway: although it is not its turn.
  static Outcome WaitForTurn(
      Queue* queue, uint32_t generation, Patience patience);
  // Waits until what the queue has in flight leaves room, and counts the
  // launch in the ticket. It does not if the queue's turn ended meanwhile.
  static void WaitForRoom(
      Queue* queue, uint64_t stream, const LaunchKey& key, Patience patience,
      LaunchTicket* ticket);
  static int64_t TryToAdmit(
      Queue* queue, uint64_t stream, const LaunchKey& key, bool alone,
      bool* unknown);
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_GATE_H_
