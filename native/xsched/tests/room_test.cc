// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// How much of the device a queue gets that the limit in flight applies to, and
// that has the device for itself: a launcher on a device, both by a clock that
// goes on with what they do, so that nothing depends on the machine.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "preempt/hardware.h"
#include "preempt/lateness.h"
#include "preempt/scheduler.h"
#include "test_clock.h"

namespace xsched { namespace {

constexpr uint64_t kContext = 7;
constexpr uint64_t kStream = 3000;
// What a call of the driver takes.
constexpr int64_t kCallNs = 700;

// A device that does one kernel after the other.
class Timeline final : public Hardware {
 public:
  void Launch(int64_t kernel_ns)
  {
    free_ns_ = std::max(free_ns_, test_clock_ns.load()) + kernel_ns;
  }
  void Await() { test_clock_ns = std::max(free_ns_, test_clock_ns.load()); }

  Progress QueryStream(uint64_t, uint64_t) override
  {
    return ProgressOf(free_ns_);
  }
  Progress QueryEvent(void* event, uint64_t) override
  {
    return ProgressOf(times_[event]);
  }
  bool RecordEvent(void* event, uint64_t, uint64_t) override
  {
    test_clock_ns += kCallNs;
    times_[event] = std::max(free_ns_, test_clock_ns.load());
    return true;
  }
  void* CreateEvent(EventKind, uint64_t) override
  {
    return reinterpret_cast<void*>(++last_event_);
  }
  int64_t ElapsedNs(void* from, void* to, uint64_t) override
  {
    return times_[to] - times_[from];
  }
  std::string NameOf(int) override { return "timeline"; }
  void Refused(uint64_t) override {}
  bool Synchronize(uint64_t, uint64_t) override { return true; }
  int EnterCalls() override { return 0; }
  void LeaveCalls(int) override {}

 private:
  static Progress ProgressOf(int64_t end_ns)
  {
    test_clock_ns += kCallNs;
    return test_clock_ns < end_ns ? Progress::kBusy : Progress::kDone;
  }

  std::map<void*, int64_t> times_;
  int64_t free_ns_ = 0;
  uintptr_t last_event_ = 0;
};

// An inference: what the kernels take on the device, and what the launcher
// needs before each.
struct Network {
  std::vector<int64_t> kernels_ns;
  int64_t cpu_ns;
};

class RoomTest : public testing::Test {
 protected:
  void SetUp() override
  {
    test_tick_ns = 200;
    static int devices = 500;
    ++devices;
    for (const Priority priority : {PRIORITY_MAX, PRIORITY_MIN}) {
      HwQueueHandle hwq = 0;
      XQueueHandle xq = 0;
      const uint64_t stream = kStream + 2 * static_cast<uint64_t>(devices) +
                              (priority == PRIORITY_MAX ? 1 : 0);
      ASSERT_EQ(
          scheduler_.CreateHwQueue(device_, devices, kContext, stream, &hwq),
          kXSchedSuccess);
      ASSERT_EQ(scheduler_.CreateQueue(hwq, &xq), kXSchedSuccess);
      ASSERT_EQ(scheduler_.SetPriority(xq, priority), kXSchedSuccess);
      handles_.push_back({xq, hwq});
      stream_ = stream;
    }
    queue_ = scheduler_.Find(stream_);
  }

  void TearDown() override
  {
    test_late_ns = 0;
    for (const auto& each : handles_) {
      EXPECT_EQ(scheduler_.DestroyQueue(each.first), kXSchedSuccess);
      EXPECT_EQ(scheduler_.DestroyHwQueue(each.second), kXSchedSuccess);
    }
  }

  // How long so many inferences take, one after the other.
  int64_t Infer(const Network& network, int inferences, bool scheduled)
  {
    const int64_t begin_ns = test_clock_ns;
    for (int i = 0; i < inferences; ++i) {
      for (size_t kernel = 0; kernel < network.kernels_ns.size(); ++kernel) {
        test_clock_ns += network.cpu_ns;
        const int64_t kernel_ns = network.kernels_ns[kernel];
        if (!scheduled) {
          device_->Launch(kernel_ns);
          continue;
        }
        const LaunchTicket ticket =
            scheduler_.BeforeLaunch(queue_, stream_, [&] {
              return LaunchKey{static_cast<uint64_t>(kernel_ns), 1};
            });
        device_->Launch(kernel_ns);
        scheduler_.AfterLaunch(queue_, stream_, ticket, true);
      }
    }
    device_->Await();
    return test_clock_ns - begin_ns;
  }

