// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// What a queue has in flight, and how kernels are timed: the rules one by one,
// on a device whose events the test decides, and by a clock that it decides as
// well.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "fake_hardware.h"
#include "preempt/durations.h"
#include "preempt/event_pool.h"
#include "preempt/flight.h"
#include "preempt/kernel_timer.h"
#include "test_clock.h"

namespace xsched { namespace {

constexpr uint64_t kContext = 7;
constexpr uint64_t kStream = 100;
constexpr int64_t kSecond = 1000000000;
constexpr int64_t kLimitNs = 100 * kSecond;

class FlightTest : public testing::Test {
 protected:
  FlightTest() : pool_(&hardware_, kContext)
  {
    flight_.Attach(&pool_);
    flight_.Follow(&closures_);
  }

  // A kernel that is known to take so long.
  Estimate Known(uint64_t function, int64_t ns)
  {
    durations_->Learn({function, 1}, {ns, true});
    durations_->Learn({function, 1}, {ns, true});
    const Estimate estimate = durations_->Find({function, 1});
    EXPECT_TRUE(estimate.known);
    return estimate;
  }

  // 'in_driver' happens before the launch has returned from the driver.
  bool Launch(
      const Estimate& estimate, uint64_t stream = kStream,
      const std::function<void()>& in_driver = [] {})
  {
    if (flight_.Take(estimate, stream)) {
      in_driver();
      return true;
    }
    if (!flight_.TakeNextPart(estimate, stream) &&
        flight_.Admit(estimate, stream, limits_) != 0) {
      return false;
    }
    in_driver();
    flight_.Returned(!estimate.known);
    return true;
  }

  static void Pass(int64_t ns) { test_clock_ns += ns; }

