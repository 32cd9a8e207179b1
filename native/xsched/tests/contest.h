// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Two that have much to do at the same time: what the device ran tells whether
// one was held back for the other. No time is measured: a thread that is
// stopped submits nothing, and that breaks no rule.

#ifndef XSCHED_TESTS_CONTEST_H_
#define XSCHED_TESTS_CONTEST_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "simulated_driver/simulated_driver.h"

namespace contest {

// Kernels of each side.
constexpr int kKernels = 40;
// What tells the kernels of the side that begins from those of the other.
constexpr uint64_t kFirstMicroseconds = 1000;
constexpr uint64_t kSecondMicroseconds = 1001;

class Runs {
 public:
  // Adds what has run since it was last asked.
  void Take()
  {
    for (const simulated::Execution& run : simulated::TakeRuns()) {
      const uint64_t microseconds =
          reinterpret_cast<uint64_t>(run.function) & 0xFFFFFFFF;
      const Kernel kernel = {
          run.submitted_ns,
          run.began_ns + static_cast<int64_t>(microseconds) * 1000};
      if (microseconds == kFirstMicroseconds) {
        first_.push_back(kernel);
      } else if (microseconds == kSecondMicroseconds) {
        second_.push_back(kernel);
      }
    }
  }
  bool FirstIsAtWork() const { return first_.size() >= 4; }

  // The second is above the first.
  void ExpectSecondPreempts() const
  {
    ExpectComplete();
    ExpectHeld(first_, second_);
    // It had more to do, and did it then.
    EXPECT_GE(After(first_, second_), kKernels / 2);
  }

  // The first is above the second.
  void ExpectSecondIsHeld() const
  {
    ExpectComplete();
    ExpectHeld(second_, first_);
    EXPECT_GE(After(second_, first_), kKernels / 2);
  }

  // Neither is above the other: both submit while the other is at work.
  void ExpectShared() const
  {
    ExpectComplete();
    EXPECT_GE(During(first_, second_), kKernels / 4);
    EXPECT_GE(During(second_, first_), kKernels / 4);
  }

  // Nobody is scheduled: the device does what came first, and no launch waits.
  void ExpectInTheOrderOfSubmission() const
  {
    ExpectComplete();
    EXPECT_GE(During(second_, first_), kKernels * 3 / 4);
    EXPECT_EQ(After(first_, second_), 0);
  }

 private:
  struct Kernel {
    int64_t submitted_ns;
    int64_t ended_ns;
  };
  using Kernels = std::vector<Kernel>;

  void ExpectComplete() const
  {
    EXPECT_EQ(first_.size(), size_t{kKernels});
    EXPECT_EQ(second_.size(), size_t{kKernels});
  }

  // A launch may have been let go just before the higher one came.
  static void ExpectHeld(const Kernels& low, const Kernels& high)
  {
    EXPECT_LE(During(low, high), kKernels / 8);
  }

  // How many were submitted while the device had unfinished work of others.
  static int During(const Kernels& these, const Kernels& others)
  {
    return static_cast<int>(
        std::count_if(these.begin(), these.end(), [&](const Kernel& kernel) {
          return std::any_of(
              others.begin(), others.end(), [&](const Kernel& other) {
                return other.submitted_ns <= kernel.submitted_ns &&
                       kernel.submitted_ns < other.ended_ns;
              });
        }));
  }

  // And once it had finished all of the others'.
  static int After(const Kernels& these, const Kernels& others)
  {
    int64_t end_ns = 0;
    for (const Kernel& other : others) {
      end_ns = std::max(end_ns, other.ended_ns);
    }
    return static_cast<int>(std::count_if(
        these.begin(), these.end(),
        [&](const Kernel& kernel) { return kernel.submitted_ns >= end_ns; }));
  }

  Kernels first_;
  Kernels second_;
};

}  // namespace contest

#endif  // XSCHED_TESTS_CONTEST_H_
