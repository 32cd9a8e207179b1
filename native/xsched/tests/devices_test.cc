// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Several devices, and contexts that come and go.

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fixture.h"
#include "preempt/scheduler.h"

namespace {

using simulated::Kernel;
using xsched::QueueReport;
using xsched::Scheduler;

// A context on each of two devices, the first one current.
class DevicesTest : public DriverTest {
 protected:
  void SetUp() override
  {
    DriverTest::SetUp();
    ASSERT_EQ(cuCtxCreate_v2(&second_, 0, 1), 0);
    ASSERT_EQ(cuCtxSetCurrent(context_), 0);
  }

  void TearDown() override
  {
    simulated::Hold(false, 1);
    EXPECT_EQ(cuCtxSetCurrent(second_), 0);
    EXPECT_EQ(cuCtxSynchronize(), 0);
    EXPECT_EQ(cuCtxSetCurrent(context_), 0);
    EXPECT_EQ(cuCtxDestroy_v2(second_), 0);
    DriverTest::TearDown();
  }

  std::unique_ptr<TestStream> StreamOn(CUcontext context, Priority priority)
  {
    EXPECT_EQ(cuCtxSetCurrent(context), 0);
    auto stream = std::make_unique<TestStream>(priority);
    EXPECT_EQ(cuCtxSetCurrent(context_), 0);
    return stream;
  }

  CUcontext second_ = nullptr;
};

TEST_F(DevicesTest, ReadyQueueHoldsBackItsOwnDeviceOnly)
{
  const auto high = StreamOn(context_, PRIORITY_MAX);
  const auto low = StreamOn(context_, PRIORITY_MIN);
  const auto other_low = StreamOn(second_, PRIORITY_MIN);
  simulated::Hold(true);
  ASSERT_EQ(high->Launch(Kernel(1)), 0);
  std::thread waiting =
      InContext([&] { EXPECT_EQ(low->Launch(Kernel(1)), 0); });
  low->AwaitBlocked();
  std::thread running([&] {
    cuCtxSetCurrent(second_);
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(other_low->Launch(Kernel(5)), 0);
    }
    EXPECT_EQ(other_low->Synchronize(), 0);
  });
  running.join();
  EXPECT_EQ(other_low->Stats().blocked, 0);
  EXPECT_EQ(low->Stats().launches, 0);
  simulated::Hold(false);
  waiting.join();
}

// A floor is a share of each device that its model has queues on: where one of
// them has no room for it, it changes on none.
TEST_F(DevicesTest, FloorOfAModelIsSetOnAllDevicesOrOnNone)
{
  const auto floors = [] {
    std::string text;
    for (const QueueReport& queue : Scheduler::Get().ReportAll()) {
      text += queue.name + " " + std::to_string(queue.device) + " " +
              std::to_string(queue.floor) + "\n";
    }
    return text;
  };
  const auto named = [&](CUcontext context, const char* name) {
    auto stream = StreamOn(context, PRIORITY_MIN);
    EXPECT_EQ(XQueueSetName(stream->Queue(), name), kXSchedSuccess);
    return stream;
  };
  const auto chat = named(context_, "chat/0");
  const auto other_chat = named(second_, "chat/1");
  const auto batch = named(second_, "batch/0");
  const auto nameless = StreamOn(second_, PRIORITY_MIN);
  EXPECT_EQ(XQueueSetFloor(chat->Queue(), 20), kXSchedSuccess);
  EXPECT_EQ(XQueueSetFloor(batch->Queue(), 50), kXSchedSuccess);
  EXPECT_EQ(XQueueSetFloor(nameless->Queue(), 10), kXSchedSuccess);
  EXPECT_EQ(XQueueSetFloor(chat->Queue(), 31), kXSchedErrorInvalidValue);
  EXPECT_EQ(floors(), "chat/0 0 20\nchat/1 1 20\nbatch/0 1 50\n 1 10\n");
  EXPECT_EQ(XQueueSetFloor(other_chat->Queue(), 30), kXSchedSuccess);
  EXPECT_EQ(floors(), "chat/0 0 30\nchat/1 1 30\nbatch/0 1 50\n 1 10\n");
  EXPECT_EQ(XQueueSetFloor(nameless->Queue(), 11), kXSchedErrorInvalidValue);
  // What has a name from now on has its model's floor.
  EXPECT_EQ(XQueueSetName(nameless->Queue(), "batch/1"), kXSchedSuccess);
  EXPECT_EQ(floors(), "chat/0 0 30\nchat/1 1 30\nbatch/0 1 50\nbatch/1 1 50\n");
  EXPECT_EQ(XQueueSetFloor(chat->Queue(), 40), kXSchedSuccess);
  EXPECT_EQ(XQueueSetFloor(chat->Queue(), 0), kXSchedSuccess);
  EXPECT_EQ(floors(), "chat/0 0 0\nchat/1 1 0\nbatch/0 1 50\nbatch/1 1 50\n");
}

