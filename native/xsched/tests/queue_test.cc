// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <pthread.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fixture.h"
#include "preempt/clock.h"
#include "preempt/scheduler.h"
#include "run_command.h"

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
  EXPECT_EQ(XHintPriority(99, 1), kXSchedErrorNotFound);
  EXPECT_EQ(XHintPriority(99, 256), kXSchedErrorNotFound);
  EXPECT_EQ(XQueueSetLaunchConfig(xq, 4, 8), kXSchedErrorInvalidValue);
  EXPECT_EQ(XQueueSetLaunchConfig(xq, 8, 4), kXSchedSuccess);
  EXPECT_EQ(XQueueSetLaunchConfig(99, 8, 4), kXSchedErrorNotFound);
  EXPECT_EQ(XQueueSetLaunchConfig(99, -1, -1), kXSchedErrorNotFound);
  EXPECT_EQ(XQueueSetPreemptLevel(xq, kPreemptLevelBlock), kXSchedSuccess);
  EXPECT_EQ(
      XQueueSetPreemptLevel(xq, kPreemptLevelInterrupt),
      kXSchedErrorNotSupported);
  EXPECT_EQ(
      XQueueSetPreemptLevel(xq, kPreemptLevelMax), kXSchedErrorInvalidValue);
  EXPECT_EQ(XQueueSetName(xq, "bert\n"), kXSchedErrorInvalidValue);
  EXPECT_EQ(
      XQueueSetName(xq, std::string(64, 'x').c_str()),
      kXSchedErrorInvalidValue);
  EXPECT_EQ(XQueueSetName(xq, "bert"), kXSchedSuccess);
  EXPECT_EQ(XHintDeadline(xq, 1), kXSchedErrorNotSupported);
  EXPECT_EQ(
      XHintSetScheduler(kSchedulerLocal, kPolicyHighestPriorityFirst),
      kXSchedSuccess);
}

TEST_F(QueueTest, PrioritiesBeyondTheRangeAreTheNearest)
{
  TestStream stream(7);
  const auto given = [&](Priority priority) {
    testing::internal::CaptureStderr();
    EXPECT_EQ(XHintPriority(stream.Queue(), priority), kXSchedSuccess);
    EXPECT_EQ(
        CountIn(testing::internal::GetCapturedStderr(), "[xsched WARN]"),
        stream.Stats().priority == priority ? 0 : 1);
    return stream.Stats().priority;
  };
  EXPECT_EQ(given(255), 255);
  EXPECT_EQ(given(256), 255);
  EXPECT_EQ(given(INT32_MAX), 255);
  EXPECT_EQ(given(-255), -255);
  EXPECT_EQ(given(-257), -255);
  EXPECT_EQ(given(INT32_MIN), -255);
  EXPECT_EQ(given(PRIORITY_NO_EXECUTE), PRIORITY_NO_EXECUTE);
}

TEST_F(QueueTest, LaunchConfigsThatAreNotPositiveChangeNothing)
{
  TestStream low(0);
  TestStream high(1);
  ASSERT_EQ(XQueueSetLaunchConfig(low.Queue(), 2, 1), kXSchedSuccess);
  for (const int64_t nothing : {0, -1, -100}) {
    ASSERT_EQ(
        XQueueSetLaunchConfig(low.Queue(), nothing, nothing), kXSchedSuccess);
  }
  // Still two in flight of what is known.
  // Long ones: the longer they are, the longer they are waited for.
  const CUfunction kernel = Kernel(50000, 2);
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(low.Launch(kernel), 0);
    ASSERT_EQ(low.Synchronize(), 0);
  }
  bool seen = false;
  while (!seen) {
    const int64_t before = low.Stats().launches;
    std::thread other;
    {
      const Held held;
      other = InContext([&] {
        for (int i = 0; i < 3; ++i) {
          EXPECT_EQ(low.Launch(kernel), 0);
        }
      });
      while (low.Stats().launches < before + 2) {
        std::this_thread::yield();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      const int64_t launches = low.Stats().launches;
      seen = !held.TooLong();
      EXPECT_TRUE(!seen || launches == before + 2) << launches - before;
    }
    other.join();
    ASSERT_EQ(low.Synchronize(), 0);
  }
}

