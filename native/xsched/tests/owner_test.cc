// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Threads that work for an owner, and the default streams.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "contest.h"
#include "fixture.h"
#include "preempt/scheduler.h"

namespace {

using simulated::Kernel;
using xsched::QueueReport;
using xsched::Scheduler;

// However late the test comes to look, it still runs.
const CUfunction kLong = Kernel(20000, 2);

class OwnerTest : public DriverTest {
 protected:
  void TearDown() override
  {
    EXPECT_EQ(XOwnerExchange(0), XOwnerHandle{0});
    DriverTest::TearDown();
    EXPECT_TRUE(Scheduler::Get().ReportAll().empty());
  }

  static std::vector<QueueReport> Named(const std::string& name)
  {
    std::vector<QueueReport> named;
    for (QueueReport& queue : Scheduler::Get().ReportAll()) {
      if (queue.name == name) {
        named.push_back(std::move(queue));
      }
    }
    return named;
  }

  static QueueReport TheOne(const std::string& name)
  {
    const std::vector<QueueReport> named = Named(name);
    EXPECT_EQ(named.size(), 1U) << name;
    return named.empty() ? QueueReport{} : named.front();
  }

  static void AwaitBlocked(const std::string& name)
  {
    while (TheOne(name).stats.blocked == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  static void AwaitIdle(const std::string& name)
  {
    while (TheOne(name).ready) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  // The kernels that have run, in their order.
  static std::vector<CUfunction> Kernels()
  {
    std::vector<CUfunction> kernels;
    for (const simulated::Execution& run : simulated::TakeRuns()) {
      kernels.push_back(run.function);
    }
    return kernels;
  }
};

// An owner, for as long as it exists.
class TestOwner {
 public:
  TestOwner(const char* name, Priority priority)
  {
    EXPECT_EQ(XOwnerCreate(&owner_, name, priority), kXSchedSuccess);
  }
  ~TestOwner() { EXPECT_EQ(XOwnerDestroy(owner_), kXSchedSuccess); }
  TestOwner(const TestOwner&) = delete;
  TestOwner& operator=(const TestOwner&) = delete;

  XOwnerHandle Get() const { return owner_; }

 private:
  XOwnerHandle owner_ = 0;
};

// The calling thread works for an owner, for as long as it exists.
class WorksFor {
 public:
  explicit WorksFor(const TestOwner& owner)
      : before_(XOwnerExchange(owner.Get()))
  {
  }
  ~WorksFor() { XOwnerExchange(before_); }
  WorksFor(const WorksFor&) = delete;
  WorksFor& operator=(const WorksFor&) = delete;

 private:
  const XOwnerHandle before_;
};

CUresult
LaunchPerThread(CUfunction kernel)
{
  return cuLaunchKernel_ptsz(
      kernel, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr);
}

CUstream
Created(unsigned int flags = 0)
{
  CUstream stream = nullptr;
  EXPECT_EQ(cuStreamCreate(&stream, flags), 0);
  return stream;
}

TEST_F(OwnerTest, StreamsHaveTheNameAndThePriorityOfWhoeverMakesThem)
{
  const TestOwner first("first/0", 40);
  const TestOwner second("second/0", -7);
  std::vector<CUstream> streams;
  streams.push_back(Created());
  {
    const WorksFor work(first);
    streams.push_back(Created());
    streams.push_back(Created());
    const WorksFor other_work(second);
    streams.push_back(Created());
  }
  streams.push_back(Created());
  EXPECT_EQ(Scheduler::Get().ReportAll().size(), 3U);
  for (const QueueReport& queue : Named("first/0")) {
    EXPECT_EQ(queue.stats.priority, 40);
  }
  EXPECT_EQ(Named("first/0").size(), 2U);
  EXPECT_EQ(TheOne("second/0").stats.priority, -7);
  for (const CUstream stream : streams) {
    EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
  }
  EXPECT_TRUE(Scheduler::Get().ReportAll().empty());
}

TEST_F(OwnerTest, DefaultStreamsHaveAQueueForEachContextAndOwner)
{
  const TestOwner first("first/0", 40);
  const TestOwner second("second/0", -7);
  CUcontext other = nullptr;
  ASSERT_EQ(cuCtxCreate_v2(&other, 0, 1), 0);
  ASSERT_EQ(cuCtxSetCurrent(context_), 0);
  {
    const WorksFor work(first);
    EXPECT_EQ(cuCtxSynchronize(), 0);
    EXPECT_TRUE(Scheduler::Get().ReportAll().empty());
    ASSERT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
    ASSERT_EQ(
        LaunchOn(reinterpret_cast<CUstream>(xsched::kStreamLegacy), Kernel(1)),
        0);
    ASSERT_EQ(LaunchPerThread(Kernel(1)), 0);
    InContext([&] {
      const WorksFor inherited(first);
      EXPECT_EQ(LaunchPerThread(Kernel(1)), 0);
    }).join();
    EXPECT_EQ(TheOne("first/0").stats.launches, 4);
    EXPECT_EQ(TheOne("first/0").device, 0);
    ASSERT_EQ(cuCtxSetCurrent(other), 0);
    ASSERT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
    ASSERT_EQ(cuCtxSetCurrent(context_), 0);
  }
  const WorksFor work(second);
  ASSERT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
  EXPECT_EQ(TheOne("second/0").stats.launches, 1);
  EXPECT_EQ(TheOne("second/0").stats.priority, -7);
  const std::vector<QueueReport> queues = Named("first/0");
  ASSERT_EQ(queues.size(), 2U);
  EXPECT_EQ(queues[1].device, 1);
  EXPECT_EQ(queues[1].stats.launches, 1);
  EXPECT_EQ(queues[1].stats.priority, 40);
  ASSERT_EQ(cuCtxSynchronize(), 0);
  // A context takes its queue along.
  ASSERT_EQ(cuCtxDestroy_v2(other), 0);
  ASSERT_EQ(cuCtxSetCurrent(context_), 0);
  EXPECT_EQ(Named("first/0").size(), 1U);
  XOwnerExchange(0);
}

// A thread may execute one model after the other; what it did last is not whom
// it works for.
TEST_F(OwnerTest, WorkBelongsToTheOwnerThatTheThreadWorksForNow)
{
  const TestOwner first("first/0", 40);
  const TestOwner second("second/0", -7);
  CUstream own = nullptr;
  {
    const WorksFor work(first);
    own = Created();
  }
  const CUstream of_a_library = Created(1);
  for (int round = 0; round < 3; ++round) {
    {
      const WorksFor work(first);
      EXPECT_EQ(LaunchOn(own, Kernel(1)), 0);
      EXPECT_EQ(LaunchOn(of_a_library, Kernel(1)), 0);
    }
    {
      const WorksFor work(second);
      EXPECT_EQ(LaunchOn(of_a_library, Kernel(1)), 0);
      EXPECT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
      // A stream of another owner's is that owner's.
      EXPECT_EQ(LaunchOn(own, Kernel(1)), 0);
    }
  }
  EXPECT_EQ(TheOne("first/0").stats.launches, 9);
  EXPECT_EQ(TheOne("second/0").stats.launches, 6);
  EXPECT_EQ(cuCtxSynchronize(), 0);
  EXPECT_EQ(cuStreamDestroy_v2(own), 0);
  EXPECT_EQ(cuStreamDestroy_v2(of_a_library), 0);
}

// --- default streams and priorities ------------------------------------------

// Where an owner works.
enum class Where { kLegacy, kPerThread, kBlocking, kNonBlocking };

class Worker {
 public:
  explicit Worker(Where where) : where_(where)
  {
    if (where == Where::kBlocking || where == Where::kNonBlocking) {
      stream_ = Created(where == Where::kNonBlocking ? 1 : 0);
    }
  }
  ~Worker()
  {
    if (stream_ != nullptr) {
      EXPECT_EQ(cuStreamDestroy_v2(stream_), 0);
    }
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  CUresult Launch(CUfunction kernel) const
  {
    return where_ == Where::kPerThread ? LaunchPerThread(kernel)
                                       : LaunchOn(stream_, kernel);
  }
  CUresult Synchronize() const
  {
    return where_ == Where::kPerThread ? cuStreamSynchronize_ptsz(nullptr)
                                       : cuStreamSynchronize(stream_);
  }
  CUstream Get() const
  {
    return where_ == Where::kPerThread
               ? reinterpret_cast<CUstream>(xsched::kStreamPerThread)
               : stream_;
  }

 private:
  const Where where_;
  CUstream stream_ = nullptr;
};

class PlacesTest : public OwnerTest,
                   public testing::WithParamInterface<std::pair<Where, Where>> {
};

TEST_P(PlacesTest, LowWaitsWhileHighIsReady)
{
  const TestOwner high("high/0", 100);
  const TestOwner low("low/0", -100);
  const WorksFor work(high);
  const Worker place(GetParam().first);
  simulated::Hold(true);
  ASSERT_EQ(place.Launch(Kernel(20, 1)), 0);
  std::thread other = InContext([&] {
    const WorksFor other_work(low);
    const Worker other_place(GetParam().second);
    EXPECT_EQ(other_place.Launch(Kernel(20, 3)), 0);
    EXPECT_EQ(other_place.Synchronize(), 0);
  });
  while (Named("low/0").empty()) {
    std::this_thread::yield();
  }
  AwaitBlocked("low/0");
  ASSERT_EQ(place.Launch(Kernel(20, 2)), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(TheOne("low/0").stats.launches, 0);
  simulated::Hold(false);
  other.join();  // nobody synchronises: the scheduler notices by itself
  const std::vector<CUfunction> expected = {
      Kernel(20, 1), Kernel(20, 2), Kernel(20, 3)};
  EXPECT_EQ(Kernels(), expected);
  ASSERT_EQ(cuCtxSynchronize(), 0);
}

// What low has in flight is bounded, wherever it is.
TEST_P(PlacesTest, HighIsAsFastBesideLowAsTheLimitSays)
{
  const TestOwner high("high/0", 100);
  const TestOwner low("low/0", -100);
  std::atomic<bool> stop{false};
  std::thread other = InContext([&] {
    const WorksFor other_work(low);
    const Worker other_place(GetParam().second);
    while (!stop.load()) {
      for (int i = 0; i < 16; ++i) {
        EXPECT_EQ(other_place.Launch(Kernel(1000, 3)), 0);
      }
      EXPECT_EQ(other_place.Synchronize(), 0);
    }
  });
  // How many of low's kernels the device ran between what high launched and its
  // end, for each of high's requests.
  std::vector<int> between;
  {
    const WorksFor work(high);
    const Worker place(GetParam().first);
    while (Named("low/0").empty()) {
      std::this_thread::yield();
    }
    for (int request = 0; request < 30; ++request) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      simulated::TakeRuns();
      const int64_t began_ns = xsched::NowNs();
      for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(place.Launch(Kernel(100, 1)), 0);
      }
      EXPECT_EQ(place.Synchronize(), 0);
      int others = 0;
      int left = 10;
      for (const simulated::Execution& run : simulated::TakeRuns()) {
        left -= run.function == Kernel(100, 1) ? 1 : 0;
        others += left > 0 && run.function == Kernel(1000, 3) &&
                          run.began_ns >= began_ns
                      ? 1
                      : 0;
      }
      between.push_back(others);
    }
  }
  stop.store(true);
  other.join();
  // One at a time is in flight; unbounded, it would be all 16. Half of them: the
  // test's own threads may be stopped.
  std::sort(between.begin(), between.end());
  EXPECT_LE(between[between.size() / 2], 2);
  ASSERT_EQ(cuCtxSynchronize(), 0);
}

// Launches, copies of either size, events between the two, and captures, while
// the legacy stream and the blocking ones wait for each other.
TEST_P(PlacesTest, NobodyWaitsForEver)
{
  const TestOwner high("high/0", 100);
  const TestOwner low("low/0", -100);
  constexpr int kRounds = 60;
  CUevent produced = nullptr;
  CUevent answered = nullptr;
  ASSERT_EQ(cuEventCreate(&produced, 0), 0);
  ASSERT_EQ(cuEventCreate(&answered, 0), 0);
  std::atomic<int> step{0};
  const auto await = [&](int wanted) {
    while (step.load() < wanted) {
      std::this_thread::yield();
    }
  };
  std::vector<char> memory(1 << 20);
  const auto work = [&](const Worker& place, int round) {
    EXPECT_EQ(place.Launch(Kernel(20, 1)), 0);
    EXPECT_EQ(cuMemcpyHtoDAsync_v2(0, memory.data(), 100, place.Get()), 0);
    EXPECT_EQ(
        cuMemcpyHtoDAsync_v2(0, memory.data(), memory.size(), place.Get()), 0);
    if (round % 3 == 0) {
      // Of a stream that waits for nobody: the legacy stream may be used
      // meanwhile.
      const Worker captured(Where::kNonBlocking);
      CUgraph graph = nullptr;
      EXPECT_EQ(cuStreamBeginCapture_v2(captured.Get(), 2), 0);
      EXPECT_EQ(captured.Launch(Kernel(20, 2)), 0);
      EXPECT_EQ(place.Launch(Kernel(20, 3)), 0);
      EXPECT_EQ(cuStreamEndCapture(captured.Get(), &graph), 0);
    }
  };
  std::thread producer = InContext([&] {
    const WorksFor other_work(low);
    const Worker place(GetParam().second);
    for (int round = 0; round < kRounds; ++round) {
      work(place, round);
      EXPECT_EQ(cuEventRecord(produced, place.Get()), 0);
      step.store(2 * round + 1);
      work(place, round);
      await(2 * round + 2);
      EXPECT_EQ(cuStreamWaitEvent(place.Get(), answered, 0), 0);
      work(place, round);
      if (round % 2 == 0) {
        EXPECT_EQ(place.Synchronize(), 0);
      }
    }
  });
  std::thread consumer = InContext([&] {
    const WorksFor other_work(high);
    const Worker place(GetParam().first);
    for (int round = 0; round < kRounds; ++round) {
      await(2 * round + 1);
      EXPECT_EQ(cuStreamWaitEvent(place.Get(), produced, 0), 0);
      work(place, round);
      EXPECT_EQ(cuEventRecord(answered, place.Get()), 0);
      step.store(2 * round + 2);
      if (round % 4 == 0) {
        EXPECT_EQ(cuEventSynchronize(answered), 0);
      }
    }
  });
  producer.join();
  consumer.join();
  ASSERT_EQ(cuCtxSynchronize(), 0);
  EXPECT_EQ(cuEventDestroy_v2(produced), 0);
  EXPECT_EQ(cuEventDestroy_v2(answered), 0);
}

// Both have much to do; the second comes while the first is at work. A third,
// above both, has nothing to do: what they have in flight is bounded, so it is
// not the order of submission that decides.
class ContestTest
    : public OwnerTest,
      public testing::WithParamInterface<std::pair<Where, Where>> {
 protected:
  contest::Runs Compete(Priority first_priority, Priority second_priority)
  {
    const TestOwner third("third/0", 200);
    const TestOwner first("first/0", first_priority);
    const TestOwner second("second/0", second_priority);
    {
      const WorksFor work(third);
      EXPECT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
      EXPECT_EQ(cuStreamSynchronize(nullptr), 0);
    }
    return Compete(&first, &second);
  }

  contest::Runs Compete(const TestOwner* first, const TestOwner* second)
  {
    // Where nobody is scheduled, all that comes first is on the device at once: it
    // is held there until the other has come, which takes a busy machine longer
    // than the device.
    const bool hold = first == nullptr && second == nullptr;
    std::atomic<int> launched{0};
    const auto await_launched = [&](int count) {
      const int64_t end_ns = xsched::NowNs() + 10000000000;
      while (launched.load() < count && xsched::NowNs() < end_ns) {
        std::this_thread::yield();
      }
    };
    const auto work = [&](const TestOwner* owner, Where where, uint64_t us) {
      const XOwnerHandle before =
          XOwnerExchange(owner == nullptr ? 0 : owner->Get());
      {
        const Worker place(where);
        for (int i = 0; i < contest::kKernels; ++i) {
          EXPECT_EQ(place.Launch(Kernel(us)), 0);
        }
        ++launched;
        EXPECT_EQ(place.Synchronize(), 0);
      }
      XOwnerExchange(before);
    };
    contest::Runs runs;
    if (hold) {
      simulated::HoldDuring(Kernel(contest::kFirstMicroseconds));
    }
    std::thread one = InContext(
        [&] { work(first, GetParam().first, contest::kFirstMicroseconds); });
    if (hold) {
      await_launched(1);
    }
    while (!hold && !runs.FirstIsAtWork()) {
      std::this_thread::yield();
      runs.Take();
    }
    std::thread other = InContext([&] {
      runs.SecondComes();
      work(second, GetParam().second, contest::kSecondMicroseconds);
    });
    if (hold) {
      await_launched(2);
      simulated::Hold(false);
    }
    one.join();
    other.join();
    runs.Take();
    return runs;
  }
};

TEST_P(ContestTest, TheHigherPreemptsTheLower)
{
  contest::Expect(
      &contest::Runs::SecondPreempted, [this] { return Compete(-100, 100); });
}

TEST_P(ContestTest, TheLowerIsHeldWhileTheHigherWorks)
{
  contest::Expect(
      &contest::Runs::SecondWasHeld, [this] { return Compete(100, -100); });
}

TEST_P(ContestTest, EqualsShare)
{
  contest::Expect(
      &contest::Runs::BothTookTurns, [this] { return Compete(7, 7); });
}

TEST_P(ContestTest, WithoutOwnersNobodyWaits)
{
  contest::Expect(&contest::Runs::NobodyWaited, [this] {
    return Compete(nullptr, nullptr);
  });
}

std::string
NameOf(const testing::TestParamInfo<std::pair<Where, Where>>& info)
{
  static const std::map<Where, std::string> kNames = {
      {Where::kLegacy, "Legacy"},
      {Where::kPerThread, "PerThread"},
      {Where::kBlocking, "Blocking"},
      {Where::kNonBlocking, "NonBlocking"}};
  return kNames.at(info.param.first) + "And" + kNames.at(info.param.second);
}

const auto kPlaces = testing::Values(
    std::make_pair(Where::kLegacy, Where::kLegacy),
    std::make_pair(Where::kLegacy, Where::kBlocking),
    std::make_pair(Where::kLegacy, Where::kPerThread),
    std::make_pair(Where::kBlocking, Where::kLegacy),
    std::make_pair(Where::kNonBlocking, Where::kLegacy),
    std::make_pair(Where::kPerThread, Where::kLegacy),
    std::make_pair(Where::kPerThread, Where::kPerThread));

INSTANTIATE_TEST_SUITE_P(HighAndLow, PlacesTest, kPlaces, NameOf);
INSTANTIATE_TEST_SUITE_P(FirstAndSecond, ContestTest, kPlaces, NameOf);

// --- when the default streams have finished --------------------------------------

// Others' work may follow in the same stream.
TEST_F(OwnerTest, AnEventInTheLegacyStreamTellsWhenItsOwnersWorkHasFinished)
{
  const TestOwner high("high/0", 100);
  const TestOwner other("other/0", 200);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  {
    const WorksFor work(high);
    ASSERT_EQ(LaunchOn(nullptr, Kernel(1, 1)), 0);
    ASSERT_EQ(cuEventRecord(event, nullptr), 0);
  }
  simulated::HoldDuring(kLong);
  {
    const WorksFor work(other);
    ASSERT_EQ(LaunchOn(nullptr, kLong), 0);
  }
  ASSERT_EQ(cuEventSynchronize(event), 0);
  EXPECT_FALSE(TheOne("high/0").ready);
  EXPECT_TRUE(TheOne("other/0").ready);
  simulated::Hold(false);
  ASSERT_EQ(cuCtxSynchronize(), 0);
  EXPECT_FALSE(TheOne("other/0").ready);
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

TEST_F(OwnerTest, SynchronisationOfADefaultStreamMakesItsQueueIdle)
{
  const TestOwner owner("owner/0", 100);
  const WorksFor work(owner);
  ASSERT_EQ(LaunchOn(nullptr, Kernel(100)), 0);
  EXPECT_TRUE(TheOne("owner/0").ready);
  ASSERT_EQ(cuStreamSynchronize(nullptr), 0);
  EXPECT_FALSE(TheOne("owner/0").ready);
  ASSERT_EQ(LaunchPerThread(Kernel(100)), 0);
  EXPECT_TRUE(TheOne("owner/0").ready);
  ASSERT_EQ(cuStreamSynchronize_ptsz(nullptr), 0);
  EXPECT_FALSE(TheOne("owner/0").ready);
  XOwnerExchange(0);
}

// A small copy never waits, but it may be behind something long.
TEST_F(OwnerTest, SmallCopiesInDefaultStreamsAreWaitedFor)
{
  std::vector<char> memory(100);
  for (const Where where : {Where::kLegacy, Where::kPerThread}) {
    const TestOwner high("high/0", 100);
    const TestOwner low("low/0", -100);
    simulated::Hold(true);
    {
      const WorksFor work(high);
      const Worker place(where);
      ASSERT_EQ(cuMemcpyHtoDAsync_v2(0, memory.data(), 100, place.Get()), 0);
    }
    std::thread other = InContext([&] {
      const WorksFor other_work(low);
      EXPECT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
    });
    while (Named("low/0").empty()) {
      std::this_thread::yield();
    }
    AwaitBlocked("low/0");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(TheOne("low/0").stats.launches, 0);
    simulated::Hold(false);
    other.join();
    ASSERT_EQ(cuCtxSynchronize(), 0);
  }
}

// The legacy stream may not be asked then, by anyone.
TEST_F(OwnerTest, LegacyWorkIsSeenToEndWhileAnythingIsCaptured)
{
  const TestOwner owner("owner/0", 100);
  const Worker captured(Where::kBlocking);
  const Worker other_captured(Where::kBlocking);
  const Worker third_captured(Where::kNonBlocking);
  CUgraph graph = nullptr;
  simulated::Hold(true);
  {
    const WorksFor work(owner);
    ASSERT_EQ(LaunchOn(nullptr, kLong), 0);
  }
  ASSERT_EQ(cuStreamBeginCapture_v2(captured.Get(), 2), 0);
  ASSERT_EQ(cuStreamBeginCapture_v2(other_captured.Get(), 2), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_TRUE(TheOne("owner/0").ready);
  simulated::Hold(false);
  AwaitIdle("owner/0");
  ASSERT_EQ(cuStreamEndCapture(captured.Get(), &graph), 0);
  ASSERT_EQ(cuStreamEndCapture(other_captured.Get(), &graph), 0);
  // And what comes while something is captured that does not wait for the
  // legacy stream.
  ASSERT_EQ(cuStreamBeginCapture_v2(third_captured.Get(), 2), 0);
  simulated::Hold(true);
  {
    const WorksFor work(owner);
    ASSERT_EQ(LaunchOn(nullptr, kLong), 0);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_TRUE(TheOne("owner/0").ready);
  simulated::Hold(false);
  AwaitIdle("owner/0");
  ASSERT_EQ(cuStreamEndCapture(third_captured.Get(), &graph), 0);
}

// --- the lives of owners -----------------------------------------------------------

TEST_F(OwnerTest, QueuesGoWithTheirOwner)
{
  XOwnerHandle owner = 0;
  ASSERT_EQ(XOwnerCreate(&owner, "owner/0", 40), kXSchedSuccess);
  XOwnerExchange(owner);
  const CUstream leaked = Created();
  ASSERT_EQ(LaunchOn(leaked, Kernel(1)), 0);
  ASSERT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
  EXPECT_EQ(Named("owner/0").size(), 2U);
  ASSERT_EQ(XOwnerDestroy(owner), kXSchedSuccess);
  EXPECT_TRUE(Scheduler::Get().ReportAll().empty());
  // The thread goes on, for nobody.
  EXPECT_EQ(LaunchOn(leaked, Kernel(1)), 0);
  EXPECT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
  const CUstream later = Created();
  EXPECT_TRUE(Scheduler::Get().ReportAll().empty());
  EXPECT_EQ(XOwnerDestroy(owner), kXSchedErrorNotFound);
  // Nor does it work for whoever has the same place now.
  const TestOwner next("next/0", 7);
  EXPECT_NE(next.Get(), owner);
  EXPECT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
  EXPECT_TRUE(Scheduler::Get().ReportAll().empty());
  EXPECT_EQ(XOwnerExchange(0), owner);
  EXPECT_EQ(cuCtxSynchronize(), 0);
  EXPECT_EQ(cuStreamDestroy_v2(leaked), 0);
  EXPECT_EQ(cuStreamDestroy_v2(later), 0);
}

TEST_F(OwnerTest, LaunchesThatWaitGoAheadWhenTheirOwnerEnds)
{
  const TestOwner high("high/0", 100);
  XOwnerHandle low = 0;
  ASSERT_EQ(XOwnerCreate(&low, "low/0", -100), kXSchedSuccess);
  const WorksFor work(high);
  simulated::Hold(true);
  ASSERT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
  std::thread other = InContext([&] {
    XOwnerExchange(low);
    EXPECT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
  });
  while (Named("low/0").empty()) {
    std::this_thread::yield();
  }
  AwaitBlocked("low/0");
  ASSERT_EQ(XOwnerDestroy(low), kXSchedSuccess);
  other.join();
  simulated::Hold(false);
  ASSERT_EQ(cuCtxSynchronize(), 0);
}

// The application may have found the queue of a stream, and end it by itself.
TEST_F(OwnerTest, AQueueMayEndBeforeItsStream)
{
  const TestOwner owner("owner/0", 40);
  const WorksFor work(owner);
  const CUstream stream = Created();
  HwQueueHandle hwq = 0;
  XQueueHandle xq = 0;
  ASSERT_EQ(CudaQueueGet(&hwq, stream), kXSchedSuccess);
  ASSERT_EQ(XQueueGet(&xq, hwq), kXSchedSuccess);
  EXPECT_EQ(XQueueDestroy(xq), kXSchedSuccess);
  EXPECT_EQ(HwQueueDestroy(hwq), kXSchedSuccess);
  EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
}

TEST_F(OwnerTest, ManyThreadsMeetInOneDefaultStreamWhileOwnersComeAndGo)
{
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.push_back(InContext([thread] {
      for (int round = 0; round < 100; ++round) {
        const TestOwner owner("owner/0", thread);
        const WorksFor work(owner);
        const Worker place(round % 2 == 0 ? Where::kLegacy : Where::kPerThread);
        const CUstream stream = Created();
        EXPECT_EQ(place.Launch(Kernel(1)), 0);
        EXPECT_EQ(LaunchOn(stream, Kernel(1)), 0);
        if (round % 5 == 0) {
          EXPECT_EQ(place.Synchronize(), 0);
        }
        EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
      }
    }));
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  ASSERT_EQ(cuCtxSynchronize(), 0);
}

TEST_F(OwnerTest, WhatIsWrongWithAnOwnerIsSaid)
{
  XOwnerHandle owner = 0;
  EXPECT_EQ(XOwnerCreate(nullptr, "a", 0), kXSchedErrorInvalidValue);
  EXPECT_EQ(XOwnerCreate(&owner, nullptr, 0), kXSchedErrorInvalidValue);
  EXPECT_EQ(XOwnerCreate(&owner, "a\nb", 0), kXSchedErrorInvalidValue);
  EXPECT_EQ(
      XOwnerCreate(&owner, std::string(64, 'a').c_str(), 0),
      kXSchedErrorInvalidValue);
  EXPECT_EQ(XOwnerDestroy(0), kXSchedErrorNotFound);
  EXPECT_EQ(XOwnerDestroy(12345678), kXSchedErrorNotFound);
  std::vector<XOwnerHandle> all;
  while (XOwnerCreate(&owner, "many", 0) == kXSchedSuccess) {
    all.push_back(owner);
  }
  EXPECT_EQ(all.size(), 16384U);
  EXPECT_EQ(XOwnerCreate(&owner, "many", 0), kXSchedErrorNotAllowed);
  for (const XOwnerHandle each : all) {
    EXPECT_EQ(XOwnerDestroy(each), kXSchedSuccess);
  }
  // A stale handle is nobody's, also for a thread.
  EXPECT_EQ(XOwnerExchange(all.front()), XOwnerHandle{0});
  EXPECT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
  EXPECT_EQ(XOwnerCurrent(), all.front());
  XOwnerExchange(0);
}

}  // namespace
