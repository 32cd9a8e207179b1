// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_REGISTRY_H_
#define XSCHED_PREEMPT_REGISTRY_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "preempt/device.h"
#include "preempt/export.h"
#include "preempt/owner.h"
#include "preempt/queue.h"
#include "preempt/table.h"
#include "xsched/types.h"

namespace xsched {

// Why a floor was refused: on which device there is too little room for it, and
// how much. Room for the whole of it: there is no such queue.
struct FloorRefusal {
  int device;
  int room;  // percent
};

// The queues of the process: their handles, their streams, their lives
// (queue.h), and the devices and contexts that they are of. Its lock is taken
// before a device's.
//
// Invariant: a queue is kScheduled if and only if its device has it, and a
// stream's queue is found by the stream if and only if it is kKnown or
// kScheduled.
class XSCHED_INTERNAL Registry {
 public:
  static constexpr uint32_t kMaxQueues = 16384;

  Registry();

  // Of a hardware queue or an XQueue.
  XResult CreateHwQueue(
      Hardware* hardware, int device, uint64_t context, uint64_t stream,
      HwQueueHandle* handle);
  XResult DestroyHwQueue(HwQueueHandle handle);
  XResult CreateQueue(HwQueueHandle hwq, XQueueHandle* handle);
  // The queue that it was is stored if launches may still be in it.
  XResult DestroyQueue(XQueueHandle handle, Queue** queue);

  // 0 if there are too many.
  uint64_t CreateOwner(const std::string& name, Priority priority);
  // Ends it. What is returned are the queues that it had.
  std::vector<XQueueHandle> DestroyOwner(uint64_t owner);
  // False if there is none of that handle.
  bool DescribeOwner(uint64_t owner, std::string* name, Priority* priority);
  Owner* FindOwner(uint64_t owner) const { return owners_.Resolve(owner); }
  // Gives a queue to an owner, with its name and priority. False if either is
  // gone.
  bool GiveTo(uint64_t owner, XQueueHandle handle);
  // The queue of an owner's work in the default streams of a context, which is
  // created if there is none yet. Null if there are too many, or the owner is
  // gone.
  Queue* GetDefaultQueue(
      Hardware* hardware, int device, uint64_t context, uint64_t owner);
  // The priority of queues to come, of the owners that 'matches' is true of.
  // Their names and what it was before are returned.
  template <typename Matches>
  std::vector<std::pair<std::string, Priority>> SetPriorityOfOwners(
      const Matches& matches, Priority priority)
  {
    std::vector<std::pair<std::string, Priority>> before;
    std::lock_guard<std::mutex> lock(mutex_);
    owners_.ForEach([&](Owner* owner) {
      if (matches(owner->name)) {
        before.emplace_back(owner->name, owner->priority);
        owner->priority = priority;
      }
    });
    return before;
  }

  // The floor that the queues of a model share on each device, also those that
  // its owners are going to have. False, and nothing changes, if one of the
  // devices has no room for it. 'owners' are those of the model, with the floor
  // that they had; may be null.
  bool SetFloorOfModel(
      const std::string& model, int percent, FloorRefusal* refusal,
      std::vector<std::pair<std::string, int>>* owners);
  // The same for the model of a queue, or for the queue alone if it has no name.
  XResult SetFloor(XQueueHandle handle, int percent, FloorRefusal* refusal);
  // For the model of an owner, which must have a name. Where there is no room
  // for it now, the model's next queue tries again.
  XResult SetFloorOfOwner(uint64_t owner, int percent);
  XResult FloorOfOwner(uint64_t owner, int* percent);

  // The same for weights, which are never refused.
  void SetWeightOfModel(
      const std::string& model, int weight,
      std::vector<std::pair<std::string, int>>* owners);
  // That of a gang, where the model has none.
  void GiveWeightOfGang(const std::string& model);
  XResult SetWeight(XQueueHandle handle, int weight);
  XResult SetWeightOfOwner(uint64_t owner, int weight);
  XResult WeightOfOwner(uint64_t owner, int* weight);

  // Null if there is none of that handle.
  Queue* FindHwQueue(HwQueueHandle handle) const;
  Queue* FindQueue(XQueueHandle handle) const;
  static HwQueueHandle HwHandleOf(const Queue& queue);
  static XQueueHandle HandleOf(const Queue& queue);
  // The queue of a stream, whether it has an XQueue or not.
  Queue* FindStream(uint64_t stream) const
  {
    return reinterpret_cast<Queue*>(streams_.Find(stream));
  }
  Queue* AtSlot(uint64_t slot) const;
  static uint32_t SlotOf(const Queue& queue) { return queue.entry.slot; }

