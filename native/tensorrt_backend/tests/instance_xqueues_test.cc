// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "instance_xqueues.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "allocations.h"
#include "backend_fixture.h"
#include "environment.h"
#include "model_scheduling.h"
#include "preempt/scheduler.h"

namespace {

using triton::backend::XQueueName;
using triton::backend::tensorrt::CreateInstanceXQueues;
using triton::backend::tensorrt::StreamXQueue;
using xsched::QueueReport;
using xsched::Scheduler;

// The legacy default stream by its own handle.
const CUstream kLegacyStream = reinterpret_cast<CUstream>(1);

std::string
Create(const std::vector<CUstream>& streams, std::vector<StreamXQueue>* xqueues)
{
  return server::MessageOf(
      CreateInstanceXQueues("bert", "bert_0_1", 40, 0, 0, streams, xqueues));
}

int
ValueOf(CUstream stream, int QueueReport::*value)
{
  for (const QueueReport& queue : Scheduler::Get().ReportAll()) {
    if (queue.stream == reinterpret_cast<uint64_t>(stream)) {
      return queue.*value;
    }
  }
  return -1;
}

int
FloorOf(CUstream stream)
{
  return ValueOf(stream, &QueueReport::floor);
}

int
WeightOf(CUstream stream)
{
  return ValueOf(stream, &QueueReport::weight);
}

class InstanceXQueuesTest : public BackendTest {};

TEST_F(InstanceXQueuesTest, EveryStreamGetsTheModelsPriority)
{
  TestStream a, b, c;
  {
    std::vector<StreamXQueue> xqueues;
    EXPECT_EQ(Create({a.Get(), nullptr, b.Get(), c.Get()}, &xqueues), "");
    EXPECT_EQ(xqueues.size(), 3u);
    for (const TestStream* stream : {&a, &b, &c}) {
      EXPECT_EQ(PriorityOf(stream->Get()), 40);
    }
  }
  for (const TestStream* stream : {&a, &b, &c}) {
    EXPECT_FALSE(IsKnown(stream->Get()));
  }
  const auto log = server::TakeLog();
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0].level, TRITONSERVER_LOG_INFO);
  EXPECT_EQ(
      log[0].text,
      "XSched schedules instance bert_0_1 as 'bert/bert_0_1': 3 streams with "
      "priority 40");
}

TEST_F(InstanceXQueuesTest, InstancesOfAModelShareItsFloor)
{
  const auto create = [](const std::string& model, int floor,
                         const TestStream& stream,
                         std::vector<StreamXQueue>* xqueues) {
    return server::MessageOf(CreateInstanceXQueues(
        model, model + "_0", 0, floor, 0, {stream.Get()}, xqueues));
  };
  TestStream a, b, c;
  std::vector<StreamXQueue> one, two, other;
  EXPECT_EQ(create("bert", 50, a, &one), "");
  EXPECT_EQ(create("bert", 50, b, &two), "");
  EXPECT_EQ(create("gpt", 40, c, &other), "");
  EXPECT_EQ(FloorOf(a.Get()), 50);
  EXPECT_EQ(FloorOf(b.Get()), 50);
  EXPECT_EQ(FloorOf(c.Get()), 40);
  EXPECT_EQ(
      server::TakeLog().at(0).text,
      "XSched schedules instance bert_0 as 'bert/bert_0': 1 streams with "
      "priority 0 and a floor of 50 %");
  // What there is no room for does not keep a model from being loaded.
  TestStream d;
  std::vector<StreamXQueue> late;
  EXPECT_EQ(create("late", 1, d, &late), "");
  EXPECT_EQ(late.size(), 1U);
  EXPECT_EQ(FloorOf(d.Get()), 0);
  const auto log = server::TakeLog();
  ASSERT_EQ(log.size(), 2U);
  EXPECT_EQ(log[0].level, TRITONSERVER_LOG_WARN);
  EXPECT_EQ(
      log[0].text,
      "XSched: the floors of other models leave no room for 1 % on the GPU; "
      "they come to at most 90 % together");
  // A new state of the model replaces the former's.
  std::vector<StreamXQueue> reloaded;
  TestStream e;
  EXPECT_EQ(create("bert", 0, e, &reloaded), "");
  EXPECT_EQ(FloorOf(a.Get()), 0);
  server::TakeLog();
}

