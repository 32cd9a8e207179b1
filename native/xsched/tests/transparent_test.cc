// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// XSCHED_AUTO_XQUEUE=ON: streams become XQueues by themselves.

#include <cstdlib>

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

}  // namespace
