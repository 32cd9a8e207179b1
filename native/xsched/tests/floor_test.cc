// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// What floors guarantee: launchers on a device that does one kernel after the
// other, all by a clock that the test decides.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "fake_hardware.h"
#include "keep.h"
#include "other_process.h"
#include "preempt/clock_turns.h"
#include "preempt/device.h"
#include "preempt/policy.h"
#include "preempt/share_accounts.h"
#include "test_clock.h"

namespace xsched { namespace {

constexpr int64_t kSliceNs = 2000000;
constexpr int64_t kLimitNs = 150000;
constexpr int64_t kWindowNs = 2000000000;
// Long enough for a hundred turns.
constexpr int64_t kMomentNs = 400000000;
constexpr int64_t kStepNs = 10000;

class Launcher {
 public:
  Launcher(
      Device* device, Context* context, Priority priority, int64_t kernel_ns)
      : device_(device), kernel_ns_(kernel_ns)
  {
    queue_.context.store(context);
    queue_.turn.store(device->GetTurn());
    queue_.flight.Attach(context->Events());
    device_->Add(&queue_);
    device_->SetPriority(&queue_, priority);
  }

  // It stands for all of the launches that one thread makes.
  void Step(bool has_work, std::deque<Launcher*>* on_device)
  {
    if (waiter_ != nullptr) {
      if (!waiter_->Woken()) {
        return;
      }
      device_->Leave(waiter_.get());
      waiter_ = nullptr;
      asked_ = true;
    }
    while ((has_work || asked_) && in_flight_ns_ < kLimitNs) {
      if (!asked_) {
        ++queue_.submitted;
        asked_ = true;
      }
      auto waiter = std::make_unique<Waiter>(&queue_);
      if (device_->Enter(waiter.get(), queue_.generation.load(), 0).what ==
          Device::Answer::kWait) {
        waiter_ = std::move(waiter);
        return;
      }
      device_->MarkReady(&queue_);
      asked_ = false;
      ++queue_.launched;
      in_flight_ns_ += kernel_ns_;
      on_device->push_back(this);
    }
  }

  void Finish()
  {
    in_flight_ns_ -= kernel_ns_;
    used_ns_ += kernel_ns_;
    device_->Used(&queue_, kernel_ns_);
    if (in_flight_ns_ == 0 && waiter_ == nullptr && !asked_) {
      device_->MarkIdle(&queue_, queue_.launched.load(), test_clock_ns);
    }
  }

  void End()
  {
    if (waiter_ != nullptr) {
      device_->Leave(waiter_.get());
      waiter_ = nullptr;
    }
    device_->Remove(&queue_);
  }

  bool Waits() const { return waiter_ != nullptr && !waiter_->Woken(); }
  int64_t KernelNs() const { return kernel_ns_; }
  int64_t UsedNs() const { return used_ns_; }
  Queue* GetQueue() { return &queue_; }

 private:
  Device* const device_;
  const int64_t kernel_ns_;
  Queue queue_;
  std::unique_ptr<Waiter> waiter_;
  bool asked_ = false;
  int64_t in_flight_ns_ = 0;
  int64_t used_ns_ = 0;
};

struct Parts {
  FakeHardware hardware;
  Device device{
      0, WithWeights(WithFloors(HighestPriorityFirst(), kSliceNs), kSliceNs)};
  Context context{&hardware, &device, 7};
};

class FloorTest : public testing::Test {
 protected:
  ~FloorTest() override
  {
    for (Launcher* each : launchers_) {
      each->End();
    }
  }

  Launcher* Add(Priority priority, int64_t kernel_ns, int floor)
  {
    Launcher* const launcher = Keep(std::make_unique<Launcher>(
        device_, &parts_->context, priority, kernel_ns));
    launchers_.push_back(launcher);
    EXPECT_TRUE(SetFloor(launcher, floor));
    return launcher;
  }

  // Of a queue without a name.
  bool SetFloor(Launcher* launcher, int floor)
  {
    return device_->SetFloor({launcher->GetQueue()}, "", floor);
  }

  // Who has work is up to 'has_work'.
  template <typename HasWork>
  void Run(int64_t ns, const HasWork& has_work)
  {
    std::vector<Queue*> looks;
    const int64_t end_ns = test_clock_ns + ns;
    while (test_clock_ns < end_ns) {
      for (Launcher* each : launchers_) {
        each->Step(has_work(each), &on_device_);
      }
      test_clock_ns += kStepNs;
      while (!on_device_.empty()) {
        Launcher* const front = on_device_.front();
        began_ns_ = std::max(began_ns_, idle_until_ns_);
        if (began_ns_ + front->KernelNs() > test_clock_ns) {
          break;
        }
        began_ns_ += front->KernelNs();
        on_device_.pop_front();
        front->Finish();
      }
      if (on_device_.empty()) {
        idle_until_ns_ = test_clock_ns;
      }
      looks.clear();
      device_->CollectLooks(test_clock_ns, &looks);
    }
  }

  void Run(int64_t ns)
  {
    Run(ns, [](Launcher*) { return true; });
  }

  void SetWeight(Launcher* launcher, int weight)
  {
    device_->SetWeight({launcher->GetQueue()}, "", weight);
  }

  // Its part of the device's time in the time to come, in percent.
  double ShareIn(int64_t ns, const Launcher* launcher)
  {
    const int64_t before_ns = launcher->UsedNs();
    Run(ns);
    return 100. * static_cast<double>(launcher->UsedNs() - before_ns) /
           static_cast<double>(ns);
  }
  double ShareInWindow(const Launcher* launcher)
  {
    return ShareIn(kWindowNs, launcher);
  }

