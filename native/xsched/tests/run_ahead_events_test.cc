// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Events that something else than a call about a stream records: a graph, or another
// process.

#include <sys/wait.h>
#include <unistd.h>

#include "run_ahead_fixture.h"

namespace {

using simulated::Kernel;

// Once a graph has an event, no launch of any is kept. So each way to add one has a
// process of its own: this program, which finds the way in its environment.
class GraphEventTest : public RunAheadTest {
 protected:
  static constexpr const char* kWay = "RUN_AHEAD_TEST_WAY";

  void SetUp() override
  {
    if (getenv(kWay) != nullptr) {
      RunAheadTest::SetUp();
    }
  }
  void TearDown() override
  {
    if (getenv(kWay) != nullptr) {
      RunAheadTest::TearDown();
    }
  }

  static void RunAgain(const std::string& way)
  {
    const pid_t child = fork();
    if (child == 0) {
      setenv(kWay, way.c_str(), 1);
      alarm(60);
      execl(
          "/proc/self/exe", "run_ahead_events_test",
          "--gtest_filter=GraphEventTest.*", nullptr);
      _exit(1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << way;
  }

  // A graph that records the event.
  static CUgraph MakeGraph(const std::string& way, CUevent event)
  {
    CUgraph graph = reinterpret_cast<CUgraph>(Kernel(1, 3));
    if (way == "capture") {
      TestStream stream(PRIORITY_MIN);
      EXPECT_EQ(cuStreamBeginCapture_v2(stream.Get(), 2), 0);
      EXPECT_EQ(cuEventRecordWithFlags(event, stream.Get(), 1), 0);
      EXPECT_EQ(cuStreamEndCapture(stream.Get(), &graph), 0);
    } else if (way == "event node") {
      EXPECT_EQ(
          cuGraphAddEventRecordNode(nullptr, graph, nullptr, 0, event), 0);
    } else {
      struct {
        int type[4] = {7};
        CUevent event = nullptr;
      } node;
      node.event = event;
      EXPECT_EQ(
          cuGraphAddNode_v2(nullptr, graph, nullptr, nullptr, 0, &node), 0);
    }
    return graph;
  }
};

// The event was never recorded, so the driver says that it is done as long as the
// graph is not launched. NCCL orders captured work and other work by such events.
TEST_F(GraphEventTest, IsReadyOnlyAfterTheGraph)
{
  const char* const way = getenv(kWay);
  if (way == nullptr) {
    for (const char* each : {"capture", "event node", "node"}) {
      RunAgain(each);
    }
    return;
  }
  TestStream low(PRIORITY_MIN);
  TestStream other(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  {
    const Busy busy = KeepBusy(&high);
    EXPECT_EQ(
        cuGraphLaunch(reinterpret_cast<CUgraphExec>(Kernel(1)), low.Get()), 0);
    EXPECT_EQ(low.Stats().launches, 0);
  }
  ASSERT_EQ(low.Synchronize(), 0);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  const CUgraph graph = MakeGraph(way, event);
  const Busy busy = KeepBusy(&high);
  Runs();
  ASSERT_EQ(other.Launch(Kernel(1, 5)), 0);
  Calling call(context_, [&] {
    const CUresult result =
        cuGraphLaunch(reinterpret_cast<CUgraphExec>(graph), low.Get());
    return result == 0 ? cuEventSynchronize(event) : result;
  });
  EXPECT_TRUE(call.Waits());
  simulated::Hold(false);
  EXPECT_EQ(call.Result(), 0);
  // Also after what other queues have kept, which may be about the event.
  EXPECT_EQ(
      Kernels(), (std::vector<CUfunction>{
                     Kernel(1, 5), reinterpret_cast<CUfunction>(graph)}));
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

// The other process knows from this one's word that the event is recorded, or that
// something waits for it, and sees the driver's event.
TEST_F(RunAheadTest, AnEventThatAnotherProcessHasIsNotKept)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  CUevent own = nullptr;
  CUevent others = nullptr;
  CUipcEventHandle handle = {};
  ASSERT_EQ(cuEventCreate(&own, 0), 0);
  ASSERT_EQ(cuEventCreate(&others, 0), 0);
  ASSERT_EQ(cuIpcGetEventHandle(&handle, own), 0);
  CUipcEventHandle received = {};
  std::copy_n(
      reinterpret_cast<const char*>(&others), sizeof(others),
      received.reserved);
  ASSERT_EQ(cuIpcOpenEventHandle(&others, received), 0);
  const std::function<CUresult()> calls[] = {
      [&] { return cuEventRecord(own, low.Get()); },
      [&] { return cuEventRecord(others, low.Get()); },
      [&] { return cuStreamWaitEvent(low.Get(), own, 0); },
      [&] { return cuStreamWaitEvent(low.Get(), others, 0); }};
  for (const auto& each : calls) {
    const Busy busy = KeepBusy(&high);
    ASSERT_EQ(low.Launch(Kernel(1)), 0);
    Calling call(context_, each);
    EXPECT_TRUE(call.Waits());
    simulated::Hold(false);
    EXPECT_EQ(call.Result(), 0);
    ASSERT_EQ(cuCtxSynchronize(), 0);
  }
  // A new event may have the handle of one that is destroyed.
  ASSERT_EQ(cuEventDestroy_v2(own), 0);
  CUevent next = nullptr;
  ASSERT_EQ(cuEventCreate(&next, 0), 0);
  ASSERT_EQ(next, own);
  const Busy busy = KeepBusy(&high);
  ASSERT_EQ(low.Launch(Kernel(1)), 0);
  ASSERT_EQ(cuEventRecord(next, low.Get()), 0);
  EXPECT_EQ(cuEventQuery(next), kNotReady);
  simulated::Hold(false);
  ASSERT_EQ(cuEventDestroy_v2(next), 0);
  ASSERT_EQ(cuEventDestroy_v2(others), 0);
  ASSERT_EQ(low.Synchronize(), 0);
}

}  // namespace
