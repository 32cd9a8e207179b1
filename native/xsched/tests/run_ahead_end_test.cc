// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// XSCHED_RUN_AHEAD: what ends while calls are kept: threads, queues, streams,
// contexts, owners and processes.

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "preempt/scheduler.h"
#include "run_ahead_fixture.h"
#include "sanitizers.h"

namespace {

using simulated::Execution;
using simulated::Kernel;

// A stream with a queue, which the test ends by itself.
struct LowQueue {
  CUstream stream = nullptr;
  HwQueueHandle hwq = 0;
  XQueueHandle xq = 0;

  // In the current context.
  LowQueue()
  {
    EXPECT_EQ(cuStreamCreate(&stream, 0), 0);
    EXPECT_EQ(CudaQueueCreate(&hwq, stream), kXSchedSuccess);
    EXPECT_EQ(XQueueCreate(&xq, hwq, kPreemptLevelBlock, 0), kXSchedSuccess);
    EXPECT_EQ(XHintPriority(xq, PRIORITY_MIN), kXSchedSuccess);
  }
};

// --- threads -------------------------------------------------------------------

TEST_F(RunAheadTest, AThreadMayEndBeforeItsCallsAreMade)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  const Busy busy = KeepBusy(&high);
  InContext([&] {
    for (uint64_t value = 11; value < 14; ++value) {
      void* parameters[] = {&value};
      EXPECT_EQ(
          cuLaunchKernel(
              Kernel(2), 1, 1, 1, 32, 1, 1, 0, low.Get(), parameters, nullptr),
          0);
    }
    EXPECT_EQ(cuEventRecord(event, low.Get()), 0);
  }).join();
  // What another one launches comes behind.
  InContext([&] { EXPECT_EQ(low.Launch(Kernel(1)), 0); }).join();
  EXPECT_EQ(low.Stats().launches, 0);
  EXPECT_EQ(cuEventQuery(event), kNotReady);
  simulated::Hold(false);
  EXPECT_EQ(cuEventSynchronize(event), 0);
  ASSERT_EQ(low.Synchronize(), 0);
  std::vector<uint64_t> parameters;
  for (const Execution& run : Runs()) {
    parameters.push_back(run.parameter);
  }
  EXPECT_EQ(parameters, (std::vector<uint64_t>{11, 12, 13, 0}));
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

// Its calls in the legacy stream are made in the context that was current in it.
TEST_F(RunAheadTest, AnOwnersThreadMayEndAndTheOwnerEndsAfterItsCalls)
{
  TestStream high(PRIORITY_MAX);
  XOwnerHandle owner = 0;
  ASSERT_EQ(XOwnerCreate(&owner, "low/0", PRIORITY_MIN), kXSchedSuccess);
  const Busy busy = KeepBusy(&high);
  InContext([&] {
    XOwnerExchange(owner);
    EXPECT_EQ(LaunchOn(nullptr, Kernel(1, 1)), 0);
    EXPECT_EQ(LaunchOn(nullptr, Kernel(1, 2)), 0);
  }).join();
  Calling end(context_, [&] { return XOwnerDestroy(owner); });
  EXPECT_TRUE(end.Waits());
  simulated::Hold(false);
  EXPECT_EQ(end.Result(), kXSchedSuccess);
  ASSERT_EQ(cuCtxSynchronize(), 0);
  EXPECT_EQ(Kernels(), (std::vector<CUfunction>{Kernel(1, 1), Kernel(1, 2)}));
}

// AddressSanitizer does not know that a thread which is cancelled leaves its
// frames, and takes what comes to be there later for errors.
#if !defined(__SANITIZE_ADDRESS__)
// What it has kept is launched. The launch that found no room is not.
TEST_F(RunAheadTest, AThreadMayBeCancelledWhileItWaitsForWhatIsKept)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  const std::function<CUresult()> waits[] = {
      [&] { return low.Synchronize(); },
      [&] { return cuCtxSynchronize(); },
      [&] { return cuEventSynchronize(event); },
      [&] {
        for (uint64_t i = 3; i <= kKept - 1; ++i) {
          low.Launch(Kernel(1, i));
        }
        return low.Launch(Kernel(1, 100));
      },
  };
  for (const auto& wait : waits) {
    const Busy busy = KeepBusy(&high);
    const int64_t before = low.Stats().launches;
    std::atomic<bool> kept{false};
    std::thread cancelled = InContext([&] {
      EXPECT_EQ(low.Launch(Kernel(1, 1)), 0);
      EXPECT_EQ(low.Launch(Kernel(1, 2)), 0);
      EXPECT_EQ(cuEventRecord(event, low.Get()), 0);
      kept = true;
      wait();
      ADD_FAILURE() << "it was not cancelled";
    });
    while (!kept) {
      std::this_thread::yield();
    }
    std::this_thread::sleep_for(kMoment);
    pthread_cancel(cancelled.native_handle());
    cancelled.join();
    EXPECT_EQ(low.Stats().launches, before);
    simulated::Hold(false);
    EXPECT_EQ(low.Launch(Kernel(1, 200)), 0);
    ASSERT_EQ(low.Synchronize(), 0);
    const std::vector<CUfunction> kernels = Kernels();
    ASSERT_EQ(kernels.size(), &wait == &waits[3] ? kKept : 3u);
    for (size_t i = 0; i + 1 < kernels.size(); ++i) {
      EXPECT_EQ(kernels[i], Kernel(1, i + 1));
    }
    EXPECT_EQ(kernels.back(), Kernel(1, 200));
    EXPECT_FALSE(low.IsReady());
  }
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}
#endif

