// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_OWNER_H_
#define XSCHED_PREEMPT_OWNER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "preempt/export.h"
#include "preempt/queue.h"
#include "xsched/types.h"

namespace xsched {

// Whose work threads do, such as a model instance's: the name, the priority, the
// floor and the weight of the queues that they cause to exist. Comes from a pool
// and is never freed, so that a thread that still works for one that has ended
// reads a whole one.
struct Owner {
  static constexpr size_t kMaxContexts = 16;

  // Another one in each life; odd while it exists. Written under the registry's
  // lock.
  std::atomic<uint32_t> generation{0};
  // The queue of its work in the default streams, for each context. Written
  // under the registry's lock; may have ended.
  std::atomic<Queue*> defaults[kMaxContexts] = {};

  // Under the registry's lock.
  uint32_t slot = 0;
  Priority priority = PRIORITY_DEFAULT;
  std::string name;
  int floor = 0;
  int weight = 0;
  // There was no room for it, and the log says so.
  bool floor_refused = false;

  // Its queue for the default streams of a context; null if it has none there.
  Queue* DefaultQueue(uint64_t context, uint64_t self) const;
};

// All owners, by their handles. Under the registry's lock, apart from Resolve.
class XSCHED_INTERNAL Owners {
 public:
  static constexpr uint32_t kMaxOwners = 16384;

  Owner* Create(const std::string& name, Priority priority);
  // Null if there is none of that handle.
  Owner* Resolve(uint64_t handle) const;
  void End(Owner* owner);
  static uint64_t HandleOf(const Owner& owner);

  template <typename Visit>
  void ForEach(const Visit& visit) const
  {
    for (uint32_t slot = 0; slot < slot_count_; ++slot) {
      Owner* owner = AtSlot(slot);
      if (owner->generation.load(std::memory_order_relaxed) % 2 != 0) {
        visit(owner);
      }
    }
  }

 private:
  static constexpr uint32_t kChunk = 64;

  Owner* AtSlot(uint32_t slot) const;

  std::atomic<Owner*> chunks_[kMaxOwners / kChunk] = {};
  uint32_t slot_count_ = 0;
  std::vector<uint32_t> free_slots_;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_OWNER_H_
