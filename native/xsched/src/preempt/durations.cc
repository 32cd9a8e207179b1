// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "preempt/durations.h"

#include <algorithm>

#include "preempt/hash.h"

namespace xsched {
namespace {

constexpr uint64_t kEnoughSamples = 2;

// A value: 32 bits of nanoseconds, above them one bit for exact and 8 for the
// number of samples.
constexpr uint64_t kExactBit = UINT64_C(1) << 32;
constexpr int kSamplesShift = 33;
constexpr uint64_t kMaxSamples = 255;
// How far a sample takes the estimate, as a part of the way.
constexpr int64_t kPart = 4;

struct Learned {
  int64_t ns;
  bool exact;
  uint64_t samples;
};

Learned
Unpack(uint64_t value)
{
  return {
      static_cast<int64_t>(value & UINT32_MAX), (value & kExactBit) != 0,
      value >> kSamplesShift};
}

uint64_t
Pack(const Learned& learned)
{
  return static_cast<uint64_t>(learned.ns) |
         (learned.exact ? kExactBit : UINT64_C(0)) |
         std::min(learned.samples, kMaxSamples) << kSamplesShift;
}

uint64_t
HashOf(const LaunchKey& key)
{
  return Mix(Mix(key.function) ^ key.shape) | 1;  // 0 marks a free entry
}

int64_t
Storable(int64_t ns)
{
  return std::min<int64_t>(std::max<int64_t>(ns, 100), UINT32_MAX);
}

// The lowest bit is always set.
size_t
SetOf(uint64_t hash)
{
  return (hash >> 1) % Durations::kSets;
}

}  // namespace

Estimate
Durations::Find(const LaunchKey& key) const
{
  const uint64_t hash = HashOf(key);
  for (const Entry& entry : sets_[SetOf(hash)]) {
    if (entry.key.load(std::memory_order_acquire) != hash) {
      continue;
    }
    const uint64_t value = entry.value.load(std::memory_order_acquire);
    // The value is this key's if the entry still is: see Place. Acquire above,
    // so that this load is not made before that of the value.
    if (entry.key.load(std::memory_order_relaxed) != hash) {
      break;
    }
    const Learned learned = Unpack(value);
    return {learned.ns, learned.exact, learned.samples >= kEnoughSamples};
  }
  return {};
}

// The entry of a key; an older one's, cleared, if there is none.
Durations::Entry*
Durations::Place(uint64_t hash)
{
  Set& set = sets_[SetOf(hash)];
  Entry* place = nullptr;
  for (Entry& entry : set) {
    const uint64_t key = entry.key.load(std::memory_order_relaxed);
    if (key == hash) {
      return &entry;
    }
    if (key == 0 && place == nullptr) {
      place = &entry;
    }
  }
  if (place == nullptr) {
    // In turn. To spare what is known would be to evict what is just being
    // learned, over and over.
    place = &set[next_victim_++ % kWays];
  }
  // One that finds the new key finds no old value.
  Free(place);
  place->key.store(hash, std::memory_order_release);
  return place;
}

void
Durations::Free(Entry* entry)
{
  // In this order: a reader that finds the old value afterwards no longer
  // finds its key.
  entry->key.store(0, std::memory_order_relaxed);
  entry->value.store(0, std::memory_order_release);
}

void
Durations::Forget(const LaunchKey& key)
{
  const uint64_t hash = HashOf(key);
  std::lock_guard<std::mutex> lock(learning_);
  forgotten_.fetch_add(1, std::memory_order_release);
  for (Entry& entry : sets_[SetOf(hash)]) {
    if (entry.key.load(std::memory_order_relaxed) == hash) {
      Free(&entry);
    }
  }
}

void
Durations::ForgetAll()
{
  std::lock_guard<std::mutex> lock(learning_);
  forgotten_.fetch_add(1, std::memory_order_release);
  for (Set& set : sets_) {
    for (Entry& entry : set) {
      if (entry.key.load(std::memory_order_relaxed) != 0) {
        Free(&entry);
      }
    }
  }
}

void
Durations::Learn(const LaunchKey& key, const Measurement& measured)
{
  Learn(key, measured, Forgotten());
}

void
Durations::Learn(
    const LaunchKey& key, const Measurement& measured, uint64_t as_of)
{
  const bool exact = measured.exact;
  const int64_t sample_ns = Storable(measured.ns);
  const int64_t at_most_ns = Storable(measured.at_most_ns);
  std::lock_guard<std::mutex> lock(learning_);
  if (forgotten_.load(std::memory_order_relaxed) != as_of) {
    return;
  }
  Entry* entry = Place(HashOf(key));
  Learned learned = Unpack(entry->value.load(std::memory_order_relaxed));
  if (exact || !learned.exact) {
    const bool first = learned.samples == 0 || exact != learned.exact;
    learned.ns =
        first ? sample_ns : learned.ns + (sample_ns - learned.ns) / kPart;
    learned.exact = exact;
  } else if (at_most_ns < learned.ns) {
    learned.ns += (at_most_ns - learned.ns) / kPart;
  }
  ++learned.samples;
  // Release: pairs with the acquire in Find.
  entry->value.store(Pack(learned), std::memory_order_release);
}

}  // namespace xsched