TEST_F(InstanceXQueuesTest, InstancesOfAModelShareItsWeight)
{
  const auto create = [](int floor, int weight, const TestStream& stream,
                         std::vector<StreamXQueue>* xqueues) {
    return server::MessageOf(CreateInstanceXQueues(
        "bert", "bert_0", 0, floor, weight, {stream.Get()}, xqueues));
  };
  TestStream a, b, c;
  std::vector<StreamXQueue> one, two, reloaded;
  EXPECT_EQ(create(0, 3, a, &one), "");
  EXPECT_EQ(WeightOf(a.Get()), 3);
  EXPECT_EQ(
      server::TakeLog().at(0).text,
      "XSched schedules instance bert_0 as 'bert/bert_0': 1 streams with "
      "priority 0 and weight 3");
  EXPECT_EQ(create(20, 100, b, &two), "");
  EXPECT_EQ(WeightOf(a.Get()), 100);
  EXPECT_EQ(WeightOf(b.Get()), 100);
  EXPECT_EQ(
      server::TakeLog().at(0).text,
      "XSched schedules instance bert_0 as 'bert/bert_0': 1 streams with "
      "priority 0, a floor of 20 % and weight 100");
  // A new state of the model replaces the former's.
  EXPECT_EQ(create(0, 0, c, &reloaded), "");
  EXPECT_EQ(WeightOf(a.Get()), 0);
  server::TakeLog();
}

TEST_F(InstanceXQueuesTest, ModelDoesNotLoadIfSchedulingIsRequired)
{
  TestStream a, b;
  for (const char* value : {"ON", "on", "1"}) {
    const Environment required("XSCHED_REQUIRED", value);
    std::vector<StreamXQueue> xqueues;
    // The third fails: the XQueues of the first two are destroyed.
    EXPECT_EQ(
        Create({a.Get(), b.Get(), kLegacyStream}, &xqueues),
        "XSched can't schedule instance bert_0_1 of model 'bert': XSched: "
        "CudaQueueCreate failed: not supported (5) (XSCHED_REQUIRED=ON: the "
        "model is not loaded unscheduled)");
    EXPECT_TRUE(xqueues.empty());
    EXPECT_FALSE(IsKnown(a.Get()));
    EXPECT_FALSE(IsKnown(b.Get()));
    EXPECT_TRUE(server::TakeLog().empty());
    EXPECT_EQ(Create({a.Get(), b.Get()}, &xqueues), "");
    server::TakeLog();
  }
}

TEST_F(InstanceXQueuesTest, OneWarningIfSchedulingIsNotRequired)
{
  TestStream a, b;
  for (const char* value :
       {static_cast<const char*>(nullptr), "", "OFF", "0"}) {
    const Environment required("XSCHED_REQUIRED", value);
    std::vector<StreamXQueue> xqueues;
    // The third stream can't have one, so none of them has.
    EXPECT_EQ(Create({a.Get(), b.Get(), kLegacyStream}, &xqueues), "");
    EXPECT_TRUE(xqueues.empty());
    const auto log = server::TakeLog();
    ASSERT_EQ(log.size(), 1u);
    EXPECT_EQ(log[0].level, TRITONSERVER_LOG_WARN);
    EXPECT_EQ(
        log[0].text,
        "XSched can't schedule instance bert_0_1 of model 'bert': XSched: "
        "CudaQueueCreate failed: not supported (5) (XSCHED_REQUIRED is not "
        "ON: the model runs unscheduled)");
  }
}

TEST_F(InstanceXQueuesTest, SwitchThatIsNeitherOnNorOff)
{
  TestStream a;
  for (const std::string value : {"yes", "true", "ON ", "2"}) {
    const Environment required("XSCHED_REQUIRED", value.c_str());
    std::vector<StreamXQueue> xqueues;
    EXPECT_EQ(
        Create({a.Get()}, &xqueues),
        "environment variable XSCHED_REQUIRED is '" + value +
            "', but must be ON or OFF");
    EXPECT_FALSE(IsKnown(a.Get()));
  }
}

