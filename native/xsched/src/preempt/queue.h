// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_QUEUE_H_
#define XSCHED_PREEMPT_QUEUE_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "preempt/flight.h"
#include "preempt/hardware.h"
#include "preempt/kernel_timer.h"
#include "xsched/types.h"

namespace xsched {

class Device;

// Bits of Queue::gate. 0: launch at once.
enum GateBits : uint32_t {
  kGateClosed = 1,     // the policy lets other queues go first
  kGateBounded = 2,    // the limit in flight applies
  kGateSuspended = 4,  // XQueueSuspend
  kGateHeld = 8,       // PRIORITY_NO_EXECUTE
};
constexpr uint32_t kGateWait = kGateClosed | kGateSuspended | kGateHeld;

// One stream under the scheduler. Queues come from a pool and are never
// freed, only used again: a launch that runs while its queue is destroyed
// reads a valid, if strange, queue. The generation tells one life of the
// object from the next.
struct alignas(64) Queue {
  static constexpr int kMaxForeign = 8;

  // What every launch looks at, in one cache line: the driver leaves little of
  // the scheduler in the caches between two launches.

  // Also the futex word of launches that wait.
  std::atomic<uint32_t> gate{0};
  std::atomic<uint32_t> generation{0};
  // Launches that were asked for, and launches that have returned from the
  // driver. Both only grow, also from one life to the next. The device has
  // nothing to do if a synchronisation that began at launched = n succeeded
  // and submitted is n.
  std::atomic<uint64_t> submitted{0};
  std::atomic<uint64_t> launched{0};
  // Counts the times the queue became ready.
  std::atomic<uint64_t> epoch{0};
  std::atomic<uint64_t> stream{0};
  Durations* durations = nullptr;
  std::atomic<bool> ready{false};
  std::atomic<bool> alive{false};      // the hardware queue exists
  std::atomic<bool> scheduled{false};  // so does the XQueue
  // Work is in flight that was launched while no limit applied.
  std::atomic<bool> uncounted{false};

  // Of a queue that the limit in flight applies to.
  Flight flight;
  KernelTimer timer{{&submitted, &launched}};
  EventPool* events = nullptr;
  std::atomic<uint32_t> slow_passes{0};
  // The gate has closed this many times, in all lives.
  std::atomic<uint64_t> closures{0};
  // It has launched kernels while the limit applied: it takes a share of it.
  std::atomic<bool> shares_limit{false};

  std::atomic<uint32_t> sleepers{0};
  Device* device = nullptr;
  uint64_t context = 0;
  Hardware* hardware = nullptr;
  uint32_t slot = 0;

  // Streams without a queue of their own whose launches belong to this one.
  std::atomic<uint64_t> foreign[kMaxForeign] = {};

  std::atomic<Priority> priority{PRIORITY_DEFAULT};
  std::atomic<int64_t> max_launches{0};
  std::atomic<uint64_t> suspender{0};
  std::atomic<bool> app_synchronizes{false};
  std::atomic<bool> being_polled{false};
  std::atomic<int64_t> ready_since_ns{0};
  // How long the queue usually stays ready; 0 if it is not known.
  std::atomic<int64_t> usual_ready_ns{0};
  // For polling: the launches seen last, and when that number changed.
  std::atomic<uint64_t> polled_launches{0};
  std::atomic<int64_t> polled_since_ns{0};
  // When it was last seen to have work.
  std::atomic<int64_t> polled_busy_ns{0};

  // Counters, relaxed: read only for people.
  std::atomic<uint64_t> launches_before{0};  // of earlier lives
  std::atomic<int64_t> blocked{0};
  std::atomic<int64_t> blocked_ns{0};
  std::atomic<int64_t> preemptions{0};

  // For people; guarded by the registry's lock.
  uint64_t id = 0;
  std::string name;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_QUEUE_H_
