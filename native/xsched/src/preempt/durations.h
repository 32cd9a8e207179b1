// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_DURATIONS_H_
#define XSCHED_PREEMPT_DURATIONS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace xsched {

// What is launched: a kernel or a graph, and its grid and block sizes. The
// same kernel with another grid may take much longer.
struct LaunchKey {
  uint64_t function;
  uint64_t shape;
};

// The learned time of one kernel in one shape, or of a kernel in any shape.
// Relaxed throughout: single numbers that a racing update may lose one sample
// of.
struct Duration {
  std::atomic<uint64_t> key{0};
  // 0: not measured yet.
  std::atomic<uint32_t> ns{0};
  std::atomic<uint32_t> samples{0};
  std::atomic<bool> exact{false};
  // The same kernel in any shape; null in that entry itself.
  std::atomic<Duration*> any_shape{nullptr};

  // The best estimate there is; 0 if there is none.
  int64_t EstimateNs() const;

  // Whether the estimate comes from enough samples of this very shape to be
  // taken without another look.
  bool
  Known() const
  {
    return samples.load(std::memory_order_relaxed) >= kEnoughSamples;
  }

  // Takes a measured time into the estimate. One that is not exact counts only
  // until there is one that is.
  void Learn(int64_t measured_ns, bool is_exact);

 private:
  static constexpr uint32_t kEnoughSamples = 2;

  void Update(int64_t measured_ns, bool is_exact);
};

// The learned times of a device. Entries are never removed, so pointers stay
// valid; lookups take no lock.
class Durations {
 public:
  Duration* Find(const LaunchKey& key);

 private:
  static constexpr size_t kCapacity = 8192;
  static constexpr size_t kProbes = 32;

  Duration* FindHash(uint64_t hash);

  std::array<Duration, kCapacity> entries_;
  // What finds no place shares one estimate.
  Duration others_;
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_DURATIONS_H_