TEST_F(QueueTest, DestroyWaitsForTheStreamsWork)
{
  CUstream stream = nullptr;
  HwQueueHandle hwq = 0;
  XQueueHandle xq = 0;
  ASSERT_EQ(cuStreamCreate(&stream, 0), 0);
  ASSERT_EQ(CudaQueueCreate(&hwq, stream), kXSchedSuccess);
  ASSERT_EQ(XQueueCreate(&xq, hwq, 1, 0), kXSchedSuccess);
  simulated::Hold(true);
  ASSERT_EQ(LaunchOn(stream, Kernel(1)), 0);
  std::atomic<bool> destroyed{false};
  std::thread other = InContext([&] {
    EXPECT_EQ(XQueueDestroy(xq), kXSchedSuccess);
    destroyed.store(true);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(destroyed.load());
  simulated::Hold(false);
  other.join();
  EXPECT_EQ(cuStreamQuery(stream), 0);
  EXPECT_EQ(HwQueueDestroy(hwq), kXSchedSuccess);
  EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
}

TEST_F(QueueTest, DestroyLeavesACaptureAlone)
{
  CUstream stream = nullptr;
  HwQueueHandle hwq = 0;
  XQueueHandle xq = 0;
  CUgraph graph = nullptr;
  ASSERT_EQ(cuStreamCreate(&stream, 0), 0);
  ASSERT_EQ(CudaQueueCreate(&hwq, stream), kXSchedSuccess);
  ASSERT_EQ(XQueueCreate(&xq, hwq, 1, 0), kXSchedSuccess);
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, 0), 0);
  EXPECT_EQ(XQueueWaitAll(xq), kXSchedErrorHardware);
  EXPECT_EQ(XQueueDestroy(xq), kXSchedSuccess);
  EXPECT_EQ(cuStreamEndCapture(stream, &graph), 0);
  EXPECT_EQ(simulated::BrokenCaptures(), 0);
  EXPECT_EQ(HwQueueDestroy(hwq), kXSchedSuccess);
  EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
}

TEST_F(QueueTest, DestroyDoesNotWaitForAStreamThatIsGone)
{
  CUstream stream = nullptr;
  HwQueueHandle hwq = 0;
  XQueueHandle xq = 0;
  TestStream held;
  ASSERT_EQ(cuStreamCreate(&stream, 0), 0);
  ASSERT_EQ(CudaQueueCreate(&hwq, stream), kXSchedSuccess);
  ASSERT_EQ(XQueueCreate(&xq, hwq, 1, 0), kXSchedSuccess);
  ASSERT_EQ(cuStreamDestroy_v2(stream), 0);
  simulated::Hold(true);
  ASSERT_EQ(held.Launch(Kernel(1)), 0);
  EXPECT_EQ(XQueueDestroy(xq), kXSchedSuccess);
  simulated::Hold(false);
  EXPECT_EQ(HwQueueDestroy(hwq), kXSchedSuccess);
}

// --- callback commands -----------------------------------------------------

// Launches one kernel into the stream that belongs to the hardware queue.
struct LaunchOne {
  TestStream* stream;
  HwQueueHandle seen = 0;
  XResult result = kXSchedSuccess;

  static XResult Call(HwQueueHandle hwq, void* data)
  {
    auto* self = static_cast<LaunchOne*>(data);
    self->seen = hwq;
    EXPECT_EQ(self->stream->Launch(Kernel(1)), 0);
    return self->result;
  }
};