  FakeHardware hardware_;
  EventPool pool_;
  const std::unique_ptr<Durations> durations_ = std::make_unique<Durations>();
  std::atomic<uint64_t> closures_{0};
  Flight flight_;
  Flight::Limits limits_ = {kLimitNs, 0};
};

TEST_F(FlightTest, ShortKernelsShareAnEventAndStayBelowTheLimit)
{
  // Less than the largest time that a duration holds, about 4 seconds.
  const Estimate kernel = Known(1, kSecond);
  int launches = 0;
  while (Launch(kernel)) {
    ++launches;
    ASSERT_LE(launches, 101);
  }
  EXPECT_GE(launches, 100);
  EXPECT_EQ(hardware_.recorded.size(), 1u);
  EXPECT_NEAR(
      static_cast<double>(flight_.InFlightNs()), static_cast<double>(kLimitNs),
      2e9);
}

TEST_F(FlightTest, FinishedSegmentsLeaveRoom)
{
  const Estimate kernel = Known(1, kSecond);
  while (Launch(kernel)) {
  }
  const uint64_t completions = flight_.Completions();
  hardware_.busy.clear();
  EXPECT_TRUE(Launch(kernel));
  EXPECT_GT(flight_.Completions(), completions);
  EXPECT_LE(flight_.InFlightNs(), kSecond);
}

TEST_F(FlightTest, UnknownKernelsGoOneAtATime)
{
  const Estimate unknown;
  EXPECT_TRUE(Launch(unknown));
  // However long the first takes.
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(Launch(unknown));
    Pass(kLimitNs);
  }
  hardware_.busy.clear();
  EXPECT_TRUE(Launch(unknown));
  EXPECT_FALSE(Launch(unknown));
}

// An event that is recorded before it says nothing of it.
TEST_F(FlightTest, UnknownKernelThatIsStillInTheDriverIsInFlight)
{
  ASSERT_EQ(flight_.Admit({}, kStream, limits_), 0);
  flight_.Look();
  EXPECT_NE(flight_.Admit({}, kStream, limits_), 0);
  EXPECT_TRUE(hardware_.recorded.empty());
  EXPECT_TRUE(flight_.HasUnknown());
  flight_.Returned(false);  // of another thread
  EXPECT_NE(flight_.Admit({}, kStream, limits_), 0);
  EXPECT_TRUE(hardware_.recorded.empty());
  flight_.Returned(true);
  flight_.Look();
  EXPECT_EQ(hardware_.recorded.size(), 1u);
  EXPECT_TRUE(flight_.HasUnknown());
  hardware_.busy.clear();
  flight_.Look();
  EXPECT_FALSE(flight_.HasUnknown());
}

TEST_F(FlightTest, NothingGoesBehindAnUnknownKernel)
{
  limits_.ns = 150000;
  const Estimate known = Known(1, 1000);
  EXPECT_TRUE(Launch(known));
  // Little is in flight: it may go, and then nothing else may.
  const Estimate unknown = {500, true, false};
  while (!Launch(unknown)) {
    Pass(1000);
  }
  EXPECT_TRUE(flight_.HasUnknown());
  Pass(limits_.ns);
  EXPECT_FALSE(Launch(known));
  EXPECT_FALSE(Launch(unknown));
  // The kernel in front of it is done, but not the unknown one.
  hardware_.busy.erase(hardware_.recorded.front().event);
  Pass(limits_.ns);
  EXPECT_FALSE(Launch(known));
  hardware_.busy.clear();
  flight_.Look();
  EXPECT_FALSE(flight_.HasUnknown());
  EXPECT_TRUE(Launch(known));
}

TEST_F(FlightTest, AnotherShapeOfAKnownKernelIsUnknown)
{
  Known(1, kSecond);
  const Estimate other = durations_->Find({1, 2});
  EXPECT_FALSE(other.known);
  EXPECT_EQ(other.ns, 0);
}

// More kernels and shapes than there are places for: what is known of one is
// never said of another, and what comes last is learned.
TEST_F(FlightTest, DurationsOfMoreKernelsThanThereArePlacesFor)
{
  constexpr uint64_t kKernels = 4 * Durations::kSets * Durations::kWays;
  uint64_t known = 0;
  for (uint64_t function = 1; function <= kKernels; ++function) {
    const int64_t ns = 1000 + static_cast<int64_t>(function);
    EXPECT_FALSE(durations_->Find({function, 1}).known);
    EXPECT_EQ(Known(function, ns).ns, ns);
  }
  for (uint64_t function = 1; function <= kKernels; ++function) {
    const Estimate estimate = durations_->Find({function, 1});
    if (estimate.known) {
      EXPECT_EQ(estimate.ns, 1000 + static_cast<int64_t>(function));
      ++known;
    }
  }
  EXPECT_EQ(known, kKernels / 4);
}

// Two kernels that are learned in turn must not evict each other for ever.
TEST_F(FlightTest, WhatIsLaunchedAgainAndAgainIsLearned)
{
  constexpr uint64_t kOthers = 2 * Durations::kSets * Durations::kWays;
  constexpr uint64_t kCurrent = 512;
  for (uint64_t function = 1; function <= kOthers; ++function) {
    Known(function, 1000);
  }
  for (int sample = 0; sample < 8; ++sample) {
    for (uint64_t function = 1; function <= kCurrent; ++function) {
      durations_->Learn({kOthers + function, 1}, {5000, true});
    }
  }
  for (uint64_t function = 1; function <= kCurrent; ++function) {
    EXPECT_TRUE(durations_->Find({kOthers + function, 1}).known);
  }
}

TEST_F(FlightTest, LongKernelWaitsUntilLittleIsLeft)
{
  limits_.ns = 3 * kSecond;
  const Estimate kernel = Known(1, 2 * kSecond);
  EXPECT_TRUE(Launch(kernel));
  EXPECT_TRUE(Launch(kernel));  // a second is left of the grant
  EXPECT_FALSE(Launch(kernel));
  hardware_.busy.clear();
  EXPECT_TRUE(Launch(kernel));
}

TEST_F(FlightTest, ShortKernelWaitsUntilAThirdOfTheLimitIsLeft)
{
  limits_.ns = 10 * kSecond;
  const Estimate kernel = Known(1, kSecond);
  for (uint64_t stream = 1; stream <= 4; ++stream) {
    EXPECT_TRUE(Launch(kernel, stream));
  }
  // A segment has four streams: this one begins another.
  EXPECT_FALSE(Launch(kernel, 5));
  hardware_.busy.clear();
  EXPECT_TRUE(Launch(kernel, 5));
}

TEST_F(FlightTest, StreamsOfASegmentHaveAnEventEach)
{
  const Estimate kernel = Known(1, kSecond);
  EXPECT_TRUE(Launch(kernel, 100));
  EXPECT_TRUE(Launch(kernel, 101));
  EXPECT_TRUE(Launch(kernel, 100));
  EXPECT_TRUE(hardware_.recorded.empty());
  while (Launch(kernel, 100)) {
  }
  ASSERT_EQ(hardware_.recorded.size(), 2u);
  EXPECT_EQ(hardware_.recorded[0].stream, 100u);
  EXPECT_EQ(hardware_.recorded[1].stream, 101u);
  // One of them alone does not finish the segment.
  hardware_.busy.erase(hardware_.recorded[0].event);
  EXPECT_FALSE(Launch(kernel, 100));
  hardware_.busy.clear();
  EXPECT_TRUE(Launch(kernel, 100));
}

TEST_F(FlightTest, StreamThatIsDestroyedGetsNoEvent)
{
  const Estimate kernel = Known(1, kSecond);
  EXPECT_TRUE(Launch(kernel, 100));
  EXPECT_TRUE(Launch(kernel, 101));
  flight_.DropStream(100);
  while (Launch(kernel, 101)) {
  }
  for (const auto& recorded : hardware_.recorded) {
    EXPECT_EQ(recorded.stream, 101u);
  }
}

TEST_F(FlightTest, UncountedWorkEndsBeforeAnythingElse)
{
  const Estimate kernel = Known(1, kSecond);
  flight_.AddUncounted(kStream);
  EXPECT_FALSE(Launch(kernel));
  EXPECT_FALSE(Launch(kernel));
  hardware_.busy.clear();
  EXPECT_TRUE(Launch(kernel));
}

TEST_F(FlightTest, CapOnLaunches)
{
  limits_.launches = 3;
  const Estimate kernel = Known(1, kSecond);
  EXPECT_TRUE(Launch(kernel));
  EXPECT_TRUE(Launch(kernel));
  EXPECT_TRUE(Launch(kernel));
  EXPECT_FALSE(Launch(kernel));
  hardware_.busy.erase(hardware_.recorded.front().event);
  EXPECT_TRUE(Launch(kernel));
  EXPECT_FALSE(Launch(kernel));
}

TEST_F(FlightTest, ClearForgetsEverythingAndKeepsTheEvents)
{
  const Estimate kernel = Known(1, kSecond);
  for (int round = 0; round < 1000; ++round) {
    while (Launch(kernel)) {
    }
    flight_.Clear();
    EXPECT_EQ(flight_.InFlightNs(), 0);
  }
  EXPECT_LE(hardware_.created[EventKind::kPlain], 2);
}

TEST_F(FlightTest, WithoutEventsNothingIsWaitedFor)
{
  const Estimate kernel = Known(1, kSecond);
  hardware_.no_events = true;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(Launch(kernel));
  }
  hardware_.no_events = false;
  hardware_.record_fails = true;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(Launch(kernel));
  }
}