// --- queues, streams and contexts ------------------------------------------------

// Each of them twice: the second one has the handles of the first.
TEST_F(RunAheadTest, WhatEndsWaitsForWhatIsKept)
{
  enum End { kQueue, kStream, kContext, kPrimaryRelease, kPrimaryReset };
  TestStream high(PRIORITY_MAX);
  for (int i = 0; i < 2 * (kPrimaryReset + 1); ++i) {
    const End end = static_cast<End>(i / 2);
    const bool is_primary = end == kPrimaryRelease || end == kPrimaryReset;
    CUcontext other = nullptr;
    ASSERT_EQ(
        is_primary ? cuDevicePrimaryCtxRetain(&other, 0)
                   : cuCtxCreate_v2(&other, 0, 0),
        0);
    ASSERT_EQ(cuCtxSetCurrent(other), 0);
    LowQueue low;
    const Busy busy = KeepBusy(&high);
    ASSERT_EQ(LaunchOn(low.stream, Kernel(1, 1)), 0);
    ASSERT_EQ(LaunchOn(low.stream, Kernel(1, 2)), 0);
    ASSERT_EQ(cuCtxSetCurrent(context_), 0);
    Calling call(context_, [&] {
      switch (end) {
        case kQueue:
          return static_cast<CUresult>(XQueueDestroy(low.xq));
        case kStream:
          return cuStreamDestroy_v2(low.stream);
        case kContext:
          return cuCtxDestroy_v2(other);
        case kPrimaryRelease:
          return cuDevicePrimaryCtxRelease_v2(0);
        case kPrimaryReset:
          return cuDevicePrimaryCtxReset_v2(0);
      }
      return -1;
    });
    EXPECT_TRUE(call.Waits()) << end;
    simulated::Hold(false);
    EXPECT_EQ(call.Result(), 0) << end;
    if (end != kQueue) {
      EXPECT_EQ(XQueueDestroy(low.xq), kXSchedSuccess) << end;
    }
    EXPECT_EQ(HwQueueDestroy(low.hwq), kXSchedSuccess) << end;
    if (end == kQueue) {
      EXPECT_EQ(cuStreamDestroy_v2(low.stream), 0);
    }
    if (end == kQueue || end == kStream) {
      // A context that ends drops what the device has not run.
      ASSERT_EQ(cuCtxSetCurrent(other), 0);
      ASSERT_EQ(cuCtxSynchronize(), 0);
      EXPECT_EQ(
          Kernels(), (std::vector<CUfunction>{Kernel(1, 1), Kernel(1, 2)}));
      ASSERT_EQ(cuCtxSetCurrent(context_), 0);
      EXPECT_EQ(cuCtxDestroy_v2(other), 0);
    }
    if (end == kPrimaryReset) {
      EXPECT_EQ(cuDevicePrimaryCtxRelease_v2(0), 0);
    }
    simulated::TakeRuns();
  }
}

