// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/registry.h"

#include <algorithm>
#include <utility>

#include "preempt/command_buffer.h"
#include "preempt/log.h"
#include "preempt/name.h"
#include "preempt/options.h"

namespace xsched {
namespace {

constexpr uint64_t kHwTag = UINT64_C(1) << 62;
constexpr uint64_t kXqTag = UINT64_C(2) << 62;
constexpr uint64_t kTags = UINT64_C(3) << 62;
constexpr int kSlotBits = 16;

// What is logged where it goes out of scope: declared before a lock is taken, it
// is when that has been released.
struct Complaint {
  ~Complaint()
  {
    if (!text.empty()) {
      Log(LogLevel::kWarning, "%s", text.c_str());
    }
  }
  std::string text;
};

}  // namespace

std::atomic<uint32_t> Registry::scheduled{0};
std::atomic<uint64_t> Registry::has_foreign_[kMaxQueues / 64] = {};

Registry::Registry()
    : streams_(kMaxQueues * 4), scheduler_(GetOptions().scheduler),
      policy_(GetOptions().policy)
{
}

// --- handles -----------------------------------------------------------------

uint64_t
Registry::Handle(const Queue& queue, uint64_t tag)
{
  const uint64_t generation = queue.generation.load(std::memory_order_relaxed);
  return tag | generation << kSlotBits | (queue.entry.slot + 1);
}

HwQueueHandle
Registry::HwHandleOf(const Queue& queue)
{
  return Handle(queue, kHwTag);
}

XQueueHandle
Registry::HandleOf(const Queue& queue)
{
  return Handle(queue, kXqTag);
}

Queue*
Registry::AtSlot(uint64_t slot) const
{
  if (slot >= kMaxQueues) {
    return nullptr;
  }
  // Acquire: the queues of a chunk are complete before a handle leads there.
  Queue* chunk = chunks_[slot / kChunk].load(std::memory_order_acquire);
  return chunk == nullptr ? nullptr : &chunk[slot % kChunk];
}

// A queue that ended has another generation when it is used again; until then
// its stream is gone, or it is not scheduled.
Queue*
Registry::Resolve(uint64_t handle, uint64_t tag) const
{
  Queue* queue = AtSlot((handle & ((UINT64_C(1) << kSlotBits) - 1)) - 1);
  return queue != nullptr && (handle & kTags) == tag &&
                 Handle(*queue, tag) == handle
             ? queue
             : nullptr;
}

Queue*
Registry::FindHwQueue(HwQueueHandle handle) const
{
  Queue* queue = Resolve(handle, kHwTag);
  return queue != nullptr && queue->stream.load(std::memory_order_acquire) != 0
             ? queue
             : nullptr;
}

Queue*
Registry::FindQueue(XQueueHandle handle) const
{
  Queue* queue = Resolve(handle, kXqTag);
  // Acquire: all of its state before it is taken seriously.
  return queue != nullptr && queue->scheduled.load(std::memory_order_acquire)
             ? queue
             : nullptr;
}

std::vector<XQueueHandle>
Registry::Handles() const
{
  std::vector<std::pair<uint64_t, XQueueHandle>> found;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ForEach([&](const Queue* queue) {
      if (queue->entry.life == Life::kScheduled) {
        found.emplace_back(queue->entry.id, HandleOf(*queue));
      }
    });
  }
  std::sort(found.begin(), found.end());
  std::vector<XQueueHandle> handles;
  for (const auto& each : found) {
    handles.push_back(each.second);
  }
  return handles;
}

// --- lives -------------------------------------------------------------------

Device*
Registry::GetDevice(int id)
{
  for (const auto& device : devices_) {
    if (device->Id() == id) {
      return device.get();
    }
  }
  devices_.push_back(
      std::make_unique<Device>(id, MakePolicy(scheduler_, policy_)));
  return devices_.back().get();
}

Context*
Registry::GetContext(Hardware* hardware, Device* device, uint64_t handle)
{
  for (const auto& context : contexts_) {
    if (context->Handle() == handle && context->GetDevice() == device &&
        context->GetHardware() == hardware) {
      return context.get();
    }
  }
  contexts_.push_back(std::make_unique<Context>(hardware, device, handle));
  return contexts_.back().get();
}

