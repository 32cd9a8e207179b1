// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_TABLE_H_
#define XSCHED_PREEMPT_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "preempt/hash.h"

namespace xsched {

// A fixed hash table from a non-zero 64-bit key to a non-zero 64-bit value.
// Lookups take no lock; changes take one. A lookup that runs while its own
// key is removed may still return the old value, so values refer to memory
// that is never freed.
class Table {
 public:
  // 'capacity' is a power of two.
  explicit Table(size_t capacity) : slots_(capacity), mask_(capacity - 1) {}

  // The value of 'key', 0 if there is none.
  uint64_t Find(uint64_t key) const
  {
    // One look where most processes never insert anything.
    if (size_.load(std::memory_order_relaxed) == 0) {
      return 0;
    }
    for (size_t i = Mix(key), n = 0; n < slots_.size(); ++i, ++n) {
      const Slot& slot = slots_[i & mask_];
      // Acquire: pairs with the release in Insert, so that what the value
      // refers to is complete.
      const uint64_t found = slot.key.load(std::memory_order_acquire);
      if (found == key) {
        return slot.value.load(std::memory_order_acquire);
      }
      if (found == kFree) {
        return 0;
      }
    }
    return 0;
  }

  // False if the table is full.
  bool Insert(uint64_t key, uint64_t value)
  {
    std::lock_guard<std::mutex> lock(mutex_);
    Slot* place = nullptr;
    for (size_t i = Mix(key), n = 0; n < slots_.size(); ++i, ++n) {
      Slot& slot = slots_[i & mask_];
      const uint64_t found = slot.key.load(std::memory_order_relaxed);
      if (found == key) {
        slot.value.store(value, std::memory_order_release);
        return true;
      }
      if (place == nullptr && (found == kFree || found == kRemoved)) {
        place = &slot;
      }
      if (found == kFree) {
        break;
      }
    }
    if (place == nullptr ||
        size_.load(std::memory_order_relaxed) * 2 >= slots_.size()) {
      return false;
    }
    place->value.store(value, std::memory_order_release);
    place->key.store(key, std::memory_order_release);
    size_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  void Remove(uint64_t key)
  {
    if (size_.load(std::memory_order_relaxed) == 0) {
      return;
    }
    std::lock_guard<std::mutex> lock(mutex_);
    for (size_t i = Mix(key), n = 0; n < slots_.size(); ++i, ++n) {
      Slot& slot = slots_[i & mask_];
      const uint64_t found = slot.key.load(std::memory_order_relaxed);
      if (found == kFree) {
        return;
      }
      if (found != key) {
        continue;
      }
      slot.value.store(0, std::memory_order_relaxed);
      slot.key.store(kRemoved, std::memory_order_release);
      size_.fetch_sub(1, std::memory_order_relaxed);
      // A removed slot before a free one is free as well: without this,
      // every lookup that fails would come to walk the whole table.
      for (size_t j = i;
           slots_[(j + 1) & mask_].key.load(std::memory_order_relaxed) ==
               kFree &&
           slots_[j & mask_].key.load(std::memory_order_relaxed) == kRemoved;
           --j) {
        slots_[j & mask_].key.store(kFree, std::memory_order_release);
      }
      return;
    }
  }

 private:
  static constexpr uint64_t kFree = 0;
  static constexpr uint64_t kRemoved = ~UINT64_C(0);

  struct Slot {
    std::atomic<uint64_t> key{kFree};
    std::atomic<uint64_t> value{0};
  };

  std::vector<Slot> slots_;
  const size_t mask_;
  std::atomic<size_t> size_{0};
  std::mutex mutex_;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_TABLE_H_