TEST_F(DevicesTest, EachDeviceIsScheduledAtTheSameTime)
{
  struct Load {
    CUcontext context;
    std::unique_ptr<TestStream> low;
    std::unique_ptr<TestStream> high;
  };
  std::vector<Load> loads;
  for (CUcontext context : {context_, second_}) {
    loads.push_back(
        {context, StreamOn(context, PRIORITY_MIN),
         StreamOn(context, PRIORITY_MAX)});
  }
  std::vector<std::thread> threads;
  for (const Load& load : loads) {
    threads.emplace_back([&load] {
      cuCtxSetCurrent(load.context);
      for (int i = 0; i < 300; ++i) {
        EXPECT_EQ(load.low->Launch(Kernel(10)), 0);
      }
    });
    threads.emplace_back([&load] {
      cuCtxSetCurrent(load.context);
      for (int request = 0; request < 20; ++request) {
        for (int i = 0; i < 5; ++i) {
          EXPECT_EQ(load.high->Launch(Kernel(20)), 0);
        }
        EXPECT_EQ(load.high->Synchronize(), 0);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const Load& load : loads) {
    EXPECT_EQ(load.low->Stats().launches, 300);
    EXPECT_EQ(load.high->Stats().blocked, 0);
  }
}

// A thread works for another queue on each device.
TEST_F(DevicesTest, DefaultStreamsFollowTheCurrentContext)
{
  const auto first = StreamOn(context_, 1);
  const auto second = StreamOn(second_, 1);
  ASSERT_EQ(first->Launch(Kernel(1)), 0);
  ASSERT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
  EXPECT_EQ(first->Stats().launches, 2);
  ASSERT_EQ(cuCtxSetCurrent(second_), 0);
  // Not for the queue of the other context.
  ASSERT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
  EXPECT_EQ(first->Stats().launches, 2);
  EXPECT_EQ(second->Stats().launches, 0);
  ASSERT_EQ(second->Launch(Kernel(1)), 0);
  ASSERT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
  EXPECT_EQ(second->Stats().launches, 2);
  ASSERT_EQ(cuCtxSetCurrent(context_), 0);
}

// Whoever looks whether a kernel has ended that nobody knows looks in that
// kernel's context: the default stream is another one in each.
TEST_F(DevicesTest, UnknownKernelInTheDefaultStreamIsSeenFromAnotherContext)
{
  CUcontext other = nullptr;
  ASSERT_EQ(cuCtxCreate_v2(&other, 0, 0), 0);
  const auto high = StreamOn(context_, PRIORITY_MAX);
  const auto low = StreamOn(context_, PRIORITY_MIN);
  auto other_low = StreamOn(other, PRIORITY_MIN);
  auto held = std::make_unique<Held>(Held::kUnknown);
  InContext([&] {
    EXPECT_EQ(cuMemcpyHtoDAsync_v2(1, nullptr, 1, low->Get()), 0);
    EXPECT_EQ(LaunchOn(nullptr, Kernel(100, 900)), 0);
  }).join();
  EXPECT_EQ(low->Stats().launches, 2);
  std::atomic<bool> launched{false};
  std::thread waiting([&] {
    cuCtxSetCurrent(other);
    EXPECT_EQ(other_low->Launch(Kernel(100, 901)), 0);
    launched.store(true);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(!launched.load() || held->TooLong());
  held.reset();
  waiting.join();
  other_low.reset();
  ASSERT_EQ(cuCtxSynchronize(), 0);
  ASSERT_EQ(cuCtxDestroy_v2(other), 0);
}

// A kernel on both devices at once: waiting for its turn on one while it
// counts as ready on the other could wait for itself.
TEST_F(DevicesTest, OneKernelOnSeveralDevicesDoesNotWait)
{
  const auto high = StreamOn(context_, PRIORITY_MAX);
  const auto first = StreamOn(context_, PRIORITY_MIN);
  const auto second = StreamOn(second_, PRIORITY_MIN);
  simulated::Hold(true);
  ASSERT_EQ(high->Launch(Kernel(1)), 0);
  InContext([&] {
    CUDA_LAUNCH_PARAMS launches[2] = {};
    launches[0].hStream = first->Get();
    launches[1].hStream = second->Get();
    EXPECT_EQ(cuLaunchCooperativeKernelMultiDevice(launches, 2, 0), 0);
  }).join();
  EXPECT_EQ(first->Stats().launches, 1);
  EXPECT_EQ(second->Stats().launches, 1);
  simulated::Hold(false);
}

// The device is that of the stream, whichever context is current.
TEST_F(DevicesTest, QueueBelongsToItsStreamsDevice)
{
  ASSERT_EQ(cuCtxSetCurrent(second_), 0);
  CUstream stream = nullptr;
  ASSERT_EQ(cuStreamCreate(&stream, 0), 0);
  for (CUcontext current : {context_, CUcontext(nullptr)}) {
    ASSERT_EQ(cuCtxSetCurrent(current), 0);
    CUcontext before = nullptr;
    ASSERT_EQ(cuCtxGetCurrent(&before), 0);
    HwQueueHandle hwq = 0;
    XQueueHandle xq = 0;
    ASSERT_EQ(CudaQueueCreate(&hwq, stream), kXSchedSuccess);
    CUcontext after = nullptr;
    ASSERT_EQ(cuCtxGetCurrent(&after), 0);
    EXPECT_EQ(after, before);
    ASSERT_EQ(XQueueCreate(&xq, hwq, 1, 0), kXSchedSuccess);
    ASSERT_EQ(XHintPriority(xq, PRIORITY_MAX), kXSchedSuccess);
    const auto low = StreamOn(context_, PRIORITY_MIN);
    simulated::Hold(true, 1);
    std::thread([&] {
      cuCtxSetCurrent(second_);
      EXPECT_EQ(LaunchOn(stream, Kernel(1)), 0);
      // The default stream of that context is the queue's as well.
      EXPECT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
    }).join();
    XQueueStats stats = {};
    EXPECT_EQ(XQueueGetStats(xq, &stats), kXSchedSuccess);
    EXPECT_EQ(stats.launches, 2);
    // What waits for the other device does not concern this one.
    InContext([&] {
      EXPECT_EQ(low->Launch(Kernel(1)), 0);
      EXPECT_EQ(low->Synchronize(), 0);
    }).join();
    EXPECT_EQ(low->Stats().blocked, 0);
    simulated::Hold(false, 1);
    EXPECT_EQ(XQueueDestroy(xq), kXSchedSuccess);
    EXPECT_EQ(HwQueueDestroy(hwq), kXSchedSuccess);
  }
  ASSERT_EQ(cuCtxSetCurrent(context_), 0);
  EXPECT_EQ(cuStreamSynchronize(stream), 0);
  EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
}

TEST_F(DevicesTest, ContextSynchronisationShowsThatItsQueuesAreIdle)
{
  const auto first = StreamOn(context_, 1);
  const auto second = StreamOn(second_, 1);
  simulated::Hold(true, 1);
  ASSERT_EQ(first->Launch(Kernel(1)), 0);
  ASSERT_EQ(cuCtxSetCurrent(second_), 0);
  ASSERT_EQ(second->Launch(Kernel(1)), 0);
  ASSERT_EQ(cuCtxSynchronize_v2(context_), 0);
  EXPECT_FALSE(first->IsReady());
  EXPECT_TRUE(second->IsReady());
  simulated::Hold(false, 1);
  ASSERT_EQ(cuCtxSynchronize_v2(nullptr), 0);
  EXPECT_FALSE(second->IsReady());
  ASSERT_EQ(cuCtxSetCurrent(context_), 0);
}

// Queues are used again, by streams of other contexts and devices: what they
// keep must not outlive the context it came from.
TEST_F(DevicesTest, QueueThatIsUsedAgainKeepsNothingOfItsOldContext)
{
  for (int round = 0; round < 10; ++round) {
    CUcontext context = nullptr;
    ASSERT_EQ(cuCtxCreate_v2(&context, 0, round % 2), 0);
    {
      TestStream low(PRIORITY_MIN);
      TestStream high(PRIORITY_MAX);
      for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(low.Launch(Kernel(100)), 0);
      }
      EXPECT_EQ(low.Synchronize(), 0);
    }
    ASSERT_EQ(cuCtxDestroy_v2(context), 0);
    ASSERT_EQ(cuCtxSetCurrent(context_), 0);
  }
}

// The driver gives a primary context the same handle in each of its lives.
TEST_F(DevicesTest, PrimaryContextThatIsUsedAgainHasNothingOfItsOldLife)
{
  for (int round = 0; round < 10; ++round) {
    CUcontext primary = nullptr;
    ASSERT_EQ(cuDevicePrimaryCtxRetain(&primary, 0), 0);
    ASSERT_EQ(cuCtxSetCurrent(primary), 0);
    CUstream streams[2] = {};
    HwQueueHandle hwqs[2] = {};
    XQueueHandle queues[2] = {};
    for (int i = 0; i < 2; ++i) {
      ASSERT_EQ(cuStreamCreate(&streams[i], 0), 0);
      ASSERT_EQ(CudaQueueCreate(&hwqs[i], streams[i]), kXSchedSuccess);
      ASSERT_EQ(XQueueCreate(&queues[i], hwqs[i], 1, 0), kXSchedSuccess);
      ASSERT_EQ(XHintPriority(queues[i], i), kXSchedSuccess);
    }
    for (int i = 0; i < 50; ++i) {
      EXPECT_EQ(LaunchOn(streams[0], Kernel(100)), 0);
    }
    // With work in flight.
    if (round % 2 == 0) {
      ASSERT_EQ(cuDevicePrimaryCtxReset_v2(0), 0);
    }
    ASSERT_EQ(cuDevicePrimaryCtxRelease_v2(0), 0);
    ASSERT_EQ(cuCtxSetCurrent(context_), 0);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(XQueueDestroy(queues[i]), kXSchedSuccess);
      EXPECT_EQ(HwQueueDestroy(hwqs[i]), kXSchedSuccess);
    }
  }
}

// Whoever waits for them does not ask for what is no more.
TEST_F(DevicesTest, QueuesEndWithTheirGreenContext)
{
  CUcontext context = nullptr;
  ASSERT_EQ(cuCtxCreate_v2(&context, 0, 0), 0);
  const auto green = reinterpret_cast<CUgreenCtx>(context);
  CUstream stream = nullptr;
  HwQueueHandle hwq = 0;
  XQueueHandle queue = 0;
  ASSERT_EQ(cuGreenCtxStreamCreate(&stream, green, 0, 0), 0);
  ASSERT_EQ(CudaQueueCreate(&hwq, stream), kXSchedSuccess);
  ASSERT_EQ(XQueueCreate(&queue, hwq, 1, 0), kXSchedSuccess);
  ASSERT_EQ(XHintPriority(queue, PRIORITY_MAX), kXSchedSuccess);
  simulated::Hold(true);
  ASSERT_EQ(LaunchOn(stream, Kernel(1)), 0);
  ASSERT_EQ(cuCtxSetCurrent(context_), 0);
  TestStream low(PRIORITY_MIN);
  std::thread waiting = InContext([&] { EXPECT_EQ(low.Launch(Kernel(1)), 0); });
  low.AwaitBlocked();
  EXPECT_EQ(cuGreenCtxDestroy(green), 0);
  waiting.join();
  simulated::Hold(false);
  EXPECT_EQ(XQueueDestroy(queue), kXSchedSuccess);
  EXPECT_EQ(HwQueueDestroy(hwq), kXSchedSuccess);
}

class PrimaryContextTest : public DevicesTest {
 protected:
  void SetUp() override
  {
    DevicesTest::SetUp();
    ASSERT_EQ(cuDevicePrimaryCtxRetain(&primary_, 0), 0);
    ASSERT_EQ(cuDevicePrimaryCtxRetain(&primary_, 0), 0);
    ASSERT_EQ(cuCtxSetCurrent(primary_), 0);
    ASSERT_EQ(cuStreamCreate(&stream_, 0), 0);
    ASSERT_EQ(CudaQueueCreate(&hwq_, stream_), kXSchedSuccess);
    ASSERT_EQ(XQueueCreate(&xq_, hwq_, 1, 0), kXSchedSuccess);
    ASSERT_EQ(XHintPriority(xq_, PRIORITY_MAX), kXSchedSuccess);
    simulated::Hold(true);
    ASSERT_EQ(LaunchOn(stream_, Kernel(1)), 0);
    ASSERT_EQ(cuCtxSetCurrent(context_), 0);
    low_ = std::make_unique<TestStream>(PRIORITY_MIN);
    waiting_ = InContext([&] { EXPECT_EQ(low_->Launch(Kernel(1)), 0); });
    low_->AwaitBlocked();
  }

  void TearDown() override
  {
    waiting_.join();  // the queue above it has ended with its context
    simulated::Hold(false);
    EXPECT_EQ(XQueueDestroy(xq_), kXSchedSuccess);
    EXPECT_EQ(HwQueueDestroy(hwq_), kXSchedSuccess);
    low_.reset();
    DevicesTest::TearDown();
  }

  CUcontext primary_ = nullptr;
  CUstream stream_ = nullptr;
  HwQueueHandle hwq_ = 0;
  XQueueHandle xq_ = 0;
  std::unique_ptr<TestStream> low_;
  std::thread waiting_;
};

TEST_F(PrimaryContextTest, QueuesEndWithTheLastRelease)
{
  EXPECT_EQ(cuDevicePrimaryCtxRelease_v2(0), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(low_->Stats().launches, 0);  // it is still retained
  EXPECT_EQ(cuDevicePrimaryCtxRelease_v2(0), 0);
}

TEST_F(PrimaryContextTest, QueuesEndWithAReset)
{
  EXPECT_EQ(cuDevicePrimaryCtxReset_v2(0), 0);
  EXPECT_EQ(cuDevicePrimaryCtxRelease_v2(0), 0);
  EXPECT_EQ(cuDevicePrimaryCtxRelease_v2(0), 0);
}

}  // namespace
