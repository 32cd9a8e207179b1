// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TESTS_RUN_AHEAD_FIXTURE_H_
#define XSCHED_TESTS_RUN_AHEAD_FIXTURE_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fixture.h"

constexpr int kKept = 32;

// Before anything reads the environment.
const int kRunAheadEnvironment =
    setenv("XSCHED_RUN_AHEAD", std::to_string(kKept).c_str(), 1);

constexpr CUresult kNotReady = 600;
constexpr CUresult kLaunchFailed = 719;

// Not long: whoever does not wait is through in much less.
const auto kMoment = std::chrono::milliseconds(30);

// A call of another thread, which may wait.
class Calling {
 public:
  Calling(CUcontext context, std::function<CUresult()> call)
      : thread_([this, context, call = std::move(call)] {
          cuCtxSetCurrent(context);
          result_ = call();
          returned_ = true;
        })
  {
  }
  ~Calling()
  {
    if (thread_.joinable()) {
      thread_.join();
    }
  }

  bool Waits() const
  {
    std::this_thread::sleep_for(kMoment);
    return !returned_;
  }
  CUresult Result()
  {
    thread_.join();
    return result_;
  }

 private:
  std::atomic<bool> returned_{false};
  std::atomic<CUresult> result_{-1};
  std::thread thread_;
};

class RunAheadTest : public DriverTest {
 protected:
  void SetUp() override
  {
    ASSERT_EQ(kRunAheadEnvironment, 0);
    DriverTest::SetUp();
  }

  // Another thread's work in a queue, which the device does not begin with before
  // Hold(false), or the end of what is returned.
  class Busy {
   public:
    ~Busy() { simulated::Hold(false); }
  };
  [[nodiscard]] Busy KeepBusy(TestStream* stream)
  {
    simulated::Hold(true);
    InContext([&] {
      EXPECT_EQ(stream->Launch(simulated::Kernel(1, 99)), 0);
    }).join();
    return {};
  }

  // The kernels that have run, in their order, but for those of KeepBusy.
  static std::vector<simulated::Execution> Runs()
  {
    std::vector<simulated::Execution> runs = simulated::TakeRuns();
    runs.erase(
        std::remove_if(
            runs.begin(), runs.end(),
            [](const simulated::Execution& run) {
              return run.function == simulated::Kernel(1, 99);
            }),
        runs.end());
    return runs;
  }
  static std::vector<CUfunction> Kernels()
  {
    std::vector<CUfunction> kernels;
    for (const simulated::Execution& run : Runs()) {
      kernels.push_back(run.function);
    }
    return kernels;
  }

  static void AwaitLaunches(const TestStream& stream, int64_t count)
  {
    while (stream.Stats().launches < count) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
};

#endif  // XSCHED_TESTS_RUN_AHEAD_FIXTURE_H_
