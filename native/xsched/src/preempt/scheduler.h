// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_SCHEDULER_H_
#define XSCHED_PREEMPT_SCHEDULER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "preempt/device.h"
#include "preempt/durations.h"
#include "preempt/event_pool.h"
#include "preempt/export.h"
#include "preempt/policy.h"
#include "preempt/queue.h"
#include "preempt/table.h"
#include "xsched/ext.h"
#include "xsched/types.h"

namespace xsched {

// What a person sees of a queue.
struct QueueReport {
  XQueueHandle handle;
  uint64_t id;  // counts up from 1, is never used again
  uint64_t stream;
  int device;
  bool ready;
  bool waiting;  // a launch has not returned from the driver yet
  bool blocked;  // and that is because of the policy or the priority
  bool suspended;
  std::string name;
  XQueueStats stats;
};

// What BeforeLaunch tells AfterLaunch.
struct LaunchTicket {
  bool timed = false;
};

// The queues of the process and the gate that their launches pass. One
// instance, never destroyed.
//
// Locks: registry_mutex_ before a device's lock, and that before what is in
// flight of a queue; nothing calls the driver or
// waits with either held.
class XSCHED_INTERNAL Scheduler {
 public:
  static Scheduler& Get();

  // --- hardware queues and XQueues -------------------------------------
  XResult CreateHwQueue(
      Hardware* hardware, int device, uint64_t context, uint64_t stream,
      HwQueueHandle* handle);
  XResult FindHwQueue(uint64_t stream, HwQueueHandle* handle);
  XResult DestroyHwQueue(HwQueueHandle handle);
  XResult SynchronizeHwQueue(HwQueueHandle handle);
  XResult CreateQueue(HwQueueHandle hwq, XQueueHandle* handle);
  XResult FindHwQueueOf(XQueueHandle xq, HwQueueHandle* hwq);
  bool IsHwQueue(HwQueueHandle hwq) const;
  XResult FindQueueOf(HwQueueHandle hwq, XQueueHandle* handle);
  XResult DestroyQueue(XQueueHandle handle);

  XResult SetMaxLaunches(XQueueHandle handle, int64_t launches);
  XResult SetPriority(XQueueHandle handle, Priority priority);
  XResult SetName(XQueueHandle handle, const std::string& name);
  XResult Suspend(XQueueHandle handle, bool wait);
  XResult Resume(XQueueHandle handle);
  XResult WaitAll(XQueueHandle handle);
  XResult QueryState(XQueueHandle handle, XQueueState* state);
  XResult Report(XQueueHandle handle, QueueReport* report);
  // All queues, in the order of their ids. Calls no driver: what nobody has
  // noticed yet is not in it.
  std::vector<QueueReport> ReportAll();

  XResult SetPolicy(XSchedulerType scheduler, XPolicyType type);
  const char* PolicyName() const;
  // Whether scheduling is left to the application.
  bool AppSchedules() const;

  // --- called around the driver's functions ----------------------------
  // The queue of a stream; null if it has none.
  Queue* Find(uint64_t stream) const;
  // The queue that the calling thread works for in this context, or null.
  Queue* CurrentOfThread(uint64_t context) const;
  // Whether there is any queue at all.
  static bool
  Active()
  {
    // Relaxed: a thread that creates a queue and then launches sees its own
    // write; other threads have no order to rely on.
    return scheduled_.load(std::memory_order_relaxed) != 0;
  }

