// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_QUEUE_H_
#define XSCHED_PREEMPT_QUEUE_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "preempt/context.h"
#include "preempt/flight.h"
#include "preempt/kernel_timer.h"
#include "preempt/stream_ends.h"
#include "preempt/turn.h"
#include "xsched/types.h"

namespace xsched {

class CommandBuffer;
struct Queue;
struct ModelShare;
struct TestAccess;
class Waiter;

// Why a queue's launches wait whatever its turn is. Bits of Queue::held_back.
enum HeldBack : uint8_t {
  kSuspended = 1,  // XQueueSuspend
  kNoExecute = 2,  // PRIORITY_NO_EXECUTE
};

// The life of a queue. A queue comes from a pool and goes back to it; it is
// never freed.
//
//   kFree --CudaQueueCreate--> kKnown --XQueueCreate--> kScheduled
//     ^                        |    ^                   |       |
//     |<----HwQueueDestroy-----'    '---XQueueDestroy---'       |
//     |                                                         |
//     |<--HwQueueDestroy, or when the pool has no other-- kGone <' the stream
//                                                         or its context ends
//
// A queue that is kScheduled is idle or ready: device.h has these states.
enum class Life : uint8_t { kFree, kKnown, kScheduled, kGone };

// What the registry knows of a queue, under the registry's lock.
class Entry {
 private:
  friend class Registry;
  Life life = Life::kFree;
  // The application has an XQueue's handle that it has not destroyed.
  bool has_xqueue = false;
  uint32_t slot = 0;
  uint64_t id = 0;
  std::string name;
  // Of those that are gone, the next one to be used again.
  Queue* next_gone = nullptr;
};

// What its device knows of a queue, under the device's lock.
class Seat {
 private:
  friend class Device;
  friend struct TestAccess;
  bool present = false;
  bool ready = false;
  bool shares_limit = false;
  Priority priority = PRIORITY_DEFAULT;
  // Its part in a floor and a weight; null if it has neither.
  ModelShare* share = nullptr;
  // The launches that the device has been seen to have finished.
  uint64_t drained = 0;
  int64_t ready_since_ns = 0;
  // How long it usually stays ready; 0 if it is not known.
  int64_t usual_ready_ns = 0;
  // Device time that was reported of what it has done since it is ready.
  int64_t used_ns = 0;
  // When the watcher is to look at it, and when it last did.
  int64_t next_look_ns = 0;
  int64_t looked_ns = 0;
  // Links of the ready queues of a priority, of all ready queues by their last
  // look, and of the queues of a priority that launches wait in.
  struct Link {
    Queue* previous = nullptr;
    Queue* next = nullptr;
  };
  Link of_level;
  Link of_watch;
  Link of_waiting;
  Waiter* waiters = nullptr;
};

// What whoever looks at the device for a queue remembers. One thread at a time:
// the one that has taken 'looking'.
class Looks {
 private:
  friend class Readiness;
  friend struct TestAccess;
  std::atomic<bool> looking{false};
  // The launches seen last, and when that number changed.
  uint64_t launches = 0;
  int64_t since_ns = 0;
  // When the last look was, and when the queue was last known to have work.
  int64_t looked_ns = 0;
  int64_t busy_ns = 0;
};

// One stream under the scheduler. Every field that launches use without a lock
// is atomic and says who writes it; everything else belongs to one of the
// classes that it is made of.
//
// A launch that runs while its queue is destroyed reads a valid, if strange,
// queue: the pool never frees one, and the generation tells one life of it from
// the next.
struct alignas(64) Queue {
  static constexpr int kMaxForeign = 8;

  // What every launch looks at, in one cache line: the driver leaves little of
  // the scheduler in the caches between two launches.

  // Launches that were asked for, and launches that have returned from the
  // driver or were given up. Both only grow, also from one life to the next.
  // The device has nothing to do if a synchronisation that began at launched =
  // n succeeded and submitted, less what waits, is n.
  std::atomic<uint64_t> submitted{0};
  std::atomic<uint64_t> launched{0};
  // Written by the registry when a life begins; the stream also when it ends.
  std::atomic<uint64_t> stream{0};
  std::atomic<Context*> context{nullptr};
  std::atomic<const Turn*> turn{nullptr};
  std::atomic<uint32_t> generation{0};
  // Counts the times the queue became ready. Written by the device.
  std::atomic<uint32_t> epoch{0};
  // Written by the device, under its lock.
  std::atomic<int16_t> priority{PRIORITY_DEFAULT};
  std::atomic<uint8_t> held_back{0};
  std::atomic<bool> ready{false};
  // Written by the registry, under its lock.
  std::atomic<bool> scheduled{false};
  // Work is in flight that was launched while no limit applied. Set by
  // launches.
  std::atomic<bool> uncounted{false};

  // Calls of it that have not been made yet; null until there are any.
  std::atomic<CommandBuffer*> ahead{nullptr};

  // Of a queue that the limit in flight applies to.
  Flight flight;
  KernelTimer timer{{&submitted, &launched}};
  std::atomic<uint32_t> slow_passes{0};
  // It is about to put a launch in flight whose time is not known.
  std::atomic<bool> tries_unknown{false};
  // It has launched kernels while the limit applied: it takes a share of it.
  std::atomic<bool> shares_limit{false};
  std::atomic<int64_t> max_launches{0};
  // Its floor has a slice of the device, and so it may launch whatever its
  // priority. Written by the device, under its lock.
  std::atomic<bool> in_slice{false};
  // It has a weight, and it is another's turn. Written by the device, under its
  // lock.
  std::atomic<bool> passed_over{false};

  // Launches that wait for their turn. Written by the device, under its lock.
  std::atomic<uint32_t> waiting{0};
  // Streams without a queue of their own whose launches belong to this one.
  // Added by launches, cleared by the device when the queue turns idle.
  std::atomic<uint64_t> foreign[kMaxForeign] = {};
  // There was no place for one.
  std::atomic<bool> foreign_overflow{false};
  // Of the streams that cannot be asked.
  StreamEnds ends;
  std::atomic<uint64_t> suspender{0};
  std::atomic<bool> app_synchronizes{false};
  // The handle of its Owner; 0 if it has none. Written by the registry.
  std::atomic<uint64_t> owner{0};

  // Counters, relaxed: read only for people.
  std::atomic<uint64_t> launches_before{0};  // of earlier lives, or given up
  std::atomic<int64_t> blocked{0};
  std::atomic<int64_t> blocked_ns{0};
  std::atomic<int64_t> preemptions{0};

  Looks looks;
  Seat seat;
  Entry entry;

  // Whether it stands for its owner's work in the default streams of a context.
  bool IsVirtual() const
  {
    return IsVirtualStream(stream.load(std::memory_order_relaxed));
  }

  Context* Home() const
  {
    // Acquire: a context is complete before a queue leads to it.
    return context.load(std::memory_order_acquire);
  }
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_QUEUE_H_