TEST_F(FlightTest, DeviceThatFailsKeepsNobodyWaiting)
{
  const Estimate kernel = Known(1, kSecond);
  while (Launch(kernel)) {
  }
  hardware_.failed = true;
  EXPECT_TRUE(Launch(kernel));
}

TEST_F(FlightTest, SegmentGoesOnWhereTheDeviceKeepsUpButNotForEver)
{
  limits_.ns = 100000;
  // Each is done, by its estimate, long before the next one comes.
  const Estimate kernel = Known(1, limits_.ns);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(Launch(kernel));
    Pass(2 * limits_.ns);
  }
  EXPECT_TRUE(hardware_.recorded.empty());
  // The time that it took is known, although nothing was asked.
  EXPECT_EQ(flight_.TakeFinishedNs(), 2 * limits_.ns);
  EXPECT_TRUE(Launch(kernel));
  EXPECT_EQ(hardware_.recorded.size(), 1u);
}

TEST_F(FlightTest, AfterATurnOnlyAnEventCounts)
{
  limits_.ns = 100000;
  const Estimate kernel = Known(1, limits_.ns);
  EXPECT_TRUE(Launch(kernel));
  ++closures_;  // others had the device meanwhile
  Pass(2 * limits_.ns);
  flight_.Admit(kernel, kStream, limits_);
  EXPECT_EQ(hardware_.recorded.size(), 1u);
}