  // Waits until the queue may launch what 'key' gives. AfterLaunch must
  // follow.
  template <typename Key>
  LaunchTicket
  BeforeLaunch(Queue* queue, uint64_t stream, const Key& key)
  {
    BeforeWork(queue);
    if (stream != queue->stream.load(std::memory_order_relaxed)) {
      AddForeign(queue, stream);
    }
    // Acquire: what the thread that opened the gate did comes before.
    return queue->gate.load(std::memory_order_acquire) == 0
               ? LaunchTicket()
               : Pass(queue, stream, key());
  }
  void
  AfterLaunch(
      Queue* queue, uint64_t stream, LaunchTicket ticket, bool launched)
  {
    AfterWork(queue);
    if (ticket.timed) {
      AfterTimedLaunch(queue, stream, launched);
    }
  }
  // A copy or another operation that is work, but never waits.
  void BeforeWork(Queue* queue);
  void
  AfterWork(Queue* queue)
  {
    // Release: see Launched.
    queue->launched.fetch_add(1, std::memory_order_release);
  }

  // The number to pass to Finished or Drained if a synchronisation that begins
  // now succeeds.
  uint64_t
  Launched(const Queue* queue) const
  {
    // Acquire: work counted here was given to the driver before.
    return queue->launched.load(std::memory_order_acquire);
  }
  // The application has waited for the queue.
  void Finished(Queue* queue, uint64_t launched);
  // The device is seen to have finished the queue's work, which says nothing
  // about whether the application waits for it by itself. False if there is
  // more of it.
  bool Drained(Queue* queue, uint64_t launched);
  // Everything that was launched in a context before a call has finished.
  std::vector<std::pair<Queue*, uint64_t>> LaunchedIn(uint64_t context);

  void RecordedEvent(uint64_t event, Queue* queue);
  void
  ForgetEvent(uint64_t event)
  {
    if (!Disabled()) {
      events_.Remove(event);
    }
  }
  void FinishedEvent(uint64_t event);
  void ForgetStream(uint64_t stream);
  void ForgetContext(uint64_t context);

  // After fork: the child has no GPU, and no lock may be taken, as a thread
  // that the child does not have may hold it.
  void Disable();
  static bool
  Disabled()
  {
    // Relaxed: set by the only thread that there is.
    return disabled_.load(std::memory_order_relaxed);
  }

 private:
  static constexpr uint32_t kChunk = 64;
  static constexpr uint32_t kMaxQueues = 16384;

  Scheduler();

  Queue* Resolve(uint64_t handle, uint64_t tag) const;
  static uint64_t Handle(const Queue* queue, uint64_t tag);
  Device* GetDevice(int id);
  EventPool* GetEvents(Hardware* hardware, uint64_t context);

  void MarkReady(Queue* queue);
  // False if there is more work. 'busy_until_ns' is when it was last known to
  // have some.
  bool MarkIdle(Queue* queue, uint64_t launched, int64_t busy_until_ns);
  LaunchTicket Pass(Queue* queue, uint64_t stream, const LaunchKey& key);
  LaunchTicket PassSlowly(Queue* queue, uint64_t stream, const LaunchKey& key);
  void AfterTimedLaunch(Queue* queue, uint64_t stream, bool launched);
  bool WaitForTurn(Queue* queue);
  bool WaitForRoom(Queue* queue, uint64_t stream, const LaunchKey& key);
  void Poll(Queue* queue);
  void AddForeign(Queue* queue, uint64_t stream);
  // Asks the driver about a stream of the queue, as long as 'exists' says that
  // the queue still has it.
  template <typename Exists>
  static Progress Ask(
      const Queue& queue, uint64_t stream, const Exists& exists);
  static bool ForeignDone(const Queue& queue);

  // Number of XQueues. Static: where there are none, a launch looks at this
  // and at nothing else.
  static std::atomic<uint32_t> scheduled_;
  static std::atomic<bool> disabled_;

  std::atomic<const Policy*> policy_;
  Table streams_;
  Table events_;

  mutable std::mutex registry_mutex_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<std::unique_ptr<EventPool>> events_of_contexts_;
  std::vector<uint32_t> free_slots_;
  uint64_t last_id_ = 0;
  uint32_t slot_count_ = 0;
  std::atomic<Queue*> chunks_[kMaxQueues / kChunk] = {};
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_SCHEDULER_H_