  Parts* const parts_ = Keep(std::make_unique<Parts>());
  Device* const device_ = &parts_->device;
  std::vector<Launcher*> launchers_;
  std::deque<Launcher*> on_device_;
  int64_t began_ns_ = 0;
  int64_t idle_until_ns_ = test_clock_ns;
};

TEST_F(FloorTest, FloorOfTwentyPercentHoldsInEveryWindow)
{
  Add(PRIORITY_MAX, 30000, 0);
  const Launcher* const low = Add(PRIORITY_MIN, 50000, 20);
  for (int window = 0; window < 4; ++window) {
    const double share = ShareInWindow(low);
    EXPECT_GE(share, 18);
    EXPECT_LE(share, 22);
  }
}

TEST_F(FloorTest, WithoutAFloorItGetsNothing)
{
  Launcher* const high = Add(PRIORITY_MAX, 30000, 0);
  const Launcher* const low = Add(PRIORITY_MIN, 50000, 0);
  Run(1000000);  // until the higher one is ready
  EXPECT_EQ(ShareInWindow(low), 0);
  // As the policy alone decides: the highest is not bounded.
  EXPECT_EQ(device_->GetTurn()->Get().open_from, PRIORITY_MAX);
  EXPECT_EQ(device_->GetTurn()->Get().bounded_below, PRIORITY_MAX);
  EXPECT_FALSE(high->GetQueue()->in_slice.load());
}

TEST_F(FloorTest, FloorThatIsTakenAwayEndsTheSlice)
{
  Add(PRIORITY_MAX, 30000, 0);
  Launcher* const low = Add(PRIORITY_MIN, 50000, 50);
  while (!low->GetQueue()->in_slice.load()) {
    Run(kStepNs);
  }
  EXPECT_TRUE(SetFloor(low, 0));
  EXPECT_FALSE(low->GetQueue()->in_slice.load());
  EXPECT_EQ(device_->GetTurn()->Get().open_from, PRIORITY_MAX);
  Run(1000000);
  EXPECT_EQ(ShareInWindow(low), 0);
}

TEST_F(FloorTest, OneThatLosesItsFloorInASliceLeavesTheNextSliceToAnother)
{
  Add(PRIORITY_MAX, 30000, 0);
  Launcher* const low = Add(PRIORITY_MIN, 50000, 40);
  const Launcher* const other = Add(PRIORITY_MIN, 50000, 20);
  while (!low->GetQueue()->in_slice.load()) {
    Run(kStepNs);
  }
  EXPECT_TRUE(SetFloor(low, 0));
  EXPECT_FALSE(low->GetQueue()->in_slice.load());
  EXPECT_EQ(device_->GetTurn()->Get().open_from, PRIORITY_MAX);
  const int64_t low_ns = low->UsedNs();
  const double share = ShareInWindow(other);
  EXPECT_GE(share, 18);
  EXPECT_LE(share, 22);
  // What it had in flight.
  EXPECT_LE(low->UsedNs() - low_ns, kLimitNs + low->KernelNs());
}

TEST_F(FloorTest, FloorThatIsMoreThanIsLeftIsRefused)
{
  Add(PRIORITY_MIN, 50000, 50);
  Launcher* const second = Add(PRIORITY_MIN, 50000, 40);
  EXPECT_FALSE(SetFloor(second, 41));
  EXPECT_EQ(device_->Describe(*second->GetQueue()).floor, 40);
  EXPECT_TRUE(SetFloor(second, 10));
}

// Two instances of a model at the lowest priority, one of which has twice as
// many kernels to do, and another model with a floor.
TEST_F(FloorTest, QueuesOfAModelShareItsFloor)
{
  Add(PRIORITY_MAX, 30000, 0);
  Launcher* const one = Add(PRIORITY_MIN, 50000, 0);
  Launcher* const two = Add(PRIORITY_MIN, 25000, 0);
  const Launcher* const other = Add(PRIORITY_MIN, 50000, 10);
  ASSERT_TRUE(
      device_->SetFloor({one->GetQueue(), two->GetQueue()}, "chat", 20));
  Run(kWindowNs / 2);
  for (int window = 0; window < 3; ++window) {
    const int64_t before_ns = one->UsedNs() + two->UsedNs();
    const double others_share = ShareInWindow(other);
    const double share =
        100. * static_cast<double>(one->UsedNs() + two->UsedNs() - before_ns) /
        static_cast<double>(kWindowNs);
    EXPECT_GE(share, 18);
    EXPECT_LE(share, 22);
    EXPECT_GE(others_share, 9);
    EXPECT_LE(others_share, 11);
  }
  EXPECT_NEAR(
      static_cast<double>(device_->Describe(*two->GetQueue()).recent_ns),
      0.2 * kWindowNs, 0.02 * kWindowNs);
}

// What one of them can't use, the others get.
TEST_F(FloorTest, OneQueueOfAModelMayUseAllOfItsFloor)
{
  Add(PRIORITY_MAX, 30000, 0);
  Launcher* const works = Add(PRIORITY_MIN, 50000, 0);
  Launcher* const idle = Add(PRIORITY_MIN, 50000, 0);
  ASSERT_TRUE(
      device_->SetFloor({works->GetQueue(), idle->GetQueue()}, "chat", 20));
  const auto has_work = [&](Launcher* each) { return each != idle; };
  Run(kWindowNs / 2, has_work);
  const int64_t before_ns = works->UsedNs();
  Run(kWindowNs, has_work);
  EXPECT_NEAR(
      static_cast<double>(works->UsedNs() - before_ns), 0.2 * kWindowNs,
      0.02 * kWindowNs);
  EXPECT_EQ(idle->UsedNs(), 0);
}

// The model's urgent instance has all that it wants; what that takes counts.
TEST_F(FloorTest, OneQueueOfAModelContendsThoughAnotherHasItsTurn)
{
  Launcher* const one = Add(PRIORITY_MAX, 30000, 0);
  Launcher* const two = Add(PRIORITY_MIN, 50000, 0);
  ASSERT_TRUE(
      device_->SetFloor({one->GetQueue(), two->GetQueue()}, "chat", 20));
  const Launcher* const other = Add(PRIORITY_MAX, 30000, 0);
  Run(kWindowNs / 2);
  const int64_t before_ns = two->UsedNs();
  EXPECT_GT(ShareInWindow(other), 45);
  EXPECT_EQ(two->UsedNs(), before_ns);
  // Its other one alone.
  Run(kWindowNs / 2, [&](Launcher* each) { return each != one; });
  EXPECT_NEAR(
      static_cast<double>(two->UsedNs() - before_ns), 0.1 * kWindowNs,
      0.02 * kWindowNs);
}

// The urgent instance has a quarter of the time with three equals: the other one
// gets what is left of the floor.
TEST_F(FloorTest, WhatOneQueueHasByItsPriorityIsAPartOfItsModelsFloor)
{
  for (int i = 0; i < 3; ++i) {
    Add(PRIORITY_MAX, 30000, 0);
  }
  Launcher* const one = Add(PRIORITY_MAX, 30000, 0);
  Launcher* const two = Add(PRIORITY_MIN, 50000, 0);
  ASSERT_TRUE(
      device_->SetFloor({one->GetQueue(), two->GetQueue()}, "chat", 50));
  Run(kWindowNs / 2);
  const int64_t before_ns = one->UsedNs() + two->UsedNs();
  Run(kWindowNs);
  const double share =
      100. * static_cast<double>(one->UsedNs() + two->UsedNs() - before_ns) /
      static_cast<double>(kWindowNs);
  EXPECT_GE(share, 45);
  EXPECT_LE(share, 58);
}

TEST_F(FloorTest, QueueThatJoinsItsModelInASliceMayLaunchInIt)
{
  Add(PRIORITY_MAX, 30000, 0);
  Launcher* const one = Add(PRIORITY_MIN, 50000, 0);
  Launcher* const two = Add(PRIORITY_MIN, 50000, 0);
  ASSERT_TRUE(device_->SetFloor({one->GetQueue()}, "chat", 20));
  while (!one->GetQueue()->in_slice.load()) {
    Run(kStepNs);
  }
  EXPECT_TRUE(two->Waits());
  device_->JoinModel("batch", two->GetQueue());
  EXPECT_EQ(device_->Describe(*two->GetQueue()).floor, 0);
  EXPECT_TRUE(two->Waits());
  device_->JoinModel("chat", two->GetQueue());
  EXPECT_EQ(device_->Describe(*two->GetQueue()).floor, 20);
  EXPECT_FALSE(two->Waits());
  EXPECT_TRUE(two->GetQueue()->in_slice.load());
  // The floor is the model's as long as one of its queues is left.
  device_->JoinModel("batch", one->GetQueue());
  EXPECT_EQ(device_->Describe(*one->GetQueue()).floor, 0);
  EXPECT_FALSE(one->GetQueue()->in_slice.load());
  EXPECT_TRUE(two->GetQueue()->in_slice.load());
  device_->JoinModel("batch", two->GetQueue());
  EXPECT_EQ(device_->Describe(*two->GetQueue()).floor, 0);
  EXPECT_FALSE(two->GetQueue()->in_slice.load());
  EXPECT_EQ(device_->GetTurn()->Get().open_from, PRIORITY_MAX);
  device_->JoinModel("chat", two->GetQueue());
  EXPECT_EQ(device_->Describe(*two->GetQueue()).floor, 0);
}

TEST_F(FloorTest, QueuesOfAModelShareTheLimitInTheirSlice)
{
  Add(PRIORITY_MAX, 30000, 0);
  Launcher* const one = Add(PRIORITY_MIN, 50000, 0);
  Launcher* const two = Add(PRIORITY_MIN, 50000, 0);
  Launcher* const idle = Add(PRIORITY_MIN, 50000, 0);
  std::vector<Queue*> chat;
  for (Launcher* each : {one, two, idle}) {
    chat.push_back(each->GetQueue());
    device_->Share(each->GetQueue());
  }
  ASSERT_TRUE(device_->SetFloor(chat, "chat", 20));
  while (!one->GetQueue()->in_slice.load()) {
    Run(kStepNs, [&](Launcher* each) { return each != idle; });
  }
  EXPECT_EQ(device_->ShareOf(kLimitNs), kLimitNs / 2);
}

TEST_F(FloorTest, ModelsFloorCountsOnceHoweverManyQueuesItHas)
{
  Launcher* const one = Add(PRIORITY_MIN, 50000, 0);
  Launcher* const two = Add(PRIORITY_MIN, 50000, 0);
  Launcher* const other = Add(PRIORITY_MIN, 50000, 0);
  const std::vector<Queue*> chat = {one->GetQueue(), two->GetQueue()};
  ASSERT_TRUE(device_->SetFloor(chat, "chat", 50));
  EXPECT_EQ(device_->RoomForFloor("chat", *chat[0]), 50);
  EXPECT_EQ(device_->RoomForFloor("", *other->GetQueue()), 40);
  EXPECT_FALSE(SetFloor(other, 41));
  EXPECT_TRUE(SetFloor(other, 40));
  EXPECT_TRUE(device_->SetFloor(chat, "chat", 50));
  EXPECT_TRUE(device_->SetFloor(chat, "chat", 0));
  EXPECT_EQ(device_->Describe(*chat[1]).floor, 0);
  EXPECT_TRUE(SetFloor(other, 50));
}

// The slice bounds what the higher one waits, and its launches go on then.
TEST_F(FloorTest, HigherOneWaitsForASliceAtMost)
{
  Launcher* const high = Add(PRIORITY_MAX, 30000, 0);
  Add(PRIORITY_MIN, 50000, 20);
  int64_t waits_since_ns = 0;
  int64_t longest_ns = 0;
  for (int step = 0; step < 100000; ++step) {
    Run(kStepNs);
    if (!high->Waits()) {
      waits_since_ns = 0;
    } else if (waits_since_ns == 0) {
      waits_since_ns = test_clock_ns;
    } else {
      longest_ns = std::max(longest_ns, test_clock_ns - waits_since_ns);
    }
  }
  EXPECT_GT(longest_ns, kSliceNs / 2);
  EXPECT_LE(longest_ns, kSliceNs + 5 * kStepNs);
}

// A kernel of several slices: what it takes beyond is charged.
TEST_F(FloorTest, LongKernelsOfTheLowerOneDoNotTakeMore)
{
  Add(PRIORITY_MAX, 30000, 0);
  const Launcher* const low = Add(PRIORITY_MIN, 10000000, 20);
  Run(kWindowNs);
  const double share = ShareInWindow(low);
  EXPECT_GE(share, 18);
  EXPECT_LE(share, 22);
}

TEST_F(FloorTest, RecentUseIsThatOfTheLastTwoSeconds)
{
  Launcher* const low = Add(PRIORITY_MIN, 50000, 20);
  Launcher* const high = Add(PRIORITY_MAX, 30000, 0);
  Run(2 * kWindowNs);
  const int64_t recent_ns = device_->Describe(*low->GetQueue()).recent_ns;
  EXPECT_NEAR(
      static_cast<double>(recent_ns), 0.2 * kWindowNs, 0.02 * kWindowNs);
  EXPECT_EQ(device_->Describe(*high->GetQueue()).recent_ns, 0);
  test_clock_ns += kWindowNs + kWindowNs / 8;
  EXPECT_EQ(device_->Describe(*low->GetQueue()).recent_ns, 0);
  idle_until_ns_ = test_clock_ns;
}

// Whatever priorities, floors and kernels: each that always has work gets its
// floor in every window, and those above what is left.
TEST_F(FloorTest, AnyFloorsHoldInEveryWindow)
{
  std::mt19937 random(16);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (int round = 0; round < 5; ++round) {
    int left = 90;
    std::vector<std::pair<Launcher*, int>> all;
    for (int i = pick(1, 4); i > 0; --i) {
      const int floor = std::min({pick(1, 50), left, 50});
      left -= floor;
      all.emplace_back(
          Add(pick(PRIORITY_MIN, PRIORITY_MAX - 1), 1000 * pick(10, 100),
              floor),
          floor);
    }
    Launcher* const high = Add(PRIORITY_MAX, 1000 * pick(10, 100), 0);
    Run(kWindowNs / 2,
        [&](Launcher* each) { return each != high || pick(0, 9) != 0; });
    std::vector<int64_t> before_ns;
    for (const auto& each : all) {
      before_ns.push_back(each.first->UsedNs());
    }
    EXPECT_GT(ShareInWindow(high), left * 0.9) << "round " << round;
    for (size_t i = 0; i < all.size(); ++i) {
      EXPECT_GE(
          static_cast<double>(all[i].first->UsedNs() - before_ns[i]),
          0.0095 * all[i].second * kWindowNs - kSliceNs)
          << "round " << round << ", floor " << all[i].second;
    }
    // So that the next round begins with an idle device.
    Run(kWindowNs / 2, [](Launcher*) { return false; });
    for (Launcher* each : launchers_) {
      each->End();
    }
    launchers_.clear();
  }
}

// --- weights -----------------------------------------------------------------

TEST_F(FloorTest, EqualPrioritiesShareByTheirWeights)
{
  Launcher* const three = Add(10, 30000, 0);
  Launcher* const one = Add(10, 50000, 0);
  SetWeight(three, 3);
  SetWeight(one, 1);
  Run(kMomentNs / 2);
  for (int window = 0; window < 2; ++window) {
    const int64_t before_ns = one->UsedNs();
    const double share = ShareIn(kMomentNs, three);
    EXPECT_NEAR(share, 75, 75 * 0.05);
    const double rest = 100. * static_cast<double>(one->UsedNs() - before_ns) /
                        static_cast<double>(kMomentNs);
    EXPECT_NEAR(rest, 25, 25 * 0.05);
  }
}

// Whatever their kernels take, and however many queues a model has.
TEST_F(FloorTest, WeightIsOfTheModel)
{
  Launcher* const one = Add(10, 400000, 0);
  Launcher* const two = Add(10, 50000, 0);
  Launcher* const other = Add(10, 30000, 0);
  device_->SetWeight({one->GetQueue(), two->GetQueue()}, "chat", 1);
  SetWeight(other, 2);
  Run(kMomentNs / 2);
  EXPECT_NEAR(ShareIn(kMomentNs, other), 66.7, 66.7 * 0.05);
  EXPECT_EQ(device_->Describe(*two->GetQueue()).weight, 1);
}

TEST_F(FloorTest, KernelsThatOutlastTheirTurnAreSetAgainstTheNext)
{
  Launcher* const three = Add(10, 30000, 0);
  Launcher* const one = Add(10, 2 * kSliceNs, 0);
  SetWeight(three, 3);
  SetWeight(one, 1);
  Run(kMomentNs / 2);
  EXPECT_NEAR(ShareIn(kMomentNs, three), 75, 75 * 0.05);
}

TEST_F(FloorTest, WhatOneDoesNotUseIsTheOthers)
{
  Launcher* const three = Add(10, 30000, 0);
  Launcher* const one = Add(10, 50000, 0);
  SetWeight(three, 3);
  SetWeight(one, 1);
  const auto only_one = [&](Launcher* each) { return each == one; };
  Run(kMomentNs / 2, only_one);
  const int64_t before_ns = one->UsedNs();
  Run(kMomentNs / 2, only_one);
  EXPECT_GT(one->UsedNs() - before_ns, kMomentNs / 2 * 99 / 100);
  EXPECT_FALSE(one->GetQueue()->passed_over.load());
  EXPECT_FALSE(three->GetQueue()->passed_over.load());
  // The other one is not owed the time in which it wanted nothing.
  EXPECT_NEAR(ShareIn(kMomentNs, three), 75, 75 * 0.05);
}

// Has work for so long, then pauses, again and again: a client that waits for
// each answer.
class Client {
 public:
  Client(const Launcher* model, int64_t work_ns, int64_t pause_ns)
      : model_(model), work_ns_(work_ns), pause_ns_(pause_ns)
  {
  }