TEST_F(QueueTest, CommandsPassTheGate)
{
  TestStream low(0);
  TestStream high(1);
  HwQueueHandle hwq = 0;
  ASSERT_EQ(CudaQueueGet(&hwq, low.Get()), kXSchedSuccess);
  LaunchOne launch = {&low};
  HwCommandHandle command = 0;
  ASSERT_EQ(
      HwCommandCreateCallback(&command, &LaunchOne::Call, &launch),
      kXSchedSuccess);
  EXPECT_EQ(XQueueSubmit(low.Queue(), command), kXSchedSuccess);
  EXPECT_EQ(launch.seen, hwq);
  EXPECT_EQ(low.Stats().launches, 1);
  EXPECT_EQ(XQueueWait(low.Queue(), command), kXSchedSuccess);
  EXPECT_FALSE(low.IsReady());

  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  std::thread other = InContext(
      [&] { EXPECT_EQ(XQueueSubmit(low.Queue(), command), kXSchedSuccess); });
  low.AwaitBlocked();
  EXPECT_EQ(low.Stats().launches, 1);
  simulated::Hold(false);
  ASSERT_EQ(high.Synchronize(), 0);
  other.join();
  EXPECT_EQ(low.Stats().launches, 2);

  EXPECT_EQ(HwQueueLaunch(hwq, command), kXSchedSuccess);
  EXPECT_EQ(low.Stats().launches, 3);
  launch.result = kXSchedErrorHardware;
  EXPECT_EQ(XQueueSubmit(low.Queue(), command), kXSchedErrorHardware);
  EXPECT_EQ(HwCommandDestroy(command), kXSchedSuccess);
}

TEST_F(QueueTest, CommandsThatAreNotThereAreNotFound)
{
  TestStream stream(0);
  HwQueueHandle hwq = 0;
  ASSERT_EQ(CudaQueueGet(&hwq, stream.Get()), kXSchedSuccess);
  LaunchOne launch = {&stream};
  HwCommandHandle command = 0;
  EXPECT_EQ(
      HwCommandCreateCallback(nullptr, &LaunchOne::Call, &launch),
      kXSchedErrorInvalidValue);
  EXPECT_EQ(
      HwCommandCreateCallback(&command, nullptr, &launch),
      kXSchedErrorInvalidValue);
  ASSERT_EQ(
      HwCommandCreateCallback(&command, &LaunchOne::Call, &launch),
      kXSchedSuccess);
  EXPECT_EQ(XQueueSubmit(99, command), kXSchedErrorNotFound);
  EXPECT_EQ(HwQueueLaunch(99, command), kXSchedErrorNotFound);
  EXPECT_EQ(launch.seen, 0u);
  EXPECT_EQ(HwCommandDestroy(command), kXSchedSuccess);
  EXPECT_EQ(HwCommandDestroy(command), kXSchedErrorNotFound);
  EXPECT_EQ(XQueueSubmit(stream.Queue(), command), kXSchedErrorNotFound);
  EXPECT_EQ(XQueueWait(stream.Queue(), command), kXSchedErrorNotFound);
  EXPECT_EQ(HwQueueLaunch(hwq, command), kXSchedErrorNotFound);
}

TEST_F(QueueTest, WhatIsNotSupportedSaysSoOnce)
{
  TestStream stream(0);
  testing::internal::CaptureStderr();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(XHintTimeslice(100), kXSchedErrorNotSupported);
    EXPECT_EQ(
        XHintSetScheduler(kSchedulerLocal, kPolicyCompletelyFairScheduler),
        kXSchedErrorNotSupported);
    EXPECT_EQ(
        XHintSetScheduler(kSchedulerGlobal, kPolicyCompletelyFairScheduler),
        kXSchedErrorNotSupported);
    EXPECT_EQ(XHintUtilization(stream.Queue(), 50), kXSchedErrorNotSupported);
    EXPECT_EQ(
        XQueueResume(stream.Queue(), kQueueResumeFlagDropCommands),
        kXSchedErrorNotSupported);
  }
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(CountIn(log, "WARN"), 4) << log;
  EXPECT_EQ(CountIn(log, "no policy but HPF"), 1) << log;
  EXPECT_EQ(CountIn(log, "XHintTimeslice has no effect"), 1) << log;
  EXPECT_EQ(CountIn(log, "XHintUtilization has no effect"), 1) << log;
  EXPECT_EQ(CountIn(log, "XQueueResume cannot drop commands"), 1) << log;
}

