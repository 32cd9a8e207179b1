// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "stream_xqueue.h"

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "allocations.h"
#include "backend_fixture.h"
#include "xsched_calls.h"

namespace {

using triton::backend::tensorrt::StreamXQueue;
using Steps = std::vector<std::string>;

constexpr CUresult kDriverError = 719;

class StreamXQueueTest : public BackendTest {
 protected:
  void SetUp() override
  {
    BackendTest::SetUp();
    ASSERT_EQ(cuStreamCreate(&stream_, 0), 0);
    calls::Reset();
  }

  void TearDown() override
  {
    EXPECT_EQ(cuStreamDestroy_v2(stream_), 0);
    BackendTest::TearDown();
  }

  std::string Create(StreamXQueue* xqueue)
  {
    return server::MessageOf(
        StreamXQueue::Create(stream_, 40, "bert/bert_0", xqueue));
  }

  CUstream stream_ = nullptr;
};

TEST_F(StreamXQueueTest, GoesBeforeItsStream)
{
  CUstream stream = nullptr;
  ASSERT_EQ(cuStreamCreate(&stream, 0), 0);
  {
    StreamXQueue xqueue;
    ASSERT_EQ(
        server::MessageOf(
            StreamXQueue::Create(stream, -7, "bert/bert_0", &xqueue)),
        "");
    EXPECT_EQ(PriorityOf(stream), -7);
  }
  calls::Note("cuStreamDestroy");
  EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
  EXPECT_EQ(
      calls::Take(), (Steps{
                         "CudaQueueCreate", "XQueueCreate", "XHintPriority -7",
                         "XQueueSetName bert/bert_0", "XQueueDestroy",
                         "HwQueueDestroy", "cuStreamDestroy"}));
  EXPECT_TRUE(server::TakeLog().empty());
}

// Each call fails in each way: the error names the call and the reason, what
// earlier calls created is gone, and the next attempt succeeds.
TEST_F(StreamXQueueTest, FailureLeavesNothingBehind)
{
  const Steps functions = {
      "CudaQueueCreate", "XQueueCreate", "XHintPriority", "XQueueSetName"};
  const std::vector<std::pair<XResult, std::string>> results = {
      {kXSchedErrorHardware, "the CUDA driver reported an error (1)"},
      {kXSchedErrorInvalidValue, "invalid value (2)"},
      {kXSchedErrorNotSupported, "not supported (5)"},
      {kXSchedErrorUnknown, "out of memory or another internal error (999)"},
      {static_cast<XResult>(77), "unexpected result (77)"},
  };
  for (size_t i = 0; i < functions.size(); ++i) {
    for (const auto& result : results) {
      calls::Reset();
      calls::Fail(functions[i], result.first);
      StreamXQueue xqueue;
      EXPECT_EQ(
          Create(&xqueue),
          "XSched: " + functions[i] + " failed: " + result.second);
      EXPECT_FALSE(IsKnown(stream_));
      Steps steps = calls::Take();
      ASSERT_GT(steps.size(), i);
      EXPECT_EQ(steps[i].find(functions[i]), 0u);
      steps.erase(steps.begin(), steps.begin() + i + 1);
      EXPECT_EQ(
          steps, i == 0   ? Steps{}
                 : i == 1 ? Steps{"HwQueueDestroy"}
                          : (Steps{"XQueueDestroy", "HwQueueDestroy"}));
      calls::Reset();
      EXPECT_EQ(Create(&xqueue), "");
      EXPECT_EQ(PriorityOf(stream_), 40);
    }
  }
  EXPECT_TRUE(server::TakeLog().empty());
}

TEST_F(StreamXQueueTest, MemoryRunsOut)
{
  // XSched reuses its memory and only needs more for more queues than ever.
  std::vector<std::unique_ptr<TestStream>> streams;
  std::vector<StreamXQueue> xqueues;
  int failures = 0;
  for (const char* function : {"CudaQueueCreate", "XQueueCreate"}) {
    for (int i = 0; i < 300; ++i) {
      streams.push_back(std::make_unique<TestStream>());
      const CUstream stream = streams.back()->Get();
      const auto create = [stream](StreamXQueue* xqueue) {
        return server::MessageOf(
            StreamXQueue::Create(stream, 40, "bert", xqueue));
      };
      StreamXQueue xqueue;
      calls::Starve(function);
      const std::string message = create(&xqueue);
      calls::Reset();
      if (!message.empty()) {
        ++failures;
        EXPECT_EQ(
            message, std::string("XSched: ") + function +
                         " failed: out of memory or another internal error "
                         "(999)");
        EXPECT_FALSE(IsKnown(stream));
        EXPECT_EQ(create(&xqueue), "");
      }
      EXPECT_EQ(PriorityOf(stream), 40);
      xqueues.push_back(std::move(xqueue));
    }
  }
  EXPECT_GT(failures, 0);
  EXPECT_TRUE(server::TakeLog().empty());
}

// The context is the stream's, whichever is current.
TEST_F(StreamXQueueTest, NoContextIsCurrent)
{
  ASSERT_EQ(cuCtxSetCurrent(nullptr), 0);
  StreamXQueue xqueue;
  EXPECT_EQ(Create(&xqueue), "");
  EXPECT_EQ(PriorityOf(stream_), 40);
  ASSERT_EQ(cuCtxSetCurrent(context_), 0);
}

TEST_F(StreamXQueueTest, DriverFailsWhileTheQueueGoes)
{
  StreamXQueue xqueue;
  ASSERT_EQ(Create(&xqueue), "");
  simulated::SetError(kDriverError);
  xqueue = StreamXQueue();
  simulated::SetError(0);
  EXPECT_FALSE(IsKnown(stream_));
  EXPECT_TRUE(server::TakeLog().empty());
}

TEST_F(StreamXQueueTest, DefaultStreamIsNotSupported)
{
  StreamXQueue xqueue;
  EXPECT_EQ(
      server::MessageOf(StreamXQueue::Create(nullptr, 0, "bert", &xqueue)),
      "XSched: CudaQueueCreate failed: not supported (5)");
}

TEST_F(StreamXQueueTest, FailureToDestroyIsLogged)
{
  {
    StreamXQueue xqueue;
    ASSERT_EQ(Create(&xqueue), "");
    calls::Reset();
    calls::Fail("XQueueDestroy", kXSchedErrorUnknown);
  }
  // It still tries to destroy the hardware queue; XSched refuses.
  EXPECT_EQ(calls::Take(), (Steps{"XQueueDestroy", "HwQueueDestroy"}));
  const auto log = server::TakeLog();
  ASSERT_EQ(log.size(), 2u);
  EXPECT_NE(log[0].text.find("failed to destroy XQueue: "), std::string::npos);
  EXPECT_NE(
      log[1].text.find("XSched: HwQueueDestroy failed: not allowed in "
                       "this state, or too many queues (4)"),
      std::string::npos);

  // A new owner takes over what is left, and destroys it.
  calls::Reset();
  {
    StreamXQueue xqueue;
    EXPECT_EQ(Create(&xqueue), "");
  }
  EXPECT_FALSE(IsKnown(stream_));
}

TEST_F(StreamXQueueTest, OwnerCanChange)
{
  static_assert(
      !std::is_copy_constructible<StreamXQueue>::value &&
          !std::is_copy_assignable<StreamXQueue>::value,
      "one stream, one owner");
  static_assert(
      std::is_nothrow_move_constructible<StreamXQueue>::value &&
          std::is_nothrow_move_assignable<StreamXQueue>::value,
      "vectors move it");

  TestStream other;
  StreamXQueue first;
  StreamXQueue second;
  ASSERT_EQ(Create(&first), "");
  ASSERT_EQ(
      server::MessageOf(StreamXQueue::Create(other.Get(), 1, "gpt", &second)),
      "");
  calls::Reset();

  StreamXQueue moved(std::move(first));
  first = std::move(moved);
  StreamXQueue& same = first;
  first = std::move(same);
  EXPECT_TRUE(calls::Take().empty());
  EXPECT_TRUE(IsKnown(stream_));

  second = std::move(first);
  EXPECT_EQ(calls::Take(), (Steps{"XQueueDestroy", "HwQueueDestroy"}));
  EXPECT_TRUE(IsKnown(stream_));
  EXPECT_FALSE(IsKnown(other.Get()));
}

// In XSched's transparent mode, the stream already has an XQueue.
TEST_F(StreamXQueueTest, XQueueThatIsThereIsTakenOver)
{
  HwQueueHandle hwq = 0;
  XQueueHandle xq = 0;
  ASSERT_EQ(CudaQueueCreate(&hwq, stream_), kXSchedSuccess);
  ASSERT_EQ(
      XQueueCreate(&xq, hwq, kPreemptLevelBlock, kQueueCreateFlagNone),
      kXSchedSuccess);
  {
    StreamXQueue xqueue;
    EXPECT_EQ(Create(&xqueue), "");
    EXPECT_EQ(PriorityOf(stream_), 40);
  }
  EXPECT_FALSE(IsKnown(stream_));
}

TEST_F(StreamXQueueTest, TenThousandLoadsDoNotGrow)
{
  int64_t live = 0;
  int events = 0;
  for (int i = 0; i < 10000; ++i) {
    CUstream stream = nullptr;
    ASSERT_EQ(cuStreamCreate(&stream, 0), 0);
    {
      StreamXQueue xqueue;
      ASSERT_EQ(
          server::MessageOf(
              StreamXQueue::Create(stream, i % 511 - 255, "bert", &xqueue)),
          "");
      if (i % 10 == 0) {
        ASSERT_EQ(LaunchOn(stream, simulated::Kernel(1)), 0);
        ASSERT_EQ(cuStreamSynchronize(stream), 0);
      }
    }
    ASSERT_EQ(cuStreamDestroy_v2(stream), 0);
    ASSERT_FALSE(IsKnown(stream));
    calls::Reset();
    if (i % 1000 == 999) {
      simulated::TakeRuns();
    }
    // Pools are full by then.
    if (i == 2999) {
      live = allocations::Live();
      events = simulated::LiveEvents();
    }
  }
  // Less than one per hundred loads: threads hold a few for the moment.
  EXPECT_LE(allocations::Live(), live + 64);
  EXPECT_LE(simulated::LiveEvents(), events + 64);
}

}  // namespace
