// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// What the processes of a scheduling domain share for one device: a file of
// this layout. Any change to it is another kLayoutVersion.

#ifndef XSCHED_DOMAIN_LAYOUT_H_
#define XSCHED_DOMAIN_LAYOUT_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "xsched/types.h"

namespace xsched { namespace domain {

constexpr uint64_t kMagic = UINT64_C(0x6e69616d6f647378);  // "xsdomain"
constexpr uint32_t kLayoutVersion = 3;
constexpr int kSlots = 64;

// What a process wants of the others, or what all of them want together.
struct Demand {
  // The highest priority that has work; PRIORITY_NO_EXECUTE: none has.
  int ready = PRIORITY_NO_EXECUTE;
  // The highest priority that there is a queue of.
  int ceiling = PRIORITY_NO_EXECUTE;
  // The percentages of the floors whose queues others hold back, together, at
  // most 127. While there are any, the limit in flight applies to everybody.
  int floors = 0;
  // Of one process: not 0 if it has the slice, or wants it. Of all: the slot,
  // plus one, of the process that has it, whose floor alone may launch; 0: none
  // has.
  int slice = 0;
};

// A demand and a number that every write changes, in one word. Decoding knows no
// invalid one, whatever somebody scribbled there.
class Claim {
 public:
  Claim() = default;
  explicit Claim(uint64_t word) : word_(word) {}
  Claim(const Demand& demand, uint64_t beat)
      : word_(
            LevelOf(demand.ready) | LevelOf(demand.ceiling) << kLevelBits |
            PartOf(demand.floors) << 2 * kLevelBits |
            PartOf(demand.slice) << (2 * kLevelBits + kPartBits) |
            beat << kDemandBits)
  {
  }

  uint64_t Word() const { return word_; }
  int Ready() const { return PriorityOf(word_); }
  int Ceiling() const { return PriorityOf(word_ >> kLevelBits); }
  int Floors() const { return static_cast<int>(Part(2 * kLevelBits)); }
  int Slice() const
  {
    return static_cast<int>(Part(2 * kLevelBits + kPartBits));
  }
  uint64_t Beat() const { return word_ >> kDemandBits; }
  // It asks for nothing, and there is no queue.
  bool IsEmpty() const
  {
    return (word_ & ((UINT64_C(1) << kDemandBits) - 1)) == 0;
  }
  // It keeps others from something.
  bool IsDue() const { return Ready() != PRIORITY_NO_EXECUTE || Slice() != 0; }

 private:
  static constexpr int kLevelBits = 9;
  static constexpr int kPartBits = 7;
  static constexpr int kDemandBits = 2 * (kLevelBits + kPartBits);
  static constexpr uint64_t kLevelMask = (1 << kLevelBits) - 1;
  static constexpr uint64_t kPartMask = (1 << kPartBits) - 1;
  static_assert(PRIORITY_MAX - PRIORITY_NO_EXECUTE == kLevelMask, "9 bits");
  static_assert(kSlots < kPartMask, "a slot's number fits");

  static uint64_t LevelOf(int priority)
  {
    return static_cast<uint64_t>(priority - PRIORITY_NO_EXECUTE) & kLevelMask;
  }
  static int PriorityOf(uint64_t word)
  {
    return PRIORITY_NO_EXECUTE + static_cast<int>(word & kLevelMask);
  }
  static uint64_t PartOf(int number)
  {
    return std::min(static_cast<uint64_t>(number), kPartMask);
  }
  uint64_t Part(int from) const { return word_ >> from & kPartMask; }

  uint64_t word_ = 0;
};

struct alignas(128) Header {
  uint64_t magic;
  uint32_t version;
  uint32_t size;
  // How many slots there is reason to look at: grows only.
  std::atomic<uint32_t> used;
};

// One process. Written by it alone, but for the claim, which others may revoke,
// and the bell, which others ring.
struct alignas(128) Slot {
  std::atomic<uint64_t> claim;
  // Counts the rings: the word that the process's thread sleeps on.
  std::atomic<uint32_t> bell;
  // The highest priority that a launch waits with, less PRIORITY_NO_EXECUTE; 0
  // if none does.
  std::atomic<uint32_t> waits;
  // The model that the process works for alone, as a hash; 0: no such one. Its
  // processes share its floor and its weight.
  std::atomic<uint64_t> model;
  // For people; the pid is that of the process's own namespace.
  std::atomic<int64_t> pid;
  std::atomic<int64_t> since_ns;
  std::atomic<int64_t> used_ns;
  // The weights of its models that have work of the claim's priority, together;
  // 0: it shares by none.
  std::atomic<uint32_t> weight;
  // Of the file of gangs, and of no device's: see Gang. Whether the device has
  // work of this process; whether it is not its turn.
  std::atomic<uint32_t> busy;
  std::atomic<uint32_t> held;
  // A hash of the gang's name; 0: none. How many collectives it has launched.
  std::atomic<uint64_t> gang;
  std::atomic<uint64_t> collectives;
  // With the one that it is about to launch.
  std::atomic<uint64_t> arrived;
};

struct Layout {
  Header header;
  // The claims taken together. In a cache line that changes only when they do:
  // every launch reads it.
  alignas(128) std::atomic<uint64_t> top;
  Slot slots[kSlots];
};

static_assert(
    std::atomic<uint64_t>::is_always_lock_free &&
        sizeof(std::atomic<uint64_t>) == sizeof(uint64_t),
    "shared between processes");

inline int
UsedSlots(const Layout& shared)
{
  return static_cast<int>(std::min<uint32_t>(
      shared.header.used.load(std::memory_order_acquire), kSlots));
}

// Enough slots to see this one.
inline void
UseSlot(Layout* shared, int slot)
{
  uint32_t used = shared->header.used.load(std::memory_order_relaxed);
  const uint32_t least = static_cast<uint32_t>(slot) + 1;
  while (used < least && !shared->header.used.compare_exchange_weak(
                             used, least, std::memory_order_seq_cst)) {
  }
}

// Of a name, and never 0. FNV-1a, which is the same in every process.
inline uint64_t
HashOf(const std::string& name)
{
  uint64_t hash = UINT64_C(0xCBF29CE484222325);
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * UINT64_C(0x100000001B3);
  }
  return hash | 1;
}

// What a process shares by; whatever somebody scribbled there. Relaxed: it
// changes no order.
inline int
WeightOf(const Slot& slot)
{
  constexpr uint32_t kMost = 1 << 16;
  return static_cast<int>(
      std::min(slot.weight.load(std::memory_order_relaxed), kMost));
}

// What the process of a slot is to others that share by weights: the same for
// all processes of a model.
inline uint64_t
IdentityOf(const Slot& slot, int number)
{
  const uint64_t model = slot.model.load(std::memory_order_relaxed);
  return model == 0 ? static_cast<uint64_t>(number) + 1 : model;
}

static_assert(sizeof(Slot) == 128 && offsetof(Layout, slots) == 256, "fixed");

}}  // namespace xsched::domain

#endif  // XSCHED_DOMAIN_LAYOUT_H_
