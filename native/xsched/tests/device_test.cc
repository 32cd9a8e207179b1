// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Which queues of a device are ready, and whose turn it is: the rules one by
// one, and what each change costs. No driver, and a clock that the test decides.

#include "preempt/device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "fake_hardware.h"
#include "keep.h"
#include "preempt/inquiries.h"
#include "preempt/policy.h"
#include "preempt/priority_counts.h"
#include "preempt/thread_work.h"
#include "test_access.h"
#include "test_clock.h"

namespace xsched { namespace {

constexpr uint64_t kContext = 7;

// Passes on to another policy, and keeps what it is told.
class RecordingPolicy final : public Policy {
 public:
  struct Told {
    std::map<const void*, Standing> queues;
    std::map<const void*, int64_t> used_ns;
    int decisions = 0;
  };

  explicit RecordingPolicy(Told* told) : told_(told) {}

  const char* Name() const override { return inner_->Name(); }
  void Added(const Standing& queue) override
  {
    EXPECT_EQ(told_->queues.count(queue.queue), 0u);
    told_->queues[queue.queue] = queue;
    inner_->Added(queue);
  }
  void Removed(const Standing& queue) override
  {
    ExpectKnown(queue);
    told_->queues.erase(queue.queue);
    inner_->Removed(queue);
  }
  void Changed(const Standing& before, const Standing& after) override
  {
    ExpectKnown(before);
    told_->queues[after.queue] = after;
    inner_->Changed(before, after);
  }
  void Used(const Standing& queue, int64_t device_ns) override
  {
    ExpectKnown(queue);
    told_->used_ns[queue.queue] += device_ns;
    inner_->Used(queue, device_ns);
  }
  Decision Decide() override
  {
    ++told_->decisions;
    return inner_->Decide();
  }
  int Blockers(Priority priority) const override
  {
    return inner_->Blockers(priority);
  }

 private:
  void ExpectKnown(const Standing& queue) const
  {
    const auto found = told_->queues.find(queue.queue);
    ASSERT_NE(found, told_->queues.end());
    EXPECT_EQ(found->second.priority, queue.priority);
    EXPECT_EQ(found->second.ready, queue.ready);
  }

  const std::unique_ptr<Policy> inner_ = HighestPriorityFirst();
  Told* const told_;
};

struct Parts {
  FakeHardware hardware;
  Device device{0, HighestPriorityFirst()};
  Context context{&hardware, &device, kContext};
  Queue queues[40];
};

class DeviceTest : public testing::Test {
 protected:
  static constexpr int kQueues = 4;

  DeviceTest()
  {
    for (int i = 0; i < kQueues; ++i) {
      Queue& queue = queues_[i];
      queue.context.store(&context_);
      queue.turn.store(device_->GetTurn());
      queue.flight.Attach(context_.Events());
      device_->Add(&queue);
    }
  }

  // Work that the device has not finished.
  void Launch(int index)
  {
    Queue& queue = queues_[index];
    ++queue.submitted;
    ++queue.launched;
    device_->MarkReady(&queue);
    RememberWork(&queue);
  }

  void Finish(int index)
  {
    Queue& queue = queues_[index];
    EXPECT_TRUE(
        device_->MarkIdle(&queue, queue.launched.load(), test_clock_ns));
  }

  void SetPriority(int index, Priority priority)
  {
    device_->SetPriority(&queues_[index], priority);
  }

  bool IsOpen(int index) const
  {
    return queues_[index].priority.load() >=
           device_->GetTurn()->Get().open_from;
  }

  bool IsBounded(int index) const
  {
    return queues_[index].priority.load() <
           device_->GetTurn()->Get().bounded_below;
  }

  // A launch that waits for its turn.
  struct Blocked {
    Blocked(Device* device, Queue* queue)
        : device(device), waiter(queue),
          what(device->Enter(&waiter, queue->generation.load(), 0).what)
    {
    }
    ~Blocked()
    {
      if (what == Device::Answer::kWait) {
        device->Leave(&waiter);
      }
    }
    Device* device;
    Waiter waiter;
    const decltype(Device::Answer::what) what;
  };

  std::unique_ptr<Blocked> Ask(int index)
  {
    ++queues_[index].submitted;
    return std::make_unique<Blocked>(device_, &queues_[index]);
  }

  // As another thread, which has no work of its own.
  std::unique_ptr<Blocked> AskElsewhere(int index)
  {
    std::unique_ptr<Blocked> blocked;
    std::thread([&] { blocked = Ask(index); }).join();
    return blocked;
  }

