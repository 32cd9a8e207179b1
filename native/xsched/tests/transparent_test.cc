// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// XSCHED_AUTO_XQUEUE=ON: streams become XQueues by themselves.

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "fixture.h"

namespace {

// Before anything reads the environment.
const int kEnvironment = setenv("XSCHED_AUTO_XQUEUE", "ON", 1);

class TransparentTest : public DriverTest {};

TEST_F(TransparentTest, PriorityFollowsTheStreams)
{
  ASSERT_EQ(kEnvironment, 0);
  for (const int priority : {0, -2, -5}) {
    CUstream stream = nullptr;
    HwQueueHandle hwq = 0;
    XQueueHandle xq = 0;
    XQueueStats stats = {};
    ASSERT_EQ(cuStreamCreateWithPriority(&stream, 0, priority), 0);
    ASSERT_EQ(CudaQueueGet(&hwq, stream), kXSchedSuccess);
    ASSERT_EQ(XQueueGet(&xq, hwq), kXSchedSuccess);
    ASSERT_EQ(XQueueGetStats(xq, &stats), kXSchedSuccess);
    EXPECT_EQ(stats.priority, -priority);
    EXPECT_EQ(LaunchOn(stream, simulated::Kernel(1)), 0);
    EXPECT_EQ(cuStreamSynchronize(stream), 0);
    EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
    EXPECT_EQ(XQueueGetStats(xq, &stats), kXSchedErrorNotFound);
  }
}

// Such a stream may be created while another context is current.
TEST_F(TransparentTest, StreamOfAGreenContextBelongsToThatContext)
{
  CUcontext green = nullptr;
  ASSERT_EQ(cuCtxCreate_v2(&green, 0, 1), 0);
  ASSERT_EQ(cuCtxSetCurrent(context_), 0);
  CUstream stream = nullptr;
  HwQueueHandle hwq = 0;
  XQueueHandle xq = 0;
  XQueueStats stats = {};
  ASSERT_EQ(
      cuGreenCtxStreamCreate(
          &stream, reinterpret_cast<CUgreenCtx>(green), 0, -3),
      0);
  ASSERT_EQ(CudaQueueGet(&hwq, stream), kXSchedSuccess);
  ASSERT_EQ(XQueueGet(&xq, hwq), kXSchedSuccess);
  ASSERT_EQ(cuCtxSetCurrent(green), 0);
  EXPECT_EQ(LaunchOn(stream, simulated::Kernel(1)), 0);
  EXPECT_EQ(LaunchOn(nullptr, simulated::Kernel(1)), 0);
  ASSERT_EQ(XQueueGetStats(xq, &stats), kXSchedSuccess);
  EXPECT_EQ(stats.priority, 3);
  EXPECT_EQ(stats.launches, 2);
  EXPECT_EQ(cuCtxSynchronize(), 0);
  EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
  EXPECT_EQ(cuCtxDestroy_v2(green), 0);
  EXPECT_EQ(cuCtxSetCurrent(context_), 0);
}

// A program that never makes a stream, as PyTorch's do by default, beside one
// that does.
TEST_F(TransparentTest, WorkInADefaultStreamIsScheduled)
{
  CUstream high = nullptr;
  ASSERT_EQ(cuStreamCreateWithPriority(&high, 0, -5), 0);
  std::atomic<bool> stop{false};
  std::atomic<bool> runs{false};
  std::thread low = InContext([&] {
    while (!stop.load()) {
      for (int i = 0; i < 16; ++i) {
        EXPECT_EQ(LaunchOn(nullptr, simulated::Kernel(1000, 3)), 0);
      }
      EXPECT_EQ(cuStreamSynchronize(nullptr), 0);
      runs.store(true);
    }
  });
  while (!runs.load()) {
    std::this_thread::yield();
  }
  // How many of low's kernels the device began between what high launched and its
  // end, for each of high's requests. A time would tell more of the machine.
  std::vector<int> between;
  for (int request = 0; request < 30; ++request) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    simulated::TakeRuns();
    const int64_t began_ns = xsched::NowNs();
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(LaunchOn(high, simulated::Kernel(100)), 0);
    }
    EXPECT_EQ(cuStreamSynchronize(high), 0);
    int others = 0;
    int left = 10;
    for (const simulated::Execution& run : simulated::TakeRuns()) {
      left -= run.stream == high ? 1 : 0;
      others +=
          left > 0 && run.stream != high && run.began_ns >= began_ns ? 1 : 0;
    }
    between.push_back(others);
  }
  stop.store(true);
  low.join();
  // One at a time is in flight; unbounded, it would be all 16. Half of them: the
  // test's own threads may be stopped.
  std::sort(between.begin(), between.end());
  EXPECT_LE(between[between.size() / 2], 2);
  EXPECT_EQ(cuStreamDestroy_v2(high), 0);
}

}  // namespace