// Null if all are used. Whatever fails for want of memory fails before anything
// changes.
Queue*
Registry::TakeFree()
{
  if (free_slots_.empty() && slot_count_ < kMaxQueues) {
    free_slots_.reserve(slot_count_ + kChunk);
    Queue* chunk = new Queue[kChunk];
    for (uint32_t i = 0; i < kChunk; ++i) {
      chunk[i].entry.slot = slot_count_ + i;
      free_slots_.push_back(slot_count_ + kChunk - 1 - i);
    }
    chunks_[slot_count_ / kChunk].store(chunk, std::memory_order_release);
    slot_count_ += kChunk;
  }
  if (free_slots_.empty()) {
    // An integration that never destroys its XQueues must not run out of them.
    if (first_gone_ == nullptr) {
      return nullptr;
    }
    Queue* gone = first_gone_;
    first_gone_ = gone->entry.next_gone;
    last_gone_ = first_gone_ == nullptr ? nullptr : last_gone_;
    gone->entry.life = Life::kFree;
    return gone;
  }
  Queue* queue = AtSlot(free_slots_.back());
  free_slots_.pop_back();
  return queue;
}

void
Registry::Free(Queue* queue)
{
  queue->entry.life = Life::kFree;
  free_slots_.push_back(queue->entry.slot);
}

// 'stream' is 0 for a queue without one, which gets a virtual one.
XResult
Registry::MakeKnown(
    Hardware* hardware, int device_id, uint64_t context_handle, uint64_t stream,
    Queue** made)
{
  Device* const device = GetDevice(device_id);
  Context* const context = GetContext(hardware, device, context_handle);
  Queue* const queue = TakeFree();
  if (queue == nullptr) {
    return kXSchedErrorNotAllowed;
  }
  if (stream == 0) {
    stream = kVirtualStreams | (queue->entry.slot + 1);
  }
  queue->entry.life = Life::kKnown;
  queue->entry.has_xqueue = false;
  // The handles of earlier lives lead here no more.
  queue->generation.fetch_add(1, std::memory_order_relaxed);
  queue->owner.store(0, std::memory_order_relaxed);
  queue->context.store(context, std::memory_order_release);
  queue->turn.store(device->GetTurn(), std::memory_order_release);
  queue->flight.Attach(context->Events());
  queue->ends.Clear();
  queue->timer.Cancel();
  queue->stream.store(stream, std::memory_order_release);
  if (!streams_.Insert(stream, reinterpret_cast<uint64_t>(queue))) {
    queue->stream.store(0, std::memory_order_relaxed);
    Free(queue);
    return kXSchedErrorNotAllowed;
  }
  *made = queue;
  return kXSchedSuccess;
}

XResult
Registry::CreateHwQueue(
    Hardware* hardware, int device, uint64_t context, uint64_t stream,
    HwQueueHandle* handle)
{
  std::lock_guard<std::mutex> lock(mutex_);
  Queue* queue = FindStream(stream);
  const XResult result =
      queue != nullptr ? kXSchedSuccess
                       : MakeKnown(hardware, device, context, stream, &queue);
  if (result == kXSchedSuccess) {
    *handle = HwHandleOf(*queue);
  }
  return result;
}

XResult
Registry::DestroyHwQueue(HwQueueHandle handle)
{
  std::lock_guard<std::mutex> lock(mutex_);
  Queue* queue = Resolve(handle, kHwTag);
  if (queue == nullptr || queue->entry.life == Life::kFree) {
    return kXSchedErrorNotFound;
  }
  Entry& entry = queue->entry;
  if (entry.has_xqueue) {
    return kXSchedErrorNotAllowed;
  }
  if (entry.life == Life::kGone) {
    Queue* before = nullptr;
    for (Queue* each = first_gone_; each != queue;
         each = each->entry.next_gone) {
      before = each;
    }
    (before == nullptr ? first_gone_ : before->entry.next_gone) =
        entry.next_gone;
    last_gone_ = last_gone_ == queue ? before : last_gone_;
  } else {
    streams_.Remove(queue->stream.exchange(0, std::memory_order_seq_cst));
  }
  Free(queue);
  return kXSchedSuccess;
}

