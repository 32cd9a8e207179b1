// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_SCHEDULER_H_
#define XSCHED_PREEMPT_SCHEDULER_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "domain/member.h"
#include "preempt/command_buffer.h"
#include "preempt/export.h"
#include "preempt/gate.h"
#include "preempt/queue.h"
#include "preempt/readiness.h"
#include "preempt/registry.h"
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
  int floor;  // percent of the device's time, which its model's queues share
  int weight;
  // Their device time of the last two seconds; 0 without a floor or a weight.
  int64_t recent_ns;
  std::string name;
  XQueueStats stats;
  // Calls that are kept, and what has become of others: XSCHED_RUN_AHEAD.
  uint64_t pending = 0;
  CommandBuffer::Counters ahead;
};

// What a person sees of the process in the scheduling domain of a device.
struct DomainReport {
  int device;
  domain::Member::Report process;
};

// The scheduler of the process as its interfaces see it: the C interface and
// the control socket above, the shim below. It puts together what has a state
// of its own:
//
//   Registry   which queues there are: handles, streams, lives
//   Device     which queues are ready, and whose turn it is, by its Policy
//   Gate       where launches wait
//   Readiness  how it becomes known that a queue has nothing left to do; the
//              Watcher looks; StreamEnds: the same for streams that nobody
//              can ask
//   Flight     what a queue has on the device; Durations, KernelTimer: how long
//              that takes
//
// Locks, in the order in which they are taken: the registry's, a device's, a
// flight's, a command buffer's or that of a queue's stream ends, an event pool's.
// Nothing calls the driver or waits with one held.
// One instance, never destroyed.
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
  // What is about floors: see Registry. 'refusal' may be null.
  XResult SetFloor(
      XQueueHandle handle, int percent, FloorRefusal* refusal = nullptr);
  XResult SetName(XQueueHandle handle, const std::string& name);

  // --- owners -----------------------------------------------------------
  XResult CreateOwner(
      const std::string& name, Priority priority, uint64_t* owner);
  // Its queues go with it.
  XResult DestroyOwner(uint64_t owner);
  // The calling thread works for it from now on; 0: for nobody. Whom it worked
  // for is returned.
  uint64_t ExchangeOwnerOfThread(uint64_t owner);
  // The priority of queues to come of owners whose name 'matches' is true of.
  // Those names are returned, with the priorities before.
  template <typename Matches>
  std::vector<std::pair<std::string, Priority>> SetPriorityOfOwners(
      const Matches& matches, Priority priority)
  {
    return registry_.SetPriorityOfOwners(matches, priority);
  }
  bool SetFloorOfModel(
      const std::string& model, int percent, FloorRefusal* refusal,
      std::vector<std::pair<std::string, int>>* owners)
  {
    return registry_.SetFloorOfModel(model, percent, refusal, owners);
  }
  XResult SetFloorOfOwner(uint64_t owner, int percent);
  XResult FloorOfOwner(uint64_t owner, int* percent)
  {
    return registry_.FloorOfOwner(owner, percent);
  }
  XResult SetWeight(XQueueHandle handle, int weight)
  {
    return registry_.SetWeight(handle, weight);
  }
  void SetWeightOfModel(
      const std::string& model, int weight,
      std::vector<std::pair<std::string, int>>* owners)
  {
    registry_.SetWeightOfModel(model, weight, owners);
  }
  XResult SetWeightOfOwner(uint64_t owner, int weight)
  {
    return registry_.SetWeightOfOwner(owner, weight);
  }
  XResult WeightOfOwner(uint64_t owner, int* weight)
  {
    return registry_.WeightOfOwner(owner, weight);
  }
  // False if there is none of that handle.
  bool DescribeOwner(uint64_t owner, std::string* name, Priority* priority);
  // In a process all of whose work is to be scheduled: whoever has no owner
  // works for one of this name, which may be empty, priority, floor and weight.
  // The last two need a name.
  void AdoptAll(
      const std::string& name, Priority priority, int floor, int weight);
  // Gives the queue to the owner of the calling thread, if it has one: then
  // true.
  bool GiveToOwnerOfThread(XQueueHandle queue);
  // To the one that AdoptAll has made.
  bool GiveToOwnerOfProcess(XQueueHandle queue);
  // Whether it was made for an owner.
  bool HasOwner(XQueueHandle queue) const;
  XResult Suspend(XQueueHandle handle, bool wait);
  XResult Resume(XQueueHandle handle);
  XResult WaitAll(XQueueHandle handle);
  XResult QueryState(XQueueHandle handle, XQueueState* state);
  XResult Report(XQueueHandle handle, QueueReport* report);
  // All queues, in the order of their ids. Calls no driver.
  std::vector<QueueReport> ReportAll();
  // Of each device that is in a domain.
  std::vector<DomainReport> ReportDomains();

  // How many things run unscheduled although they should not. Relaxed: for
  // people.
  void AddUnscheduled(int count)
  {
    unscheduled_.fetch_add(count, std::memory_order_relaxed);
  }
  int Unscheduled() const
  {
    return unscheduled_.load(std::memory_order_relaxed);
  }

  XResult SetPolicy(XSchedulerType scheduler, XPolicyType type);
  const char* PolicyName() const;
  // As XSCHED_SCHEDULER names it: what is in force.
  const char* SchedulerName() const;
  // Where the process's XQueues come from: the application makes them
  // (explicit), each stream gets one (transparent), or hooks say whose each one
  // is (hooked).
  const char* ModeName() const;
  void AnnounceHooks() { hooked_.store(true, std::memory_order_relaxed); }
  // Whether scheduling is left to the application.
  bool AppSchedules() const;

  // --- called around the driver's functions ----------------------------
  // The queue of a stream; null if it has none.
  Queue* Find(uint64_t stream) const;
  // The queue that the calling thread works for in this context, or null.
  Queue* CurrentOfThread(uint64_t context) const;
  // The queue of the thread's work in a stream without one. If it is null,
  // 'adopts' says whether it is to be made: MakeDefaultOfThread.
  Queue* OfThread(uint64_t context, bool in_default_stream, bool* adopts) const;
  // The queue of the default streams of a context for the owner that the
  // calling thread works for; null if there is none.
  Queue* DefaultOfThread(uint64_t context) const;
  // The same, made if it does not exist yet. Null if the thread works for
  // nobody, or if there are too many queues.
  Queue* MakeDefaultOfThread(Hardware* hardware, int device, uint64_t context);
  // Whether the thread may have such a queue.
  static bool ThreadHasOwner();
  // Whether that is one of its own, and not the process's.
  static bool ThreadHasOwnOwner();
  // Whether there is any queue at all.
  static bool Active()
  {
    // Relaxed: a thread that creates a queue and then launches sees its own
    // write; other threads have no order to rely on.
    return Registry::scheduled.load(std::memory_order_relaxed) != 0;
  }

  // Whether a launch would pass the gate without a closer look.
  static bool PassesAtOnce(const Queue& queue)
  {
    const Decision turn = queue.turn.load(std::memory_order_relaxed)->Get();
    const int priority = queue.priority.load(std::memory_order_relaxed);
    return queue.held_back.load(std::memory_order_relaxed) == 0 &&
           priority >= turn.open_from && priority >= turn.bounded_below;
  }
  // Waits until the queue may launch what 'key' gives. AfterLaunch must
  // follow, unless the ticket says that it was deferred.
  template <typename Key>
  LaunchTicket BeforeLaunch(
      Queue* queue, uint64_t stream, const Key& key,
      Patience patience = Patience::kWaits)
  {
    if (Disabled()) {
      return LaunchTicket();
    }
    const uint8_t held_back = queue->held_back.load(std::memory_order_relaxed);
    // Sequentially consistent, as is what follows: see Device::TryToBeIdle.
    queue->submitted.fetch_add(1, std::memory_order_seq_cst);
    // One that is held back is ready when its launch goes: see Gate.
    if (!queue->ready.load(std::memory_order_seq_cst) && held_back == 0) {
      MarkReady(queue);
    }
    RememberWork(queue);
    LaunchTicket ticket;
    const Decision turn = queue->turn.load(std::memory_order_relaxed)->Get();
    const int priority = queue->priority.load(std::memory_order_relaxed);
    if (held_back != 0 || priority < turn.open_from ||
        priority < turn.bounded_below) {
      ticket = Gate::Pass(queue, stream, key(), patience);
      if (ticket.deferred) {
        return ticket;
      }
    } else if (!queue->uncounted.load(std::memory_order_relaxed)) {
      queue->uncounted.store(true, std::memory_order_relaxed);
    }
    // After the wait, in which the queue may turn idle and forget them.
    if (stream != queue->stream.load(std::memory_order_relaxed)) {
      ticket.unasked = !Readiness::AddForeign(queue, stream);
    }
    return ticket;
  }
  void AfterLaunch(
      Queue* queue, uint64_t stream, LaunchTicket ticket, bool launched)
  {
    if (ticket.unasked) {
      RecordEnd(queue, stream);
    }
    AfterWork(queue);
    if (ticket.counted) {
      Gate::AfterLaunch(queue, stream, ticket, launched);
    }
  }
  // A copy or another operation that is work, but never waits. True if
  // RecordEnd must follow before AfterWork.
  bool BeforeWork(Queue* queue, uint64_t stream = 0);
  void AfterWork(Queue* queue)
  {
    // Release: see Readiness::Launched.
    queue->launched.fetch_add(1, std::memory_order_release);
  }

  // The queue's stream is about to be captured: until that ends, it cannot be
  // asked for what it has now.
  void BeforeCapture(Queue* queue);
  // The same for the legacy streams, as long as anything is captured, and after
  // a launch into one of them meanwhile.
  void BeforeCaptures();
  void RecordEnd(Queue* queue, uint64_t stream)
  {
    if (!Disabled()) {
      Readiness::RecordEnd(queue, stream);
    }
  }

  // The calling thread has work in the queue, or is about to.
  static void RememberWork(Queue* queue);
  // Whether the thread has some in a queue that keeps this one from launching.
  static bool HasOwnWorkAbove(const Queue& queue);

  uint64_t Launched(const Queue* queue) const
  {
    return Readiness::Launched(*queue);
  }
  // 'stream' is one without a queue of its own that has finished, too.
  void Finished(Queue* queue, uint64_t launched, uint64_t stream = 0);
  bool Drained(Queue* queue, uint64_t launched);
  // Everything that was launched in a context before a call has finished.
  std::vector<std::pair<Queue*, uint64_t>> LaunchedIn(uint64_t context);

  void RecordedEvent(uint64_t event, Queue* queue, uint64_t stream);
  void ForgetEvent(uint64_t event)
  {
    if (!Disabled()) {
      events_.Remove(event);
    }
  }
  void FinishedEvent(uint64_t event);
  // What a launch with this key does is about to change, or its handle to end.
  void ForgetDuration(const LaunchKey& key);
  // Handles of functions are about to end.
  void ForgetDurations();
  // They are about to be destroyed. When these return, the scheduler makes no
  // call about them any more.
  void ForgetStream(uint64_t stream);
  void ForgetContext(uint64_t context);

  // After fork: the child has no GPU, and no lock may be taken, as a thread
  // that the child does not have may hold it.
  void Disable();
  static bool Disabled()
  {
    // Relaxed: set by the only thread that there is.
    return disabled_.load(std::memory_order_relaxed);
  }
  // At the exit of the process, when the watchers stop: nobody sees any more that
  // a queue has ended, so none waits for another's end. What is kept, and what
  // is in flight, is waited for as ever.
  static void GoUnwatched()
  {
    unwatched_.store(true, std::memory_order_relaxed);
  }
  // Whether the process is in a gang, once it launches collectives: see
  // domain::Gang.
  static bool InGang()
  {
    // Relaxed: set before the first launch.
    return in_gang_.load(std::memory_order_relaxed);
  }
  // It is about to launch the first one, on that device. Gangs of one priority
  // take turns, as those with weights do.
  void JoinGang(Device* device);
  static bool Unwatched()
  {
    // Relaxed: whoever waits looks again and again.
    return unwatched_.load(std::memory_order_relaxed) || Disabled();
  }

 private:
  Scheduler();

  XResult Synchronize(Queue* queue);
  // Before the first queue of a device: other processes count from now on.
  void JoinDomain(Hardware* hardware, int device);
  static void MarkReady(Queue* queue);
  // Until what is kept of the queue has been launched: see CommandBuffer.
  static void AwaitKept(const Queue* queue);

  static std::atomic<bool> disabled_;
  static std::atomic<bool> unwatched_;
  static std::atomic<bool> in_gang_;
  // The owner of threads that have no other; null in most processes.
  static std::atomic<Owner*> process_owner_;

  Registry registry_;
  Table events_;
  std::atomic<XSchedulerType> scheduler_;
  std::atomic<int> unscheduled_{0};
  std::atomic<bool> hooked_{false};
  // The devices that have joined a domain, or tried to. With a lock of its own.
  std::mutex domain_mutex_;
  std::set<int> domain_devices_;
  std::atomic<bool> domain_failed_{false};
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_SCHEDULER_H_