  Parts* const parts_ = Keep(std::make_unique<Parts>());
  FakeHardware& hardware_ = parts_->hardware;
  Device* const device_ = &parts_->device;
  Context& context_ = parts_->context;
  Queue* const queues_ = parts_->queues;
};

TEST_F(DeviceTest, QueuesThatLaunchUnderTheLimitShareIt)
{
  SetPriority(0, PRIORITY_MAX);
  for (int i = 1; i < 4; ++i) {
    SetPriority(i, PRIORITY_MIN);
    if (i != 3) {
      device_->Share(&queues_[i]);
      device_->Share(&queues_[i]);  // once is enough
    }
    Launch(i);
    EXPECT_TRUE(IsOpen(i));
    EXPECT_TRUE(IsBounded(i));
  }
  // The third only copies.
  EXPECT_EQ(device_->ShareOf(150), 75);
  Finish(2);
  EXPECT_EQ(device_->ShareOf(150), 150);
  // One that is above them has the device, and shares nothing.
  Launch(2);
  Launch(0);
  EXPECT_EQ(device_->ShareOf(150), 150);
}

TEST_F(DeviceTest, HighestIsNotBoundedAndClosesTheOthers)
{
  SetPriority(0, PRIORITY_MAX);
  SetPriority(1, PRIORITY_MIN);
  device_->Share(&queues_[1]);
  Launch(1);
  const auto* const closures = device_->Closures(PRIORITY_MIN);
  const uint64_t before = closures->load();
  Launch(0);
  EXPECT_TRUE(IsOpen(0));
  EXPECT_FALSE(IsBounded(0));
  EXPECT_FALSE(IsOpen(1));
  EXPECT_TRUE(IsBounded(1));
  EXPECT_EQ(closures->load(), before + 1);
  // The only one that had work.
  EXPECT_EQ(queues_[0].preemptions.load(), 1);
  Finish(0);
  EXPECT_TRUE(IsOpen(1));
  // That the queue itself comes and goes ends no turn.
  Finish(1);
  Launch(1);
  EXPECT_EQ(closures->load(), before + 1);
}

TEST_F(DeviceTest, PolicyThatComesDecides)
{
  SetPriority(0, PRIORITY_MAX);
  SetPriority(1, PRIORITY_MIN);
  Launch(0);
  EXPECT_FALSE(IsOpen(1));
  const auto blocked = AskElsewhere(1);
  EXPECT_EQ(blocked->what, Device::Answer::kWait);
  device_->SetPolicy(AppManaged());
  EXPECT_TRUE(IsOpen(1));
  EXPECT_FALSE(IsBounded(1));
  EXPECT_TRUE(blocked->waiter.Woken());
  device_->SetPolicy(HighestPriorityFirst());
  EXPECT_FALSE(IsOpen(1));
}

TEST_F(DeviceTest, PolicyIsToldOfEveryChangeAndOfTimeUsed)
{
  RecordingPolicy::Told told;
  device_->SetPolicy(std::make_unique<RecordingPolicy>(&told));
  ASSERT_EQ(told.queues.size(), size_t(kQueues));
  SetPriority(0, 5);
  EXPECT_EQ(told.queues[&queues_[0]].priority, 5);
  Launch(0);
  EXPECT_TRUE(told.queues[&queues_[0]].ready);
  test_clock_ns += 700;
  Finish(0);
  EXPECT_FALSE(told.queues[&queues_[0]].ready);
  // Nothing was reported of it, so it is the time that it was ready.
  EXPECT_GE(told.used_ns[&queues_[0]], 700);
  Launch(1);
  const int decisions = told.decisions;
  device_->Used(&queues_[1], 40);
  EXPECT_EQ(told.decisions, decisions + 1);
  Finish(1);
  EXPECT_EQ(told.used_ns[&queues_[1]], 40);
  device_->Remove(&queues_[2]);
  EXPECT_EQ(told.queues.size(), size_t(kQueues - 1));
  device_->SetPolicy(HighestPriorityFirst());
}

TEST_F(DeviceTest, OnlyLaunchesThatMayGoAreWoken)
{
  SetPriority(0, 3);
  SetPriority(1, 2);
  SetPriority(2, 1);
  Launch(0);
  const auto first = AskElsewhere(1);
  const auto second = AskElsewhere(1);
  const auto third = AskElsewhere(2);
  EXPECT_EQ(first->what, Device::Answer::kWait);
  Finish(0);
  EXPECT_TRUE(first->waiter.Woken());
  EXPECT_TRUE(second->waiter.Woken());
  EXPECT_FALSE(third->waiter.Woken());  // the second queue is ready
  queues_[1].launched += 2;
  Finish(1);
  EXPECT_TRUE(third->waiter.Woken());
}

TEST_F(DeviceTest, LaunchThatWaitsKeepsItsQueueReadyUnlessItIsHeldBack)
{
  SetPriority(0, 2);
  SetPriority(1, 1);
  device_->Suspend(&queues_[0]);
  const auto held = Ask(0);
  const auto also_held = Ask(0);
  EXPECT_EQ(held->what, Device::Answer::kWait);
  EXPECT_FALSE(queues_[0].ready.load());
  EXPECT_TRUE(IsOpen(1));
  Launch(1);
  device_->Resume(&queues_[0]);
  EXPECT_TRUE(held->waiter.Woken());
  EXPECT_TRUE(also_held->waiter.Woken());
  EXPECT_TRUE(queues_[0].ready.load());
  EXPECT_FALSE(IsOpen(1));
}

// What the device still has of a suspended queue counts until it is done.
TEST_F(DeviceTest, SuspendedQueueIsReadyWhileTheDeviceWorksForIt)
{
  SetPriority(0, 2);
  SetPriority(1, 1);
  Launch(0);
  device_->Suspend(&queues_[0]);
  const auto held = Ask(0);
  EXPECT_TRUE(queues_[0].ready.load());
  EXPECT_FALSE(IsOpen(1));
  Finish(0);
  EXPECT_FALSE(queues_[0].ready.load());
  EXPECT_TRUE(IsOpen(1));
  EXPECT_FALSE(held->waiter.Woken());
}

TEST_F(DeviceTest, PriorityThatChangesWhileLaunchesWait)
{
  SetPriority(0, 5);
  SetPriority(1, 1);
  SetPriority(2, 2);
  Launch(0);
  const auto low = AskElsewhere(1);
  const auto middle = AskElsewhere(2);
  SetPriority(1, 4);
  EXPECT_FALSE(low->waiter.Woken());
  SetPriority(1, 5);
  EXPECT_TRUE(low->waiter.Woken());
  EXPECT_FALSE(middle->waiter.Woken());
  // The one that they waited for falls below them.
  queues_[1].launched += 1;
  Finish(1);
  SetPriority(0, 0);
  EXPECT_TRUE(middle->waiter.Woken());
}

TEST_F(DeviceTest, NoExecuteWantsNothing)
{
  SetPriority(0, 1);
  SetPriority(1, PRIORITY_NO_EXECUTE);
  const auto held = AskElsewhere(1);
  EXPECT_EQ(held->what, Device::Answer::kWait);
  EXPECT_FALSE(queues_[1].ready.load());
  SetPriority(1, 0);
  EXPECT_TRUE(held->waiter.Woken());
}

TEST_F(DeviceTest, RemovedQueueLetsItsLaunchesGoAndOthersToo)
{
  SetPriority(0, 2);
  SetPriority(1, 1);
  Launch(0);
  const auto low = AskElsewhere(1);
  device_->Suspend(&queues_[0]);
  const auto high = AskElsewhere(0);
  device_->Remove(&queues_[0]);
  EXPECT_TRUE(high->waiter.Woken());
  EXPECT_TRUE(low->waiter.Woken());
  // It is not the device's any more.
  EXPECT_EQ(Ask(0)->what, Device::Answer::kGoThoughNotItsTurn);
  device_->Add(&queues_[0]);
}

TEST_F(DeviceTest, LaunchOfAnEarlierLifeGoesAhead)
{
  SetPriority(0, 2);
  SetPriority(1, 1);
  Launch(0);
  ++queues_[1].submitted;
  Waiter waiter(&queues_[1]);
  EXPECT_EQ(
      device_->Enter(&waiter, queues_[1].generation.load() + 1, 0).what,
      Device::Answer::kGoThoughNotItsTurn);
}

// A thread waits for others, but not for what it has launched itself; and when
// the others are done, it goes.
TEST_F(DeviceTest, ThreadWaitsForOthersButNotForItself)
{
  SetPriority(0, 3);
  SetPriority(1, 2);
  SetPriority(2, 1);
  Launch(0);  // by this thread
  EXPECT_EQ(Ask(2)->what, Device::Answer::kGoThoughNotItsTurn);
  std::thread([&] { Launch(1); }).join();
  {
    const auto blocked = Ask(2);
    EXPECT_EQ(blocked->what, Device::Answer::kWait);
    EXPECT_FALSE(blocked->waiter.Woken());
    Finish(1);
    EXPECT_TRUE(blocked->waiter.Woken());
  }
  EXPECT_EQ(Ask(2)->what, Device::Answer::kGoThoughNotItsTurn);
  Finish(0);
}

// However many queues the thread works for.
TEST_F(DeviceTest, ThreadNeverWaitsForManyQueuesOfItsOwn)
{
  constexpr int kMany = 36;
  Queue* const many = queues_ + kQueues;
  SetPriority(0, 0);
  for (int i = 0; i < kMany; ++i) {
    Queue& queue = many[i];
    queue.context.store(&context_);
    queue.turn.store(device_->GetTurn());
    queue.flight.Attach(context_.Events());
    device_->Add(&queue);
    device_->SetPriority(&queue, 1 + i);
    ++queue.submitted;
    ++queue.launched;
    device_->MarkReady(&queue);
    RememberWork(&queue);
  }
  EXPECT_EQ(Ask(0)->what, Device::Answer::kGoThoughNotItsTurn);
  EXPECT_EQ(AskElsewhere(0)->what, Device::Answer::kWait);
  for (int i = 0; i < kMany; ++i) {
    device_->Remove(&many[i]);
  }
}

// A thread that is cancelled: nothing of its launch is left.
TEST_F(DeviceTest, LaunchThatIsGivenUpLeavesNothing)
{
  SetPriority(0, 2);
  SetPriority(1, 1);
  SetPriority(2, 0);
  Launch(0);
  AskElsewhere(1).reset();
  ++queues_[1].launched;  // given up
  Finish(0);
  Finish(1);  // as the watcher finds out
  EXPECT_TRUE(IsOpen(2));
}

TEST_F(DeviceTest, OneQueueHasALaunchInFlightThatIsNotKnown)
{
  const Flight::Limits limits = {1000, 0};
  ASSERT_TRUE(device_->MayTryUnknown(&queues_[0]));
  ASSERT_EQ(queues_[0].flight.Admit({}, 1, limits), 0);
  queues_[0].flight.Returned(true);
  EXPECT_FALSE(device_->MayTryUnknown(&queues_[1]));
  EXPECT_TRUE(device_->MayTryUnknown(&queues_[0]));
  hardware_.busy.clear();
  EXPECT_TRUE(device_->MayTryUnknown(&queues_[1]));
  // It is about to.
  queues_[1].tries_unknown.store(true);
  EXPECT_FALSE(device_->MayTryUnknown(&queues_[0]));
  queues_[1].tries_unknown.store(false);
  EXPECT_TRUE(device_->MayTryUnknown(&queues_[0]));
}

// Whose launch it is may be about to destroy the context.
TEST_F(DeviceTest, UnknownLaunchIsNotLookedAtWhileItsContextEnds)
{
  const Flight::Limits limits = {1000, 0};
  ASSERT_TRUE(device_->MayTryUnknown(&queues_[0]));
  ASSERT_EQ(queues_[0].flight.Admit({}, 1, limits), 0);
  queues_[0].flight.Returned(true);
  std::atomic<bool> forbidden{false};
  std::thread other;
  hardware_.at_query_event = [&] {
    other = std::thread([&] {
      Inquiries::ForbidContext(kContext);
      forbidden.store(true);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_FALSE(forbidden.load());
  };
  EXPECT_FALSE(device_->MayTryUnknown(&queues_[1]));
  other.join();
  const int queries = hardware_.queries;
  hardware_.busy.clear();
  EXPECT_FALSE(device_->MayTryUnknown(&queues_[1]));
  EXPECT_EQ(hardware_.queries, queries);
  Inquiries::AllowContext(kContext);
  EXPECT_TRUE(device_->MayTryUnknown(&queues_[1]));
}

// The watcher looks closely at those that somebody waits for, and now and then
// at all that are ready.
TEST_F(DeviceTest, WatcherLooksAtWhatOthersWaitForFirst)
{
  SetPriority(0, 2);
  SetPriority(1, 1);
  Launch(0);
  Launch(1);
  std::vector<Queue*> looks;
  const int64_t now_ns = test_clock_ns;
  EXPECT_GT(device_->CollectLooks(now_ns, &looks), now_ns + 10000000);
  EXPECT_TRUE(looks.empty());
  const auto blocked = AskElsewhere(1);
  const int64_t next_ns = device_->CollectLooks(now_ns, &looks);
  EXPECT_LE(next_ns, now_ns + 1000000);
  device_->CollectLooks(next_ns, &looks);
  EXPECT_EQ(looks, std::vector<Queue*>{&queues_[0]});
  looks.clear();
  device_->CollectLooks(now_ns + 50000000, &looks);
  EXPECT_EQ(std::count(looks.begin(), looks.end(), &queues_[1]), 1);
}

// It may have ended long ago: nobody has looked closely.
TEST_F(DeviceTest, WatcherLooksOftenWhenSomebodyBeginsToWait)
{
  SetPriority(0, 2);
  SetPriority(1, 1);
  Launch(0);
  std::vector<Queue*> looks;
  test_clock_ns += 1000000000;
  device_->CollectLooks(test_clock_ns, &looks);
  looks.clear();
  Launch(1);
  const auto blocked = AskElsewhere(1);
  const int64_t now_ns = test_clock_ns;
  const int64_t next_ns = device_->CollectLooks(now_ns, &looks);
  EXPECT_EQ(looks, std::vector<Queue*>{&queues_[0]});
  EXPECT_LE(next_ns, now_ns + 100000);
  // The longer it takes, the less it matters.
  looks.clear();
  EXPECT_GT(
      device_->CollectLooks(now_ns + 16000000, &looks), now_ns + 16900000);
}

TEST_F(DeviceTest, WatcherIsToldWhenThereIsSomethingToSee)
{
  SetPriority(0, 2);
  SetPriority(1, 1);
  Launch(0);
  EXPECT_EQ(TestAccess::Pokes(*device_), 1u);
  Launch(1);  // it watches already
  EXPECT_EQ(TestAccess::Pokes(*device_), 1u);
  const auto first = AskElsewhere(1);
  EXPECT_EQ(TestAccess::Pokes(*device_), 2u);
  const auto second = AskElsewhere(1);  // it looks closely already
  EXPECT_EQ(TestAccess::Pokes(*device_), 2u);
}

TEST_F(DeviceTest, WatcherRestsWhenNothingIsReadyForLong)
{
  Launch(0);
  Finish(0);
  std::vector<Queue*> looks;
  const int64_t now_ns = test_clock_ns;
  EXPECT_LT(device_->CollectLooks(now_ns, &looks), now_ns + 100000000);
  EXPECT_EQ(
      device_->CollectLooks(now_ns + INT64_C(2000000000), &looks), INT64_MAX);
  EXPECT_TRUE(looks.empty());
  const uint32_t pokes = TestAccess::Pokes(*device_);
  Launch(0);
  EXPECT_EQ(TestAccess::Pokes(*device_), pokes + 1);
}

TEST_F(DeviceTest, OneThreadSpinsAndNotForMuchOfTheTime)
{
  const int64_t now_ns = test_clock_ns;
  ASSERT_TRUE(device_->TakeSpin(now_ns));
  EXPECT_FALSE(device_->TakeSpin(now_ns));
  device_->GiveSpin(100000);
  EXPECT_FALSE(device_->TakeSpin(now_ns + 1000000));
  EXPECT_TRUE(device_->TakeSpin(now_ns + 10000000));
  device_->GiveSpin(0);
}

TEST(PriorityCountsTest, AgreesWithAPlainCount)
{
  PriorityCounts counts;
  std::map<Priority, int> plain;
  uint64_t random = 1;
  for (int step = 0; step < 20000; ++step) {
    random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
    const int level = static_cast<int>(random >> 40) % PriorityCounts::kLevels;
    const Priority priority = PRIORITY_NO_EXECUTE + level;
    if ((random >> 33) % 2 == 0 || plain[priority] == 0) {
      counts.Add(priority);
      ++plain[priority];
    } else {
      counts.Remove(priority);
      --plain[priority];
    }
    if (step % 50 != 0) {
      continue;
    }
    Priority highest = PRIORITY_NO_EXECUTE;
    int total = 0;
    int between = 0;
    for (const auto& each : plain) {
      total += each.second;
      highest = each.second != 0 ? each.first : highest;
      between += each.first >= -64 && each.first < priority ? each.second : 0;
      ASSERT_EQ(counts.At(each.first), each.second);
    }
    ASSERT_EQ(counts.Highest(), highest);
    ASSERT_EQ(counts.Total(), total);
    ASSERT_EQ(counts.Between(-64, priority), between);
  }
}

}}  // namespace xsched