// A thread that is stopped while it records the end of a segment must not make
// others believe that nothing is in flight.
TEST_F(FlightTest, SegmentCountsWhileItsEndIsRecorded)
{
  const Estimate kernel = Known(1, kSecond);
  int launches = 0;
  while (hardware_.recorded.empty()) {
    hardware_.at_record = [&] {
      for (int i = 0; i < 1000 && Launch(kernel); ++i) {
        ++launches;
      }
    };
    ASSERT_TRUE(Launch(kernel) || !hardware_.recorded.empty());
  }
  EXPECT_EQ(launches, 0);
  EXPECT_LE(flight_.InFlightNs(), kLimitNs + kSecond);
  hardware_.busy.clear();
  EXPECT_TRUE(Launch(kernel));
}

TEST_F(FlightTest, UncountedWorkCountsWhileItsEndIsRecorded)
{
  const Estimate kernel = Known(1, kSecond);
  bool launched = true;
  hardware_.at_record = [&] { launched = Launch(kernel); };
  flight_.AddUncounted(kStream);
  EXPECT_FALSE(launched);
}

TEST_F(FlightTest, ClearedWhileItsEndIsRecorded)
{
  const Estimate kernel = Known(1, kSecond);
  hardware_.at_record = [this] { flight_.Clear(); };
  flight_.AddUncounted(kStream);
  EXPECT_EQ(flight_.InFlightNs(), 0);
  for (int round = 0; round < 10; ++round) {
    while (Launch(kernel)) {
    }
    flight_.Clear();
  }
  EXPECT_LE(hardware_.created[EventKind::kPlain], 2);
}

// The time in which a thread was stopped is no time that the device has had
// for what the thread launches after that.
TEST_F(FlightTest, StoppedThreadDoesNotGetTheLimitTwice)
{
  limits_.ns = 150000;
  for (const int64_t kernel_ns : {10000, 150000, 600000}) {
    const Estimate kernel = Known(static_cast<uint64_t>(kernel_ns), kernel_ns);
    flight_.Clear();
    hardware_.busy.clear();
    int64_t launched_ns = 0;
    const auto stop = [&] {
      if (launched_ns == 0) {
        Pass(100 * kernel_ns + 10 * limits_.ns);
      }
    };
    while (Launch(kernel, kStream, stop)) {
      launched_ns += kernel_ns;
    }
    EXPECT_LE(launched_ns, limits_.ns + kernel_ns) << kernel_ns;
    // As soon as the device is done it goes on.
    hardware_.busy.clear();
    EXPECT_TRUE(Launch(kernel));
  }
}