  bool HasWork()
  {
    if (model_->UsedNs() - answered_at_ns_ >= work_ns_) {
      answered_at_ns_ = model_->UsedNs();
      asks_at_ns_ = test_clock_ns + pause_ns_;
    }
    return test_clock_ns >= asks_at_ns_;
  }

 private:
  const Launcher* const model_;
  const int64_t work_ns_;
  const int64_t pause_ns_;
  int64_t answered_at_ns_ = 0;
  int64_t asks_at_ns_ = 0;
};

TEST_F(FloorTest, ShortPausesAreNotTheOthers)
{
  Launcher* const three = Add(10, 30000, 0);
  Launcher* const one = Add(10, 50000, 0);
  SetWeight(three, 3);
  SetWeight(one, 1);
  Client client(three, 2000000, 500000);
  const auto has_work = [&](Launcher* each) {
    return each == one || client.HasWork();
  };
  Run(kMomentNs / 2, has_work);
  const int64_t three_ns = three->UsedNs();
  const int64_t one_ns = one->UsedNs();
  Run(kMomentNs, has_work);
  EXPECT_NEAR(
      static_cast<double>(three->UsedNs() - three_ns), 0.75 * kMomentNs,
      0.05 * 0.75 * kMomentNs);
  EXPECT_NEAR(
      static_cast<double>(one->UsedNs() - one_ns), 0.25 * kMomentNs,
      0.05 * 0.25 * kMomentNs);
}

TEST_F(FloorTest, PausesSaveUpLittle)
{
  Launcher* const three = Add(10, 30000, 0);
  Launcher* const one = Add(10, 50000, 0);
  SetWeight(three, 3);
  SetWeight(one, 1);
  Client client(three, 200000, 1000000);
  Run(kWindowNs,
      [&](Launcher* each) { return each == one || client.HasWork(); });
  // Then it wants more than its share.
  const int64_t one_ns = one->UsedNs();
  Run(20 * kSliceNs);
  EXPECT_GT(one->UsedNs() - one_ns, 2 * kSliceNs);
  // While nobody else has work, or can be expected to, there is no limit.
  Run(kMomentNs, [&](Launcher* each) { return each == one; });
  EXPECT_EQ(device_->GetTurn()->Get().bounded_below, 10);
}

TEST_F(FloorTest, OneThatIsAloneInAPauseCanBeStopped)
{
  Launcher* const three = Add(10, 30000, 0);
  Launcher* const one = Add(10, 50000, 0);
  SetWeight(three, 3);
  SetWeight(one, 1);
  Run(kMomentNs);
  const auto only_one = [&](Launcher* each) { return each == one; };
  Run(kSliceNs, only_one);
  EXPECT_FALSE(one->GetQueue()->passed_over.load());
  EXPECT_EQ(device_->GetTurn()->Get().bounded_below, 11);
}

// When the policy is next asked, the pause is over, too.
TEST(WeightPolicyTest, OneThatIsAloneInAPauseLosesItsWeight)
{
  const std::unique_ptr<Policy> policy =
      WithWeights(HighestPriorityFirst(), kSliceNs);
  int one = 1;
  int three = 3;
  const Standing works{&one, 10, true, 0, 1, &one};
  const Standing worked{&three, 10, true, 0, 3, &three};
  Standing pauses = worked;
  pauses.ready = false;
  Standing weightless = works;
  weightless.weight = 0;
  policy->Added(works);
  policy->Added(worked);
  EXPECT_EQ(policy->Decide().weights, 4);
  policy->Changed(worked, pauses);
  EXPECT_EQ(policy->Decide().weights, 1);
  EXPECT_EQ(policy->ChangesAtNs(), test_clock_ns + 2 * kSliceNs);
  test_clock_ns += 3 * kSliceNs;
  policy->Changed(works, weightless);
  EXPECT_EQ(policy->Decide().weights, 0);
  EXPECT_EQ(policy->ChangesAtNs(), INT64_MAX);
}

TEST_F(FloorTest, OneThatPausesInItsTurnLeavesItToTheOthers)
{
  Launcher* const one = Add(10, 30000, 0);
  Launcher* const two = Add(10, 30000, 0);
  Launcher* const three = Add(10, 30000, 0);
  for (Launcher* each : {one, two, three}) {
    SetWeight(each, 1);
  }
  while (!two->GetQueue()->passed_over.load() ||
         !three->GetQueue()->passed_over.load()) {
    Run(kStepNs);
  }
  // As long as the device is at what is in flight.
  Run(kLimitNs * 2, [&](Launcher* each) { return each != one; });
  EXPECT_FALSE(
      two->GetQueue()->passed_over.load() &&
      three->GetQueue()->passed_over.load());
}

TEST(ShareAccountTest, WhatIsGivenBackDoesNotPayForLaterUse)
{
  ShareAccount account;
  account.Have(2000, 5000);
  account.GiveBack(500);
  EXPECT_EQ(account.owed_ns, -1500);
  EXPECT_EQ(account.TakeUnpaid(2000), 500);
  // Others had more there than it had the device.
  account.GiveBack(3000);
  EXPECT_EQ(account.TakeUnpaid(2000), 2000);
}

TEST_F(FloorTest, WeightsDoNotChangeTheOrderOfPriorities)
{
  Launcher* const high = Add(20, 30000, 0);
  Launcher* const three = Add(10, 30000, 0);
  Launcher* const one = Add(10, 50000, 0);
  Launcher* const low = Add(-10, 50000, 0);
  SetWeight(three, 3);
  SetWeight(one, 1);
  SetWeight(low, 100);
  SetWeight(high, 1);
  Run(kMomentNs / 2);
  EXPECT_GT(ShareIn(kMomentNs, high), 99);
  const auto without_high = [&](Launcher* each) { return each != high; };
  Run(kWindowNs / 100, without_high);
  const int64_t before_ns = three->UsedNs();
  const int64_t low_ns = low->UsedNs();
  Run(kMomentNs, without_high);
  EXPECT_NEAR(
      static_cast<double>(three->UsedNs() - before_ns), 0.75 * kMomentNs,
      0.05 * 0.75 * kMomentNs);
  EXPECT_EQ(low->UsedNs(), low_ns);
}

// What is left of a floor is shared by weights.
TEST_F(FloorTest, FloorsComeBeforeWeights)
{
  Launcher* const three = Add(10, 30000, 0);
  Launcher* const one = Add(10, 50000, 0);
  Launcher* const low = Add(-10, 50000, 20);
  SetWeight(three, 3);
  SetWeight(one, 1);
  Run(kMomentNs / 2);
  const int64_t three_ns = three->UsedNs();
  const int64_t one_ns = one->UsedNs();
  const double share = ShareIn(kMomentNs, low);
  EXPECT_GE(share, 18);
  EXPECT_LE(share, 22);
  EXPECT_NEAR(
      static_cast<double>(three->UsedNs() - three_ns) /
          static_cast<double>(one->UsedNs() - one_ns),
      3, 3 * 0.05);
}

TEST_F(FloorTest, OneThatLosesItsWeightIsNotPassedOver)
{
  Launcher* const one = Add(10, 30000, 0);
  for (Launcher* each : {one, Add(10, 30000, 0), Add(10, 50000, 0)}) {
    SetWeight(each, 1);
  }
  while (!one->GetQueue()->passed_over.load()) {
    Run(kStepNs);
  }
  // The turn is still the same.
  SetWeight(one, 0);
  EXPECT_FALSE(one->GetQueue()->passed_over.load());
  EXPECT_FALSE(one->Waits());
}

TEST_F(FloorTest, OneThatEndsInItsTurnLeavesItToTheOthers)
{
  Launcher* const one = Add(10, 30000, 0);
  Launcher* const two = Add(10, 50000, 0);
  SetWeight(one, 1);
  SetWeight(two, 1);
  while (!two->GetQueue()->passed_over.load()) {
    Run(kStepNs);
  }
  SetWeight(one, 0);
  EXPECT_FALSE(two->GetQueue()->passed_over.load());
  EXPECT_FALSE(two->Waits());
  SetWeight(one, 1);
  while (!two->GetQueue()->passed_over.load()) {
    Run(kStepNs);
  }
  // What it has on the device is no concern any more.
  on_device_.clear();
  launchers_.erase(launchers_.begin());
  one->End();
  EXPECT_FALSE(two->GetQueue()->passed_over.load());
}

// --- in a domain -------------------------------------------------------------

using domain::Claim;
using domain::Demand;

// The device of one process of a domain, beside another one.
class DomainFloorTest : public FloorTest {
 protected:
  DomainFloorTest() { device_->Join(member_); }