XResult
Registry::CreateQueue(HwQueueHandle hwq, XQueueHandle* handle)
{
  std::lock_guard<std::mutex> lock(mutex_);
  Queue* queue = FindHwQueue(hwq);
  if (queue == nullptr) {
    return kXSchedErrorNotFound;
  }
  *handle = HandleOf(*queue);
  return queue->entry.life == Life::kScheduled ? kXSchedSuccess
                                               : Schedule(queue);
}

XResult
Registry::Schedule(Queue* queue)
{
  Entry& entry = queue->entry;
  queue->max_launches.store(0, std::memory_order_relaxed);
  queue->suspender.store(0, std::memory_order_relaxed);
  queue->uncounted.store(false, std::memory_order_relaxed);
  queue->app_synchronizes.store(false, std::memory_order_relaxed);
  queue->launches_before.store(
      queue->launched.load(std::memory_order_relaxed),
      std::memory_order_relaxed);
  queue->blocked.store(0, std::memory_order_relaxed);
  queue->blocked_ns.store(0, std::memory_order_relaxed);
  queue->preemptions.store(0, std::memory_order_relaxed);
  if (CommandBuffer* const ahead =
          queue->ahead.load(std::memory_order_acquire)) {
    ahead->BeginLife();
  }
  // The only step that can fail, for want of memory.
  queue->Home()->GetDevice()->Add(queue);
  entry.life = Life::kScheduled;
  entry.has_xqueue = true;
  entry.id = ++last_id_;
  entry.name.clear();
  // Release: all of the above before a launch takes the queue seriously.
  queue->scheduled.store(true, std::memory_order_release);
  scheduled.fetch_add(1, std::memory_order_relaxed);
  return kXSchedSuccess;
}

XResult
Registry::DestroyQueue(XQueueHandle handle, Queue** queue_out)
{
  std::lock_guard<std::mutex> lock(mutex_);
  Queue* queue = Resolve(handle, kXqTag);
  if (queue == nullptr || !queue->entry.has_xqueue) {
    return kXSchedErrorNotFound;
  }
  Entry& entry = queue->entry;
  entry.has_xqueue = false;
  if (entry.life == Life::kScheduled) {
    entry.life = Life::kKnown;
    queue->scheduled.store(false, std::memory_order_seq_cst);
    scheduled.fetch_sub(1, std::memory_order_relaxed);
    queue->Home()->GetDevice()->Remove(queue);
    *queue_out = queue;
  }
  return kXSchedSuccess;
}

// --- owners ------------------------------------------------------------------

uint64_t
Registry::CreateOwner(const std::string& name, Priority priority)
{
  std::lock_guard<std::mutex> lock(mutex_);
  const Owner* owner = owners_.Create(name, priority);
  if (owner == nullptr) {
    return 0;
  }
  scheduled.fetch_add(1, std::memory_order_relaxed);
  return Owners::HandleOf(*owner);
}

bool
Registry::DescribeOwner(uint64_t handle, std::string* name, Priority* priority)
{
  std::lock_guard<std::mutex> lock(mutex_);
  const Owner* owner = owners_.Resolve(handle);
  if (owner == nullptr) {
    return false;
  }
  *name = owner->name;
  *priority = owner->priority;
  return true;
}

std::vector<XQueueHandle>
Registry::DestroyOwner(uint64_t handle)
{
  std::vector<XQueueHandle> had;
  std::lock_guard<std::mutex> lock(mutex_);
  Owner* owner = owners_.Resolve(handle);
  if (owner == nullptr) {
    return had;
  }
  ForEach([&](const Queue* queue) {
    if (queue->entry.life == Life::kScheduled &&
        queue->owner.load(std::memory_order_relaxed) == handle) {
      had.push_back(HandleOf(*queue));
    }
  });
  // After that nothing is given to it, also by threads that work for it.
  owners_.End(owner);
  scheduled.fetch_sub(1, std::memory_order_relaxed);
  return had;
}