  // The throughput under the limit, as a part of that without a scheduler.
  double Part(const Network& network)
  {
    Infer(network, 20, true);  // the kernels' times are learned
    const int64_t alone_ns = Infer(network, 20, false);
    return static_cast<double>(alone_ns) /
           static_cast<double>(Infer(network, 20, true));
  }

  Scheduler& scheduler_ = Scheduler::Get();
  // Never destroyed: the scheduler keeps what it knows of it.
  Timeline* const device_ = new Timeline;
  std::vector<std::pair<XQueueHandle, HwQueueHandle>> handles_;
  uint64_t stream_ = 0;
  Queue* queue_ = nullptr;
};

Network
Repeated(const std::vector<int64_t>& kernels_ns, int times)
{
  // What PyTorch needs for a launch, less than most kernels take.
  Network network = {{}, 12000};
  for (int i = 0; i < times; ++i) {
    network.kernels_ns.insert(
        network.kernels_ns.end(), kernels_ns.begin(), kernels_ns.end());
  }
  return network;
}

// Of a model in the shape of BERT-large, at batch 8 and at batch 32.
Network
ShortKernels()
{
  return Repeated({50000, 6000, 8000, 20000, 18000, 6000}, 50);
}

Network
LongerKernels()
{
  return Repeated({70000}, 300);
}

TEST_F(RoomTest, LauncherHasTheDeviceForItself)
{
  EXPECT_GT(Part(ShortKernels()), 0.98);
  EXPECT_GT(Part(LongerKernels()), 0.98);
}

TEST_F(RoomTest, SleepsThatEndLateDoNotLeaveTheDeviceIdle)
{
  for (const int64_t late_ns : {30000, 60000, 90000, 150000, 250000}) {
    test_late_ns = late_ns;
    EXPECT_GT(Part(ShortKernels()), 0.98) << late_ns;
    EXPECT_GT(Part(LongerKernels()), 0.98) << late_ns;
  }
}

TEST_F(RoomTest, WhereTheyEndInTimeAgainTheThreadSleepsAgain)
{
  test_late_ns = 150000;
  Infer(ShortKernels(), 20, true);
  const auto asleep_part = [this] {
    const int64_t before_ns = test_asleep_ns;
    const int64_t took_ns = Infer(ShortKernels(), 20, true);
    return static_cast<double>(test_asleep_ns - before_ns) /
           static_cast<double>(took_ns);
  };
  const double late = asleep_part();
  EXPECT_LT(late, 0.01);
  test_late_ns = 8000;
  Infer(ShortKernels(), 800, true);
  EXPECT_GT(asleep_part(), 10 * late + 0.1);
}

// A sleep within a long kernel may end late: nothing comes of it.
TEST_F(RoomTest, NobodyStaysAwakeForALongKernel)
{
  test_late_ns = 150000;
  const Network network = Repeated({5000000}, 20);
  Infer(network, 2, true);
  const int64_t asleep_ns = test_asleep_ns;
  const int64_t kernels = 20;
  Infer(network, 1, true);
  // Each sleep of 100 us takes 250 us.
  EXPECT_GT(test_asleep_ns - asleep_ns, kernels * 5000000 / 4);
  EXPECT_GT(Part(network), 0.98);
}

TEST(LatenessTest, OneThreadThatWasStoppedDoesNotKeepOthersAwake)
{
  Lateness lateness;
  EXPECT_EQ(lateness.SleepFor(100000, 0), 92000);
  lateness.Slept(92000, 5000000, 5000000);
  EXPECT_GE(lateness.SleepFor(100000, 5000000), 12000);
}

TEST(LatenessTest, MostSleepsEndInTime)
{
  Lateness lateness;
  // One in five is late.
  for (int64_t i = 0; i < 200; ++i) {
    lateness.Slept(50000, 50000 + (i % 5 == 0 ? 60000 : 10000), i);
  }
  EXPECT_LT(lateness.SleepFor(100000, 200), 70000);
  EXPECT_GT(lateness.SleepFor(100000, 200), 40000);
}

TEST(LatenessTest, WhatComesSoonIsWaitedForAwake)
{
  Lateness lateness;
  EXPECT_EQ(lateness.SleepFor(19999, 1000000000), 0);
  EXPECT_EQ(lateness.SleepFor(20000, 1000000000), 12000);
}

}}  // namespace xsched
