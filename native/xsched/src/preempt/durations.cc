// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/durations.h"

#include <algorithm>

#include "preempt/hash.h"

namespace xsched {

int64_t
Duration::EstimateNs() const
{
  const uint32_t own = ns.load(std::memory_order_relaxed);
  if (own != 0) {
    return own;
  }
  // Acquire: pairs with the release in Find.
  const Duration* parent = any_shape.load(std::memory_order_acquire);
  return parent == nullptr ? 0 : parent->ns.load(std::memory_order_relaxed);
}

void
Duration::Learn(int64_t measured_ns, bool is_exact)
{
  Update(measured_ns, is_exact);
  // Acquire: pairs with the release in Find.
  Duration* parent = any_shape.load(std::memory_order_acquire);
  if (parent != nullptr) {
    parent->Update(measured_ns, is_exact);
  }
}

void
Duration::Update(int64_t measured_ns, bool is_exact)
{
  const int64_t sample =
      std::min<int64_t>(std::max<int64_t>(measured_ns, 100), UINT32_MAX);
  const bool had_exact = exact.load(std::memory_order_relaxed);
  if (is_exact || !had_exact) {
    const int64_t old = ns.load(std::memory_order_relaxed);
    const bool first = old == 0 || is_exact != had_exact;
    ns.store(
        static_cast<uint32_t>(first ? sample : old + (sample - old) / 4),
        std::memory_order_relaxed);
    exact.store(is_exact, std::memory_order_relaxed);
  }
  samples.fetch_add(1, std::memory_order_relaxed);
}

Duration*
Durations::Find(const LaunchKey& key)
{
  const uint64_t function_hash = Mix(key.function);
  Duration* entry = FindHash(Mix(function_hash ^ key.shape));
  if (entry != &others_ &&
      entry->any_shape.load(std::memory_order_relaxed) == nullptr) {
    // Release: the entry is complete before others reach it from here.
    entry->any_shape.store(
        FindHash(function_hash), std::memory_order_release);
  }
  return entry;
}

Duration*
Durations::FindHash(uint64_t hash)
{
  hash |= 1;  // 0 marks a free entry
  for (size_t i = 0; i < kProbes; ++i) {
    Duration& entry = entries_[(hash + i) % kCapacity];
    uint64_t key = entry.key.load(std::memory_order_relaxed);
    if (key == 0 &&
        entry.key.compare_exchange_strong(
            key, hash, std::memory_order_relaxed)) {
      return &entry;
    }
    if (key == hash) {
      return &entry;
    }
  }
  return &others_;
}

}  // namespace xsched