void
Registry::Assign(Queue* queue, Owner* owner, std::string* complaint)
{
  Device* const device = queue->Home()->GetDevice();
  SetName(queue, owner->name);
  queue->owner.store(Owners::HandleOf(*owner), std::memory_order_relaxed);
  device->SetPriority(queue, owner->priority);
  if (owner->floor != 0 && device->Describe(*queue).floor != owner->floor) {
    GiveFloor(owner, complaint);
  }
  if (owner->weight != 0 && device->Describe(*queue).weight != owner->weight) {
    GiveWeight(ModelOf(owner->name), owner->weight, nullptr);
  }
}

// --- floors ------------------------------------------------------------------

void
Registry::SetName(Queue* queue, const std::string& name)
{
  const bool same_model = ModelOf(name) == ModelOf(queue->entry.name);
  queue->entry.name = name;
  if (!same_model) {
    queue->Home()->GetDevice()->JoinModel(ModelOf(name), queue);
  }
}

std::map<Device*, std::vector<Queue*>>
Registry::QueuesOf(const std::string& model) const
{
  std::map<Device*, std::vector<Queue*>> queues;
  ForEach([&](Queue* queue) {
    if (queue->entry.life == Life::kScheduled &&
        ModelOf(queue->entry.name) == model) {
      queues[queue->Home()->GetDevice()].push_back(queue);
    }
  });
  return queues;
}

// Floors change only under the registry's lock: what there is room for when all
// devices are asked, there is room for when it is set.
bool
Registry::GiveFloor(
    const std::string& model, int percent, FloorRefusal* refusal)
{
  const std::map<Device*, std::vector<Queue*>> queues = QueuesOf(model);
  for (const auto& each : queues) {
    const int room = each.first->RoomForFloor(model, *each.second.front());
    if (percent > room) {
      *refusal = {each.first->Id(), room};
      return false;
    }
  }
  for (const auto& each : queues) {
    each.first->SetFloor(each.second, model, percent);
  }
  return true;
}

bool
Registry::SetFloorOfModel(
    const std::string& model, int percent, FloorRefusal* refusal,
    std::vector<std::pair<std::string, int>>* owners)
{
  std::lock_guard<std::mutex> lock(mutex_);
  if (!GiveFloor(model, percent, refusal)) {
    return false;
  }
  owners_.ForEach([&](Owner* owner) {
    if (ModelOf(owner->name) == model) {
      if (owners != nullptr) {
        owners->emplace_back(owner->name, owner->floor);
      }
      owner->floor = percent;
      owner->floor_refused = false;
    }
  });
  return true;
}

XResult
Registry::SetFloor(XQueueHandle handle, int percent, FloorRefusal* refusal)
{
  std::string model;
  bool fits = true;
  const bool found = With(handle, [&](Queue* queue) {
    model = ModelOf(queue->entry.name);
    if (model.empty()) {
      Device* const device = queue->Home()->GetDevice();
      fits = device->SetFloor({queue}, model, percent);
      *refusal = {device->Id(), device->RoomForFloor(model, *queue)};
    }
  });
  if (!found) {
    return kXSchedErrorNotFound;
  }
  if (!model.empty()) {
    fits = SetFloorOfModel(model, percent, refusal, nullptr);
  }
  return fits ? kXSchedSuccess : kXSchedErrorInvalidValue;
}

void
Registry::GiveFloor(Owner* owner, std::string* complaint)
{
  FloorRefusal refusal;
  if (GiveFloor(ModelOf(owner->name), owner->floor, &refusal)) {
    owner->floor_refused = false;
    return;
  }
  if (std::exchange(owner->floor_refused, true)) {
    return;
  }
  *complaint = "the model " + ModelOf(owner->name) +
               " does not get its floor of " + std::to_string(owner->floor) +
               " %: the floors of a device come to at most " +
               std::to_string(kMaxFloors) + " %, and those of others leave " +
               std::to_string(refusal.room) + " % on device " +
               std::to_string(refusal.device);
}

XResult
Registry::SetFloorOfOwner(uint64_t handle, int percent)
{
  Complaint complaint;
  std::lock_guard<std::mutex> lock(mutex_);
  Owner* const owner = owners_.Resolve(handle);
  if (owner == nullptr) {
    return kXSchedErrorNotFound;
  }
  const std::string model = ModelOf(owner->name);
  if (model.empty()) {
    return kXSchedErrorNotAllowed;
  }
  // Its others, such as those that it is about to replace, do not ask for the
  // former one again.
  owners_.ForEach([&](Owner* each) {
    if (ModelOf(each->name) == model) {
      each->floor = percent;
      each->floor_refused = false;
    }
  });
  GiveFloor(owner, &complaint.text);
  return kXSchedSuccess;
}

