// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/scheduler.h"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "preempt/clock.h"
#include "preempt/futex.h"
#include "preempt/log.h"
#include "preempt/options.h"

namespace xsched {
namespace {

constexpr uint64_t kHwTag = UINT64_C(1) << 62;
constexpr uint64_t kXqTag = UINT64_C(2) << 62;

// A wait that is expected to end within this spins; a longer one sleeps first
// and spins at its end. Waking up takes some 50 microseconds, in which the
// device would have nothing to do.
constexpr int64_t kSpinNs = 150000;
// The longest spin without progress, and the naps after it.
constexpr int64_t kMaxSpinNs = 400000;
constexpr int64_t kNapNs = 200000;
// A queue whose work has finished while its owner is still launching is not
// idle. Nothing must have been launched for this long before the scheduler
// believes its own look at the device.
constexpr int64_t kQuietNs = 50000;
// How often to look where the application synchronises by itself.
constexpr int64_t kLazyPollNs = 500000;
// A launch waits for earlier launches of its own queue no longer than this
// without any of them finishing: their end may depend on this very thread.
constexpr int64_t kMaxRoomWaitNs = 100000000;

struct Worked {
  const Queue* queue;
  uint64_t epoch;
};

// What the calling thread has launched into, most recent first by 'next'.
struct ThreadState {
  static constexpr int kCount = 8;
  Worked worked[kCount];
  uint32_t next;
  Queue* current;
  uint32_t generation;
};

thread_local ThreadState this_thread = {};

void
RememberWork(Queue* queue)
{
  const uint64_t epoch = queue->epoch.load(std::memory_order_relaxed);
  ThreadState& state = this_thread;
  const Worked& last =
      state.worked[(state.next + ThreadState::kCount - 1) %
                   ThreadState::kCount];
  if (last.queue == queue && last.epoch == epoch) {
    return;
  }
  state.current = queue;
  state.generation = queue->generation.load(std::memory_order_relaxed);
  for (Worked& worked : state.worked) {
    if (worked.queue == queue) {
      worked.epoch = epoch;
      return;
    }
  }
  state.worked[state.next % ThreadState::kCount] = {queue, epoch};
  ++state.next;
}

// Whether the calling thread has launched some of what keeps 'queue' ready.
bool
HasOwnWork(const Queue& queue)
{
  const uint64_t epoch = queue.epoch.load(std::memory_order_relaxed);
  for (const Worked& worked : this_thread.worked) {
    if (worked.queue == &queue && worked.epoch == epoch) {
      return true;
    }
  }
  return false;
}

uint64_t
ThreadId()
{
  return reinterpret_cast<uint64_t>(&this_thread);
}

// Brackets a wait, for the hardware's sake.
class WaitScope {
 public:
  explicit WaitScope(Hardware* hardware)
      : hardware_(hardware), state_(hardware->EnterWait())
  {
  }
  ~WaitScope() { hardware_->LeaveWait(state_); }
  WaitScope(const WaitScope&) = delete;
  WaitScope& operator=(const WaitScope&) = delete;