// The pool gives the queue to another stream then.
TEST_F(RunAheadTest, AQueueHasNothingOfItsLifeBefore)
{
  TestStream high(PRIORITY_MAX);
  const auto report = [](const LowQueue& queue) {
    xsched::QueueReport report;
    EXPECT_EQ(
        xsched::Scheduler::Get().Report(queue.xq, &report), kXSchedSuccess);
    return report;
  };
  const auto end = [](const LowQueue& queue) {
    EXPECT_EQ(cuStreamDestroy_v2(queue.stream), 0);
    EXPECT_EQ(XQueueDestroy(queue.xq), kXSchedSuccess);
    EXPECT_EQ(HwQueueDestroy(queue.hwq), kXSchedSuccess);
  };
  {
    const LowQueue before;
    const Busy busy = KeepBusy(&high);
    ASSERT_EQ(LaunchOn(before.stream, Kernel(1, 1)), 0);
    ASSERT_EQ(LaunchOn(before.stream, Kernel(1, 2)), 0);
    EXPECT_EQ(report(before).ahead.kept, 2u);
    EXPECT_EQ(report(before).ahead.most, 2u);
    EXPECT_EQ(report(before).pending, 2u);
    simulated::FailLaunches(1, kLaunchFailed);
    simulated::Hold(false);
    end(before);
  }
  const LowQueue after;
  EXPECT_EQ(report(after).ahead.kept, 0u);
  EXPECT_EQ(report(after).ahead.failed, 0u);
  EXPECT_EQ(report(after).pending, 0u);
  EXPECT_EQ(LaunchOn(after.stream, Kernel(1, 3)), 0);
  EXPECT_EQ(cuStreamSynchronize(after.stream), 0);
  end(after);
}

// --- processes -------------------------------------------------------------------

TEST_F(RunAheadTest, TheChildOfAForkIsOnItsOwn)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  const Busy busy = KeepBusy(&high);
  ASSERT_EQ(low.Launch(Kernel(1, 1)), 0);
  ASSERT_EQ(cuEventRecord(event, low.Get()), 0);
  const pid_t child = fork();
  if (child == 0) {
    // It returns, whatever it does: the driver has an answer for it.
    alarm(20);
    const bool refused =
        low.Launch(Kernel(1, 7)) != 0 && cuEventRecord(event, low.Get()) != 0 &&
        cuEventQuery(event) != 0 && cuEventSynchronize(event) != 0 &&
        low.Synchronize() != 0 && cuCtxSynchronize() != 0;
    cuTexRefSetMipmapLevelBias(nullptr, 0);
    XQueueState state = kQueueStateUnknown;
    XQueueQuery(low.Queue(), &state);
#if XSCHED_CHILD_MAY_ALLOCATE
    // With all that belongs to a normal end.
    exit(refused ? 7 : 8);
#else
    _exit(refused ? 7 : 8);
#endif
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << status;
  // Its parent goes on as if nothing had happened.
  ASSERT_EQ(low.Launch(Kernel(1, 2)), 0);
  EXPECT_EQ(low.Stats().launches, 0);
  EXPECT_EQ(cuEventQuery(event), kNotReady);
  simulated::Hold(false);
  ASSERT_EQ(low.Synchronize(), 0);
  EXPECT_EQ(cuEventQuery(event), 0);
  EXPECT_EQ(Kernels(), (std::vector<CUfunction>{Kernel(1, 1), Kernel(1, 2)}));
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

// Whatever its other threads are about: the child has none of them.
TEST_F(RunAheadTest, AForkDoesNotCareWhatIsBeingKept)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  std::atomic<bool> stop{false};
  std::thread above = InContext([&] {
    while (!stop) {
      EXPECT_EQ(high.Launch(Kernel(100)), 0);
      EXPECT_EQ(high.Synchronize(), 0);
    }
  });
  std::thread below = InContext([&] {
    while (!stop) {
      EXPECT_EQ(low.Launch(Kernel(10)), 0);
    }
  });
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      _exit(low.Launch(Kernel(1)) != 0 && low.Synchronize() != 0 ? 7 : 8);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << status;
  }
  stop = true;
  above.join();
  below.join();
  ASSERT_EQ(low.Synchronize(), 0);
}

// What a process of its own does, and what it says of it: it runs this program
// again, which finds the word in its environment.
class RunAheadProcessTest : public testing::Test {
 protected:
  static constexpr const char* kWord = "RUN_AHEAD_TEST_PROCESS";
  static constexpr int kWell = 42;

  static std::string Word()
  {
    const char* word = getenv(kWord);
    return word == nullptr ? "" : word;
  }

