// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// What happens when a thread is stopped in the middle of the scheduler's own
// work and others go on: one thread plays both, on a device and by a clock that
// the test decides.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "fake_hardware.h"
#include "keep.h"
#include "other_process.h"
#include "preempt/inquiries.h"
#include "preempt/scheduler.h"
#include "test_access.h"
#include "test_clock.h"
#include "xsched/xsched.h"

namespace xsched { namespace {

constexpr int64_t kSecond = 1000000000;
constexpr uint64_t kContext = 7;

// A device of its own for each test, with a queue of each priority on it.
class SchedulerTest : public testing::Test {
 protected:
  struct Stream {
    uint64_t stream = 0;
    HwQueueHandle hwq = 0;
    XQueueHandle xq = 0;
    Queue* queue = nullptr;
  };

  void SetUp() override
  {
    test_tick_ns = 100;
    static int devices = 100;
    device_ = ++devices;
    high_ = Create(PRIORITY_MAX);
    low_ = Create(PRIORITY_MIN);
  }

  void TearDown() override
  {
    hardware_->at_query_event = nullptr;
    hardware_->busy.clear();
    hardware_->busy_streams.clear();
    for (const Stream& stream : {high_, low_}) {
      EXPECT_EQ(scheduler_.DestroyQueue(stream.xq), kXSchedSuccess);
      EXPECT_EQ(scheduler_.DestroyHwQueue(stream.hwq), kXSchedSuccess);
    }
  }

  Stream Create(Priority priority)
  {
    static uint64_t streams = 1000;
    Stream created;
    created.stream = ++streams;
    EXPECT_EQ(
        scheduler_.CreateHwQueue(
            hardware_, device_, kContext, created.stream, &created.hwq),
        kXSchedSuccess);
    EXPECT_EQ(scheduler_.CreateQueue(created.hwq, &created.xq), kXSchedSuccess);
    EXPECT_EQ(scheduler_.SetPriority(created.xq, priority), kXSchedSuccess);
    created.queue = scheduler_.Find(created.stream);
    // What the tests launch is known, so that it need not go one at a time.
    for (int sample = 0; sample < 2; ++sample) {
      Learned(created)->Learn({1, 1}, {1000, true});
    }
    return created;
  }

  void Launch(const Stream& stream, uint64_t into, uint64_t function = 1)
  {
    const LaunchTicket ticket =
        scheduler_.BeforeLaunch(stream.queue, into, [&] {
          return LaunchKey{function, 1};
        });
    scheduler_.AfterLaunch(stream.queue, into, ticket, true);
  }

  void Launch(const Stream& stream) { Launch(stream, stream.stream); }

  bool Synchronized(const Stream& stream)
  {
    const uint64_t launched = scheduler_.Launched(stream.queue);
    scheduler_.Finished(stream.queue, launched);
    return !stream.queue->ready.load();
  }

  bool IsReady(const Stream& stream)
  {
    XQueueState state = kQueueStateUnknown;
    EXPECT_EQ(scheduler_.QueryState(stream.xq, &state), kXSchedSuccess);
    return state == kQueueStateReady;
  }

  // The device finishes nothing, or so late that a test which waits for it
  // fails.
  void DoNothing() { FinishAt(test_clock_ns + 20 * kSecond); }

  void FinishAt(int64_t end_ns)
  {
    if (test_clock_ns >= end_ns) {
      hardware_->busy.clear();
    }
    hardware_->at_query_event = [this, end_ns] { FinishAt(end_ns); };
  }

  static Durations* Learned(const Stream& stream)
  {
    return stream.queue->Home()->GetDevice()->GetDurations();
  }

  static bool IsClosed(const Stream& stream)
  {
    return stream.queue->priority.load() <
           stream.queue->turn.load()->Get().open_from;
  }