  // The other one publishes a demand, and rings.
  void Other(const Demand& demand)
  {
    other_->Publish(demand);
    device_->DomainChanged();
  }

  Claim Top() const { return other_->Top(); }
  Claim OwnClaim() const { return other_->OwnClaim(); }

  void RunUntilInSlice(Launcher* launcher)
  {
    while (!launcher->GetQueue()->in_slice.load()) {
      Run(kStepNs);
    }
  }

  OtherProcess* const other_ = Keep(std::make_unique<OtherProcess>());
  domain::Member* const member_ = other_->GetMember();
};

TEST_F(DomainFloorTest, FloorHoldsBelowAHigherProcess)
{
  Other({10, 10});
  const Launcher* const low = Add(-10, 50000, 20);
  Run(kWindowNs / 2);
  for (int window = 0; window < 2; ++window) {
    const double share = ShareInWindow(low);
    EXPECT_GE(share, 18);
    EXPECT_LE(share, 22);
  }
  EXPECT_EQ(Top().Ready(), 10);
  EXPECT_EQ(Top().Floors(), 20);
}

TEST_F(DomainFloorTest, WithoutAFloorTheLowerProcessGetsNothing)
{
  Other({10, 10});
  const Launcher* const low = Add(-10, 50000, 0);
  EXPECT_EQ(ShareIn(kMomentNs, low), 0);
  EXPECT_EQ(Top().Floors(), 0);
  EXPECT_EQ(Top().Slice(), 0);
}

// Nobody is owed what nobody keeps it from.
TEST_F(DomainFloorTest, FloorDoesNotCountWhileNoHigherProcessHasWork)
{
  Other({PRIORITY_NO_EXECUTE, 10});
  const Launcher* const low = Add(-10, 50000, 20);
  EXPECT_GT(ShareIn(kMomentNs, low), 99);
  EXPECT_EQ(Top().Floors(), 0);
  EXPECT_EQ(Top().Slice(), 0);
  // An equal one, neither.
  Other({-10, 10});
  EXPECT_GT(ShareIn(kMomentNs, low), 99);
  EXPECT_EQ(Top().Slice(), 0);
}

TEST_F(DomainFloorTest, SliceIsGivenBackWhenItEnds)
{
  Other({10, 10});
  Launcher* const low = Add(-10, 50000, 20);
  RunUntilInSlice(low);
  EXPECT_EQ(Top().Slice(), member_->OwnSlice());
  EXPECT_TRUE(device_->GetTurn()->SliceHolds());
  Run(kSliceNs + kStepNs);
  EXPECT_FALSE(low->GetQueue()->in_slice.load());
  EXPECT_EQ(Top().Slice(), 0);
  EXPECT_EQ(OwnClaim().Slice(), 0);
  EXPECT_TRUE(low->Waits());
}

// It holds everybody back, and ends by itself.
TEST_F(DomainFloorTest, SliceOfAnotherProcessHoldsBackTheHighest)
{
  Launcher* const high = Add(PRIORITY_MAX, 30000, 0);
  Run(kWindowNs / 100);
  EXPECT_FALSE(high->Waits());
  other_->Publish({-10, 10, 20, 0});
  EXPECT_EQ(device_->GetTurn()->Closely().bounded_below, PRIORITY_MAX + 1);
  EXPECT_EQ(device_->GetTurn()->Closely().open_from, PRIORITY_MAX);
  other_->Publish({-10, 10, 20, 1});
  EXPECT_EQ(device_->GetTurn()->Closely().open_from, PRIORITY_MAX + 1);
  Other({-10, 10, 20, 1});
  Run(kWindowNs / 100);
  EXPECT_TRUE(high->Waits());
  EXPECT_TRUE(member_->HoldsBack(PRIORITY_MAX));
  EXPECT_EQ(device_->GetTurn()->Closely().open_from, PRIORITY_MAX + 1);
  Other({-10, 10, 20, 0});
  EXPECT_FALSE(high->Waits());
  EXPECT_FALSE(member_->HoldsBack(PRIORITY_MAX));
  // The next slice is to begin within the limit.
  EXPECT_EQ(device_->GetTurn()->Closely().bounded_below, PRIORITY_MAX + 1);
  Other({-10, 10});
  EXPECT_EQ(device_->GetTurn()->Closely().bounded_below, PRIORITY_MAX);
}

TEST_F(DomainFloorTest, ProcessesTakeSlicesInTurn)
{
  Other({10, 10});
  Launcher* const low = Add(-10, 50000, 20);
  Other({10, 10, 20, 1});
  const int64_t before_ns = low->UsedNs();
  Run(kWindowNs / 10);
  EXPECT_EQ(low->UsedNs(), before_ns);
  EXPECT_FALSE(low->GetQueue()->in_slice.load());
  // It says that it wants one, and does not ask all the time.
  EXPECT_NE(OwnClaim().Slice(), 0);
  EXPECT_EQ(Top().Slice(), OtherProcess::kSlice);
  std::vector<Queue*> looks;
  EXPECT_GT(
      device_->CollectLooks(test_clock_ns, &looks), test_clock_ns + kSliceNs);
  Other({10, 10, 20, 0});
  EXPECT_EQ(Top().Slice(), member_->OwnSlice());
  EXPECT_TRUE(low->GetQueue()->in_slice.load());
  EXPECT_FALSE(low->Waits());
}

TEST_F(DomainFloorTest, FloorsOfAllProcessesLeaveSomething)
{
  Other({10, 10, 90});
  const Launcher* const low = Add(-10, 50000, 45);
  Run(kMomentNs / 2);
  EXPECT_NEAR(ShareIn(kMomentNs, low), 30, 2);
}

// As two instances of a model of Triton's Python backend do.
TEST_F(DomainFloorTest, ProcessesOfAModelShareItsFloor)
{
  Launcher* const low = Add(-10, 50000, 21);
  member_->WorkFor("chat");
  other_->WorkForTheSameModel();
  Other({10, 10, 11});
  Run(kMomentNs / 2);
  EXPECT_NEAR(ShareIn(kMomentNs, low), 10.5, 1);
  EXPECT_EQ(OwnClaim().Floors(), 11);
  // While the other one's is held back, too.
  Other({10, 10});
  Run(kWindowNs / 100);
  EXPECT_NEAR(ShareIn(kMomentNs, low), 21, 2);
  EXPECT_EQ(OwnClaim().Floors(), 21);
  // Another model's.
  member_->WorkFor("batch");
  Other({10, 10, 11});
  EXPECT_EQ(OwnClaim().Floors(), 21);
  // And whoever works for several.
  member_->WorkFor("");
  other_->WorkForSeveralModels();
  Other({10, 10, 12});
  EXPECT_EQ(OwnClaim().Floors(), 21);
}

TEST_F(DomainFloorTest, ProcessesOfEqualPriorityShareByTheirWeights)
{
  Launcher* const own = Add(10, 30000, 0);
  SetWeight(own, 3);
  other_->ShareBy(1);
  Other({10, 10});
  Run(kMomentNs / 2);
  EXPECT_EQ(other_->OwnSlot().weight.load(), 3u);
  EXPECT_NEAR(ShareInWindow(own), 75, 75 * 0.05);
  // The end of its work is looked for while the other one waits for its turn.
  EXPECT_FALSE(member_->OthersWait());
  other_->Wait(10);
  EXPECT_TRUE(member_->OthersWait());
  SetWeight(own, 0);
  EXPECT_FALSE(member_->OthersWait());
  SetWeight(own, 3);
  other_->Wait(PRIORITY_NO_EXECUTE);
  // Those that another priority has a turn of are no rivals, nor who has none.
  Other({PRIORITY_NO_EXECUTE, 10});
  EXPECT_GT(ShareIn(kMomentNs, own), 99);
  Other({-10, 10});
  EXPECT_GT(ShareIn(kMomentNs, own), 99);
  other_->ShareBy(0);
  Other({10, 10});
  EXPECT_GT(ShareIn(kMomentNs, own), 99);
  other_->ShareBy(1);
  Other({20, 20});
  Run(kMomentNs / 100);
  const int64_t before_ns = own->UsedNs();
  Run(kMomentNs);
  EXPECT_EQ(own->UsedNs(), before_ns);
  // Nor is a process of the same model.
  member_->WorkFor("chat");
  other_->WorkForTheSameModel();
  Other({10, 10});
  EXPECT_GT(ShareIn(kMomentNs, own), 99);
}

// In the turns of the process, its models share as they do alone.
TEST_F(DomainFloorTest, WeightsHoldWithinAProcessAndAmongProcesses)
{
  Launcher* const two = Add(10, 30000, 0);
  Launcher* const one = Add(10, 50000, 0);
  Launcher* const none = Add(10, 50000, 0);
  SetWeight(two, 2);
  SetWeight(one, 1);
  other_->ShareBy(3);
  Other({10, 10});
  const auto weighted = [&](Launcher* each) { return each != none; };
  Run(kMomentNs, weighted);
  EXPECT_EQ(other_->OwnSlot().weight.load(), 3u);
  const int64_t two_ns = two->UsedNs();
  const int64_t one_ns = one->UsedNs();
  Run(kWindowNs, weighted);
  const auto two_had = static_cast<double>(two->UsedNs() - two_ns);
  const auto one_had = static_cast<double>(one->UsedNs() - one_ns);
  // What it has in flight when a turn ends, the other has when its own does.
  EXPECT_NEAR((two_had + one_had) / kWindowNs, 0.5, 0.05);
  EXPECT_NEAR(two_had / one_had, 2, 2 * 0.05);
  // Whoever has no weight launches in all turns.
  const int64_t none_ns = none->UsedNs();
  Run(kMomentNs, [&](Launcher* each) { return each == none; });
  EXPECT_GT(none->UsedNs() - none_ns, kMomentNs * 99 / 100);
}

// The policy of one process, whose only model always has work.
struct Contender {
  Contender(uint64_t self, int own_weight, uint64_t other, int other_weight)
      : model{this, 10, true, 0, own_weight, this}
  {
    policy->Added(model);
    Elsewhere elsewhere;
    elsewhere.ready = 10;
    elsewhere.own = self;
    elsewhere.rivals.push_back({other, 10, other_weight});
    policy->SetElsewhere(elsewhere);
  }
  bool HasTurn() const { return policy->Decide().turn == nullptr; }