XResult
Registry::FloorOfOwner(uint64_t handle, int* percent)
{
  std::lock_guard<std::mutex> lock(mutex_);
  const Owner* const owner = owners_.Resolve(handle);
  if (owner == nullptr) {
    return kXSchedErrorNotFound;
  }
  *percent = owner->floor;
  return kXSchedSuccess;
}

// --- weights -----------------------------------------------------------------

void
Registry::GiveWeight(
    const std::string& model, int weight,
    std::vector<std::pair<std::string, int>>* owners)
{
  for (const auto& each : QueuesOf(model)) {
    each.first->SetWeight(each.second, model, weight);
  }
  owners_.ForEach([&](Owner* owner) {
    if (ModelOf(owner->name) == model) {
      if (owners != nullptr) {
        owners->emplace_back(owner->name, owner->weight);
      }
      owner->weight = weight;
    }
  });
}

void
Registry::SetWeightOfModel(
    const std::string& model, int weight,
    std::vector<std::pair<std::string, int>>* owners)
{
  std::lock_guard<std::mutex> lock(mutex_);
  GiveWeight(model, weight, owners);
}

void
Registry::GiveWeightOfGang(const std::string& model)
{
  std::lock_guard<std::mutex> lock(mutex_);
  if (!model.empty()) {
    for (const auto& each : QueuesOf(model)) {
      each.first->SetWeightOfGang(each.second, model);
    }
  }
}

XResult
Registry::SetWeight(XQueueHandle handle, int weight)
{
  std::string model;
  const bool found = With(handle, [&](Queue* queue) {
    model = ModelOf(queue->entry.name);
    if (model.empty()) {
      queue->Home()->GetDevice()->SetWeight({queue}, model, weight);
    }
  });
  if (!found) {
    return kXSchedErrorNotFound;
  }
  if (!model.empty()) {
    SetWeightOfModel(model, weight, nullptr);
  }
  return kXSchedSuccess;
}

XResult
Registry::SetWeightOfOwner(uint64_t handle, int weight)
{
  std::lock_guard<std::mutex> lock(mutex_);
  const Owner* const owner = owners_.Resolve(handle);
  if (owner == nullptr) {
    return kXSchedErrorNotFound;
  }
  const std::string model = ModelOf(owner->name);
  if (model.empty()) {
    return kXSchedErrorNotAllowed;
  }
  GiveWeight(model, weight, nullptr);
  return kXSchedSuccess;
}

XResult
Registry::WeightOfOwner(uint64_t handle, int* weight)
{
  std::lock_guard<std::mutex> lock(mutex_);
  const Owner* const owner = owners_.Resolve(handle);
  if (owner == nullptr) {
    return kXSchedErrorNotFound;
  }
  *weight = owner->weight;
  return kXSchedSuccess;
}

// --- queues of owners --------------------------------------------------------

bool
Registry::GiveTo(uint64_t handle, XQueueHandle queue_handle)
{
  Complaint complaint;
  std::lock_guard<std::mutex> lock(mutex_);
  Owner* owner = owners_.Resolve(handle);
  Queue* queue = FindQueue(queue_handle);
  if (owner == nullptr || queue == nullptr) {
    return false;
  }
  Assign(queue, owner, &complaint.text);
  return true;
}

