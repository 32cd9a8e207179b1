// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TESTS_FIXTURE_H_
#define XSCHED_TESTS_FIXTURE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "driver_interface.h"
#include "preempt/clock.h"
#include "simulated_driver/simulated_driver.h"
#include "xsched/cuda/hal.h"
#include "xsched/ext.h"
#include "xsched/xsched.h"

// A context that is current in the test's thread.
class DriverTest : public testing::Test {
 protected:
  void SetUp() override
  {
    ASSERT_EQ(cuInit(0), 0);
    ASSERT_EQ(cuCtxCreate_v2(&context_, 0, 0), 0);
    simulated::TakeRuns();
    stale_uses_ = simulated::StaleUses();
    broken_captures_ = simulated::BrokenCaptures();
  }

  void TearDown() override
  {
    simulated::SetError(0);
    simulated::Hold(false);
    cuCtxSynchronize();
    EXPECT_EQ(cuCtxDestroy_v2(context_), 0);
    // Whatever the test is about.
    EXPECT_EQ(simulated::StaleUses(), stale_uses_);
    EXPECT_EQ(simulated::BrokenCaptures(), broken_captures_);
  }

  // A thread in which the context is current as well.
  template <typename Body>
  std::thread InContext(const Body& body)
  {
    return std::thread([context = context_, body] {
      cuCtxSetCurrent(context);
      body();
    });
  }

  CUcontext context_ = nullptr;
  int stale_uses_ = 0;
  int broken_captures_ = 0;
};

// Holds the first device for as long as it exists. A launch does not wait for
// ever for a device that does nothing (Flight::PatienceNs), and a test may be
// stopped for any time: what was seen of the limit in flight says nothing if it
// is TooLong after that.
class Held {
 public:
  // Launches whose times are known, or one whose time is not.
  enum What { kKnown, kUnknown };

  explicit Held(What what = kKnown)
      : patience_ns_(what == kKnown ? 100000000 : 1000000000),
        since_ns_(xsched::NowNs())
  {
    simulated::Hold(true);
  }
  ~Held() { simulated::Hold(false); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  bool TooLong() const { return xsched::NowNs() - since_ns_ > patience_ns_; }

 private:
  const int64_t patience_ns_;
  const int64_t since_ns_;
};

// A stream, and its XQueue if it is given a priority.
class TestStream {
 public:
  TestStream() { EXPECT_EQ(cuStreamCreate(&stream_, 0), 0); }

  explicit TestStream(Priority priority) : TestStream()
  {
    EXPECT_EQ(CudaQueueCreate(&hwq_, stream_), kXSchedSuccess);
    EXPECT_EQ(
        XQueueCreate(&xq_, hwq_, kPreemptLevelDeactivate, 0), kXSchedSuccess);
    EXPECT_EQ(XHintPriority(xq_, priority), kXSchedSuccess);
  }

  ~TestStream()
  {
    if (xq_ != 0) {
      EXPECT_EQ(XQueueDestroy(xq_), kXSchedSuccess);
      EXPECT_EQ(HwQueueDestroy(hwq_), kXSchedSuccess);
    }
    cuStreamSynchronize(stream_);
    EXPECT_EQ(cuStreamDestroy_v2(stream_), 0);
  }

  TestStream(const TestStream&) = delete;
  TestStream& operator=(const TestStream&) = delete;

  CUstream Get() const { return stream_; }
  XQueueHandle Queue() const { return xq_; }
  CUresult Launch(CUfunction kernel) { return LaunchOn(stream_, kernel); }
  CUresult Synchronize() { return cuStreamSynchronize(stream_); }

  XQueueStats Stats() const
  {
    XQueueStats stats = {};
    EXPECT_EQ(XQueueGetStats(xq_, &stats), kXSchedSuccess);
    return stats;
  }

  bool IsReady() const
  {
    XQueueState state = kQueueStateUnknown;
    EXPECT_EQ(XQueueQuery(xq_, &state), kXSchedSuccess);
    return state == kQueueStateReady;
  }

  // Until a launch into the queue waits that did not at the last call.
  void AwaitBlocked() const
  {
    const int64_t before = blocked_;
    while ((blocked_ = Stats().blocked) == before) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

 private:
  mutable int64_t blocked_ = 0;
  CUstream stream_ = nullptr;
  HwQueueHandle hwq_ = 0;
  XQueueHandle xq_ = 0;
};

#endif  // XSCHED_TESTS_FIXTURE_H_