  // Calls 'visit' with the queue while its life does not end; false if there is
  // no XQueue of that handle.
  template <typename Visit>
  bool With(XQueueHandle handle, const Visit& visit)
  {
    std::lock_guard<std::mutex> lock(mutex_);
    Queue* queue = FindQueue(handle);
    if (queue == nullptr) {
      return false;
    }
    visit(queue);
    return true;
  }
  // With all that have an XQueue, in the order of their ids, and the lock held.
  std::vector<XQueueHandle> Handles() const;
  static uint64_t IdOf(const Queue& queue) { return queue.entry.id; }
  static const std::string& NameOf(const Queue& queue)
  {
    return queue.entry.name;
  }
  // Its floor and weight are those of its model from then on.
  static void SetName(Queue* queue, const std::string& name);

  // The queue has streams of others, or had some: it is looked through when one
  // is destroyed.
  static void NoteForeign(const Queue& queue);
  // Takes the stream away from where others find it. What is returned are the
  // queues that had to do with it.
  std::vector<Queue*> TakeStream(uint64_t stream);
  // The life of a queue whose stream is gone ends, unless another has begun.
  // The application may still destroy its handles.
  void Retire(Queue* queue, uint32_t generation);
  // The streams of the queues of a context, and those queues, also such as have
  // ended: what a late launch left there is of this context.
  struct ContextUse {
    std::vector<uint64_t> streams;
    std::vector<Queue*> queues;
    std::vector<Context*> contexts;
  };
  ContextUse UseOf(uint64_t context) const;

  // The device of that number, which begins with this if there is none yet.
  Device* MakeDevice(int id)
  {
    std::lock_guard<std::mutex> lock(mutex_);
    return GetDevice(id);
  }
  // Calls 'visit' with every device.
  template <typename Visit>
  void ForEachDevice(const Visit& visit) const
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& device : devices_) {
      visit(device.get());
    }
  }

  // The policy of every device, also of those to come.
  void SetPolicy(XSchedulerType scheduler, XPolicyType type);

  // Number of XQueues, and of owners, whose work may get one. Static: where
  // there are none, a launch looks at this and at nothing else.
  static std::atomic<uint32_t> scheduled;

 private:
  static constexpr uint32_t kChunk = 64;

  Queue* Resolve(uint64_t handle, uint64_t tag) const;
  static uint64_t Handle(const Queue& queue, uint64_t tag);
  Device* GetDevice(int id);
  Context* GetContext(Hardware* hardware, Device* device, uint64_t handle);
  // These are called with the lock held.
  XResult MakeKnown(
      Hardware* hardware, int device, uint64_t context, uint64_t stream,
      Queue** queue);
  XResult Schedule(Queue* queue);
  // What is to be logged once the lock is released is added to 'complaint'.
  void Assign(Queue* queue, Owner* owner, std::string* complaint);
  std::map<Device*, std::vector<Queue*>> QueuesOf(
      const std::string& model) const;
  void GiveWeight(
      const std::string& model, int weight,
      std::vector<std::pair<std::string, int>>* owners);
  bool GiveFloor(const std::string& model, int percent, FloorRefusal* refusal);
  // That of an owner, which the first refusal is a complaint about.
  void GiveFloor(Owner* owner, std::string* complaint);
  Queue* TakeFree();
  void Free(Queue* queue);
  template <typename Visit>
  void ForEach(const Visit& visit) const
  {
    for (uint32_t slot = 0; slot < slot_count_; ++slot) {
      visit(AtSlot(slot));
    }
  }

  // A bit for each slot, see NoteForeign. Set by launches.
  static std::atomic<uint64_t> has_foreign_[kMaxQueues / 64];

  Table streams_;
  std::atomic<Queue*> chunks_[kMaxQueues / kChunk] = {};

  mutable std::mutex mutex_;
  XSchedulerType scheduler_;
  XPolicyType policy_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<std::unique_ptr<Context>> contexts_;
  Owners owners_;
  std::vector<uint32_t> free_slots_;
  // Queues that are kGone, the first to be used again first.
  Queue* first_gone_ = nullptr;
  Queue* last_gone_ = nullptr;
  uint64_t last_id_ = 0;
  uint32_t slot_count_ = 0;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_REGISTRY_H_