// However long a thread is stopped, and wherever, and however slow it is: on a
// device that takes the times that are estimated, what is there never exceeds
// the limit and the launch that filled it.
TEST_F(FlightTest, LimitHoldsWhereverTheThreadIsStopped)
{
  limits_.ns = 150000;
  uint64_t random = 1;
  const auto below = [&random](uint64_t bound) {
    random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return static_cast<int64_t>((random >> 33) % bound);
  };
  for (const int64_t kernel_ns : {2000, 7000, 30000, 40000, 120000, 600000}) {
    const Estimate kernel = Known(static_cast<uint64_t>(kernel_ns), kernel_ns);
    flight_.Clear();
    // When the device will be done with what it has, and with what is before
    // each event.
    int64_t done_ns = 0;
    std::map<void*, int64_t> reached_ns;
    size_t recorded = hardware_.recorded.size();
    hardware_.busy.clear();
    const auto note_events = [&] {
      for (; recorded < hardware_.recorded.size(); ++recorded) {
        reached_ns[hardware_.recorded[recorded].event] = done_ns;
      }
    };
    const auto advance = [&] {
      note_events();
      for (const auto& each : reached_ns) {
        if (each.second <= test_clock_ns) {
          hardware_.busy.erase(each.first);
        }
      }
    };
    const auto stop = [&] {
      const int64_t one_in = below(200);
      Pass(one_in == 0 ? below(2000000) : one_in == 1 ? below(300000) : 0);
    };
    int64_t longest_ns = 0;
    for (int launches = 0; launches < 4000;) {
      stop();
      advance();
      const bool launched = Launch(kernel, kStream, [&] {
        note_events();
        stop();
        done_ns = std::max(done_ns, test_clock_ns.load()) + kernel_ns;
        longest_ns = std::max(longest_ns, done_ns - test_clock_ns);
        stop();
      });
      launches += launched ? 1 : 0;
      // A thread may be slower than the device.
      const int64_t slowness = launches / 100 % 4;
      Pass(
          launched ? below(static_cast<uint64_t>(1 + slowness * kernel_ns))
                   : 10000);
    }
    EXPECT_LE(longest_ns, limits_.ns + kernel_ns) << kernel_ns;
    EXPECT_GE(longest_ns, limits_.ns / 2) << kernel_ns;
  }
}

// A thread is not kept waiting because it is slow.
TEST_F(FlightTest, SlowThreadGoesOnAsSoonAsTheDeviceIsDone)
{
  limits_.ns = 150000;
  const Estimate kernel = Known(1, 10000);
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(Launch(kernel)) << i;
    Pass(100000);
    hardware_.busy.clear();
  }
}

