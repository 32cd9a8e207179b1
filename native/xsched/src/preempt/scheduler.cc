// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/scheduler.h"

#include <algorithm>
#include <utility>

#include "preempt/clock.h"
#include "preempt/inquiries.h"
#include "preempt/options.h"
#include "preempt/thread_work.h"

namespace xsched {
namespace {

constexpr uint64_t kHwTag = UINT64_C(1) << 62;
constexpr uint64_t kXqTag = UINT64_C(2) << 62;

}  // namespace

std::atomic<uint32_t> Scheduler::scheduled_{0};
std::atomic<bool> Scheduler::disabled_{false};

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

EventPool*
Scheduler::GetEvents(Hardware* hardware, uint64_t context)
{
  for (const auto& pool : events_of_contexts_) {
    if (pool->Context() == context && pool->GetHardware() == hardware) {
      return pool.get();
    }
  }
  events_of_contexts_.push_back(
      std::make_unique<EventPool>(hardware, context));
  return events_of_contexts_.back().get();
}

Device*
Scheduler::GetDevice(int id)
{
  for (const auto& device : devices_) {
    if (device->Id() == id) {
      return device.get();
    }
  }
  devices_.push_back(std::make_unique<Device>(id, policy_));
  return devices_.back().get();
}

XResult
Scheduler::CreateHwQueue(
    Hardware* hardware, int device, uint64_t context, uint64_t stream,
    HwQueueHandle* handle)
{
  if (Disabled()) {
    return kXSchedErrorNotAllowed;
  }
  std::lock_guard<std::mutex> lock(registry_mutex_);
  if (const uint64_t found = streams_.Find(stream)) {
    *handle = Handle(reinterpret_cast<Queue*>(found), kHwTag);
    return kXSchedSuccess;
  }
  if (free_slots_.empty()) {
    if (slot_count_ == kMaxQueues) {
      return kXSchedErrorNotAllowed;
    }
    // Whatever fails for want of memory fails before anything changes.
    free_slots_.reserve(slot_count_ + kChunk);
    Queue* chunk = new Queue[kChunk];
    for (uint32_t i = 0; i < kChunk; ++i) {
      chunk[i].slot = slot_count_ + i;
      free_slots_.push_back(slot_count_ + kChunk - 1 - i);
    }
    // Release: the queues are complete before a handle leads to them.
    chunks_[slot_count_ / kChunk].store(chunk, std::memory_order_release);
    slot_count_ += kChunk;
  }
  Device* const of_device = GetDevice(device);
  EventPool* const events = GetEvents(hardware, context);
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
  queue->device = of_device;
  queue->durations = of_device->GetDurations();
  queue->events = events;
  queue->flight.Attach(events, &queue->closures);
  queue->timer.Cancel();
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
  if (queue->scheduled.load(std::memory_order_relaxed)) {
    *handle = Handle(queue, kXqTag);
    return kXSchedSuccess;
  }
  queue->gate.store(0, std::memory_order_relaxed);
  queue->ready.store(false, std::memory_order_relaxed);
  queue->priority.store(PRIORITY_DEFAULT, std::memory_order_relaxed);
  queue->max_launches.store(0, std::memory_order_relaxed);
  queue->shares_limit.store(false, std::memory_order_relaxed);
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
  queue->id = ++last_id_;
  queue->name.clear();
  queue->device->Add(queue);
  // Release: all of the above before a launch takes the queue seriously.
  queue->scheduled.store(true, std::memory_order_release);
  scheduled_.fetch_add(1, std::memory_order_relaxed);
  *handle = Handle(queue, kXqTag);
  return kXSchedSuccess;
}

XResult
Scheduler::FindHwQueueOf(XQueueHandle xq, HwQueueHandle* hwq)
{
  Queue* queue = Resolve(xq, kXqTag);
  if (queue == nullptr ||
      !queue->scheduled.load(std::memory_order_acquire)) {
    return kXSchedErrorNotFound;
  }
  *hwq = Handle(queue, kHwTag);
  return kXSchedSuccess;
}

bool
Scheduler::IsHwQueue(HwQueueHandle hwq) const
{
  return Resolve(hwq, kHwTag) != nullptr;
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
    queue->device->Remove(queue);
    for (auto& foreign : queue->foreign) {
      foreign.store(0, std::memory_order_relaxed);
    }
  }
  queue->flight.Clear();
  queue->timer.Cancel();
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
Scheduler::SetMaxLaunches(XQueueHandle handle, int64_t launches)
{
  XSCHED_FIND_QUEUE(queue, handle);
  queue->max_launches.store(launches, std::memory_order_relaxed);
  return kXSchedSuccess;
}

XResult
Scheduler::SetPriority(XQueueHandle handle, Priority priority)
{
  // Locked, so that the queue does not end and begin another life meanwhile.
  std::lock_guard<std::mutex> lock(registry_mutex_);
  XSCHED_FIND_QUEUE(queue, handle);
  queue->device->Change(queue, [queue, priority] {
    queue->priority.store(priority, std::memory_order_relaxed);
  });
  return kXSchedSuccess;
}

XResult
Scheduler::SetName(XQueueHandle handle, const std::string& name)
{
  std::lock_guard<std::mutex> lock(registry_mutex_);
  XSCHED_FIND_QUEUE(queue, handle);
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
  const uint64_t stream = queue->stream.load(std::memory_order_relaxed);
  if (stream == 0) {
    return kXSchedSuccess;  // it is gone, and its work with it
  }
  const uint64_t launched = Launched(queue);
  if (!queue->hardware->Synchronize(stream, queue->context)) {
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
  std::lock_guard<std::mutex> lock(registry_mutex_);
  XSCHED_FIND_QUEUE(queue, handle);
  report->handle = handle;
  report->id = queue->id;
  report->stream = queue->stream.load(std::memory_order_relaxed);
  report->device = queue->device->Id();
  report->ready = queue->ready.load(std::memory_order_relaxed);
  const uint64_t launched = queue->launched.load(std::memory_order_relaxed);
  report->waiting =
      queue->submitted.load(std::memory_order_relaxed) != launched;
  const uint32_t gate = queue->gate.load(std::memory_order_relaxed);
  report->blocked =
      report->waiting && (gate & (kGateClosed | kGateHeld)) != 0;
  report->suspended = (gate & kGateSuspended) != 0;
  report->stats.launches = static_cast<int64_t>(
      launched - queue->launches_before.load(std::memory_order_relaxed));
  report->stats.blocked = queue->blocked.load(std::memory_order_relaxed);
  report->stats.blocked_ns = queue->blocked_ns.load(std::memory_order_relaxed);
  report->stats.preemptions =
      queue->preemptions.load(std::memory_order_relaxed);
  report->stats.in_flight_ns = queue->flight.InFlightNs();
  report->stats.priority = queue->priority.load(std::memory_order_relaxed);
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
    // A queue that is destroyed meanwhile is left out.
    if (Report(handle, &report) == kXSchedSuccess) {
      reports.push_back(std::move(report));
    }
  }
  std::sort(
      reports.begin(), reports.end(),
      [](const QueueReport& one, const QueueReport& other) {
        return one.id < other.id;
      });
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
    device->Change(nullptr, [] {});
  }
  return kXSchedSuccess;
}

