// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fixture.h"

namespace {

using simulated::Kernel;

class QueueTest : public DriverTest {};

TEST_F(QueueTest, ArgumentsAreChecked)
{
  TestStream stream(7);
  HwQueueHandle hwq = 0;
  XQueueHandle xq = 0;
  EXPECT_EQ(CudaQueueCreate(nullptr, stream.Get()), kXSchedErrorInvalidValue);
  EXPECT_EQ(CudaQueueCreate(&hwq, nullptr), kXSchedErrorNotSupported);
  EXPECT_EQ(CudaQueueGet(&hwq, nullptr), kXSchedErrorNotFound);
  ASSERT_EQ(CudaQueueGet(&hwq, stream.Get()), kXSchedSuccess);
  EXPECT_EQ(XQueueGet(&xq, hwq), kXSchedSuccess);
  EXPECT_EQ(xq, stream.Queue());
  EXPECT_EQ(XQueueCreate(&xq, hwq, 0, 0), kXSchedErrorInvalidValue);
  EXPECT_EQ(XQueueCreate(&xq, hwq, 3, 0), kXSchedErrorNotSupported);
  EXPECT_EQ(XQueueCreate(&xq, 12345, 1, 0), kXSchedErrorNotFound);
  EXPECT_EQ(XQueueCreate(&xq, hwq, 1, 0), kXSchedSuccess);  // the same one
  EXPECT_EQ(xq, stream.Queue());
  EXPECT_EQ(HwQueueDestroy(hwq), kXSchedErrorNotAllowed);
  EXPECT_EQ(XHintPriority(xq, 256), kXSchedErrorInvalidValue);
  EXPECT_EQ(XHintPriority(xq, -257), kXSchedErrorInvalidValue);
  EXPECT_EQ(XHintPriority(99, 1), kXSchedErrorNotFound);
  EXPECT_EQ(XQueueSetLaunchConfig(xq, 0, 1), kXSchedErrorInvalidValue);
  EXPECT_EQ(XQueueSetLaunchConfig(xq, 4, 8), kXSchedErrorInvalidValue);
  EXPECT_EQ(XQueueSetLaunchConfig(xq, 8, 4), kXSchedSuccess);
  EXPECT_EQ(XQueueSetName(xq, "bert\n"), kXSchedErrorInvalidValue);
  EXPECT_EQ(
      XQueueSetName(xq, std::string(64, 'x').c_str()),
      kXSchedErrorInvalidValue);
  EXPECT_EQ(XQueueSetName(xq, "bert"), kXSchedSuccess);
  EXPECT_EQ(XHintDeadline(xq, 1), kXSchedErrorNotSupported);
  EXPECT_EQ(
      XHintSetScheduler(kSchedulerGlobal, kPolicyHighestPriorityFirst),
      kXSchedErrorNotSupported);
  EXPECT_EQ(
      XHintSetScheduler(kSchedulerLocal, kPolicyHighestPriorityFirst),
      kXSchedSuccess);
}

TEST_F(QueueTest, SuspendHoldsOtherThreadsBack)
{
  TestStream stream(0);
  ASSERT_EQ(XQueueSuspend(stream.Queue(), 0), kXSchedSuccess);
  ASSERT_EQ(stream.Launch(Kernel(1)), 0);  // this thread suspended it
  std::atomic<bool> launched{false};
  std::thread other([&] {
    cuCtxSetCurrent(context_);
    EXPECT_EQ(stream.Launch(Kernel(1)), 0);
    launched.store(true);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(launched.load());
  ASSERT_EQ(XQueueResume(stream.Queue(), 0), kXSchedSuccess);
  other.join();
}

TEST_F(QueueTest, PriorityChangesWhileBlocked)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  std::thread other([&] {
    cuCtxSetCurrent(context_);
    EXPECT_EQ(low.Launch(Kernel(1)), 0);
  });
  while (low.Stats().blocked == 0) {
    std::this_thread::yield();
  }
  ASSERT_EQ(XHintPriority(low.Queue(), PRIORITY_MAX), kXSchedSuccess);
  other.join();  // high is still ready
  simulated::Hold(false);
}

TEST_F(QueueTest, NoExecuteHoldsUntilThePriorityChanges)
{
  TestStream stream(PRIORITY_NO_EXECUTE);
  std::thread other([&] {
    cuCtxSetCurrent(context_);
    EXPECT_EQ(stream.Launch(Kernel(1)), 0);
  });
  while (stream.Stats().blocked == 0) {
    std::this_thread::yield();
  }
  EXPECT_EQ(stream.Stats().launches, 0);
  ASSERT_EQ(XHintPriority(stream.Queue(), 0), kXSchedSuccess);
  other.join();
}

TEST_F(QueueTest, DestroyLetsLaunchesGo)
{
  TestStream high(PRIORITY_MAX);
  CUstream stream = nullptr;
  HwQueueHandle hwq = 0;
  XQueueHandle xq = 0;
  ASSERT_EQ(cuStreamCreate(&stream, 0), 0);
  ASSERT_EQ(CudaQueueCreate(&hwq, stream), kXSchedSuccess);
  ASSERT_EQ(XQueueCreate(&xq, hwq, 1, 0), kXSchedSuccess);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  std::thread other([&] {
    cuCtxSetCurrent(context_);
    EXPECT_EQ(LaunchOn(stream, Kernel(1)), 0);
  });
  XQueueStats stats = {};
  do {
    ASSERT_EQ(XQueueGetStats(xq, &stats), kXSchedSuccess);
  } while (stats.blocked == 0);
  EXPECT_EQ(XQueueDestroy(xq), kXSchedSuccess);
  other.join();
  simulated::Hold(false);
  EXPECT_EQ(XQueueDestroy(xq), kXSchedErrorNotFound);
  EXPECT_EQ(HwQueueDestroy(hwq), kXSchedSuccess);
  EXPECT_EQ(cuStreamSynchronize(stream), 0);
  EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
}

TEST_F(QueueTest, EqualPrioritiesShare)
{
  TestStream first(3);
  TestStream second(3);
  std::vector<std::thread> threads;
  for (TestStream* stream : {&first, &second}) {
    threads.emplace_back([this, stream] {
      cuCtxSetCurrent(context_);
      for (int i = 0; i < 200; ++i) {
        EXPECT_EQ(stream->Launch(Kernel(5)), 0);
      }
      EXPECT_EQ(stream->Synchronize(), 0);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(first.Stats().blocked, 0);
  EXPECT_EQ(second.Stats().blocked, 0);
}

TEST_F(QueueTest, QueuesComeAndGoUnderLoad)
{
  TestStream busy(PRIORITY_MIN);
  std::atomic<bool> stop{false};
  std::thread load([&] {
    cuCtxSetCurrent(context_);
    while (!stop.load()) {
      EXPECT_EQ(busy.Launch(Kernel(5)), 0);
    }
  });
  const int events = simulated::LiveEvents();
  CUstream stream = nullptr;
  ASSERT_EQ(cuStreamCreate(&stream, 0), 0);
  for (int i = 0; i < 100000; ++i) {
    HwQueueHandle hwq = 0;
    XQueueHandle xq = 0;
    ASSERT_EQ(CudaQueueCreate(&hwq, stream), kXSchedSuccess);
    ASSERT_EQ(XQueueCreate(&xq, hwq, 1, 0), kXSchedSuccess);
    if (i % 1000 == 0) {
      ASSERT_EQ(XHintPriority(xq, PRIORITY_MAX), kXSchedSuccess);
      ASSERT_EQ(LaunchOn(stream, Kernel(1)), 0);
      ASSERT_EQ(cuStreamSynchronize(stream), 0);
    }
    ASSERT_EQ(XQueueDestroy(xq), kXSchedSuccess);
    ASSERT_EQ(HwQueueDestroy(hwq), kXSchedSuccess);
  }
  stop.store(true);
  load.join();
  EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
  EXPECT_LE(simulated::LiveEvents(), events + 200);
}

TEST_F(QueueTest, ManyThreadsKeepTheOrderOfTheirStreams)
{
  constexpr int kThreads = 64;
  constexpr int kLaunches = 30;
  std::vector<std::unique_ptr<TestStream>> streams;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    streams.push_back(std::make_unique<TestStream>(i % 4));
  }
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      cuCtxSetCurrent(context_);
      for (int k = 1; k <= kLaunches; ++k) {
        EXPECT_EQ(streams[i]->Launch(Kernel(2, k)), 0);
      }
      EXPECT_EQ(streams[i]->Synchronize(), 0);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  std::vector<int> next(kThreads, 1);
  int total = 0;
  for (const auto& execution : simulated::TakeRuns()) {
    for (int i = 0; i < kThreads; ++i) {
      if (streams[i]->Get() == execution.stream) {
        EXPECT_EQ(execution.function, Kernel(2, next[i]++));
        ++total;
      }
    }
  }
  EXPECT_EQ(total, kThreads * kLaunches);
}

}  // namespace
