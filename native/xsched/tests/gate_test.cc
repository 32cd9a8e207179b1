// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "fixture.h"
#include "preempt/scheduler.h"
#include "test_access.h"

namespace {

using simulated::Execution;
using simulated::Kernel;

constexpr int64_t kLimitUs = 150;

// Launches kernels until it is told to stop.
class Background {
 public:
  Background(CUcontext context, TestStream* stream, CUfunction kernel)
      : thread_([=] {
          cuCtxSetCurrent(context);
          while (!stop_.load()) {
            EXPECT_EQ(stream->Launch(kernel), 0);
            ++launches_;
          }
        })
  {
  }
  ~Background()
  {
    stop_.store(true);
    thread_.join();
  }

  void WaitForLaunches(int count)
  {
    const int target = launches_.load() + count;
    while (launches_.load() < target) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> launches_{0};
  std::thread thread_;
};

class GateTest : public DriverTest {};

TEST_F(GateTest, HighWaitsForNoMoreThanTheLimitAndOneKernel)
{
  for (const int64_t kernel_us : {10, 40, 120, 600}) {
    TestStream low(PRIORITY_MIN);
    TestStream high(PRIORITY_MAX);
    {
      Background background(context_, &low, Kernel(kernel_us, kernel_us));
      background.WaitForLaunches(60);  // the durations are learned
      // On a busy machine, none of a few requests may come before a launch.
      const auto has_met = [&] {
        return low.Stats().blocked > 0 && high.Stats().preemptions > 0;
      };
      for (int request = 0; request < 10 || (request < 500 && !has_met());
           ++request) {
        background.WaitForLaunches(3);
        simulated::TakeRuns();
        for (int i = 0; i < 5; ++i) {
          ASSERT_EQ(high.Launch(Kernel(50)), 0);
        }
        ASSERT_EQ(high.Synchronize(), 0);
        const std::vector<Execution> runs = simulated::TakeRuns();
        const auto first = std::find_if(
            runs.begin(), runs.end(),
            [&](const Execution& run) { return run.stream == high.Get(); });
        ASSERT_NE(first, runs.end());
        const int64_t waited_us =
            (first->began_ns - first->submitted_ns) / 1000;
        // What may be on the device, and one launch that had passed the gate
        // but not yet reached the driver. The learned times have some error.
        EXPECT_LE(waited_us, kLimitUs + kLimitUs / 2 + 2 * kernel_us)
            << "kernels of " << kernel_us << " us";
      }
    }
    EXPECT_GT(low.Stats().blocked, 0);
    EXPECT_GT(high.Stats().preemptions, 0);
  }
}

TEST_F(GateTest, LowWaitsWhileHighIsReady)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(10)), 0);
  std::atomic<bool> launched{false};
  std::thread other([&] {
    cuCtxSetCurrent(context_);
    EXPECT_EQ(low.Launch(Kernel(10)), 0);
    launched.store(true);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(launched.load());
  simulated::Hold(false);
  other.join();  // noticed without any call of the application
  ASSERT_EQ(low.Synchronize(), 0);
  const std::vector<Execution> runs = simulated::TakeRuns();
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].stream, high.Get());
}

// However long the others took in the past, and although nobody synchronises.
TEST_F(GateTest, LowGoesOnAsSoonAsHighIsIdle)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  xsched::TestAccess::SetUsualReadyNs(
      xsched::Scheduler::Get().Find(reinterpret_cast<uint64_t>(high.Get())),
      INT64_C(3600) * 1000000000);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(10)), 0);
  std::thread other = InContext([&] { EXPECT_EQ(low.Launch(Kernel(10)), 0); });
  low.AwaitBlocked();
  simulated::Hold(false);
  other.join();
}

