// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_BACKEND_TESTS_BACKEND_FIXTURE_H_
#define XSCHED_BACKEND_TESTS_BACKEND_FIXTURE_H_

#include <gtest/gtest.h>

#include "fixture.h"
#include "tritonserver.h"

// Makes a context current and clears the stand-in server.
class BackendTest : public DriverTest {
 protected:
  void SetUp() override
  {
    DriverTest::SetUp();
    server::TakeLog();
  }

  void TearDown() override
  {
    EXPECT_EQ(server::LiveErrors(), 0);
    DriverTest::TearDown();
  }
};

// Whether XSched knows 'stream', and its XQueue's priority, if any.
inline bool
IsKnown(CUstream stream)
{
  HwQueueHandle hwq = 0;
  return CudaQueueGet(&hwq, stream) == kXSchedSuccess;
}

inline Priority
PriorityOf(CUstream stream)
{
  HwQueueHandle hwq = 0;
  XQueueHandle xq = 0;
  XQueueStats stats = {};
  EXPECT_EQ(CudaQueueGet(&hwq, stream), kXSchedSuccess);
  EXPECT_EQ(XQueueGet(&xq, hwq), kXSchedSuccess);
  EXPECT_EQ(XQueueGetStats(xq, &stats), kXSchedSuccess);
  return stats.priority;
}

#endif  // XSCHED_BACKEND_TESTS_BACKEND_FIXTURE_H_