 private:
  Hardware* const hardware_;
  const int state_;
};

// Waits until no thread asks the driver about the queue any more.
void
AwaitPoll(Queue* queue)
{
  while (queue->being_polled.load(std::memory_order_seq_cst)) {
    sched_yield();
  }
}

// Sleeps while the gate holds 'gate', at most 'timeout_ns'.
void
SleepAtGate(Queue* queue, uint32_t gate, int64_t timeout_ns)
{
  // See ChangeGate.
  queue->sleepers.fetch_add(1, std::memory_order_seq_cst);
  FutexWait(&queue->gate, gate, timeout_ns);
  queue->sleepers.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace

Scheduler&
Scheduler::Get()
{
  // Never destroyed: launches may go on while the process exits.
  static Scheduler* scheduler = new Scheduler;
  return *scheduler;
}

Scheduler::Scheduler()
    : policy_(FindPolicy(GetOptions().scheduler, GetOptions().policy)),
      streams_(kMaxQueues * 4), events_(1 << 16)
{
}

// --- hardware queues and XQueues -------------------------------------------

uint64_t
Scheduler::Handle(const Queue* queue, uint64_t tag)
{
  const uint64_t generation =
      queue->generation.load(std::memory_order_relaxed);
  return tag | (generation << 16) | (queue->slot + 1);
}

Queue*
Scheduler::Resolve(uint64_t handle, uint64_t tag) const
{
  const uint64_t slot = (handle & 0xFFFF) - 1;
  if ((handle & (UINT64_C(3) << 62)) != tag || slot >= kMaxQueues) {
    return nullptr;
  }
  Queue* chunk =
      chunks_[slot / kChunk].load(std::memory_order_acquire);
  if (chunk == nullptr) {
    return nullptr;
  }
  Queue* queue = &chunk[slot % kChunk];
  return Handle(queue, tag) == handle &&
                 queue->alive.load(std::memory_order_acquire)
             ? queue
             : nullptr;
}

Device*
Scheduler::GetDevice(int id)
{
  for (const auto& device : devices_) {
    if (device->Id() == id) {
      return device.get();
    }
  }
  devices_.push_back(std::make_unique<Device>(id));
  return devices_.back().get();
}

XResult
Scheduler::CreateHwQueue(
    Hardware* hardware, int device, uint64_t context, uint64_t stream,
    HwQueueHandle* handle)
{
  std::lock_guard<std::mutex> lock(registry_mutex_);
  if (const uint64_t found = streams_.Find(stream)) {
    *handle = Handle(reinterpret_cast<Queue*>(found), kHwTag);
    return kXSchedSuccess;
  }
  if (free_slots_.empty()) {
    if (slot_count_ == kMaxQueues) {
      return kXSchedErrorNotAllowed;
    }
    Queue* chunk = new Queue[kChunk];
    for (uint32_t i = 0; i < kChunk; ++i) {
      chunk[i].slot = slot_count_ + i;
      free_slots_.push_back(slot_count_ + kChunk - 1 - i);
    }
    // Release: the queues are complete before a handle leads to them.
    chunks_[slot_count_ / kChunk].store(chunk, std::memory_order_release);
    slot_count_ += kChunk;
  }
  const uint32_t slot = free_slots_.back();
  Queue* queue = &chunks_[slot / kChunk].load(
      std::memory_order_relaxed)[slot % kChunk];
  if (!streams_.Insert(stream, reinterpret_cast<uint64_t>(queue))) {
    return kXSchedErrorNotAllowed;
  }
  free_slots_.pop_back();
  queue->generation.fetch_add(1, std::memory_order_relaxed);
  queue->stream.store(stream, std::memory_order_relaxed);
  queue->context = context;
  queue->hardware = hardware;
  queue->device = GetDevice(device);
  queue->alive.store(true, std::memory_order_release);
  *handle = Handle(queue, kHwTag);
  return kXSchedSuccess;
}

XResult
Scheduler::FindHwQueue(uint64_t stream, HwQueueHandle* handle)
{
  const uint64_t found = streams_.Find(stream);
  if (found == 0) {
    return kXSchedErrorNotFound;
  }
  *handle = Handle(reinterpret_cast<Queue*>(found), kHwTag);
  return kXSchedSuccess;
}

XResult
Scheduler::DestroyHwQueue(HwQueueHandle handle)
{
  std::lock_guard<std::mutex> lock(registry_mutex_);
  Queue* queue = Resolve(handle, kHwTag);
  if (queue == nullptr) {
    return kXSchedErrorNotFound;
  }
  if (queue->scheduled.load(std::memory_order_relaxed)) {
    return kXSchedErrorNotAllowed;
  }
  const uint64_t stream = queue->stream.exchange(0);
  if (stream != 0) {
    streams_.Remove(stream);
  }
  queue->alive.store(false, std::memory_order_release);
  free_slots_.push_back(queue->slot);
  return kXSchedSuccess;
}

XResult
Scheduler::SynchronizeHwQueue(HwQueueHandle handle)
{
  Queue* queue = Resolve(handle, kHwTag);
  return queue == nullptr ? kXSchedErrorNotFound
                          : WaitAll(Handle(queue, kXqTag));
}

XResult
Scheduler::CreateQueue(HwQueueHandle hwq, XQueueHandle* handle)
{
  std::lock_guard<std::mutex> lock(registry_mutex_);
  Queue* queue = Resolve(hwq, kHwTag);
  if (queue == nullptr) {
    return kXSchedErrorNotFound;
  }
  *handle = Handle(queue, kXqTag);
  if (queue->scheduled.load(std::memory_order_relaxed)) {
    return kXSchedSuccess;
  }
  if (queue->flight == nullptr) {
    queue->flight = std::make_unique<Flight>(queue->hardware);
  }
  queue->gate.store(0, std::memory_order_relaxed);
  queue->ready.store(false, std::memory_order_relaxed);
  queue->priority.store(PRIORITY_DEFAULT, std::memory_order_relaxed);
  queue->max_launches.store(0, std::memory_order_relaxed);
  queue->max_segment.store(0, std::memory_order_relaxed);
  queue->suspender.store(0, std::memory_order_relaxed);
  queue->uncounted.store(false, std::memory_order_relaxed);
  queue->app_synchronizes.store(false, std::memory_order_relaxed);
  queue->usual_ready_ns.store(0, std::memory_order_relaxed);
  queue->launches_before.store(
      queue->launched.load(std::memory_order_relaxed),
      std::memory_order_relaxed);
  queue->blocked.store(0, std::memory_order_relaxed);
  queue->blocked_ns.store(0, std::memory_order_relaxed);
  queue->preemptions.store(0, std::memory_order_relaxed);
  queue->name.clear();
  // Release: all of the above before a launch takes the queue seriously.
  queue->scheduled.store(true, std::memory_order_release);
  scheduled_.fetch_add(1, std::memory_order_relaxed);
  queue->device->Add(queue, *policy_.load(std::memory_order_acquire));
  return kXSchedSuccess;
}

XResult
Scheduler::FindQueueOf(HwQueueHandle hwq, XQueueHandle* handle)
{
  Queue* queue = Resolve(hwq, kHwTag);
  if (queue == nullptr ||
      !queue->scheduled.load(std::memory_order_acquire)) {
    return kXSchedErrorNotFound;
  }
  *handle = Handle(queue, kXqTag);
  return kXSchedSuccess;
}

XResult
Scheduler::DestroyQueue(XQueueHandle handle)
{
  Queue* queue = nullptr;
  {
    std::lock_guard<std::mutex> lock(registry_mutex_);
    queue = Resolve(handle, kXqTag);
    if (queue == nullptr ||
        !queue->scheduled.exchange(false, std::memory_order_seq_cst)) {
      return kXSchedErrorNotFound;
    }
    scheduled_.fetch_sub(1, std::memory_order_relaxed);
    queue->ready.store(false, std::memory_order_relaxed);
    queue->device->Remove(queue, *policy_.load(std::memory_order_acquire));
    for (auto& foreign : queue->foreign) {
      foreign.store(0, std::memory_order_relaxed);
    }
  }
  AwaitPoll(queue);
  queue->flight->Clear();
  return kXSchedSuccess;
}

#define XSCHED_FIND_QUEUE(queue, handle)                     \
  Queue* queue = Resolve(handle, kXqTag);                    \
  if (queue == nullptr ||                                    \
      !queue->scheduled.load(std::memory_order_acquire)) {   \
    return kXSchedErrorNotFound;                             \
  }                                                          \
  static_assert(true, "ends in a semicolon")

XResult
Scheduler::SetLimits(XQueueHandle handle, int64_t launches, int64_t segment)
{
  XSCHED_FIND_QUEUE(queue, handle);
  queue->max_launches.store(launches, std::memory_order_relaxed);
  queue->max_segment.store(segment, std::memory_order_relaxed);
  return kXSchedSuccess;
}

XResult
Scheduler::SetPriority(XQueueHandle handle, Priority priority)
{
  XSCHED_FIND_QUEUE(queue, handle);
  queue->device->Change(
      *policy_.load(std::memory_order_acquire), queue, [queue, priority] {
        queue->priority.store(priority, std::memory_order_relaxed);
      });
  return kXSchedSuccess;
}

XResult
Scheduler::SetName(XQueueHandle handle, const std::string& name)
{
  XSCHED_FIND_QUEUE(queue, handle);
  std::lock_guard<std::mutex> lock(queue->device->Lock());
  queue->name = name;
  return kXSchedSuccess;
}

XResult
Scheduler::Suspend(XQueueHandle handle, bool wait)
{
  XSCHED_FIND_QUEUE(queue, handle);
  queue->suspender.store(ThreadId(), std::memory_order_relaxed);
  ChangeGate(queue, 0, kGateSuspended);
  if (wait && !queue->hardware->Synchronize(
                  queue->stream.load(std::memory_order_relaxed),
                  queue->context)) {
    return kXSchedErrorHardware;
  }
  return kXSchedSuccess;
}

XResult
Scheduler::Resume(XQueueHandle handle)
{
  XSCHED_FIND_QUEUE(queue, handle);
  ChangeGate(queue, kGateSuspended, 0);
  return kXSchedSuccess;
}

XResult
Scheduler::WaitAll(XQueueHandle handle)
{
  Queue* queue = Resolve(handle, kXqTag);
  if (queue == nullptr) {
    return kXSchedErrorNotFound;
  }
  const uint64_t launched = Launched(queue);
  if (!queue->hardware->Synchronize(
          queue->stream.load(std::memory_order_relaxed), queue->context)) {
    return kXSchedErrorHardware;
  }
  Finished(queue, launched);
  return kXSchedSuccess;
}

XResult
Scheduler::QueryState(XQueueHandle handle, XQueueState* state)
{
  XSCHED_FIND_QUEUE(queue, handle);
  if (queue->ready.load(std::memory_order_relaxed)) {
    Poll(queue);
  }
  *state = queue->ready.load(std::memory_order_relaxed) ? kQueueStateReady
                                                        : kQueueStateIdle;
  return kXSchedSuccess;
}

XResult
Scheduler::Report(XQueueHandle handle, QueueReport* report)
{
  XSCHED_FIND_QUEUE(queue, handle);
  report->handle = handle;
  report->stream = queue->stream.load(std::memory_order_relaxed);
  report->device = queue->device->Id();
  report->ready = queue->ready.load(std::memory_order_relaxed);
  const uint64_t launched = queue->launched.load(std::memory_order_relaxed);
  report->waiting =
      queue->submitted.load(std::memory_order_relaxed) != launched;
  report->stats.launches = static_cast<int64_t>(
      launched - queue->launches_before.load(std::memory_order_relaxed));
  report->stats.blocked = queue->blocked.load(std::memory_order_relaxed);
  report->stats.blocked_ns = queue->blocked_ns.load(std::memory_order_relaxed);
  report->stats.preemptions =
      queue->preemptions.load(std::memory_order_relaxed);
  report->stats.in_flight_ns = queue->flight->InFlightNs();
  report->stats.priority = queue->priority.load(std::memory_order_relaxed);
  std::lock_guard<std::mutex> lock(queue->device->Lock());
  report->name = queue->name;
  return kXSchedSuccess;
}

std::vector<QueueReport>
Scheduler::ReportAll()
{
  std::vector<XQueueHandle> handles;
  {
    std::lock_guard<std::mutex> lock(registry_mutex_);
    for (uint32_t slot = 0; slot < slot_count_; ++slot) {
      const Queue& queue = chunks_[slot / kChunk].load(
          std::memory_order_relaxed)[slot % kChunk];
      if (queue.scheduled.load(std::memory_order_relaxed)) {
        handles.push_back(Handle(&queue, kXqTag));
      }
    }
  }
  std::vector<QueueReport> reports;
  for (const XQueueHandle handle : handles) {
    QueueReport report;
    XQueueState state;
    // A queue that is destroyed meanwhile is left out.
    if (QueryState(handle, &state) == kXSchedSuccess &&
        Report(handle, &report) == kXSchedSuccess) {
      reports.push_back(report);
    }
  }
  return reports;
}

XResult
Scheduler::SetPolicy(XSchedulerType scheduler, XPolicyType type)
{
  const Policy* policy = FindPolicy(scheduler, type);
  if (policy == nullptr) {
    return kXSchedErrorNotSupported;
  }
  std::lock_guard<std::mutex> lock(registry_mutex_);
  policy_.store(policy, std::memory_order_release);
  for (const auto& device : devices_) {
    device->Change(*policy, nullptr, [] {});
  }
  return kXSchedSuccess;
}

const char*
Scheduler::PolicyName() const
{
  return policy_.load(std::memory_order_acquire)->Name();
}

// --- the gate ---------------------------------------------------------------

Queue*
Scheduler::Find(uint64_t stream) const
{
  Queue* queue = reinterpret_cast<Queue*>(streams_.Find(stream));
  return queue != nullptr && queue->scheduled.load(std::memory_order_acquire)
             ? queue
             : nullptr;
}

Queue*
Scheduler::CurrentOfThread(uint64_t context) const
{
  Queue* queue = this_thread.current;
  return queue != nullptr &&
                 queue->generation.load(std::memory_order_relaxed) ==
                     this_thread.generation &&
                 queue->scheduled.load(std::memory_order_acquire) &&
                 queue->context == context
             ? queue
             : nullptr;
}

void
Scheduler::BeforeLaunch(Queue* queue, uint64_t stream, const LaunchKey& key)
{
  BeforeWork(queue);
  if (stream != queue->stream.load(std::memory_order_relaxed)) {
    AddForeign(queue, stream);
  }
  // Acquire: what the thread that opened the gate did comes before.
  const uint32_t gate = queue->gate.load(std::memory_order_acquire);
  if (gate == 0 || disabled_.load(std::memory_order_relaxed)) {
    return;
  }
  Pass(queue, stream);
  if ((queue->gate.load(std::memory_order_relaxed) & kGateBounded) != 0) {
    queue->flight->Begin(
        {queue->device->GetDurations()->Find(key), stream},
        GetOptions().inflight_ns);
  }
}

void
Scheduler::AfterLaunch(Queue* queue)
{
  AfterWork(queue);
  if ((queue->gate.load(std::memory_order_relaxed) & kGateBounded) != 0 &&
      !disabled_.load(std::memory_order_relaxed)) {
    queue->flight->End(
        GetOptions().inflight_ns,
        queue->max_segment.load(std::memory_order_relaxed));
  }
}

void
Scheduler::BeforeWork(Queue* queue)
{
  if (disabled_.load(std::memory_order_relaxed)) {
    return;
  }
  // Sequentially consistent with MarkIdle: either it sees this launch, or
  // this launch sees that the queue is idle.
  queue->submitted.fetch_add(1, std::memory_order_seq_cst);
  if (!queue->ready.load(std::memory_order_seq_cst)) {
    MarkReady(queue);
  }
  RememberWork(queue);
}

void
Scheduler::AfterWork(Queue* queue)
{
  // Release: see Launched.
  queue->launched.fetch_add(1, std::memory_order_release);
}

void
Scheduler::Pass(Queue* queue, uint64_t stream)
{
  int64_t began_ns = 0;
  for (;;) {
    const uint32_t gate = queue->gate.load(std::memory_order_acquire);
    if ((gate & kGateWait) != 0) {
      if (began_ns == 0) {
        began_ns = NowNs();
        queue->blocked.fetch_add(1, std::memory_order_relaxed);
      }
      if (!WaitForTurn(queue)) {
        break;
      }
    } else if (
        (gate & kGateBounded) == 0 ||
        (WaitForRoom(queue, stream) &&
         // While this launch waited for room, its turn may have ended.
         (queue->gate.load(std::memory_order_acquire) & kGateWait) == 0)) {
      break;
    }
  }
  if (began_ns != 0) {
    queue->blocked_ns.fetch_add(
        NowNs() - began_ns, std::memory_order_relaxed);
  }
}

bool
Scheduler::WaitForTurn(Queue* queue)
{
  WaitScope scope(queue->hardware);
  queue->flight->Disturb();
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
      SleepAtGate(queue, gate, kNapNs * 50);
      continue;
    }
    queue->device->Blockers(
        *policy_.load(std::memory_order_acquire), *queue, &blockers);
    blockers.erase(
        std::remove_if(
            blockers.begin(), blockers.end(),
            [](const Queue* other) { return HasOwnWork(*other); }),
        blockers.end());
    if (blockers.empty()) {
      return false;  // a thread never waits for its own work
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
      SleepAtGate(queue, gate, rest_ns - kSpinNs);
      spin_since_ns = NowNs();
      continue;
    }
    if (now_ns - spin_since_ns > kMaxSpinNs) {
      SleepAtGate(queue, gate, kNapNs);
      continue;
    }
    // A look at the device's list every few microseconds is enough.
    const int64_t until_ns = now_ns + 5000;
    while (NowNs() < until_ns &&
           queue->gate.load(std::memory_order_relaxed) == gate) {
      SpinPause();
    }
  }
}

bool
Scheduler::WaitForRoom(Queue* queue, uint64_t stream)
{
  Flight* flight = queue->flight.get();
  const int64_t limit_ns = GetOptions().inflight_ns;
  const int64_t max_launches =
      queue->max_launches.load(std::memory_order_relaxed);
  if (queue->uncounted.exchange(false, std::memory_order_relaxed)) {
    flight->AddUnknown(stream, limit_ns);
  }
  int64_t rest_ns = flight->Admit(limit_ns, max_launches);
  if (rest_ns == 0) {
    return true;
  }
  WaitScope scope(queue->hardware);
  int64_t since_ns = NowNs();
  int64_t in_flight_ns = flight->InFlightNs();
  do {
    if (queue->gate.load(std::memory_order_relaxed) & kGateWait) {
      return false;  // another queue's turn: sleep there, don't spin here
    }
    const int64_t now_ns = NowNs();
    if (const int64_t left_ns = flight->InFlightNs();
        left_ns != in_flight_ns) {
      in_flight_ns = left_ns;
      since_ns = now_ns;
    }
    if (now_ns - since_ns > kMaxRoomWaitNs) {
      flight->Clear();
      return true;
    }
    if (rest_ns > 2 * kSpinNs) {
      struct timespec nap = {0, static_cast<long>(std::min<int64_t>(
                                    rest_ns - kSpinNs, 5000000))};
      nanosleep(&nap, nullptr);
    } else if (now_ns - since_ns > 20 * kMaxSpinNs) {
      struct timespec nap = {0, static_cast<long>(kNapNs)};
      nanosleep(&nap, nullptr);
    } else {
      SpinPause();
    }
    rest_ns = flight->Admit(limit_ns, max_launches);
  } while (rest_ns != 0);
  return true;
}

// --- readiness --------------------------------------------------------------

void
Scheduler::MarkReady(Queue* queue)
{
  if (!queue->scheduled.load(std::memory_order_acquire)) {
    return;
  }
  queue->device->Change(
      *policy_.load(std::memory_order_acquire), queue, [queue] {
        if (queue->ready.exchange(true, std::memory_order_seq_cst)) {
          return;
        }
        queue->epoch.fetch_add(1, std::memory_order_relaxed);
        queue->ready_since_ns.store(NowNs(), std::memory_order_relaxed);
      });
}

void
Scheduler::MarkIdle(Queue* queue, uint64_t launched)
{
  queue->device->Change(
      *policy_.load(std::memory_order_acquire), nullptr, [queue, launched] {
        if (!queue->ready.load(std::memory_order_relaxed)) {
          return;
        }
        queue->ready.store(false, std::memory_order_seq_cst);
        if (queue->submitted.load(std::memory_order_seq_cst) != launched) {
          queue->ready.store(true, std::memory_order_seq_cst);
          return;
        }
        const int64_t took_ns =
            NowNs() - queue->ready_since_ns.load(std::memory_order_relaxed);
        const int64_t usual_ns =
            queue->usual_ready_ns.load(std::memory_order_relaxed);
        queue->usual_ready_ns.store(
            usual_ns == 0 ? took_ns : usual_ns + (took_ns - usual_ns) / 4,
            std::memory_order_relaxed);
      });
}

void
Scheduler::Finished(Queue* queue, uint64_t launched)
{
  if (disabled_.load(std::memory_order_relaxed) ||
      !queue->ready.load(std::memory_order_relaxed) ||
      queue->submitted.load(std::memory_order_relaxed) != launched ||
      !ForeignDone(queue)) {
    return;
  }
  queue->app_synchronizes.store(true, std::memory_order_relaxed);
  queue->uncounted.store(false, std::memory_order_relaxed);
  queue->flight->Finished();
  MarkIdle(queue, launched);
}

void
Scheduler::Poll(Queue* queue)
{
  // One thread at a time asks the driver about a queue. Sequentially
  // consistent with AwaitPoll: either this thread sees that the queue or its
  // stream is gone, or the one that destroys it waits for this one.
  if (queue->being_polled.exchange(true, std::memory_order_seq_cst)) {
    return;
  }
  if (!queue->scheduled.load(std::memory_order_seq_cst)) {
    queue->being_polled.store(false, std::memory_order_release);
    return;
  }
  const int64_t now_ns = NowNs();
  const uint64_t launched = Launched(queue);
  const int64_t quiet_ns =
      queue->app_synchronizes.load(std::memory_order_relaxed) ? kLazyPollNs
                                                              : kQuietNs;
  if (queue->polled_launches.exchange(launched, std::memory_order_relaxed) !=
      launched) {
    queue->polled_since_ns.store(now_ns, std::memory_order_relaxed);
  } else if (
      now_ns - queue->polled_since_ns.load(std::memory_order_relaxed) >=
          quiet_ns &&
      queue->submitted.load(std::memory_order_relaxed) == launched) {
    const uint64_t stream = queue->stream.load(std::memory_order_seq_cst);
    const Progress progress =
        stream == 0 ? Progress::kDone
                    : queue->hardware->QueryStream(stream, queue->context);
    // A device that fails will never finish: nobody may wait for it.
    if (progress == Progress::kFailed ||
        (progress == Progress::kDone && ForeignDone(queue))) {
      MarkIdle(queue, launched);
    } else {
      queue->polled_since_ns.store(
          now_ns - quiet_ns + kQuietNs, std::memory_order_relaxed);
    }
  }
  queue->being_polled.store(false, std::memory_order_release);
}

void
Scheduler::AddForeign(Queue* queue, uint64_t stream)
{
  for (auto& foreign : queue->foreign) {
    uint64_t known = foreign.load(std::memory_order_relaxed);
    if (known == stream ||
        (known == 0 && foreign.compare_exchange_strong(
                           known, stream, std::memory_order_relaxed)) ||
        known == stream) {
      return;
    }
  }
  // No place: the stream's work is scheduled, but not waited for at the end.
}

bool
Scheduler::ForeignDone(Queue* queue)
{
  for (auto& foreign : queue->foreign) {
    uint64_t stream = foreign.load(std::memory_order_seq_cst);
    if (stream == 0) {
      continue;
    }
    if (queue->hardware->QueryStream(stream, queue->context) ==
        Progress::kBusy) {
      return false;
    }
    foreign.compare_exchange_strong(stream, 0, std::memory_order_relaxed);
  }
  return true;
}

std::vector<std::pair<Queue*, uint64_t>>
Scheduler::LaunchedIn(uint64_t context)
{
  std::vector<std::pair<Queue*, uint64_t>> launched;
  std::lock_guard<std::mutex> lock(registry_mutex_);
  for (uint32_t slot = 0; slot < slot_count_; ++slot) {
    Queue* queue = &chunks_[slot / kChunk].load(
        std::memory_order_relaxed)[slot % kChunk];
    if (queue->scheduled.load(std::memory_order_relaxed) &&
        queue->context == context &&
        queue->ready.load(std::memory_order_relaxed)) {
      launched.emplace_back(queue, Launched(queue));
    }
  }
  return launched;
}

void
Scheduler::RecordedEvent(uint64_t event, Queue* queue)
{
  if (queue == nullptr) {
    events_.Remove(event);
    return;
  }
  // A table that is full only costs the shortcut: polling notices as well.
  events_.Insert(
      event, (static_cast<uint64_t>(queue->slot + 1) << 48) |
                 (Launched(queue) & ((UINT64_C(1) << 48) - 1)));
}

void
Scheduler::FinishedEvent(uint64_t event)
{
  const uint64_t value = events_.Find(event);
  if (value == 0) {
    return;
  }
  const uint64_t slot = (value >> 48) - 1;
  Queue* queue = &chunks_[slot / kChunk].load(
      std::memory_order_acquire)[slot % kChunk];
  if (queue->scheduled.load(std::memory_order_acquire)) {
    Finished(queue, value & ((UINT64_C(1) << 48) - 1));
  }
}

void
Scheduler::ForgetStream(uint64_t stream)
{
  std::vector<Queue*> owners;
  {
    std::lock_guard<std::mutex> lock(registry_mutex_);
    if (const uint64_t found = streams_.Find(stream)) {
      streams_.Remove(stream);
      Queue* queue = reinterpret_cast<Queue*>(found);
      queue->stream.store(0, std::memory_order_seq_cst);
      owners.push_back(queue);
    }
    for (uint32_t slot = 0; slot < slot_count_; ++slot) {
      Queue* queue = &chunks_[slot / kChunk].load(
          std::memory_order_relaxed)[slot % kChunk];
      for (auto& foreign : queue->foreign) {
        uint64_t expected = stream;
        if (foreign.compare_exchange_strong(
                expected, 0, std::memory_order_seq_cst)) {
          owners.push_back(queue);
        }
      }
    }
  }
  for (Queue* queue : owners) {
    AwaitPoll(queue);
    if (queue->flight != nullptr) {
      queue->flight->DropStream(stream);
    }
    // The driver finishes what a destroyed stream holds by itself; nobody can
    // ask for it any more.
    if (queue->stream.load(std::memory_order_relaxed) == 0 &&
        queue->scheduled.load(std::memory_order_acquire)) {
      MarkIdle(queue, Launched(queue));
    }
  }
}

void
Scheduler::ForgetContext(uint64_t context)
{
  std::vector<uint64_t> streams;
  {
    std::lock_guard<std::mutex> lock(registry_mutex_);
    for (uint32_t slot = 0; slot < slot_count_; ++slot) {
      const Queue& queue = chunks_[slot / kChunk].load(
          std::memory_order_relaxed)[slot % kChunk];
      const uint64_t stream = queue.stream.load(std::memory_order_relaxed);
      if (queue.alive.load(std::memory_order_relaxed) &&
          queue.context == context && stream != 0) {
        streams.push_back(stream);
      }
    }
  }
  for (const uint64_t stream : streams) {
    ForgetStream(stream);
  }
}

void
Scheduler::Disable()
{
  disabled_.store(true, std::memory_order_relaxed);
}

}  // namespace xsched
