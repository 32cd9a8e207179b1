// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/scheduler.h"

#include <utility>

#include "domain/folder.h"
#include "preempt/clock.h"
#include "preempt/command_buffer.h"
#include "preempt/inquiries.h"
#include "preempt/log.h"
#include "preempt/name.h"
#include "preempt/options.h"
#include "preempt/thread_work.h"

namespace xsched {
namespace {

// What is known of a recorded event: the queue's slot, whether it is in the
// legacy stream, and how many launches were before it.
constexpr int kSlotShift = 48;
constexpr uint64_t kLegacyBit = UINT64_C(1) << 47;
constexpr uint64_t kLaunchedMask = kLegacyBit - 1;

}  // namespace

std::atomic<bool> Scheduler::disabled_{false};
std::atomic<bool> Scheduler::unwatched_{false};
std::atomic<bool> Scheduler::in_gang_{false};
std::atomic<Owner*> Scheduler::process_owner_{nullptr};

Scheduler&
Scheduler::Get()
{
  // Never destroyed: launches may go on while the process exits.
  static Scheduler* scheduler = new Scheduler;
  return *scheduler;
}

Scheduler::Scheduler() : events_(1 << 16), scheduler_(GetOptions().scheduler) {}

// --- hardware queues and XQueues -------------------------------------------

XResult
Scheduler::CreateHwQueue(
    Hardware* hardware, int device, uint64_t context, uint64_t stream,
    HwQueueHandle* handle)
{
  if (Disabled()) {
    return kXSchedErrorNotAllowed;
  }
  JoinDomain(hardware, device);
  return registry_.CreateHwQueue(hardware, device, context, stream, handle);
}

void
Scheduler::JoinDomain(Hardware* hardware, int device)
{
  // Relaxed: a hint that comes at the same time may come later.
  if (scheduler_.load(std::memory_order_relaxed) != kSchedulerGlobal) {
    return;
  }
  {
    std::lock_guard<std::mutex> lock(domain_mutex_);
    if (!domain_devices_.insert(device).second) {
      return;
    }
  }
  const std::string folder = domain::Folder(GetOptions().domain_directory);
  const std::string name = hardware->NameOf(device);
  std::string error = "the driver does not name it";
  domain::Member* const member =
      name.empty() ? nullptr : domain::Member::Join(folder, name, &error);
  Device* const home = registry_.MakeDevice(device);
  if (member == nullptr || !member->Start([home] { home->DomainChanged(); })) {
    domain_failed_.store(true, std::memory_order_relaxed);
    Log(LogLevel::kError,
        "device %d is not in a scheduling domain: %s; other processes do not "
        "count, only this one is scheduled",
        device,
        member == nullptr ? error.c_str() : "there is no thread for it");
    return;
  }
  // All that it does then has one name.
  member->WorkFor(ModelOf(GetOptions().auto_name));
  home->Join(member);
  Log(LogLevel::kInfo, "device %d is in the scheduling domain %s/%s", device,
      folder.c_str(), name.c_str());
  in_gang_.store(!GetOptions().gang.empty(), std::memory_order_relaxed);
}

// Equals that only had the turns that the device gives their processes would keep
// one device each and wait for the other. So they take turns by the clock.
void
Scheduler::JoinGang(Device* device)
{
  std::string error = "it is in no scheduling domain";
  domain::Gang* const gang =
      device->HasJoined() ? domain::Gang::Join(
                                domain::Folder(GetOptions().domain_directory),
                                GetOptions().gang, &error)
                          : nullptr;
  if (gang == nullptr) {
    Log(LogLevel::kError,
        "device %d is in no gang: %s; if this process is held back, the others "
        "that work on the model wait for it on their devices",
        device->Id(), error.c_str());
    return;
  }
  device->Join(gang);
  registry_.GiveWeightOfGang(ModelOf(GetOptions().auto_name));
}

XResult
Scheduler::FindHwQueue(uint64_t stream, HwQueueHandle* handle)
{
  const Queue* queue = registry_.FindStream(stream);
  if (queue == nullptr) {
    return kXSchedErrorNotFound;
  }
  *handle = Registry::HwHandleOf(*queue);
  return kXSchedSuccess;
}

XResult
Scheduler::DestroyHwQueue(HwQueueHandle handle)
{
  return registry_.DestroyHwQueue(handle);
}

XResult
Scheduler::SynchronizeHwQueue(HwQueueHandle handle)
{
  Queue* queue = registry_.FindHwQueue(handle);
  return queue == nullptr ? kXSchedErrorNotFound : Synchronize(queue);
}

XResult
Scheduler::CreateQueue(HwQueueHandle hwq, XQueueHandle* handle)
{
  return registry_.CreateQueue(hwq, handle);
}

XResult
Scheduler::FindHwQueueOf(XQueueHandle xq, HwQueueHandle* hwq)
{
  const Queue* queue = registry_.FindQueue(xq);
  if (queue == nullptr) {
    return kXSchedErrorNotFound;
  }
  *hwq = Registry::HwHandleOf(*queue);
  return kXSchedSuccess;
}

bool
Scheduler::IsHwQueue(HwQueueHandle hwq) const
{
  return registry_.FindHwQueue(hwq) != nullptr;
}

XResult
Scheduler::FindQueueOf(HwQueueHandle hwq, XQueueHandle* handle)
{
  const Queue* queue = registry_.FindHwQueue(hwq);
  if (queue == nullptr || !queue->scheduled.load(std::memory_order_acquire)) {
    return kXSchedErrorNotFound;
  }
  *handle = Registry::HandleOf(*queue);
  return kXSchedSuccess;
}

XResult
Scheduler::DestroyQueue(XQueueHandle handle)
{
  AwaitKept(registry_.FindQueue(handle));
  Queue* queue = nullptr;
  const XResult result = registry_.DestroyQueue(handle, &queue);
  if (queue != nullptr) {
    // What a launch has left there that went ahead.
    queue->flight.Clear();
    queue->ends.Clear();
    queue->timer.Cancel();
  }
  return result;
}

XResult
Scheduler::SetMaxLaunches(XQueueHandle handle, int64_t launches)
{
  const bool found = registry_.With(handle, [&](Queue* queue) {
    queue->max_launches.store(launches, std::memory_order_relaxed);
  });
  return found ? kXSchedSuccess : kXSchedErrorNotFound;
}

XResult
Scheduler::SetPriority(XQueueHandle handle, Priority priority)
{
  const bool found = registry_.With(handle, [&](Queue* queue) {
    queue->Home()->GetDevice()->SetPriority(queue, priority);
  });
  return found ? kXSchedSuccess : kXSchedErrorNotFound;
}

XResult
Scheduler::SetFloor(XQueueHandle handle, int percent, FloorRefusal* refusal)
{
  FloorRefusal ignored;
  return registry_.SetFloor(
      handle, percent, refusal == nullptr ? &ignored : refusal);
}

XResult
Scheduler::SetFloorOfOwner(uint64_t owner, int percent)
{
  return registry_.SetFloorOfOwner(owner, percent);
}

XResult
Scheduler::SetName(XQueueHandle handle, const std::string& name)
{
  const bool found = registry_.With(
      handle, [&](Queue* queue) { Registry::SetName(queue, name); });
  return found ? kXSchedSuccess : kXSchedErrorNotFound;
}

// --- owners ------------------------------------------------------------------

XResult
Scheduler::CreateOwner(
    const std::string& name, Priority priority, uint64_t* owner)
{
  *owner = registry_.CreateOwner(name, priority);
  return *owner == 0 ? kXSchedErrorNotAllowed : kXSchedSuccess;
}

XResult
Scheduler::DestroyOwner(uint64_t owner)
{
  if (registry_.FindOwner(owner) == nullptr) {
    return kXSchedErrorNotFound;
  }
  for (const XQueueHandle handle : registry_.DestroyOwner(owner)) {
    HwQueueHandle hwq = 0;
    const bool found = FindHwQueueOf(handle, &hwq) == kXSchedSuccess;
    DestroyQueue(handle);
    if (found) {
      DestroyHwQueue(hwq);
    }
  }
  return kXSchedSuccess;
}

uint64_t
Scheduler::ExchangeOwnerOfThread(uint64_t owner)
{
  const uint64_t before = OwnerHandleOfThread();
  SetOwnerOfThread(owner, registry_.FindOwner(owner));
  return before;
}

bool
Scheduler::DescribeOwner(uint64_t owner, std::string* name, Priority* priority)
{
  return registry_.DescribeOwner(owner, name, priority);
}

void
Scheduler::AdoptAll(
    const std::string& name, Priority priority, int floor, int weight)
{
  const uint64_t owner = registry_.CreateOwner(name, priority);
  if (floor != 0) {
    registry_.SetFloorOfOwner(owner, floor);
  }
  if (weight != 0) {
    registry_.SetWeightOfOwner(owner, weight);
  }
  // Release: the owner is complete before a launch finds it.
  process_owner_.store(registry_.FindOwner(owner), std::memory_order_release);
}

bool
Scheduler::GiveToOwnerOfThread(XQueueHandle queue)
{
  return OwnerOfThread() != nullptr &&
         registry_.GiveTo(OwnerHandleOfThread(), queue);
}

bool
Scheduler::GiveToOwnerOfProcess(XQueueHandle queue)
{
  const Owner* const owner = process_owner_.load(std::memory_order_acquire);
  return owner != nullptr && registry_.GiveTo(Owners::HandleOf(*owner), queue);
}

bool
Scheduler::HasOwner(XQueueHandle handle) const
{
  const Queue* queue = registry_.FindQueue(handle);
  return queue != nullptr && queue->owner.load(std::memory_order_relaxed) != 0;
}

XResult
Scheduler::Suspend(XQueueHandle handle, bool wait)
{
  const bool found = registry_.With(handle, [&](Queue* queue) {
    queue->suspender.store(ThreadId(), std::memory_order_relaxed);
    queue->Home()->GetDevice()->Suspend(queue);
  });
  if (!found) {
    return kXSchedErrorNotFound;
  }
  return wait ? WaitAll(handle) : kXSchedSuccess;
}

XResult
Scheduler::Resume(XQueueHandle handle)
{
  const bool found = registry_.With(
      handle, [&](Queue* queue) { queue->Home()->GetDevice()->Resume(queue); });
  return found ? kXSchedSuccess : kXSchedErrorNotFound;
}

XResult
Scheduler::WaitAll(XQueueHandle handle)
{
  Queue* queue = registry_.FindQueue(handle);
  return queue == nullptr ? kXSchedErrorNotFound : Synchronize(queue);
}

XResult
Scheduler::Synchronize(Queue* queue)
{
  const uint64_t stream = queue->stream.load(std::memory_order_relaxed);
  if (stream == 0) {
    return kXSchedSuccess;  // it is gone, and its work with it
  }
  if (IsVirtualStream(stream)) {
    return kXSchedErrorNotSupported;  // other threads may have streams of it
  }
  AwaitKept(queue);
  const Context* const home = queue->Home();
  const uint64_t launched = Launched(queue);
  if (!home->GetHardware()->Synchronize(stream, home->Handle())) {
    return kXSchedErrorHardware;
  }
  Finished(queue, launched);
  return kXSchedSuccess;
}

XResult
Scheduler::QueryState(XQueueHandle handle, XQueueState* state)
{
  Queue* queue = registry_.FindQueue(handle);
  if (queue == nullptr) {
    return kXSchedErrorNotFound;
  }
  Readiness::Look(queue);
  const CommandBuffer* const ahead =
      queue->ahead.load(std::memory_order_acquire);
  *state = queue->ready.load(std::memory_order_relaxed) ||
                   (ahead != nullptr && ahead->Pending())
               ? kQueueStateReady
               : kQueueStateIdle;
  return kXSchedSuccess;
}

XResult
Scheduler::Report(XQueueHandle handle, QueueReport* report)
{
  const bool found = registry_.With(handle, [&](Queue* queue) {
    Device* const device = queue->Home()->GetDevice();
    const Device::Description seen = device->Describe(*queue);
    const uint64_t launched = queue->launched.load(std::memory_order_relaxed);
    report->handle = handle;
    report->id = Registry::IdOf(*queue);
    report->stream = queue->stream.load(std::memory_order_relaxed);
    report->device = device->Id();
    report->ready = seen.ready;
    report->waiting =
        queue->submitted.load(std::memory_order_relaxed) != launched;
    report->blocked =
        report->waiting && (seen.closed || (seen.held_back & kNoExecute) != 0);
    report->suspended = (seen.held_back & kSuspended) != 0;
    report->stats.launches = static_cast<int64_t>(
        launched - queue->launches_before.load(std::memory_order_relaxed));
    report->stats.blocked = queue->blocked.load(std::memory_order_relaxed);
    report->stats.blocked_ns =
        queue->blocked_ns.load(std::memory_order_relaxed);
    report->stats.preemptions =
        queue->preemptions.load(std::memory_order_relaxed);
    report->stats.in_flight_ns = queue->flight.InFlightNs();
    report->stats.priority = seen.priority;
    report->floor = seen.floor;
    report->weight = seen.weight;
    report->recent_ns = seen.recent_ns;
    if (const CommandBuffer* const ahead =
            queue->ahead.load(std::memory_order_acquire)) {
      report->ahead = ahead->Count();
      // In this order, as both only grow.
      const uint64_t done = ahead->Done();
      report->pending = ahead->Pushed() - done;
    }
    report->name = Registry::NameOf(*queue);
  });
  return found ? kXSchedSuccess : kXSchedErrorNotFound;
}

std::vector<QueueReport>
Scheduler::ReportAll()
{
  std::vector<QueueReport> reports;
  for (const XQueueHandle handle : registry_.Handles()) {
    QueueReport report;
    // A queue that is destroyed meanwhile is left out.
    if (Report(handle, &report) == kXSchedSuccess) {
      reports.push_back(std::move(report));
    }
  }
  return reports;
}

std::vector<DomainReport>
Scheduler::ReportDomains()
{
  std::vector<std::pair<int, const domain::Member*>> members;
  registry_.ForEachDevice([&](Device* device) {
    if (const domain::Member* member = device->Domain()) {
      members.emplace_back(device->Id(), member);
    }
  });
  std::vector<DomainReport> reports;
  // Without a lock: it asks the kernel who lives.
  for (const auto& member : members) {
    reports.push_back({member.first, member.second->Describe()});
  }
  return reports;
}

XResult
Scheduler::SetPolicy(XSchedulerType scheduler, XPolicyType type)
{
  if (MakePolicy(scheduler, type) == nullptr) {
    return kXSchedErrorNotSupported;
  }
  scheduler_.store(scheduler, std::memory_order_relaxed);
  registry_.SetPolicy(scheduler, type);
  return kXSchedSuccess;
}

const char*
Scheduler::PolicyName() const
{
  return AppSchedules() ? "APP" : "HPF";
}

const char*
Scheduler::SchedulerName() const
{
  if (AppSchedules()) {
    return "APP";
  }
  // Relaxed: for people.
  return scheduler_.load(std::memory_order_relaxed) == kSchedulerGlobal &&
                 !domain_failed_.load(std::memory_order_relaxed)
             ? "GLB"
             : "LCL";
}

const char*
Scheduler::ModeName() const
{
  // Relaxed: for people.
  if (hooked_.load(std::memory_order_relaxed)) {
    return "hooked";
  }
  return GetOptions().auto_xqueue ? "transparent" : "explicit";
}

bool
Scheduler::AppSchedules() const
{
  // Relaxed: for people.
  return scheduler_.load(std::memory_order_relaxed) == kSchedulerAppManaged;
}

// --- called around the driver's functions ------------------------------------

Queue*
Scheduler::Find(uint64_t stream) const
{
  Queue* queue = registry_.FindStream(stream);
  return queue != nullptr && queue->scheduled.load(std::memory_order_acquire)
             ? queue
             : nullptr;
}

Queue*
Scheduler::CurrentOfThread(uint64_t context) const
{
  Queue* queue = LastQueueOfThread();
  if (queue != nullptr && (!queue->scheduled.load(std::memory_order_acquire) ||
                           queue->Home()->Handle() != context)) {
    queue = nullptr;
  }
  // What the thread has done for somebody else does not count.
  if (OwnerOfThread() != nullptr &&
      (queue == nullptr ||
       queue->owner.load(std::memory_order_relaxed) != OwnerHandleOfThread())) {
    return DefaultOfThread(context);
  }
  return queue;
}

Queue*
Scheduler::OfThread(
    uint64_t context, bool in_default_stream, bool* adopts) const
{
  const Owner* owner = OwnerOfThread();
  const Owner* const process = process_owner_.load(std::memory_order_acquire);
  // The default streams are the owner's. What a thread without an owner of its
  // own does there, or anybody in a library's stream, goes with what the thread
  // did before.
  const bool goes_along = owner == nullptr || !in_default_stream;
  if (goes_along) {
    if (Queue* queue = CurrentOfThread(context)) {
      return queue;
    }
  }
  if (Disabled() || (owner == nullptr && process == nullptr)) {
    return nullptr;
  }
  *adopts = true;
  return owner != nullptr
             ? owner->DefaultQueue(context, OwnerHandleOfThread())
             : process->DefaultQueue(context, Owners::HandleOf(*process));
}

bool
Scheduler::ThreadHasOwnOwner()
{
  return !Disabled() && OwnerOfThread() != nullptr;
}

bool
Scheduler::ThreadHasOwner()
{
  return !Disabled() &&
         (OwnerOfThread() != nullptr ||
          process_owner_.load(std::memory_order_relaxed) != nullptr);
}

Queue*
Scheduler::DefaultOfThread(uint64_t context) const
{
  const Owner* owner = OwnerOfThread();
  if (owner != nullptr) {
    return owner->DefaultQueue(context, OwnerHandleOfThread());
  }
  owner = process_owner_.load(std::memory_order_acquire);
  return owner == nullptr
             ? nullptr
             : owner->DefaultQueue(context, Owners::HandleOf(*owner));
}

Queue*
Scheduler::MakeDefaultOfThread(Hardware* hardware, int device, uint64_t context)
{
  const Owner* owner = OwnerOfThread();
  const Owner* process = process_owner_.load(std::memory_order_acquire);
  if (Disabled() || (owner == nullptr && process == nullptr)) {
    return nullptr;
  }
  JoinDomain(hardware, device);
  return registry_.GetDefaultQueue(
      hardware, device, context,
      owner != nullptr ? OwnerHandleOfThread() : Owners::HandleOf(*process));
}

void
Scheduler::MarkReady(Queue* queue)
{
  queue->Home()->GetDevice()->MarkReady(queue);
}

void
Scheduler::RememberWork(Queue* queue)
{
  xsched::RememberWork(queue);
}

bool
Scheduler::HasOwnWorkAbove(const Queue& queue)
{
  return CountOwnWorkAbove(queue) != 0;
}

void
Scheduler::AwaitKept(const Queue* queue)
{
  if (queue == nullptr || Disabled()) {
    return;
  }
  if (CommandBuffer* const ahead =
          queue->ahead.load(std::memory_order_acquire)) {
    ahead->Await(ahead->Pushed());
  }
}

bool
Scheduler::BeforeWork(Queue* queue, uint64_t stream)
{
  if (Disabled()) {
    return false;
  }
  // Sequentially consistent: see Device::TryToBeIdle.
  queue->submitted.fetch_add(1, std::memory_order_seq_cst);
  if (!queue->ready.load(std::memory_order_seq_cst)) {
    MarkReady(queue);
  }
  RememberWork(queue);
  // A queue with a stream of its own is asked for that one: what is not worth
  // waiting for hardly ever outlasts it.
  return stream != 0 && queue->IsVirtual() &&
         !Readiness::AddForeign(queue, stream);
}

void
Scheduler::BeforeCaptures()
{
  if (Disabled()) {
    return;
  }
  std::vector<Queue*> queues;
  registry_.ForEachDevice([&](Device* device) {
    for (Queue* queue : device->Ready()) {
      if (Readiness::HasForeign(*queue, kLegacyStream)) {
        queues.push_back(queue);
      }
    }
  });
  for (Queue* queue : queues) {
    RecordEnd(queue, kLegacyStream);
  }
}

void
Scheduler::BeforeCapture(Queue* queue)
{
  const uint64_t stream = queue->stream.load(std::memory_order_relaxed);
  if (!Disabled() && stream != 0 && !IsVirtualStream(stream) &&
      queue->ready.load(std::memory_order_relaxed)) {
    Readiness::RecordEnd(queue, stream);
  }
}

void
Scheduler::Finished(Queue* queue, uint64_t launched, uint64_t stream)
{
  if (!Disabled()) {
    Readiness::Finished(queue, launched, stream);
  }
}

bool
Scheduler::Drained(Queue* queue, uint64_t launched)
{
  return !Disabled() && Readiness::Drained(queue, launched);
}

std::vector<std::pair<Queue*, uint64_t>>
Scheduler::LaunchedIn(uint64_t context)
{
  std::vector<std::pair<Queue*, uint64_t>> launched;
  if (Disabled()) {
    return launched;
  }
  for (const Context* home : registry_.UseOf(context).contexts) {
    for (Queue* queue : home->GetDevice()->ReadyIn(*home)) {
      launched.emplace_back(queue, Launched(queue));
    }
  }
  return launched;
}

void
Scheduler::RecordedEvent(uint64_t event, Queue* queue, uint64_t stream)
{
  if (Disabled()) {
    return;
  }
  if (queue == nullptr) {
    events_.Remove(event);
    return;
  }
  // A table that is full only costs the shortcut: the watcher notices as well.
  events_.Insert(
      event,
      (static_cast<uint64_t>(Registry::SlotOf(*queue) + 1) << kSlotShift) |
          (stream == kLegacyStream ? kLegacyBit : 0) |
          (Launched(queue) & kLaunchedMask));
}

void
Scheduler::FinishedEvent(uint64_t event)
{
  const uint64_t value = events_.Find(event);
  if (value == 0) {
    return;
  }
  Queue* queue = registry_.AtSlot((value >> kSlotShift) - 1);
  if (queue->scheduled.load(std::memory_order_acquire)) {
    Finished(
        queue, value & kLaunchedMask,
        (value & kLegacyBit) != 0 ? kLegacyStream : 0);
  }
}

void
Scheduler::ForgetDuration(const LaunchKey& key)
{
  if (!Disabled()) {
    registry_.ForEachDevice(
        [&](Device* device) { device->GetDurations()->Forget(key); });
  }
}

void
Scheduler::ForgetDurations()
{
  if (!Disabled()) {
    registry_.ForEachDevice(
        [](Device* device) { device->GetDurations()->ForgetAll(); });
  }
}

void
Scheduler::ForgetStream(uint64_t stream)
{
  if (Disabled()) {
    return;
  }
  const Queue* const own = registry_.FindStream(stream);
  const uint32_t generation =
      own == nullptr ? 0 : own->generation.load(std::memory_order_relaxed);
  const std::vector<Queue*> had = registry_.TakeStream(stream);
  for (Queue* queue : had) {
    queue->flight.DropStream(stream);
  }
  // Nobody finds the stream any more; whoever found it before may still ask.
  Inquiries::Await(stream);
  // The driver finishes what a destroyed stream holds by itself; nobody can
  // ask for it any more.
  for (Queue* queue : had) {
    if (queue == own) {
      registry_.Retire(queue, generation);
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
  const Registry::ContextUse use = registry_.UseOf(context);
  for (const uint64_t stream : use.streams) {
    ForgetStream(stream);
  }
  for (Queue* queue : use.queues) {
    for (auto& foreign : queue->foreign) {
      foreign.store(0, std::memory_order_seq_cst);
    }
    queue->flight.Clear();
    queue->ends.Clear();
    queue->timer.Cancel();
  }
  for (Context* home : use.contexts) {
    home->Events()->Drop();
    // Its functions end with it.
    home->GetDevice()->GetDurations()->ForgetAll();
  }
  Inquiries::AllowContext(context);
}

void
Scheduler::Disable()
{
  disabled_.store(true, std::memory_order_relaxed);
  Registry::scheduled.store(0, std::memory_order_relaxed);
}

}  // namespace xsched