// A thread that is stopped while it takes of a grant must not add to the next
// one: long kernels would make room for more.
TEST_F(FlightTest, GrantIsNotAddedTo)
{
  constexpr int kRounds = 200;
  limits_.ns = kSecond / 1000;
  const Estimate slow = Known(1, 4 * kSecond);
  const Estimate quick = Known(2, limits_.ns / 10);
  std::atomic<bool> stop{false};
  std::atomic<int> taken{0};
  std::thread other([&] {
    while (!stop.load()) {
      // Once of each grant, which is then overdrawn.
      if (flight_.Take(slow, kStream) || flight_.TakeNextPart(slow, kStream)) {
        ++taken;
      }
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    flight_.Clear();
    ASSERT_EQ(flight_.Admit(quick, kStream, limits_), 0);
    while (taken.load() <= round) {
      std::this_thread::yield();
    }
  }
  stop.store(true);
  other.join();
  EXPECT_EQ(taken.load(), kRounds);
}

// Launches wait for kernels however long these take: what is given up no
// longer counts, and then there is no limit any more.
TEST_F(FlightTest, PatienceIsLongerThanWhatIsInFlight)
{
  limits_.ns = 150000;
  const Estimate kernel = Known(1, 3 * kSecond);
  ASSERT_TRUE(Launch(kernel));
  ASSERT_FALSE(Launch(kernel));
  EXPECT_GE(flight_.PatienceNs(), 6 * kSecond);
  const int64_t before = flight_.InFlightNs();
  EXPECT_GT(before, 0);
  flight_.Clear();
  EXPECT_LT(flight_.PatienceNs(), kSecond);
}

// What does not finish may wait for a launch that this thread has yet to make,
// a thousand launches later perhaps.
TEST_F(FlightTest, NothingIsWaitedForAfterItWasGivenUpUntilSomethingFinishes)
{
  limits_.ns = 150000;
  const Estimate kernel = Known(1, 10000);
  while (Launch(kernel)) {
  }
  const int64_t before_ns = flight_.InFlightNs();
  flight_.GiveUp();
  for (int i = 0; i < 10000; ++i) {
    ASSERT_TRUE(Launch(kernel));
  }
  EXPECT_GE(flight_.InFlightNs(), before_ns + 10000 * 10000);
  // The device goes on: all of that ends before anything else is admitted.
  for (const auto& recorded : hardware_.recorded) {
    hardware_.busy.erase(recorded.event);
  }
  EXPECT_FALSE(Launch(kernel));
  EXPECT_FALSE(Launch(kernel));
  hardware_.busy.clear();
  EXPECT_TRUE(Launch(kernel));
  EXPECT_LE(flight_.InFlightNs(), limits_.ns);
}

// With nothing in flight there is nothing to give up.
TEST_F(FlightTest, GivingUpNothingLeavesTheLimitInPlace)
{
  limits_.ns = 150000;
  const Estimate kernel = Known(1, limits_.ns);
  flight_.GiveUp();
  EXPECT_TRUE(Launch(kernel));
  EXPECT_FALSE(Launch(kernel));
}

TEST_F(FlightTest, UnknownKernelsAreGivenMoreTime)
{
  const Estimate kernel = Known(1, 1000);
  limits_.ns = 150000;
  while (Launch(kernel)) {
  }
  EXPECT_LT(flight_.PatienceNs(), kSecond / 2);
  flight_.Clear();
  ASSERT_TRUE(Launch({}));
  ASSERT_FALSE(Launch({}));
  EXPECT_GE(flight_.PatienceNs(), kSecond);
  EXPECT_LT(flight_.PatienceNs(), 3 * kSecond);  // somebody may depend on it
}

// A thread is stopped before it records the end of a segment, and the stream
// is destroyed: its handle must not reach the driver any more.
TEST_F(FlightTest, StreamThatIsDestroyedWhileASegmentClosesGetsNoEvent)
{
  const Estimate kernel = Known(1, kSecond);
  ASSERT_TRUE(Launch(kernel, 100));
  ASSERT_TRUE(Launch(kernel, 101));
  hardware_.at_record = [this] { flight_.DropStream(101); };
  while (Launch(kernel, 100)) {
  }
  for (const auto& recorded : hardware_.recorded) {
    EXPECT_EQ(recorded.stream, 100u);
  }
}

TEST_F(FlightTest, SegmentThatTakesMuchLongerThanEstimatedIsNoticed)
{
  limits_.ns = 100000;
  const Estimate kernel = Known(1, limits_.ns);
  const auto overrun = [&] {
    while (Launch(kernel)) {
    }
    Pass(10 * limits_.ns);
    EXPECT_FALSE(Launch(kernel));
  };
  EXPECT_FALSE(flight_.TakeMisjudged());
  overrun();
  EXPECT_TRUE(flight_.TakeMisjudged());
  EXPECT_FALSE(flight_.TakeMisjudged());
  hardware_.busy.clear();
  ASSERT_TRUE(Launch(kernel));
  ++closures_;  // others have the device
  overrun();
  EXPECT_FALSE(flight_.TakeMisjudged());
}

class KernelTimerTest : public FlightTest {
 protected:
  bool Begin(const LaunchKey& key, uint64_t closures_before = 0)
  {
    return timer_.Begin(
        {&pool_, durations_.get(), key, &closures_, closures_before}, kStream);
  }

  Estimate Find(const LaunchKey& key) { return durations_->Find(key); }

  void Time(const LaunchKey& key, int64_t elapsed_ns, bool device_is_busy)
  {
    ASSERT_TRUE(Begin(key));
    hardware_.device_ns += elapsed_ns;
    if (!device_is_busy) {
      hardware_.busy.clear();
    }
    timer_.End(kStream, true);
    hardware_.busy.clear();
    timer_.Read();
  }

  // The launch that is timed is under way.
  std::atomic<uint64_t> submitted_{1};
  std::atomic<uint64_t> launched_{0};
  KernelTimer timer_{{&submitted_, &launched_}};
};

TEST_F(KernelTimerTest, BusyDeviceGivesTheKernelsTime)
{
  const LaunchKey kernel = {1, 1};
  Time(kernel, 40000, true);
  EXPECT_EQ(Find(kernel).ns, 40000);
  Time(kernel, 80000, true);
  EXPECT_EQ(Find(kernel).ns, 50000);  // a quarter of the way
  EXPECT_TRUE(Find(kernel).known);
}

TEST_F(KernelTimerTest, IdleDeviceHasWaitedForTheLaunch)
{
  const LaunchKey kernel = {1, 1};
  Time(kernel, kSecond, false);
  // Less the time of the launch, which took next to none here.
  EXPECT_LE(Find(kernel).ns, kSecond);
  EXPECT_GE(Find(kernel).ns, kSecond / 2);
  Time(kernel, 40000, true);
  EXPECT_EQ(Find(kernel).ns, 40000);  // the first exact one replaces it
  Time(kernel, kSecond, false);
  EXPECT_EQ(Find(kernel).ns, 40000);  // and no inexact one counts again
}

// Another process had the device for a part of that time, and nobody here could
// tell. A queue that is slower than the device gets no exact sample any more.
TEST_F(KernelTimerTest, WhatIsTooLongIsMendedByInexactSamples)
{
  const LaunchKey kernel = {1, 1};
  Time(kernel, 2000000, true);
  Time(kernel, 2000000, true);
  EXPECT_EQ(Find(kernel).ns, 2000000);
  Time(kernel, 40000, false);
  EXPECT_EQ(Find(kernel).ns, 1510000);  // a quarter of the way
  for (int i = 0; i < 30; ++i) {
    Time(kernel, 40000, false);
  }
  // It took at most that long, so that less than half of it is not believed.
  EXPECT_NEAR(Find(kernel).ns, 40000, 1000);
  EXPECT_TRUE(Find(kernel).exact);
  Time(kernel, 10000, true);
  EXPECT_LT(Find(kernel).ns, 40000);
}

TEST_F(KernelTimerTest, SampleOfASharedDeviceIsLeftOut)
{
  const LaunchKey kernel = {1, 1};
  ASSERT_TRUE(Begin(kernel));
  hardware_.device_ns += 40000;
  timer_.End(kStream, true);
  hardware_.busy.clear();
  ++closures_;
  timer_.Read();  // the gate has closed meanwhile
  EXPECT_EQ(Find(kernel).ns, 0);
  // And while the thread that reads was between the device and the count.
  ASSERT_TRUE(Begin(kernel, 1));
  timer_.End(kStream, true);
  hardware_.busy.clear();
  hardware_.at_query_event = [this] { ++closures_; };
  timer_.Read();
  EXPECT_EQ(Find(kernel).ns, 0);
}

// Its handle has ended meanwhile, and may be another kernel's now.
TEST_F(KernelTimerTest, SampleOfWhatWasForgottenIsLeftOut)
{
  const LaunchKey kernel = {1, 1};
  const LaunchKey other = {2, 1};
  const std::function<void()> forget[] = {
      [&] { durations_->Forget(kernel); },
      [&] { durations_->ForgetAll(); },
  };
  for (const auto& each : forget) {
    Time(kernel, 40000, true);
    Time(other, 30000, true);
    EXPECT_EQ(Find(kernel).ns, 40000);
    ASSERT_TRUE(Begin(kernel));
    hardware_.device_ns += 40000;
    timer_.End(kStream, true);
    hardware_.busy.clear();
    each();
    EXPECT_EQ(Find(kernel).ns, 0);
    timer_.Read();
    EXPECT_EQ(Find(kernel).ns, 0);
    EXPECT_EQ(Find(other).ns, &each == forget ? 30000 : 0);
  }
}

// The device has done the kernel and waits for the thread that is to record
// its end.
TEST_F(KernelTimerTest, LateEndIsNoPartOfAKernelsTime)
{
  const LaunchKey kernel = {1, 1};
  ASSERT_TRUE(Begin(kernel));
  hardware_.device_ns += 10000;
  hardware_.at_record = [this] {
    hardware_.busy.clear();
    hardware_.device_ns += kSecond;
  };
  timer_.End(kStream, true);
  hardware_.busy.clear();
  timer_.Read();
  EXPECT_FALSE(Find(kernel).exact);
  // So that the first that is exact replaces it.
  Time(kernel, 10000, true);
  EXPECT_EQ(Find(kernel).ns, 10000);
}

TEST_F(KernelTimerTest, OtherThreadsLaunchesAreNoPartOfAKernelsTime)
{
  const LaunchKey kernel = {1, 1};
  ASSERT_TRUE(Begin(kernel));
  hardware_.device_ns += kSecond;
  ++submitted_;
  timer_.End(kStream, true);
  hardware_.busy.clear();
  timer_.Read();
  EXPECT_FALSE(Find(kernel).exact);
  // One that was under way before, and is in front of the kernel or not.
  Time(kernel, kSecond, true);
  EXPECT_FALSE(Find(kernel).exact);
  ++launched_;
  Time(kernel, 10000, true);
  EXPECT_EQ(Find(kernel).ns, 10000);
}

TEST_F(KernelTimerTest, OneSampleAtATime)
{
  const LaunchKey kernel = {1, 1};
  ASSERT_TRUE(Begin(kernel));
  EXPECT_FALSE(Begin(kernel));
  timer_.End(kStream, true);
  timer_.Read();  // not done yet
  EXPECT_FALSE(Begin(kernel));
  timer_.Cancel();
  EXPECT_TRUE(Begin(kernel));
  timer_.End(kStream, false);  // the launch failed: nothing to learn
  hardware_.busy.clear();
  timer_.Read();
  EXPECT_EQ(Find(kernel).ns, 0);
  EXPECT_EQ(hardware_.created[EventKind::kTimed], 3);
}

TEST_F(KernelTimerTest, WhatAnEventCostsIsNoPartOfAKernelsTime)
{
  const LaunchKey kernel = {1, 1};
  // The device served others while it did the first sample.
  hardware_.event_ns = 5000;
  Time(kernel, 40000, true);
  EXPECT_EQ(pool_.TimedEventNs(), 5000);
  hardware_.event_ns = 1250;
  for (uint64_t function = 2; function < 12; ++function) {
    const LaunchKey other = {function, 1};
    Time(other, 8000, true);
    EXPECT_EQ(Find(other).ns, 8000);
  }
  EXPECT_EQ(pool_.TimedEventNs(), 1250);
  // It is measured a few times, not for ever.
  EXPECT_FALSE(pool_.MeasuresTimedEvent());
  const size_t recorded = hardware_.recorded.size();
  Time(kernel, 40000, true);
  EXPECT_EQ(hardware_.recorded.size(), recorded + 2);
}

TEST_F(KernelTimerTest, IdleDeviceSaysNothingOfWhatAnEventCosts)
{
  // The thread comes so late with every event that the device waits for it.
  hardware_.keeps_up = true;
  hardware_.event_ns = 50000;
  for (uint64_t function = 1; function < 12; ++function) {
    const LaunchKey kernel = {function, 1};
    Time(kernel, 10000, false);
    EXPECT_GE(Find(kernel).ns, 10000);
  }
  EXPECT_EQ(pool_.TimedEventNs(), 0);
  EXPECT_TRUE(pool_.MeasuresTimedEvent());
}

TEST_F(KernelTimerTest, NoCostMakesAKernelTakeLessThanHalfOfWhatWasMeasured)
{
  while (pool_.MeasuresTimedEvent()) {
    pool_.LearnTimedEvent(kSecond);
  }
  const LaunchKey kernel = {1, 1};
  Time(kernel, 40000, true);
  EXPECT_EQ(Find(kernel).ns, 20000);
}

TEST_F(KernelTimerTest, KernelThatTakesNoTimeIsKnownAsWell)
{
  const LaunchKey kernel = {1, 1};
  hardware_.event_ns = 5000;
  Time(kernel, 0, true);
  Time(kernel, 0, true);
  EXPECT_GT(Find(kernel).ns, 0);
  EXPECT_TRUE(Find(kernel).known);
}

}}  // namespace xsched
