// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// What runs in which order, as the device saw it.

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "fixture.h"

namespace {

using simulated::Execution;
using simulated::Kernel;

const CUfunction kLong = Kernel(20000, 2);

class OrderingTest : public DriverTest {
 protected:
  // The kernels that have run, in their order.
  static std::vector<CUfunction> Kernels()
  {
    std::vector<CUfunction> kernels;
    for (const Execution& run : simulated::TakeRuns()) {
      kernels.push_back(run.function);
    }
    return kernels;
  }

  static void AwaitStart(CUfunction kernel)
  {
    std::vector<CUfunction> kernels = Kernels();
    while (std::find(kernels.begin(), kernels.end(), kernel) == kernels.end()) {
      std::this_thread::yield();
      kernels = Kernels();
    }
  }
};

// What highest priority first means: however long the higher queue stays
// ready, the lower one waits, and goes on when it turns idle.
TEST_F(OrderingTest, LowStarvesAsLongAsAHigherOneIsReady)
{
  constexpr int kKernels = 200;
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(200)), 0);
  std::thread other = InContext([&] { EXPECT_EQ(low.Launch(Kernel(7)), 0); });
  low.AwaitBlocked();
  for (int i = 1; i < kKernels; ++i) {
    ASSERT_EQ(high.Launch(Kernel(200)), 0);
  }
  simulated::Hold(false);
  other.join();  // nobody synchronises: the scheduler notices by itself
  ASSERT_EQ(low.Synchronize(), 0);
  std::vector<CUfunction> expected(kKernels, Kernel(200));
  expected.push_back(Kernel(7));
  EXPECT_EQ(Kernels(), expected);
}

// The same with a floor: the higher one launches for as long as the lower one
// has work, which would never end without.
TEST_F(OrderingTest, LowWithAFloorGoesOnThoughAHigherOneIsReady)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  EXPECT_EQ(XQueueSetFloor(low.Queue(), -1), kXSchedErrorInvalidValue);
  EXPECT_EQ(XQueueSetFloor(low.Queue(), 51), kXSchedErrorInvalidValue);
  EXPECT_EQ(XQueueSetFloor(0, 20), kXSchedErrorNotFound);
  ASSERT_EQ(XQueueSetFloor(low.Queue(), 50), kXSchedSuccess);
  EXPECT_EQ(XQueueSetFloor(high.Queue(), 41), kXSchedErrorInvalidValue);
  std::atomic<bool> low_is_done{false};
  std::atomic<int> high_launches{0};
  std::thread other = InContext([&] {
    while (!low_is_done.load()) {
      EXPECT_EQ(high.Launch(Kernel(200)), 0);
      ++high_launches;
    }
  });
  while (high_launches.load() < 3) {
    std::this_thread::yield();
  }
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(low.Launch(Kernel(50)), 0);
  }
  low_is_done = true;
  other.join();
  EXPECT_GT(low.Stats().blocked, 0);
}

TEST_F(OrderingTest, ALaunchThatWaitsComesBeforeThoseOfLowerPriority)
{
  TestStream low(1);
  TestStream middle(2);
  TestStream high(3);
  for (int round = 0; round < 20; ++round) {
    simulated::Hold(true);
    ASSERT_EQ(high.Launch(Kernel(1, 3)), 0);
    std::thread second =
        InContext([&] { EXPECT_EQ(middle.Launch(Kernel(1, 2)), 0); });
    std::thread third =
        InContext([&] { EXPECT_EQ(low.Launch(Kernel(1, 1)), 0); });
    middle.AwaitBlocked();
    low.AwaitBlocked();
    simulated::Hold(false);
    second.join();
    third.join();
    ASSERT_EQ(cuCtxSynchronize(), 0);
    const std::vector<CUfunction> expected = {
        Kernel(1, 3), Kernel(1, 2), Kernel(1, 1)};
    EXPECT_EQ(Kernels(), expected);
  }
}