  // Does not return, except with a failure.
  static void BecomeThisProgram(const std::string& word)
  {
    const testing::TestInfo& test =
        *testing::UnitTest::GetInstance()->current_test_info();
    const std::string filter = std::string("--gtest_filter=") +
                               test.test_suite_name() + "." + test.name();
    setenv(kWord, word.c_str(), 1);
    alarm(60);
    execl("/proc/self/exe", "run_ahead_end_test", filter.c_str(), nullptr);
  }

  // Its exit code.
  static int RunAgain(const std::string& word)
  {
    const pid_t child = fork();
    if (child == 0) {
      BecomeThisProgram(word);
      _exit(1);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    return WEXITSTATUS(status);
  }

  // In that process: a low queue, which a high one keeps from launching.
  static void Prepare()
  {
    cuInit(0);
    CUcontext context = nullptr;
    cuCtxCreate_v2(&context, 0, 0);
    context_ = context;
    low_ = new TestStream(PRIORITY_MIN);
    high_ = new TestStream(PRIORITY_MAX);
    KeepBusy();
  }
  static void KeepBusy()
  {
    simulated::Hold(true);
    InThread([] { high_->Launch(Kernel(1)); }).join();
  }
  static void ReleaseSoon()
  {
    InThread([] {
      std::this_thread::sleep_for(kMoment);
      simulated::Hold(false);
    }).detach();
  }
  template <typename Body>
  static std::thread InThread(const Body& body)
  {
    return std::thread([body] {
      cuCtxSetCurrent(context_);
      body();
    });
  }

  static CUcontext context_;
  static TestStream* low_;
  static TestStream* high_;
};

CUcontext RunAheadProcessTest::context_ = nullptr;
TestStream* RunAheadProcessTest::low_ = nullptr;
TestStream* RunAheadProcessTest::high_ = nullptr;

TEST_F(RunAheadProcessTest, AnExitLaunchesWhatIsKept)
{
  if (Word().empty()) {
    EXPECT_EQ(RunAgain("exits"), kWell);
    return;
  }
  // Registered first, this comes last.
  atexit([] {
    if (low_->Stats().launches != 5) {
      _exit(1);
    }
    // Nobody would wait for what is kept from now on, or sees that the high queue
    // has ended.
    KeepBusy();
    ReleaseSoon();
    // The driver's data of the main thread has gone by now.
    InThread([] { low_->Launch(Kernel(1)); }).join();
    _exit(low_->Stats().launches == 6 ? kWell : 2);
  });
  Prepare();
  for (int i = 0; i < 5; ++i) {
    low_->Launch(Kernel(1));
  }
  ReleaseSoon();
  exit(0);
}

TEST_F(RunAheadProcessTest, AThreadMayExitWhileAnotherOneKeepsCalls)
{
  if (Word().empty()) {
    EXPECT_EQ(RunAgain("exits"), kWell);
    return;
  }
  static std::atomic<int> kept{0};
  atexit([] { _exit(low_->Stats().launches >= kKept ? kWell : 1); });
  Prepare();
  InThread([] {
    while (kept < kKept) {
      std::this_thread::yield();
    }
    ReleaseSoon();
    exit(0);
  }).detach();
  for (;;) {
    low_->Launch(Kernel(1));
    ++kept;
  }
}

// The other program has nothing of it: what is kept is dropped, and its threads
// and their signal mask with it.
TEST_F(RunAheadProcessTest, AProcessMayBecomeAnotherProgramWhileCallsAreKept)
{
  if (Word().empty()) {
    EXPECT_EQ(RunAgain("becomes another"), kWell);
    return;
  }
  if (Word() == "becomes another") {
    Prepare();
    for (int i = 0; i < kKept; ++i) {
      low_->Launch(Kernel(1));
    }
    if (low_->Stats().launches == 0) {
      BecomeThisProgram("is another");
    }
    _exit(1);
  }
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  for (int signal = 1; signal < SIGRTMIN; ++signal) {
    if (sigismember(&mask, signal) == 1) {
      _exit(2);
    }
  }
  Prepare();
  for (int i = 0; i < kKept; ++i) {
    low_->Launch(Kernel(1));
  }
  simulated::Hold(false);
  _exit(
      low_->Synchronize() == 0 && low_->Stats().launches == kKept ? kWell : 3);
}

}  // namespace