// What was launched while nobody could preempt the queue ends before anything
// else is launched once somebody can.
TEST_F(GateTest, WorkFromBeforeTheLimitCounts)
{
  TestStream low(PRIORITY_MIN);
  for (int i = 0; i < 10; ++i) {  // alone: not counted
    ASSERT_EQ(low.Launch(Kernel(20)), 0);
  }
  ASSERT_EQ(low.Synchronize(), 0);
  {
    TestStream high(PRIORITY_MAX);  // the kernel's time is learned
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(low.Launch(Kernel(20)), 0);
      ASSERT_EQ(low.Synchronize(), 0);
    }
  }
  simulated::Hold(true);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(low.Launch(Kernel(20)), 0);
  }
  TestStream high(PRIORITY_MAX);
  std::atomic<bool> launched{false};
  std::thread other = InContext([&] {
    EXPECT_EQ(low.Launch(Kernel(20)), 0);
    launched.store(true);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(launched.load());
  simulated::Hold(false);
  other.join();
}

// All queues of a device together put one kernel there that is not known.
TEST_F(GateTest, QueuesTakeTurnsWithKernelsThatAreNotKnown)
{
  constexpr int kQueues = 4;
  TestStream high(PRIORITY_MAX);
  std::vector<std::unique_ptr<TestStream>> low;
  for (int i = 0; i < kQueues; ++i) {
    low.push_back(std::make_unique<TestStream>(PRIORITY_MIN));
  }
  auto held = std::make_unique<Held>(Held::kUnknown);
  std::atomic<int> launched{0};
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < kQueues; ++i) {
    threads.push_back(InContext([&, i] {
      EXPECT_EQ(low[i]->Launch(Kernel(100, 700 + i)), 0);
      ++launched;
    }));
  }
  while (launched.load() == 0) {
    std::this_thread::yield();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(launched.load() == 1 || held->TooLong());
  held.reset();
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(launched.load(), kQueues);
}

TEST_F(GateTest, ThreadNeverWaitsForItsOwnWork)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(10)), 0);
  ASSERT_EQ(low.Launch(Kernel(10)), 0);
  ASSERT_EQ(high.Launch(Kernel(10)), 0);
  simulated::Hold(false);
  EXPECT_EQ(low.Synchronize(), 0);
  EXPECT_EQ(high.Synchronize(), 0);
}

// Kernels that nobody has seen before go one at a time, however long they take.
TEST_F(GateTest, HighWaitsForOneKernelThatIsNotKnown)
{
  for (const bool same : {false, true}) {
    TestStream low(PRIORITY_MIN);
    TestStream high(PRIORITY_MAX);
    auto held = std::make_unique<Held>(Held::kUnknown);
    std::atomic<int> launched{0};
    std::thread other = InContext([&] {
      for (uint64_t i = 0; i < 8; ++i) {
        EXPECT_EQ(low.Launch(Kernel(500, 1000 + (same ? 0 : i))), 0);
        ++launched;
      }
    });
    while (launched.load() == 0) {
      std::this_thread::yield();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_TRUE(launched.load() == 1 || held->TooLong());
    EXPECT_EQ(high.Launch(Kernel(10)), 0);
    held.reset();
    EXPECT_EQ(high.Synchronize(), 0);
    other.join();
    EXPECT_EQ(low.Synchronize(), 0);
  }
}

// What a thread has launched may wait for something that only that thread will
// do, after further launches. scheduler_test shows how long it is held back.
TEST_F(GateTest, ThreadIsNotHeldBackByWorkThatItHoldsBackItself)
{
  constexpr int kLaunches = 3000;
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(low.Launch(Kernel(5)), 0);
    ASSERT_EQ(low.Synchronize(), 0);
  }
  simulated::Hold(true);
  for (int i = 0; i < kLaunches; ++i) {
    ASSERT_EQ(low.Launch(Kernel(5)), 0);
  }
  simulated::Hold(false);
  EXPECT_EQ(low.Synchronize(), 0);
}