// A stream of each priority waits for an event of the other, and the launches
// come from two threads.
TEST_F(OrderingTest, EventsBetweenQueuesOfDifferentPriority)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  CUevent produced = nullptr;
  CUevent answered = nullptr;
  ASSERT_EQ(cuEventCreate(&produced, 0), 0);
  ASSERT_EQ(cuEventCreate(&answered, 0), 0);
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> step{0};
    const auto await = [&](int wanted) {
      while (step.load() < wanted) {
        std::this_thread::yield();
      }
    };
    std::thread producer = InContext([&] {
      EXPECT_EQ(low.Launch(Kernel(5, 1)), 0);
      EXPECT_EQ(cuEventRecord(produced, low.Get()), 0);
      step.store(1);
      await(2);
      EXPECT_EQ(cuStreamWaitEvent(low.Get(), answered, 0), 0);
      EXPECT_EQ(low.Launch(Kernel(5, 3)), 0);
      EXPECT_EQ(low.Synchronize(), 0);
    });
    std::thread consumer = InContext([&] {
      await(1);
      EXPECT_EQ(cuStreamWaitEvent(high.Get(), produced, 0), 0);
      EXPECT_EQ(high.Launch(Kernel(5, 2)), 0);
      EXPECT_EQ(cuEventRecord(answered, high.Get()), 0);
      step.store(2);
      if (round % 2 == 0) {
        EXPECT_EQ(high.Synchronize(), 0);
      }
    });
    producer.join();
    consumer.join();
    ASSERT_EQ(cuCtxSynchronize(), 0);
    const std::vector<CUfunction> expected = {
        Kernel(5, 1), Kernel(5, 2), Kernel(5, 3)};
    EXPECT_EQ(Kernels(), expected);
  }
  EXPECT_EQ(cuEventDestroy_v2(produced), 0);
  EXPECT_EQ(cuEventDestroy_v2(answered), 0);
}

TEST_F(OrderingTest, GraphsPassTheGate)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  const auto graph = reinterpret_cast<CUgraphExec>(Kernel(5, 1));
  simulated::Hold(true);
  ASSERT_EQ(
      cuGraphLaunch(reinterpret_cast<CUgraphExec>(Kernel(5, 2)), high.Get()),
      0);
  std::thread other = InContext([&] {
    EXPECT_EQ(cuGraphLaunch(graph, low.Get()), 0);
    EXPECT_EQ(cuGraphLaunch(graph, low.Get()), 0);
  });
  low.AwaitBlocked();
  ASSERT_EQ(
      cuGraphLaunch(reinterpret_cast<CUgraphExec>(Kernel(5, 3)), high.Get()),
      0);
  simulated::Hold(false);
  other.join();
  ASSERT_EQ(low.Synchronize(), 0);
  const std::vector<CUfunction> expected = {
      Kernel(5, 2), Kernel(5, 3), Kernel(5, 1), Kernel(5, 1)};
  EXPECT_EQ(Kernels(), expected);
}

// While the legacy stream still works for the higher queue, that queue is
// ready, although its own stream has nothing to do.
TEST_F(OrderingTest, WorkInTheLegacyStreamKeepsItsThreadsQueueReady)
{
  for (const uint64_t legacy : {uint64_t(0), xsched::kStreamLegacy}) {
    TestStream low(PRIORITY_MIN);
    TestStream high(PRIORITY_MAX);
    ASSERT_EQ(high.Launch(Kernel(1)), 0);
    simulated::HoldDuring(kLong);
    ASSERT_EQ(LaunchOn(reinterpret_cast<CUstream>(legacy), kLong), 0);
    AwaitStart(kLong);
    ASSERT_EQ(high.Synchronize(), 0);
    std::thread other = InContext([&] { EXPECT_EQ(low.Launch(Kernel(1)), 0); });
    low.AwaitBlocked();
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_EQ(low.Stats().launches, 0);
    simulated::Hold(false);
    other.join();
    ASSERT_EQ(cuCtxSynchronize(), 0);
  }
}

CUresult
LaunchIntoThisThreadsStream(CUfunction kernel)
{
  return cuLaunchKernel_ptsz(
      kernel, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr);
}

// The handle means another stream in each thread: who asks it elsewhere, the
// watcher or another thread that synchronises, asks about nothing.
TEST_F(OrderingTest, WorkInAPerThreadStreamKeepsItsThreadsQueueReady)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  simulated::HoldDuring(kLong);
  ASSERT_EQ(LaunchIntoThisThreadsStream(kLong), 0);
  AwaitStart(kLong);
  ASSERT_EQ(high.Synchronize(), 0);
  InContext([&] { EXPECT_EQ(high.Synchronize(), 0); }).join();
  EXPECT_TRUE(high.IsReady());
  std::thread other = InContext([&] { EXPECT_EQ(low.Launch(Kernel(1)), 0); });
  low.AwaitBlocked();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(low.Stats().launches, 0);
  simulated::Hold(false);
  other.join();  // it is seen to end, too
  ASSERT_EQ(cuCtxSynchronize(), 0);
}

TEST_F(OrderingTest, WorkInMoreStreamsThanAQueueRemembersKeepsItReady)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  std::vector<std::unique_ptr<TestStream>> others;
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  for (int i = 0; i < 12; ++i) {
    others.push_back(std::make_unique<TestStream>());
    ASSERT_EQ(others.back()->Launch(Kernel(1)), 0);
    ASSERT_EQ(others.back()->Synchronize(), 0);
  }
  simulated::HoldDuring(kLong);
  ASSERT_EQ(others.back()->Launch(kLong), 0);
  AwaitStart(kLong);
  ASSERT_EQ(high.Synchronize(), 0);
  EXPECT_TRUE(high.IsReady());
  std::thread other = InContext([&] { EXPECT_EQ(low.Launch(Kernel(1)), 0); });
  low.AwaitBlocked();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(low.Stats().launches, 0);
  simulated::Hold(false);
  other.join();
  ASSERT_EQ(cuCtxSynchronize(), 0);
}