  Scheduler& scheduler_ = Scheduler::Get();
  // Never destroyed: the scheduler keeps what it knows of it.
  FakeHardware* const hardware_ = new FakeHardware;
  int device_ = 0;
  Stream high_;
  Stream low_;
};

// One of equal priority, while it is another's turn by their weights.
TEST_F(SchedulerTest, LaunchThatIsPassedOverWaitsForItsTurn)
{
  const Stream other = Create(PRIORITY_MAX);
  for (const Stream& stream : {high_, other}) {
    EXPECT_EQ(scheduler_.SetWeight(stream.xq, 1), kXSchedSuccess);
  }
  Launch(high_);
  std::atomic<bool> launched{false};
  std::thread thread([&] {
    Launch(other);
    launched = true;
  });
  while (other.queue->waiting.load() == 0 && !launched) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_FALSE(launched);
  // Its turn comes although the first one still has work.
  test_clock_ns += kSecond;
  std::vector<Queue*> looks;
  high_.queue->Home()->GetDevice()->CollectLooks(test_clock_ns, &looks);
  thread.join();
  EXPECT_TRUE(Synchronized(high_));
  EXPECT_TRUE(Synchronized(other));
  EXPECT_EQ(scheduler_.DestroyQueue(other.xq), kXSchedSuccess);
  EXPECT_EQ(scheduler_.DestroyHwQueue(other.hwq), kXSchedSuccess);
}

// A process that was stopped in its slice goes on when another one has it, and
// has not decided anew yet.
TEST_F(SchedulerTest, LaunchInASliceThatWasRevokedWaits)
{
  auto* const other = Keep(std::make_unique<OtherProcess>());
  Device* const device = low_.queue->Home()->GetDevice();
  device->Join(other->GetMember());
  other->Publish({PRIORITY_MAX, PRIORITY_MAX, 10, 1});
  low_.queue->in_slice = true;
  std::atomic<bool> launched{false};
  std::thread thread([&] {
    Launch(low_);
    launched = true;
  });
  while (low_.queue->waiting.load() == 0 && !launched) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_FALSE(launched);
  low_.queue->in_slice = false;
  other->Publish({});
  device->DomainChanged();
  thread.join();
  EXPECT_TRUE(Synchronized(low_));
}

// A launch that waits is woken; it does not find out by itself.
TEST_F(SchedulerTest, BlockedLaunchIsWoken)
{
  using Clock = std::chrono::steady_clock;
  const Clock::time_point late = Clock::now() + std::chrono::seconds(30);
  least_futex_wait_ns = 30 * kSecond;
  for (int64_t round = 1; round <= 30 && Clock::now() < late; ++round) {
    Launch(high_);
    std::thread other([this] { Launch(low_); });
    while (low_.queue->blocked.load() < round) {
      std::this_thread::yield();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    EXPECT_TRUE(Synchronized(high_));
    other.join();
    EXPECT_TRUE(Synchronized(low_));
  }
  least_futex_wait_ns = 0;
  EXPECT_LT(Clock::now(), late);
}

// What a thread has launched may wait for something that only that thread will
// do, after further launches. It is held back once, and not for each part of
// them.
TEST_F(SchedulerTest, ThreadIsNotHeldBackByWorkThatItHoldsBackItself)
{
  DoNothing();
  const int64_t begin_ns = test_clock_ns;
  for (int i = 0; i < 3000; ++i) {
    Launch(low_);
  }
  EXPECT_GT(test_clock_ns - begin_ns, kSecond / 20);
  EXPECT_LT(test_clock_ns - begin_ns, kSecond / 5);
}

// One of its own, in another queue, may be what this thread holds back. Each
// queue waits for its own kernel once, and one of them for the other's.
TEST_F(SchedulerTest, ThreadIsNotHeldBackByAnUnknownKernelOfAnotherQueue)
{
  const Stream second = Create(PRIORITY_MIN);
  DoNothing();
  const int64_t begin_ns = test_clock_ns;
  for (uint64_t i = 0; i < 200; ++i) {
    Launch(low_, low_.stream, 800 + 2 * i);
    Launch(second, second.stream, 801 + 2 * i);
  }
  EXPECT_GT(test_clock_ns - begin_ns, kSecond);
  EXPECT_LT(test_clock_ns - begin_ns, 4 * kSecond);
  hardware_->busy.clear();
  EXPECT_EQ(scheduler_.DestroyQueue(second.xq), kXSchedSuccess);
  EXPECT_EQ(scheduler_.DestroyHwQueue(second.hwq), kXSchedSuccess);
}

// The thread that saw the device idle is stopped before it says so, and
// another one launches: that is in flight.
TEST_F(SchedulerTest, LaunchDuringASynchronisationIsNotForgotten)
{
  static constexpr uint64_t kForeign = 5;
  Launch(low_);
  Launch(low_, kForeign);
  hardware_->at_query_stream = [this] { Launch(low_); };
  EXPECT_FALSE(Synchronized(low_));
  EXPECT_GT(low_.queue->flight.InFlightNs(), 0);
  EXPECT_TRUE(Synchronized(low_));
  EXPECT_EQ(low_.queue->flight.InFlightNs(), 0);
}

// Work in a library's stream that comes while that stream is asked.
TEST_F(SchedulerTest, ForeignWorkDuringASynchronisationKeepsTheQueueReady)
{
  static constexpr uint64_t kForeign = 5;
  Launch(high_);
  Launch(high_, kForeign);
  hardware_->at_query_stream = [this] { Launch(high_, kForeign); };
  EXPECT_FALSE(Synchronized(high_));
  hardware_->busy_streams.insert(kForeign);
  EXPECT_FALSE(Synchronized(high_));
  hardware_->busy_streams.clear();
  EXPECT_TRUE(Synchronized(high_));
}

// Who synchronises asks for a library's stream, and another thread destroys it:
// the driver must not be asked for what is gone.
TEST_F(SchedulerTest, ForeignStreamIsNotForgottenWhileItIsAsked)
{
  static constexpr uint64_t kForeign = 5;
  Launch(high_);
  Launch(high_, kForeign);
  std::atomic<bool> forgotten{false};
  std::thread other;
  hardware_->at_query_stream = [&] {
    other = std::thread([&] {
      scheduler_.ForgetStream(kForeign);
      forgotten.store(true);
    });
    const auto is_known = [this] {
      for (const auto& foreign : high_.queue->foreign) {
        if (foreign.load() == kForeign) {
          return true;
        }
      }
      return false;
    };
    while (is_known()) {
      std::this_thread::yield();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(forgotten.load());
  };
  EXPECT_TRUE(Synchronized(high_));
  other.join();
}

// As above, but the other thread has synchronised the queue first: it is idle,
// and knows nothing of that stream any more.
TEST_F(SchedulerTest, ForeignStreamOfAQueueThatTurnsIdleWhileItIsAsked)
{
  static constexpr uint64_t kForeign = 5;
  Launch(high_);
  Launch(high_, kForeign);
  std::atomic<bool> synchronized{false};
  std::atomic<bool> forgotten{false};
  std::thread other;
  hardware_->at_query_stream = [&] {
    other = std::thread([&] {
      scheduler_.Finished(high_.queue, scheduler_.Launched(high_.queue));
      synchronized.store(true);
      scheduler_.ForgetStream(kForeign);
      forgotten.store(true);
    });
    while (!synchronized.load()) {
      std::this_thread::yield();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_FALSE(forgotten.load());
  };
  Synchronized(high_);
  other.join();
  EXPECT_TRUE(forgotten.load());
}

// The same for the end of its context, and for the queue's own stream.
TEST_F(SchedulerTest, ContextAndOwnStreamAreNotForgottenWhileTheyAreAsked)
{
  for (const bool whole_context : {false, true}) {
    const Stream other = Create(PRIORITY_DEFAULT);
    Launch(other);
    std::atomic<bool> forgotten{false};
    std::thread thread;
    hardware_->at_query_stream = [&] {
      thread = std::thread([&] {
        if (whole_context) {
          scheduler_.ForgetContext(kContext);
        } else {
          scheduler_.ForgetStream(other.stream);
        }
        forgotten.store(true);
      });
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      EXPECT_FALSE(forgotten.load());
    };
    while (hardware_->at_query_stream) {
      IsReady(other);
      TestAccess::Age(other.queue, kSecond);
    }
    thread.join();
    EXPECT_EQ(scheduler_.DestroyQueue(other.xq), kXSchedSuccess);
    EXPECT_EQ(scheduler_.DestroyHwQueue(other.hwq), kXSchedSuccess);
  }
}

// A thread that captures or destroys a stream waits for those who ask.
TEST_F(SchedulerTest, ForbiddenStreamIsNotAsked)
{
  Launch(high_);
  EXPECT_TRUE(IsReady(high_));
  TestAccess::Age(high_.queue, kSecond);
  std::atomic<bool> forbidden{false};
  std::thread other;
  hardware_->at_query_stream = [&] {
    other = std::thread([&] {
      Inquiries::Forbid(high_.stream);
      forbidden.store(true);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_FALSE(forbidden.load());
  };
  hardware_->busy_streams.insert(high_.stream);
  EXPECT_TRUE(IsReady(high_));
  other.join();
  hardware_->busy_streams.clear();
  EXPECT_TRUE(hardware_->refused.empty());
  TestAccess::Age(high_.queue, kSecond);
  EXPECT_TRUE(IsReady(high_));
  EXPECT_EQ(hardware_->refused, std::vector<uint64_t>{high_.stream});
  Inquiries::Allow(high_.stream);
  TestAccess::Age(high_.queue, kSecond);
  EXPECT_FALSE(IsReady(high_));
}

// Its owner may be about to launch more.
TEST_F(SchedulerTest, QueueThatHasJustLaunchedIsNotBelievedToBeIdle)
{
  Launch(high_);
  for (int look = 0; look < 10; ++look) {
    EXPECT_TRUE(IsReady(high_));
  }
  Launch(high_);
  TestAccess::Age(high_.queue, kSecond);
  EXPECT_TRUE(IsReady(high_));  // something has changed since
  TestAccess::Age(high_.queue, kSecond);
  EXPECT_FALSE(IsReady(high_));
}

// The gate closes after the launch was let through: the kernel shares the
// device with those of the other queue.
TEST_F(SchedulerTest, SampleOfALaunchThatTheGateClosedBehindIsLeftOut)
{
  static constexpr uint64_t kFunction = 3;
  Launch(low_);
  // What is not known goes alone: a segment is closed, and seen to be done.
  hardware_->at_record = [this] {
    hardware_->at_query_event = [this] {
      hardware_->busy.clear();
      Launch(high_);
    };
  };
  const LaunchTicket ticket =
      scheduler_.BeforeLaunch(low_.queue, low_.stream, [] {
        return LaunchKey{kFunction, 1};
      });
  ASSERT_TRUE(IsClosed(low_));
  ASSERT_TRUE(ticket.timed);
  hardware_->device_ns += kSecond;
  scheduler_.AfterLaunch(low_.queue, low_.stream, ticket, true);
  hardware_->busy.clear();
  EXPECT_TRUE(Synchronized(high_));
  low_.queue->timer.Read();
  EXPECT_EQ(Learned(low_)->Find({kFunction, 1}).ns, 0);
}

// Who sleeps until the others should be done, by what is known of them, learns
// when they were done, not when it woke up. Otherwise one long run, a warm-up
// say, were believed for ever.
TEST_F(SchedulerTest, SleepOfWhoWaitsIsNotTakenForWork)
{
  int64_t usual_ns = 10 * kSecond;
  TestAccess::SetUsualReadyNs(high_.queue, usual_ns);
  for (int request = 0; request < 40; ++request) {
    Launch(high_);
    ASSERT_TRUE(IsReady(high_));
    TestAccess::Age(high_.queue, usual_ns);
    ASSERT_FALSE(IsReady(high_));
    usual_ns = TestAccess::UsualReadyNs(*high_.queue);
  }
  EXPECT_LT(usual_ns, kSecond / 100);
}

// While nobody waits for it, a queue that the application doesn't synchronise is
// looked at now and then. The time between two looks says nothing of how long
// its work takes, and who waits for it later must not sleep for that long.
TEST_F(SchedulerTest, TimeBetweenLooksIsNotTakenForWork)
{
  static constexpr int64_t kBetweenLooksNs = kSecond / 50;
  for (int request = 0; request < 10; ++request) {
    Launch(high_);
    TestAccess::Age(high_.queue, kBetweenLooksNs);
    ASSERT_TRUE(IsReady(high_)) << "the first look only sees that it launched";
    TestAccess::Age(high_.queue, kBetweenLooksNs);
    ASSERT_FALSE(IsReady(high_));
  }
  EXPECT_LT(TestAccess::UsualReadyNs(*high_.queue), kSecond / 1000);
}

// A late launch may leave something in a queue that has ended; it must not be
// asked for once its context is gone.
TEST_F(SchedulerTest, QueueThatHasEndedKeepsNothingOfAContextThatEnds)
{
  const Stream other = Create(PRIORITY_DEFAULT);
  const LaunchTicket ticket =
      scheduler_.BeforeLaunch(other.queue, other.stream, [] {
        return LaunchKey{9, 1};
      });
  ASSERT_TRUE(ticket.timed);
  EXPECT_EQ(scheduler_.DestroyQueue(other.xq), kXSchedSuccess);
  scheduler_.AfterLaunch(other.queue, other.stream, ticket, true);
  EXPECT_EQ(scheduler_.DestroyHwQueue(other.hwq), kXSchedSuccess);
  scheduler_.ForgetContext(kContext);
  hardware_->queried.clear();
  const int created = hardware_->created[EventKind::kTimed];
  other.queue->timer.Read();
  EXPECT_TRUE(hardware_->queried.empty());
  // Nor do its events come back, in another life of the same context.
  const Stream low = Create(PRIORITY_MIN);
  const Stream high = Create(PRIORITY_MAX);
  Launch(low, low.stream, 9);
  EXPECT_GT(hardware_->created[EventKind::kTimed], created);
  for (const Stream& stream : {low, high}) {
    EXPECT_EQ(scheduler_.DestroyQueue(stream.xq), kXSchedSuccess);
    EXPECT_EQ(scheduler_.DestroyHwQueue(stream.hwq), kXSchedSuccess);
  }
}

}}  // namespace xsched