// Copies of some size keep the memory and the bus from others as kernels keep
// the device.
TEST_F(GateTest, LargeCopiesAreBoundedLikeKernels)
{
  constexpr size_t kBytes = 1 << 20;
  constexpr size_t kSizes[] = {kBytes, kBytes};
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  CUDA_MEMCPY2D flat = {};
  flat.WidthInBytes = 1 << 10;
  flat.Height = 1 << 10;
  CUDA_MEMCPY3D cube = {};
  cube.WidthInBytes = 1 << 10;
  cube.Height = 1 << 5;
  cube.Depth = 1 << 5;
  CUDA_MEMCPY3D_BATCH_OP cubes[2] = {};
  CUDA_FABRIC_COPY_BATCH_OP fabric[2] = {};
  CUmemDecompressParams packed[2] = {};
  for (int i : {0, 1}) {
    cubes[i].extent = {1 << 7, 1 << 6, 1 << 6};
    fabric[i].size = kBytes / 2;
    packed[i].srcNumBytes = kBytes / 2;
  }
  size_t sizes[] = {kSizes[0], kSizes[1]};
  const std::vector<std::function<CUresult(CUstream)>> copies = {
      [&](CUstream s) { return cuMemcpyHtoDAsync_v2(1, nullptr, kBytes, s); },
      [&](CUstream s) { return cuMemsetD32Async(1, 0, kBytes / 4, s); },
      [&](CUstream s) { return cuMemcpy2DAsync_v2(&flat, s); },
      [&](CUstream s) { return cuMemcpy3DAsync_v2(&cube, s); },
      [&](CUstream s) {
        return cuMemcpyBatchAsync(
            nullptr, nullptr, sizes, 2, nullptr, nullptr, 0, nullptr, s);
      },
      [&](CUstream s) { return cuMemcpy3DBatchAsync(2, cubes, nullptr, 0, s); },
      [&](CUstream s) { return cuMemcpy3DBatchAsync_v2(2, cubes, 0, s); },
      [&](CUstream s) { return cuMemcpy3DWithAttributesAsync(cubes, 0, s); },
      [&](CUstream s) { return cuFabricCpyBatchAsync(2, fabric, 0, s); },
      [&](CUstream s) {
        return cuMemBatchDecompressAsync(packed, 2, 0, nullptr, s);
      },
  };
  for (size_t i = 0; i < copies.size(); ++i) {
    auto held = std::make_unique<Held>(Held::kUnknown);
    std::atomic<int> passed{0};
    std::thread other = InContext([&] {
      for (int k = 0; k < 3; ++k) {
        EXPECT_EQ(copies[i](low.Get()), 0);
        ++passed;
      }
    });
    while (passed.load() == 0) {
      std::this_thread::yield();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    // Its time is not known.
    EXPECT_TRUE(passed.load() == 1 || held->TooLong()) << i;
    // And it waits for its turn.
    EXPECT_EQ(high.Launch(Kernel(1)), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(passed.load() == 1 || held->TooLong()) << i;
    held.reset();
    EXPECT_EQ(high.Synchronize(), 0);
    other.join();
    EXPECT_EQ(low.Synchronize(), 0);
  }
}

// With thousands of them, all of whose time is known.
TEST_F(GateTest, HighWaitsForNoMoreThanTheLimitOfCopies)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  std::atomic<int> passed{0};
  std::atomic<bool> stop{false};
  std::thread other = InContext([&] {
    while (!stop.load()) {
      // 32 us each.
      EXPECT_EQ(cuMemcpyHtoDAsync_v2(1, nullptr, 1 << 18, low.Get()), 0);
      ++passed;
    }
  });
  bool seen = false;
  while (!seen) {
    const int learned = passed.load() + 100;
    while (passed.load() < learned) {
      std::this_thread::yield();
    }
    {
      const Held held;
      int before = -1;
      while (before != passed.load() && !held.TooLong()) {
        before = passed.load();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
      EXPECT_EQ(high.Launch(Kernel(10, 7)), 0);
      seen = !held.TooLong();
      simulated::TakeRuns();
    }
    EXPECT_EQ(high.Synchronize(), 0);
    const std::vector<Execution> runs = simulated::TakeRuns();
    const auto first = std::find_if(
        runs.begin(), runs.end(),
        [&](const Execution& run) { return run.stream == high.Get(); });
    // The limit, and what the estimates of a busy machine are off by. Without
    // it, there would be thousands.
    EXPECT_TRUE(!seen || first - runs.begin() <= 4 * kLimitUs / 32 + 1)
        << first - runs.begin();
  }
  stop.store(true);
  other.join();
}

// A handle that comes again is of something else: the limit would mean nothing
// if it were believed to take as long as the former one.
TEST_F(GateTest, DurationsDoNotOutliveWhatTheyAreOf)
{
  const auto graph = reinterpret_cast<CUgraphExec>(Kernel(5, 8));
  const std::vector<std::function<CUresult()>> changes = {
      [&] { return cuGraphExecDestroy(graph); },
      [&] { return cuGraphExecUpdate_v2(graph, nullptr, nullptr); },
      [&] { return cuGraphNodeSetEnabled(graph, nullptr, 1); },
      [&] { return cuModuleUnload(nullptr); },
      [&] { return cuLibraryUnload(nullptr); },
  };
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  for (size_t i = 0; i < changes.size(); ++i) {
    for (int k = 0; k < 5; ++k) {
      ASSERT_EQ(cuGraphLaunch(graph, low.Get()), 0);
      ASSERT_EQ(low.Synchronize(), 0);
    }
    for (const bool known : {true, false}) {
      std::thread other;
      std::atomic<int> passed{0};
      {
        const Held held(known ? Held::kKnown : Held::kUnknown);
        other = InContext([&] {
          for (int k = 0; k < 5; ++k) {
            EXPECT_EQ(cuGraphLaunch(graph, low.Get()), 0);
            ++passed;
          }
        });
        while (passed.load() < (known ? 5 : 1)) {
          std::this_thread::yield();
        }
        // One that is not known is waited for longer than a known one.
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        EXPECT_TRUE(passed.load() == (known ? 5 : 1) || held.TooLong()) << i;
      }
      other.join();
      ASSERT_EQ(low.Synchronize(), 0);
      if (known) {
        ASSERT_EQ(changes[i](), 0);
      }
    }
  }
}

// It is created by whichever thread launches first.
TEST_F(GateTest, WatcherRunsWhereTheProcessMay)
{
  const auto watchers = [] {
    std::set<pid_t> found;
    for (const auto& task :
         std::filesystem::directory_iterator("/proc/self/task")) {
      std::string name;
      std::getline(std::ifstream(task.path() / "comm"), name);
      if (name == "xsched-watcher") {
        found.insert(std::stoi(task.path().filename()));
      }
    }
    return found;
  };
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(getpid(), sizeof(all), &all), 0);
  const std::set<pid_t> before = watchers();
  // The other device has none yet.
  CUcontext context = nullptr;
  ASSERT_EQ(cuCtxCreate_v2(&context, 0, 1), 0);
  {
    TestStream stream(0);
    std::thread([&] {
      cpu_set_t one;
      CPU_ZERO(&one);
      for (int i = 0; CPU_COUNT(&one) == 0; ++i) {
        if (CPU_ISSET(i, &all)) {
          CPU_SET(i, &one);
        }
      }
      ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
      cuCtxSetCurrent(context);
      EXPECT_EQ(stream.Launch(Kernel(1)), 0);
    }).join();
    while (watchers().size() == before.size()) {
      std::this_thread::yield();
    }
    for (const pid_t watcher : watchers()) {
      cpu_set_t allowed;
      CPU_ZERO(&allowed);
      // It may just have begun.
      for (int i = 0; i < 10000 && !CPU_EQUAL(&allowed, &all); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        ASSERT_EQ(sched_getaffinity(watcher, sizeof(allowed), &allowed), 0);
      }
      EXPECT_TRUE(CPU_EQUAL(&allowed, &all));
    }
  }
  EXPECT_EQ(cuCtxDestroy_v2(context), 0);
  cuCtxSetCurrent(context_);
}

TEST_F(GateTest, SmallCopiesNeverWait)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  InContext([&] {
    for (int i = 0; i < 1000; ++i) {
      EXPECT_EQ(cuMemcpyHtoDAsync_v2(1, nullptr, 4096, low.Get()), 0);
    }
  }).join();
  simulated::Hold(false);
}

TEST_F(GateTest, LoneQueueIsNotBounded)
{
  TestStream low(PRIORITY_MIN);
  simulated::Hold(true);
  for (int i = 0; i < 2000; ++i) {
    ASSERT_EQ(low.Launch(Kernel(1)), 0);
  }
  simulated::Hold(false);
  EXPECT_EQ(low.Synchronize(), 0);
  EXPECT_EQ(low.Stats().launches, 2000);
  EXPECT_EQ(low.Stats().blocked, 0);
}

}  // namespace
