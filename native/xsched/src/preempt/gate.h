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
  // It goes to a stream that cannot be asked: see StreamEnds.
  bool unasked = false;
};

// Where launches wait: for their queue's turn, and for room in flight. Whatever
// a thread waits for here can happen without that thread: it never waits for
// queues that are ready with its own work alone, nor for long for what it has
// in flight itself.
class XSCHED_INTERNAL Gate {
 public:
  // Returns when the launch may go to the driver. A thread that is cancelled
  // does not return; its launch is given up.
  static LaunchTicket Pass(Queue* queue, uint64_t stream, const LaunchKey& key);
  // After the launch, if its ticket says anything.
  static void AfterLaunch(
      Queue* queue, uint64_t stream, LaunchTicket ticket, bool launched);

 private:
  static LaunchTicket PassSlowly(
      Queue* queue, uint64_t stream, const LaunchKey& key);
  // False if the launch is to go ahead although it is not its turn.
  static bool WaitForTurn(Queue* queue, uint32_t generation);
  // Waits until what the queue has in flight leaves room, and counts the
  // launch. False if the queue's turn ended meanwhile. Stores whether the launch
  // was counted as one whose time is not known.
  static bool WaitForRoom(
      Queue* queue, uint64_t stream, const LaunchKey& key, bool* unknown);
  static int64_t TryToAdmit(
      Queue* queue, uint64_t stream, const LaunchKey& key, bool alone,
      bool* unknown);
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_GATE_H_