Queue*
Registry::GetDefaultQueue(
    Hardware* hardware, int device, uint64_t context, uint64_t handle)
{
  Complaint complaint;
  std::lock_guard<std::mutex> lock(mutex_);
  Owner* owner = owners_.Resolve(handle);
  if (owner == nullptr) {
    return nullptr;
  }
  // Another thread may have been first.
  if (Queue* found = owner->DefaultQueue(context, handle)) {
    return found;
  }
  std::atomic<Queue*>* place = nullptr;
  for (auto& each : owner->defaults) {
    const Queue* queue = each.load(std::memory_order_relaxed);
    if (queue == nullptr || !queue->IsVirtual() ||
        queue->owner.load(std::memory_order_relaxed) != handle ||
        queue->entry.life != Life::kScheduled) {
      place = &each;
      break;
    }
  }
  Queue* queue = nullptr;
  if (place == nullptr ||
      MakeKnown(hardware, device, context, 0, &queue) != kXSchedSuccess) {
    return nullptr;
  }
  try {
    Schedule(queue);
  } catch (...) {
    streams_.Remove(queue->stream.exchange(0, std::memory_order_seq_cst));
    Free(queue);
    throw;
  }
  Assign(queue, owner, &complaint.text);
  // Release: it is complete before a launch finds it.
  place->store(queue, std::memory_order_release);
  return queue;
}

// --- what ends ---------------------------------------------------------------

void
Registry::NoteForeign(const Queue& queue)
{
  const uint32_t slot = queue.entry.slot;
  std::atomic<uint64_t>& word = has_foreign_[slot / 64];
  const uint64_t bit = UINT64_C(1) << slot % 64;
  if ((word.load(std::memory_order_relaxed) & bit) == 0) {
    word.fetch_or(bit, std::memory_order_release);
  }
}

std::vector<Queue*>
Registry::TakeStream(uint64_t stream)
{
  std::vector<Queue*> had;
  std::lock_guard<std::mutex> lock(mutex_);
  if (Queue* queue = FindStream(stream)) {
    streams_.Remove(stream);
    // Sequentially consistent: see Inquiries.
    queue->stream.store(0, std::memory_order_seq_cst);
    had.push_back(queue);
  }
  for (uint32_t word = 0; word < kMaxQueues / 64; ++word) {
    for (uint64_t rest = has_foreign_[word].load(std::memory_order_acquire);
         rest != 0; rest &= rest - 1) {
      Queue* queue = AtSlot(word * 64 + __builtin_ctzll(rest));
      // Its flight knows streams that found no place there.
      bool has = queue->foreign_overflow.load(std::memory_order_relaxed);
      for (auto& foreign : queue->foreign) {
        uint64_t expected = stream;
        has = foreign.compare_exchange_strong(
                  expected, 0, std::memory_order_seq_cst) ||
              has;
      }
      if (has) {
        had.push_back(queue);
      }
    }
  }
  return had;
}

void
Registry::Retire(Queue* queue, uint32_t generation)
{
  std::lock_guard<std::mutex> lock(mutex_);
  Entry& entry = queue->entry;
  if (queue->generation.load(std::memory_order_relaxed) != generation ||
      queue->stream.load(std::memory_order_relaxed) != 0 ||
      (entry.life != Life::kKnown && entry.life != Life::kScheduled)) {
    return;
  }
  if (entry.life == Life::kScheduled) {
    queue->scheduled.store(false, std::memory_order_seq_cst);
    scheduled.fetch_sub(1, std::memory_order_relaxed);
    queue->Home()->GetDevice()->Remove(queue);
  }
  entry.life = Life::kGone;
  entry.next_gone = nullptr;
  (last_gone_ == nullptr ? first_gone_ : last_gone_->entry.next_gone) = queue;
  last_gone_ = queue;
}

Registry::ContextUse
Registry::UseOf(uint64_t context) const
{
  ContextUse use;
  std::lock_guard<std::mutex> lock(mutex_);
  ForEach([&](Queue* queue) {
    const Context* home = queue->Home();
    if (home != nullptr && home->Handle() == context) {
      use.queues.push_back(queue);
      const uint64_t stream = queue->stream.load(std::memory_order_relaxed);
      if (stream != 0) {
        use.streams.push_back(stream);
      }
    }
  });
  for (const auto& each : contexts_) {
    if (each->Handle() == context) {
      use.contexts.push_back(each.get());
    }
  }
  return use;
}

void
Registry::SetPolicy(XSchedulerType scheduler, XPolicyType type)
{
  std::lock_guard<std::mutex> lock(mutex_);
  scheduler_ = scheduler;
  policy_ = type;
  for (const auto& device : devices_) {
    device->SetPolicy(
        MakePolicy(scheduler, type), scheduler == kSchedulerGlobal);
  }
}

}  // namespace xsched