// The queue turns idle while the launch waits, and forgets the streams of others
// that it has worked in.
TEST_F(OrderingTest, LaunchThatWasHeldBackIsWaitedForInWhicheverStream)
{
  TestStream high(PRIORITY_MAX);
  TestStream internal;
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  ASSERT_EQ(XQueueSuspend(high.Queue(), 0), kXSchedSuccess);
  simulated::HoldDuring(kLong);
  std::thread other = InContext([&] {
    cuMemFreeAsync(0, high.Get());  // so that it works for this queue
    EXPECT_EQ(internal.Launch(kLong), 0);
  });
  high.AwaitBlocked();
  ASSERT_EQ(high.Synchronize(), 0);
  while (high.IsReady()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_EQ(XQueueResume(high.Queue(), 0), kXSchedSuccess);
  other.join();
  AwaitStart(kLong);
  ASSERT_EQ(high.Synchronize(), 0);
  EXPECT_TRUE(high.IsReady());
  simulated::Hold(false);
  ASSERT_EQ(cuCtxSynchronize(), 0);
}

// What a thread knows of its own work may be gone when its objects end.
TEST_F(OrderingTest, ObjectsOfAThreadMayLaunchWhenItEnds)
{
  struct AtEnd {
    std::function<void()> what;
    ~AtEnd() { what(); }
  };
  std::vector<std::unique_ptr<TestStream>> many;
  for (int i = 0; i < 20; ++i) {
    many.push_back(std::make_unique<TestStream>(100 + i));
  }
  TestStream low(PRIORITY_MIN);
  const auto launch = [&] {
    for (const auto& stream : many) {
      EXPECT_EQ(stream->Launch(Kernel(1)), 0);
    }
    EXPECT_EQ(low.Launch(Kernel(1)), 0);
  };
  for (int i = 0; i < 3; ++i) {  // its time is known then
    ASSERT_EQ(low.Launch(Kernel(1)), 0);
    ASSERT_EQ(low.Synchronize(), 0);
  }
  simulated::Hold(true);
  std::atomic<bool> ends{false};
  std::thread thread = InContext([&] {
    static thread_local AtEnd at_end;
    at_end.what = [&] {
      ends.store(true);
      launch();
    };
    launch();
  });
  while (!ends.load()) {
    std::this_thread::yield();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  simulated::Hold(false);
  thread.join();
  EXPECT_EQ(low.Stats().launches, 3 + 2);
}

TEST_F(OrderingTest, PerThreadStreamsFollowTheirThreadsQueue)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  std::thread other = InContext([&] {
    cuMemFreeAsync(0, low.Get());  // so that it works for this queue
    EXPECT_EQ(LaunchIntoThisThreadsStream(Kernel(1, 2)), 0);
    EXPECT_EQ(cuStreamSynchronize_ptsz(nullptr), 0);
  });
  low.AwaitBlocked();
  simulated::Hold(false);
  other.join();
  EXPECT_EQ(low.Stats().launches, 2);
}

TEST_F(OrderingTest, FailedLaunchLeavesTheQueueUsable)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  for (int round = 0; round < 20; ++round) {
    simulated::FailLaunches(1, 701);
    EXPECT_EQ(high.Launch(Kernel(1)), 701);
    // What failed is not waited for.
    InContext([&] { EXPECT_EQ(low.Launch(Kernel(1)), 0); }).join();
    EXPECT_EQ(low.Synchronize(), 0);
    EXPECT_EQ(high.Launch(Kernel(1)), 0);
    EXPECT_EQ(high.Synchronize(), 0);
  }
}

TEST_F(OrderingTest, StreamsComeAndGoOn64Threads)
{
  constexpr int kThreads = 64;
  constexpr int kRounds = 10;
  constexpr int kLaunches = 5;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.push_back(InContext([i] {
      for (int round = 0; round < kRounds; ++round) {
        TestStream stream(i % 5);
        for (int k = 0; k < kLaunches; ++k) {
          EXPECT_EQ(stream.Launch(Kernel(1)), 0);
        }
        if (round % 3 != 0) {  // otherwise it is destroyed with work in it
          EXPECT_EQ(stream.Synchronize(), 0);
        }
      }
    }));
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  ASSERT_EQ(cuCtxSynchronize(), 0);
  EXPECT_EQ(Kernels().size(), size_t(kThreads * kRounds * kLaunches));
}

}  // namespace