  const Standing model;
  const std::unique_ptr<Policy> policy =
      WithWeights(HighestPriorityFirst(), kSliceNs);
};

// Each decides by itself, and both decide the same.
TEST(ClockTurnsTest, TwoProcessesShareThreeToOneAndNeverBothHaveTheTurn)
{
  const Contender three(1, 3, 2, 1);
  const Contender one(2, 1, 1, 3);
  int64_t three_ns = 0;
  for (int64_t ns = 0; ns < kWindowNs; ns += kStepNs) {
    const bool turn = three.HasTurn();
    ASSERT_NE(turn, one.HasTurn()) << test_clock_ns;
    three_ns += turn ? kStepNs : 0;
    test_clock_ns += kStepNs;
  }
  EXPECT_NEAR(
      static_cast<double>(three_ns), 0.75 * kWindowNs, 0.05 * 0.75 * kWindowNs);
  EXPECT_NEAR(
      static_cast<double>(kWindowNs - three_ns), 0.25 * kWindowNs,
      0.05 * 0.25 * kWindowNs);
}

// Its turns are the policy's to end, so it says when.
TEST(ClockTurnsTest, ADecisionHoldsUntilItIsSaidToChange)
{
  const Contender one(2, 1, 1, 3);
  for (int i = 0; i < 100; ++i) {
    const bool turn = one.HasTurn();
    const int64_t change_ns = one.policy->ChangesAtNs();
    ASSERT_GT(change_ns, test_clock_ns);
    test_clock_ns = change_ns - 1;
    EXPECT_EQ(one.HasTurn(), turn);
    test_clock_ns = change_ns;
    EXPECT_NE(one.HasTurn(), turn);
  }
  // Without a model that has a weight, nothing changes by itself.
  one.policy->Removed(one.model);
  EXPECT_TRUE(one.HasTurn());
  EXPECT_EQ(one.policy->ChangesAtNs(), INT64_MAX);
}

TEST(ClockTurnsTest, EachHasItsPartOfAnyTurnsInARow)
{
  ClockTurns turns;
  EXPECT_TRUE(turns.IsTrivial());
  const int weights[] = {1, 3, 6, 90};
  for (uint64_t who = 0; who < 4; ++who) {
    turns.Add(who, weights[who]);
    EXPECT_EQ(turns.IsTrivial(), who == 0);
  }
  // Once more: its place is one.
  turns.Add(3, 40);
  std::mt19937_64 random(1);
  for (int i = 0; i < 100; ++i) {
    const auto first = static_cast<int64_t>(random() >> 20);
    constexpr int kTurns = 2000;
    int had[4] = {};
    for (int turn = 0; turn < kTurns; ++turn) {
      ++had[turns.At(first + turn)];
    }
    for (int who = 0; who < 4; ++who) {
      EXPECT_NEAR(had[who], kTurns / 100 * weights[who], 5) << first;
    }
  }
  turns.Clear();
  turns.Add(7, 1);
  turns.Add(9, 1);
  turns.Add(7, 2);
  int sevens = 0;
  for (int turn = 0; turn < 3000; ++turn) {
    sevens += turns.At(turn) == 7 ? 1 : 0;
  }
  EXPECT_NEAR(sevens, 2000, 5);
}

// While the process was stopped, say.
TEST_F(DomainFloorTest, SliceThatIsRevokedLetsNobodyLaunch)
{
  Other({10, 10});
  Launcher* const low = Add(-10, 50000, 20);
  RunUntilInSlice(low);
  other_->OwnSlot().claim.store(Claim({}, OwnClaim().Beat() + 1).Word());
  Other({10, 10, 0, 1});
  EXPECT_FALSE(device_->GetTurn()->SliceHolds());
  EXPECT_FALSE(low->GetQueue()->in_slice.load());
  const int64_t before_ns = low->UsedNs();
  Run(kWindowNs / 100);
  EXPECT_LE(low->UsedNs() - before_ns, kLimitNs + low->KernelNs());
}

}}  // namespace xsched