const char*
Scheduler::PolicyName() const
{
  return policy_.load(std::memory_order_acquire)->Name();
}

bool
Scheduler::AppSchedules() const
{
  return policy_.load(std::memory_order_acquire) == AppManaged();
}

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
  Queue* queue = LastQueueOfThread();
  return queue != nullptr &&
                 queue->scheduled.load(std::memory_order_acquire) &&
                 queue->context == context
             ? queue
             : nullptr;
}

void
Scheduler::ForgetStream(uint64_t stream)
{
  if (Disabled()) {
    return;
  }
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
    queue->flight.DropStream(stream);
  }
  // Nobody finds the stream any more; whoever found it before may still ask.
  Inquiries::Await(stream);
  for (Queue* queue : owners) {
    // The driver finishes what a destroyed stream holds by itself; nobody can
    // ask for it any more.
    if (queue->stream.load(std::memory_order_relaxed) == 0 &&
        queue->scheduled.load(std::memory_order_acquire)) {
      MarkIdle(queue, Launched(queue), NowNs());
    }
  }
}

void
Scheduler::ForgetContext(uint64_t context)
{
  if (Disabled()) {
    return;
  }
  Inquiries::ForbidContext(context);
  std::vector<Queue*> queues;
  {
    std::lock_guard<std::mutex> lock(registry_mutex_);
    for (uint32_t slot = 0; slot < slot_count_; ++slot) {
      Queue* queue = &chunks_[slot / kChunk].load(
          std::memory_order_relaxed)[slot % kChunk];
      // Also one that has ended: what a late launch left there is of this
      // context.
      if (queue->context == context) {
        queues.push_back(queue);
      }
    }
  }
  for (Queue* queue : queues) {
    const uint64_t stream = queue->stream.load(std::memory_order_relaxed);
    if (stream != 0) {
      ForgetStream(stream);
    }
    for (auto& foreign : queue->foreign) {
      foreign.store(0, std::memory_order_seq_cst);
    }
    queue->flight.Clear();
    queue->timer.Cancel();
  }
  {
    std::lock_guard<std::mutex> lock(registry_mutex_);
    for (const auto& pool : events_of_contexts_) {
      if (pool->Context() == context) {
        pool->Drop();
      }
    }
  }
  Inquiries::AllowContext(context);
}

void
Scheduler::Disable()
{
  disabled_.store(true, std::memory_order_relaxed);
  scheduled_.store(0, std::memory_order_relaxed);
}

}  // namespace xsched