TEST_F(QueueTest, AppManagedNeedsNoPolicy)
{
  testing::internal::CaptureStderr();
  EXPECT_EQ(
      XHintSetScheduler(kSchedulerAppManaged, kPolicyUnknown), kXSchedSuccess);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  EXPECT_EQ(
      XHintSetScheduler(kSchedulerAppManaged, kPolicyHighestPriorityFirst),
      kXSchedSuccess);
  EXPECT_EQ(
      CountIn(
          testing::internal::GetCapturedStderr(),
          "the application schedules; the policy does not count"),
      1);
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

// A thread that comes later may have what identified the one that has ended, as
// its stack and its thread-local storage.
TEST_F(QueueTest, SuspendHoldsThreadsBackThatComeAfterTheOneThatSuspended)
{
  TestStream stream(0);
  std::thread([&] {
    ASSERT_EQ(XQueueSuspend(stream.Queue(), 0), kXSchedSuccess);
  }).join();
  std::atomic<bool> launched{false};
  std::thread other = InContext([&] {
    EXPECT_EQ(stream.Launch(Kernel(1)), 0);
    launched.store(true);
  });
  stream.AwaitBlocked();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(launched.load());
  ASSERT_EQ(XQueueResume(stream.Queue(), 0), kXSchedSuccess);
  other.join();
}

// A queue that is held back wants nothing, however many of its launches wait.
TEST_F(QueueTest, QueueThatIsHeldBackKeepsNobodyWaiting)
{
  for (const bool suspended : {true, false}) {
    TestStream low(PRIORITY_MIN);
    TestStream high(PRIORITY_MAX);
    simulated::Hold(true);
    ASSERT_EQ(high.Launch(Kernel(1)), 0);  // one that the device still has
    if (suspended) {
      std::thread([&] {
        ASSERT_EQ(XQueueSuspend(high.Queue(), 0), kXSchedSuccess);
      }).join();
    } else {
      ASSERT_EQ(
          XHintPriority(high.Queue(), PRIORITY_NO_EXECUTE), kXSchedSuccess);
    }
    std::vector<std::thread> held;
    for (int i = 0; i < 4; ++i) {
      held.push_back(InContext([&] { EXPECT_EQ(high.Launch(Kernel(1)), 0); }));
      high.AwaitBlocked();
    }
    simulated::Hold(false);
    InContext([&] {
      EXPECT_EQ(low.Launch(Kernel(1)), 0);
      EXPECT_EQ(low.Synchronize(), 0);
    }).join();
    while (high.IsReady()) {  // until its work is seen to have ended
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(high.Stats().launches, 1);
    if (suspended) {
      ASSERT_EQ(XQueueResume(high.Queue(), 0), kXSchedSuccess);
    } else {
      ASSERT_EQ(XHintPriority(high.Queue(), PRIORITY_MAX), kXSchedSuccess);
    }
    for (std::thread& thread : held) {
      thread.join();
    }
    EXPECT_EQ(high.Synchronize(), 0);
    EXPECT_EQ(high.Stats().launches, 5);
  }
}

// Threads may be cancelled while they wait for their turn, for room, or in the
// driver: nothing of their launches may keep others waiting.
TEST_F(QueueTest, CancelledThreadLeavesNoQueueReady)
{
  for (const bool for_turn : {true, false}) {
    TestStream lowest(PRIORITY_MIN);
    TestStream low(PRIORITY_MIN + 1);
    TestStream high(PRIORITY_MAX);
    simulated::Hold(true);
    if (for_turn) {
      ASSERT_EQ(high.Launch(Kernel(1)), 0);
    }
    std::thread cancelled = InContext([&] {
      for (uint64_t i = 1; i < 1000; ++i) {
        low.Launch(Kernel(1, 5000 + i));
      }
      ADD_FAILURE() << "it was not cancelled";
    });
    if (for_turn) {
      low.AwaitBlocked();
    } else {
      while (low.Stats().launches == 0) {
        std::this_thread::yield();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    pthread_cancel(cancelled.native_handle());
    cancelled.join();
    const int64_t launches = low.Stats().launches;
    EXPECT_EQ(launches, for_turn ? 0 : 1);
    simulated::Hold(false);
    InContext([&] { EXPECT_EQ(lowest.Launch(Kernel(1)), 0); }).join();
    EXPECT_EQ(lowest.Synchronize(), 0);
    EXPECT_FALSE(low.IsReady());
    EXPECT_EQ(low.Stats().launches, launches);
    // And the queue can be used.
    EXPECT_EQ(low.Launch(Kernel(1, 1)), 0);
    EXPECT_EQ(low.Synchronize(), 0);
  }
}

// The driver may be where a thread can be cancelled, in a call of the scheduler's
// own as well: here when it records the beginning and the end of a sample.
TEST_F(QueueTest, ThreadIsNotCancelledWithinACallOfTheSchedulers)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  const std::function<void()> cancel = [] {
    pthread_cancel(pthread_self());
    pthread_testcancel();
  };
  const std::function<void()> wheres[] = {
      [&] { simulated::AtNextRecord(cancel); },
      [&] {
        simulated::AtNextRecord([&] { simulated::AtNextRecord(cancel); });
      },
  };
  uint64_t id = 7000;
  for (const auto& where : wheres) {
    std::atomic<bool> launched{false};
    InContext([&] {
      where();
      EXPECT_EQ(low.Launch(Kernel(1, ++id)), 0);
      launched.store(true);
      // It ends by itself: AddressSanitizer does not know that a thread which is
      // cancelled leaves its frames.
      pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
    }).join();
    EXPECT_TRUE(launched.load());
    ASSERT_EQ(low.Synchronize(), 0);
  }
}

TEST_F(QueueTest, HardwareQueueCanBeSynchronisedWithoutAnXQueue)
{
  TestStream stream;
  HwQueueHandle hwq = 0;
  ASSERT_EQ(CudaQueueCreate(&hwq, stream.Get()), kXSchedSuccess);
  ASSERT_EQ(stream.Launch(Kernel(1000)), 0);
  EXPECT_EQ(HwQueueSynchronize(hwq), kXSchedSuccess);
  EXPECT_EQ(cuStreamQuery(stream.Get()), 0);
  EXPECT_EQ(HwQueueDestroy(hwq), kXSchedSuccess);
  EXPECT_EQ(HwQueueSynchronize(hwq), kXSchedErrorNotFound);
}

// An integration that destroys its streams, but never its XQueues.
TEST_F(QueueTest, QueuesWhoseStreamsAreGoneAreUsedAgain)
{
  constexpr int kStreams = 20000;
  HwQueueHandle first_hwq = 0;
  XQueueHandle first = 0;
  XQueueHandle last = 0;
  for (int i = 0; i < kStreams; ++i) {
    CUstream stream = nullptr;
    HwQueueHandle hwq = 0;
    ASSERT_EQ(cuStreamCreate(&stream, 0), 0);
    ASSERT_EQ(CudaQueueCreate(&hwq, stream), kXSchedSuccess) << i;
    ASSERT_EQ(XQueueCreate(&last, hwq, 1, 0), kXSchedSuccess) << i;
    if (i == 0) {
      first = last;
      first_hwq = hwq;
    }
    if (i % 1000 == 0) {
      ASSERT_EQ(LaunchOn(stream, Kernel(1)), 0);
    }
    ASSERT_EQ(cuStreamDestroy_v2(stream), 0);
  }
  // They are nobody's any more: not to be seen, and in nobody's way.
  XQueueStats stats = {};
  EXPECT_EQ(XQueueGetStats(last, &stats), kXSchedErrorNotFound);
  EXPECT_TRUE(xsched::Scheduler::Get().ReportAll().empty());
  EXPECT_FALSE(xsched::Scheduler::Active());
  // The handles of the first are another's now, those of the last are not.
  EXPECT_EQ(XQueueDestroy(first), kXSchedErrorNotFound);
  EXPECT_EQ(HwQueueDestroy(first_hwq), kXSchedErrorNotFound);
  EXPECT_EQ(XQueueDestroy(last), kXSchedSuccess);
  EXPECT_EQ(XQueueDestroy(last), kXSchedErrorNotFound);
}

// The stream's handle comes again before its old XQueue is destroyed.
TEST_F(QueueTest, StreamHandleThatComesAgainGetsAQueueOfItsOwn)
{
  HwQueueHandle hwqs[2] = {};
  XQueueHandle queues[2] = {};
  CUstream streams[2] = {};
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(cuStreamCreate(&streams[i], 0), 0);
    ASSERT_EQ(CudaQueueCreate(&hwqs[i], streams[i]), kXSchedSuccess);
    ASSERT_EQ(XQueueCreate(&queues[i], hwqs[i], 1, 0), kXSchedSuccess);
    if (i == 0) {
      ASSERT_EQ(XHintPriority(queues[i], 5), kXSchedSuccess);
      ASSERT_EQ(LaunchOn(streams[i], Kernel(1)), 0);
      ASSERT_EQ(cuStreamSynchronize(streams[i]), 0);
      ASSERT_EQ(cuStreamDestroy_v2(streams[i]), 0);
    }
  }
  ASSERT_EQ(streams[0], streams[1]);
  EXPECT_NE(queues[0], queues[1]);
  ASSERT_EQ(LaunchOn(streams[1], Kernel(1)), 0);
  EXPECT_EQ(XQueueDestroy(queues[0]), kXSchedSuccess);
  EXPECT_EQ(HwQueueDestroy(hwqs[0]), kXSchedSuccess);
  XQueueStats stats = {};
  ASSERT_EQ(XQueueGetStats(queues[1], &stats), kXSchedSuccess);
  EXPECT_EQ(stats.launches, 1);
  EXPECT_EQ(stats.priority, PRIORITY_DEFAULT);
  EXPECT_EQ(XQueueDestroy(queues[1]), kXSchedSuccess);
  EXPECT_EQ(HwQueueDestroy(hwqs[1]), kXSchedSuccess);
  EXPECT_EQ(cuStreamDestroy_v2(streams[1]), 0);
}

// A person looks, and nobody else has asked: TensorRT's stream for copies of
// inputs after a model was loaded.
TEST_F(QueueTest, QueueWhoseWorkHasEndedIsNotShownReady)
{
  TestStream stream(0);
  const auto shown_ready = [] {
    return xsched::Scheduler::Get().ReportAll().front().ready;
  };
  simulated::Hold(true);
  EXPECT_EQ(cuMemcpyHtoDAsync_v2(1, nullptr, 100, stream.Get()), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_TRUE(shown_ready());
  simulated::Hold(false);
  const int64_t begin_ns = xsched::NowNs();
  while (shown_ready() && xsched::NowNs() - begin_ns < 10000000000) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_FALSE(shown_ready());
  // Also after the watcher has rested.
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  EXPECT_EQ(stream.Launch(Kernel(1)), 0);
  while (shown_ready() && xsched::NowNs() - begin_ns < 20000000000) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_FALSE(shown_ready());
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
    if (i % 50 == 0) {
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
  // Far fewer than the 2,000 launches above, of which each has an event, or than the queues. What is left is kept for the
  // next launches: as many as the load has had on their way at once, which depends on the machine.
  EXPECT_LE(simulated::LiveEvents(), events + 1000);
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
