// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Two that have much to do at the same time: what the device ran tells whether
// one was held back for the other.

#ifndef XSCHED_TESTS_CONTEST_H_
#define XSCHED_TESTS_CONTEST_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "preempt/clock.h"
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
  // The second is about to launch.
  void SecondComes() { second_came_ns_ = xsched::NowNs(); }

  // Below, the second is above the first, below it, its equal; and nobody is
  // scheduled, so that the device does what came first.
  bool SecondPreempted() const
  {
    return SecondCameInTime() && During(first_, second_) <= kFew &&
           After(first_, second_) >= kKernels / 2;
  }
  bool SecondWasHeld() const
  {
    return SecondCameInTime() && During(second_, first_) <= kFew &&
           After(second_, first_) >= kKernels / 2;
  }
  bool BothTookTurns() const
  {
    return SecondCameInTime() && Amid(first_, second_) >= kKernels / 4 &&
           Amid(second_, first_) >= kKernels / 4;
  }
  bool NobodyWaited() const
  {
    return SecondCameInTime() && During(second_, first_) >= kKernels / 2 &&
           After(first_, second_) == 0;
  }

  std::string Figures() const
  {
    std::ostringstream text;
    text << "the second came in time: " << SecondCameInTime();
    const auto tell = [&](const char* name, const Kernels& these,
                          const Kernels& others) {
      text << "; " << name << " submitted " << these.size() << ", "
           << During(these, others) << " during the other's work, "
           << Amid(these, others) << " amid its launches, "
           << After(these, others) << " after its end";
    };
    tell("the first", first_, second_);
    tell("the second", second_, first_);
    return text.str();
  }

 private:
  struct Kernel {
    int64_t submitted_ns;
    int64_t ended_ns;
  };
  using Kernels = std::vector<Kernel>;

  // Launches that may have been let go just before a higher one came.
  static constexpr int kFew = kKernels / 8;

  bool SecondCameInTime() const
  {
    return std::count_if(
               first_.begin(), first_.end(), [this](const Kernel& kernel) {
                 return kernel.ended_ns > second_came_ns_;
               }) >= kKernels * 3 / 4;
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

  // How many were submitted between the first and the last of the others'.
  static int Amid(const Kernels& these, const Kernels& others)
  {
    return static_cast<int>(
        std::count_if(these.begin(), these.end(), [&](const Kernel& kernel) {
          return !others.empty() &&
                 others.front().submitted_ns <= kernel.submitted_ns &&
                 kernel.submitted_ns <= others.back().submitted_ns;
        }));
  }

  // How many were submitted once the device had finished all of the others'.
  static int After(const Kernels& these, const Kernels& others)
  {
    return static_cast<int>(
        std::count_if(these.begin(), these.end(), [&](const Kernel& kernel) {
          return !others.empty() &&
                 kernel.submitted_ns >= others.back().ended_ns;
        }));
  }

  Kernels first_;
  Kernels second_;
  int64_t second_came_ns_ = 0;
};

// A contest that was not fair says nothing, as a busy machine may stop either
// side for as long as the other works: then there is another one.
template <typename Compete>
void
Expect(bool (Runs::*outcome)() const, const Compete& compete)
{
  constexpr int kContests = 10;
  std::string figures;
  for (int i = 0; i < kContests; ++i) {
    const Runs runs = compete();
    if ((runs.*outcome)()) {
      return;
    }
    figures += runs.Figures() + "\n";
  }
  ADD_FAILURE() << figures;
}

}  // namespace contest

#endif  // XSCHED_TESTS_CONTEST_H_