// Names are at most 63 bytes.
TEST_F(InstanceXQueuesTest, Names)
{
  const auto x = [](size_t size) { return std::string(size, 'x'); };
  const std::string umlaut = "\xC3\xA4";
  EXPECT_EQ(XQueueName("bert", "bert_0_1"), "bert/bert_0_1");
  EXPECT_EQ(XQueueName("", ""), "/");
  EXPECT_EQ(XQueueName(x(29), x(29) + "_0_1"), x(29) + "/" + x(29) + "_0_1");
  // The start of the instance's name is cut.
  EXPECT_EQ(XQueueName(x(30), x(30) + "_0_1"), x(30) + "/" + x(28) + "_0_1");
  EXPECT_EQ(XQueueName(x(58), x(58) + "_0_1"), x(58) + "/_0_1");
  EXPECT_EQ(XQueueName(x(61), x(61) + "_0_1"), x(61) + "/1");
  // No room for the instance: only the model's name, cut if necessary.
  EXPECT_EQ(XQueueName(x(62), x(62) + "_0_1"), x(62));
  EXPECT_EQ(XQueueName(x(63), x(63) + "_0_1"), x(63));
  EXPECT_EQ(XQueueName(x(64), x(64) + "_0_1"), x(63));
  EXPECT_EQ(XQueueName(x(5000), "i"), x(63));
  // Whole characters.
  EXPECT_EQ(XQueueName(x(58), "i" + umlaut + "_01"), x(58) + "/_01");
  EXPECT_EQ(
      XQueueName(x(57), "i" + umlaut + "_01"), x(57) + "/" + umlaut + "_01");
  EXPECT_EQ(XQueueName(x(62) + umlaut, "i"), x(62));
  EXPECT_EQ(XQueueName(x(61) + umlaut, "i"), x(61) + umlaut);
  // One line.
  EXPECT_EQ(XQueueName("a\nb\x7F", "c\t"), "a_b_/c_");
}

TEST_F(InstanceXQueuesTest, NamesThatXSchedTakes)
{
  TestStream stream;
  for (size_t size : {0, 1, 29, 30, 61, 62, 63, 64, 128, 5000}) {
    const std::string model(size, 'x');
    std::vector<StreamXQueue> xqueues;
    const Environment required("XSCHED_REQUIRED", "ON");
    EXPECT_EQ(
        server::MessageOf(CreateInstanceXQueues(
            model, model + "_0", 0, 10, 0, {stream.Get()}, &xqueues)),
        "");
  }
}

TEST_F(InstanceXQueuesTest, TenThousandLoadsDoNotGrow)
{
  const Environment required("XSCHED_REQUIRED", "ON");
  int64_t live = 0;
  int events = 0;
  for (int i = 0; i < 10000; ++i) {
    std::vector<CUstream> streams(4);
    for (CUstream& stream : streams) {
      ASSERT_EQ(cuStreamCreate(&stream, 0), 0);
    }
    {
      std::vector<StreamXQueue> xqueues;
      ASSERT_EQ(Create(streams, &xqueues), "");
      if (i % 10 == 0) {
        ASSERT_EQ(LaunchOn(streams[0], simulated::Kernel(1)), 0);
        ASSERT_EQ(cuStreamSynchronize(streams[0]), 0);
      }
    }
    for (CUstream stream : streams) {
      ASSERT_EQ(cuStreamDestroy_v2(stream), 0);
    }
    server::TakeLog();
    simulated::TakeRuns();
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

// Several threads load and unload models while others serve.
TEST_F(InstanceXQueuesTest, LoadsWhileOthersServe)
{
  constexpr int kThreads = 4;
  TestStream serving(PRIORITY_MIN);
  std::atomic<bool> stop{false};
  std::thread server_thread([&] {
    cuCtxSetCurrent(context_);
    while (!stop.load()) {
      EXPECT_EQ(serving.Launch(simulated::Kernel(5)), 0);
    }
    EXPECT_EQ(serving.Synchronize(), 0);
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      cuCtxSetCurrent(context_);
      for (int i = 0; i < 100; ++i) {
        TestStream a, b;
        std::vector<StreamXQueue> xqueues;
        EXPECT_EQ(Create({a.Get(), b.Get()}, &xqueues), "");
        EXPECT_EQ(xqueues.size(), 2u);
        EXPECT_EQ(a.Launch(simulated::Kernel(1)), 0);
        EXPECT_EQ(a.Synchronize(), 0);
        xqueues.clear();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  stop.store(true);
  server_thread.join();
}

}  // namespace
