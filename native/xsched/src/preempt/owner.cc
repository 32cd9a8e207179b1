// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/owner.h"

#include "preempt/context.h"

namespace xsched {
namespace {

constexpr int kOwnerSlotBits = 16;
constexpr uint64_t kOwnerSlotMask = (UINT64_C(1) << kOwnerSlotBits) - 1;

}  // namespace

Queue*
Owner::DefaultQueue(uint64_t context, uint64_t self) const
{
  for (const auto& each : defaults) {
    // Acquire: the queue is complete before it is found here.
    Queue* queue = each.load(std::memory_order_acquire);
    if (queue == nullptr) {
      return nullptr;  // they are filled from the front
    }
    // It may have ended, and its place in the pool be another's.
    if (queue->owner.load(std::memory_order_relaxed) == self &&
        queue->scheduled.load(std::memory_order_acquire) &&
        queue->IsVirtual() && queue->Home()->Handle() == context) {
      return queue;
    }
  }
  return nullptr;
}

uint64_t
Owners::HandleOf(const Owner& owner)
{
  const uint64_t generation = owner.generation.load(std::memory_order_relaxed);
  return generation << kOwnerSlotBits | (owner.slot + 1);
}

Owner*
Owners::AtSlot(uint32_t slot) const
{
  // Acquire: the owners of a chunk are complete before a handle leads there.
  return &chunks_[slot / kChunk].load(std::memory_order_acquire)[slot % kChunk];
}

Owner*
Owners::Resolve(uint64_t handle) const
{
  const uint64_t slot = (handle & kOwnerSlotMask) - 1;
  if (slot >= kMaxOwners ||
      chunks_[slot / kChunk].load(std::memory_order_acquire) == nullptr) {
    return nullptr;
  }
  Owner* owner = AtSlot(static_cast<uint32_t>(slot));
  const uint32_t generation = owner->generation.load(std::memory_order_acquire);
  return generation % 2 != 0 && generation == handle >> kOwnerSlotBits
             ? owner
             : nullptr;
}

Owner*
Owners::Create(const std::string& name, Priority priority)
{
  if (free_slots_.empty()) {
    if (slot_count_ == kMaxOwners) {
      return nullptr;
    }
    free_slots_.reserve(slot_count_ + kChunk);
    Owner* chunk = new Owner[kChunk];
    for (uint32_t i = 0; i < kChunk; ++i) {
      chunk[i].slot = slot_count_ + i;
      free_slots_.push_back(slot_count_ + kChunk - 1 - i);
    }
    chunks_[slot_count_ / kChunk].store(chunk, std::memory_order_release);
    slot_count_ += kChunk;
  }
  Owner* owner = AtSlot(free_slots_.back());
  owner->name = name;
  owner->priority = priority;
  owner->floor = 0;
  owner->weight = 0;
  owner->floor_refused = false;
  free_slots_.pop_back();
  owner->generation.fetch_add(1, std::memory_order_release);
  return owner;
}

void
Owners::End(Owner* owner)
{
  owner->generation.fetch_add(1, std::memory_order_release);
  for (auto& each : owner->defaults) {
    each.store(nullptr, std::memory_order_relaxed);
  }
  free_slots_.push_back(owner->slot);
}

}  // namespace xsched
