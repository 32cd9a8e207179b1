// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_DURATIONS_H_
#define XSCHED_PREEMPT_DURATIONS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace xsched {

// What is launched: a kernel or a graph, and its grid and block sizes. The
// same kernel with another grid may take much longer.
struct LaunchKey {
  uint64_t function;
  uint64_t shape;
  enum Kind : uint8_t { kKernel, kGraph, kCopy } kind = kKernel;
};

// What is believed of the device time of a launch.
struct Estimate {
  // 0: not measured yet.
  int64_t ns = 0;
  // From a sample that had the device for itself.
  bool exact = false;
  // From enough samples to be relied on. What is not known goes to the device
  // one at a time.
  bool known = false;
};

// The learned times of a device: a cache of fixed size. Where more kernels and
// shapes are launched than it holds, an old entry makes room for a new one, and
// what was evicted is unknown again. Nothing is ever estimated by the entry of
// something else.
//
// A handle may come again for something else, once what it stood for has ended
// or changed: that is forgotten before, and so is what was being measured.
//
// Find takes no lock. The others take one, among themselves.
class Durations {
 public:
  static constexpr size_t kSets = 2048;
  static constexpr size_t kWays = 8;

  Estimate Find(const LaunchKey& key) const;

  // What was measured of a launch.
  struct Measurement {
    int64_t ns = 0;
    // It had the device for itself, as far as this process can tell.
    bool exact = false;
    // It took no longer than that, whatever else was at work meanwhile.
    int64_t at_most_ns = INT64_MAX;
  };
  // Takes a measurement into the estimate. One that is not exact counts only
  // until there is one that is, or if it shows that the estimate is too high:
  // an exact one has other processes' work in it where the device took turns,
  // and a queue that is slower than the device never gets another.
  void Learn(const LaunchKey& key, const Measurement& measured);
  // The same for one that began when Forgotten() was 'as_of': nothing is
  // learned if something has been forgotten since.
  void Learn(const LaunchKey& key, const Measurement& measured, uint64_t as_of);

  void Forget(const LaunchKey& key);
  void ForgetAll();
  // How often something was forgotten.
  uint64_t Forgotten() const
  {
    return forgotten_.load(std::memory_order_acquire);
  }

 private:
  struct Entry {
    std::atomic<uint64_t> key{0};  // 0: free
    // Packed, so that a reader gets one sample's state as a whole.
    std::atomic<uint64_t> value{0};
  };
  using Set = std::array<Entry, kWays>;

  Entry* Place(uint64_t hash);
  static void Free(Entry* entry);

  std::array<Set, kSets> sets_;
  std::atomic<uint64_t> forgotten_{0};
  std::mutex learning_;
  size_t next_victim_ = 0;  // guarded by learning_
};

}  // namespace xsched

#endif  // XSCHED_PREEMPT_DURATIONS_H_
