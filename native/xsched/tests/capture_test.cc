// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// A capture leaves everybody else alone, and nobody breaks it. In every test
// the simulated driver counts the calls that would have (fixture.h).

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "fixture.h"
#include "preempt/clock.h"
#include "preempt/inquiries.h"

namespace {

using simulated::Kernel;

constexpr int kModes[] = {0, 1, 2};  // global, of a thread, relaxed
constexpr int64_t kSecond = 1000000000;

class CaptureTest : public DriverTest {
 protected:
  // A launch into 'low' goes on; false if it takes longer than it ever should.
  static bool Await(const std::atomic<bool>& done)
  {
    const int64_t begin_ns = xsched::NowNs();
    while (!done.load() && xsched::NowNs() - begin_ns < 5 * kSecond) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return done.load();
  }

  // A queue of high priority whose work nobody synchronises, and a thread that
  // waits for it with a launch into 'low'.
  std::thread BlockedLaunch(
      TestStream* low, TestStream* high, std::atomic<bool>* done)
  {
    simulated::Hold(true);
    InContext([&] { EXPECT_EQ(high->Launch(Kernel(100)), 0); }).join();
    std::thread thread = InContext([low, done] {
      EXPECT_EQ(low->Launch(Kernel(1)), 0);
      done->store(true);
    });
    low->AwaitBlocked();
    return thread;
  }
};

TEST_F(CaptureTest, CaptureOfAnotherStreamKeepsNobodyWaiting)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  TestStream captured;
  for (const int mode : kModes) {
    std::atomic<bool> done{false};
    std::thread blocked = BlockedLaunch(&low, &high, &done);
    CUgraph graph = nullptr;
    ASSERT_EQ(cuStreamBeginCapture_v2(captured.Get(), mode), 0);
    simulated::Hold(false);
    EXPECT_TRUE(Await(done)) << "mode " << mode;
    ASSERT_EQ(cuStreamEndCapture(captured.Get(), &graph), 0);
    blocked.join();
    EXPECT_EQ(low.Synchronize(), 0);
  }
}

// The thread that captures has other work, which waits: nobody else would end
// the capture.
TEST_F(CaptureTest, ThreadThatCapturesMayWaitWithOtherWork)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  TestStream captured;
  for (const int mode : kModes) {
    InContext([&] { EXPECT_EQ(high.Launch(Kernel(2000)), 0); }).join();
    std::atomic<bool> done{false};
    std::thread thread = InContext([&] {
      CUgraph graph = nullptr;
      EXPECT_EQ(cuStreamBeginCapture_v2(captured.Get(), mode), 0);
      EXPECT_EQ(low.Launch(Kernel(1)), 0);
      EXPECT_EQ(cuStreamEndCapture(captured.Get(), &graph), 0);
      done.store(true);
    });
    ASSERT_TRUE(Await(done)) << "mode " << mode;
    thread.join();
    EXPECT_EQ(low.Synchronize(), 0);
  }
}

// Triton's TensorRT backend: inputs are copied in a stream that the host never
// synchronises, while another model is loaded, which captures its graphs.
TEST_F(CaptureTest, StreamThatNobodySynchronisesIsSeenToBeIdleDuringACapture)
{
  for (const int mode : kModes) {
    TestStream execution(PRIORITY_MAX);
    TestStream input(PRIORITY_MAX);
    TestStream low(PRIORITY_MIN);
    TestStream captured;
    CUevent copied = nullptr;
    ASSERT_EQ(cuEventCreate(&copied, 0), 0);
    std::atomic<bool> capturing{false};
    std::atomic<bool> done{false};
    std::thread loads = InContext([&] {
      CUgraph graph = nullptr;
      EXPECT_EQ(cuStreamBeginCapture_v2(captured.Get(), mode), 0);
      capturing.store(true);
      EXPECT_TRUE(Await(done)) << "mode " << mode;
      EXPECT_EQ(cuStreamEndCapture(captured.Get(), &graph), 0);
    });
    EXPECT_TRUE(Await(capturing));
    InContext([&] {
      EXPECT_EQ(cuMemcpyHtoDAsync_v2(1, nullptr, 100, input.Get()), 0);
      EXPECT_EQ(cuEventRecord(copied, input.Get()), 0);
      EXPECT_EQ(cuStreamWaitEvent(execution.Get(), copied, 0), 0);
      EXPECT_EQ(execution.Launch(Kernel(100)), 0);
      EXPECT_EQ(execution.Synchronize(), 0);
    }).join();
    InContext([&] { EXPECT_EQ(low.Launch(Kernel(1)), 0); }).join();
    done.store(true);
    loads.join();
    EXPECT_EQ(cuEventDestroy_v2(copied), 0);
  }
}

// Threads that capture, join captures and wait, all at once.
TEST_F(CaptureTest, CapturesComeAndGoWhileOthersAreBlocked)
{
  constexpr int kRounds = 10;
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (const int mode : kModes) {
    threads.push_back(InContext([&, mode] {
      TestStream begins(PRIORITY_MAX);
      TestStream joins(PRIORITY_MAX);
      CUevent fork = nullptr;
      EXPECT_EQ(cuEventCreate(&fork, 0), 0);
      for (int i = 0; !stop.load(); ++i) {
        // So that they are asked.
        EXPECT_EQ(begins.Launch(Kernel(10)), 0);
        EXPECT_EQ(joins.Launch(Kernel(10)), 0);
        CUgraph graph = nullptr;
        EXPECT_EQ(cuStreamBeginCapture_v2(begins.Get(), mode), 0);
        EXPECT_EQ(cuEventRecord(fork, begins.Get()), 0);
        EXPECT_EQ(cuStreamWaitEvent(joins.Get(), fork, 0), 0);
        EXPECT_EQ(joins.Launch(Kernel(10)), 0);
        std::this_thread::sleep_for(std::chrono::microseconds(300));
        EXPECT_EQ(cuStreamEndCapture(begins.Get(), &graph), 0);
        // Otherwise one of them always has work.
        std::this_thread::sleep_for(std::chrono::milliseconds(2 + i % 5));
      }
      EXPECT_EQ(cuEventDestroy_v2(fork), 0);
    }));
  }
  threads.push_back(InContext([&] {
    while (!stop.load()) {
      EXPECT_EQ(high.Launch(Kernel(50)), 0);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }));
  for (int i = 0; i < kRounds; ++i) {
    InContext([&] { EXPECT_EQ(low.Launch(Kernel(1)), 0); }).join();
  }
  stop.store(true);
  for (std::thread& thread : threads) {
    thread.join();
  }
}

// The legacy stream must not be asked while anything is captured: an event
// from before tells when its work has ended.
TEST_F(CaptureTest, LegacyStreamIsLeftAloneWhileAnythingIsCaptured)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  TestStream captured;
  simulated::Hold(true);
  InContext([&] {
    EXPECT_EQ(high.Launch(Kernel(1)), 0);
    EXPECT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
  }).join();
  std::atomic<bool> done{false};
  std::thread blocked = InContext([&] {
    EXPECT_EQ(low.Launch(Kernel(1)), 0);
    done.store(true);
  });
  low.AwaitBlocked();
  CUgraph graph = nullptr;
  ASSERT_EQ(cuStreamBeginCapture_v2(captured.Get(), 0), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(done.load());
  simulated::Hold(false);
  EXPECT_TRUE(Await(done));
  ASSERT_EQ(cuStreamEndCapture(captured.Get(), &graph), 0);
  blocked.join();
}

// A capture that never ends: its stream, or its whole context, is destroyed.
// Later streams may have the same handle.
TEST_F(CaptureTest, CaptureThatIsGivenUpLeavesNothingBehind)
{
  for (const bool whole_context : {false, true}) {
    CUcontext context = nullptr;
    ASSERT_EQ(cuCtxCreate_v2(&context, 0, 0), 0);
    CUstream captured = nullptr;
    ASSERT_EQ(cuStreamCreate(&captured, 0), 0);
    ASSERT_EQ(cuStreamBeginCapture_v2(captured, 0), 0);
    if (whole_context) {
      ASSERT_EQ(cuCtxDestroy_v2(context), 0);
    } else {
      ASSERT_EQ(cuStreamDestroy_v2(captured), 0);
      ASSERT_EQ(cuCtxSetCurrent(context_), 0);
      ASSERT_EQ(cuCtxDestroy_v2(context), 0);
    }
    ASSERT_EQ(cuCtxSetCurrent(context_), 0);
    for (const uint64_t stream :
         {reinterpret_cast<uint64_t>(captured), xsched::kStreamLegacy}) {
      EXPECT_TRUE(xsched::Inquiry(stream, reinterpret_cast<uint64_t>(context_))
                      .Allowed());
    }
    TestStream high(PRIORITY_MAX);
    TestStream low(PRIORITY_MIN);
    EXPECT_EQ(high.Get(), captured);  // used again
    std::atomic<bool> done{false};
    InContext([&] {
      EXPECT_EQ(high.Launch(Kernel(1)), 0);
      EXPECT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
    }).join();
    std::thread thread = InContext([&] {
      EXPECT_EQ(low.Launch(Kernel(1)), 0);
      done.store(true);
    });
    EXPECT_TRUE(Await(done));
    thread.join();
  }
}

// Between the driver's two answers, that a stream is not captured and that it
// is done, a capture may begin.
TEST_F(CaptureTest, CapturedStreamIsForbidden)
{
  const auto allowed = [this](CUstream stream) {
    return xsched::Inquiry(
               reinterpret_cast<uint64_t>(stream),
               reinterpret_cast<uint64_t>(context_))
        .Allowed();
  };
  const auto legacy = reinterpret_cast<CUstream>(xsched::kStreamLegacy);
  TestStream captured;
  TestStream other;
  CUgraph graph = nullptr;
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(allowed(captured.Get()));
    EXPECT_TRUE(allowed(legacy));
    ASSERT_EQ(cuStreamBeginCapture_v2(captured.Get(), 0), 0);
    EXPECT_FALSE(allowed(captured.Get()));
    EXPECT_FALSE(allowed(legacy));
    EXPECT_TRUE(allowed(other.Get()));
    ASSERT_EQ(cuStreamEndCapture(captured.Get(), &graph), 0);
  }
  EXPECT_TRUE(allowed(captured.Get()));
  EXPECT_TRUE(allowed(legacy));
}

// What the stream had before is done while the capture goes on, which may take
// for ever.
TEST_F(CaptureTest, WorkFromBeforeACaptureIsSeenToEnd)
{
  TestStream high(PRIORITY_MAX);
  TestStream low(PRIORITY_MIN);
  TestStream origin;
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  for (const int mode : kModes) {
    for (const bool joins : {false, true}) {
      std::atomic<bool> done{false};
      std::thread blocked = BlockedLaunch(&low, &high, &done);
      const CUstream first = joins ? origin.Get() : high.Get();
      ASSERT_EQ(cuStreamBeginCapture_v2(first, mode), 0);
      if (joins) {
        ASSERT_EQ(cuEventRecord(event, first), 0);
        ASSERT_EQ(cuStreamWaitEvent(high.Get(), event, 0), 0);
      }
      EXPECT_EQ(high.Launch(Kernel(1)), 0);  // is captured
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      EXPECT_FALSE(done.load());  // it still has to do
      simulated::Hold(false);
      EXPECT_TRUE(Await(done)) << mode;
      EXPECT_FALSE(high.IsReady());
      CUgraph graph = nullptr;
      ASSERT_EQ(cuStreamEndCapture(first, &graph), 0);
      blocked.join();
      // What comes then is not taken for done because that was.
      simulated::Hold(true);
      EXPECT_EQ(high.Launch(Kernel(1)), 0);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      EXPECT_TRUE(high.IsReady());
      simulated::Hold(false);
      EXPECT_EQ(high.Synchronize(), 0);
    }
  }
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

// A thread that synchronises its stream asks about others that its queue has
// worked in, while another thread captures.
TEST_F(CaptureTest, SynchronisationBreaksNobodysCapture)
{
  TestStream high(PRIORITY_MAX);
  TestStream internal;
  TestStream captured;
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  const std::vector<std::function<CUresult()>> synchronisations = {
      [&] { return high.Synchronize(); },
      [&] { return cuEventSynchronize(event); },
      [&] { return XQueueWaitAll(high.Queue()); },
  };
  for (const auto& synchronise : synchronisations) {
    ASSERT_EQ(high.Launch(Kernel(1)), 0);
    ASSERT_EQ(internal.Launch(Kernel(1)), 0);
    ASSERT_EQ(
        cuLaunchKernel_ptsz(
            Kernel(1), 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr),
        0);
    ASSERT_EQ(cuEventRecord(event, high.Get()), 0);
    std::atomic<bool> captures{false};
    std::atomic<bool> stop{false};
    std::thread other = InContext([&] {
      CUgraph graph = nullptr;
      EXPECT_EQ(cuStreamBeginCapture_v2(captured.Get(), 0), 0);
      captures.store(true);
      while (!stop.load()) {
        std::this_thread::yield();
      }
      EXPECT_EQ(cuStreamEndCapture(captured.Get(), &graph), 0);
    });
    while (!captures.load()) {
      std::this_thread::yield();
    }
    EXPECT_EQ(synchronise(), 0);
    stop.store(true);
    other.join();
  }
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

TEST_F(CaptureTest, CaptureThatDoesNotBeginForbidsNothing)
{
  TestStream high(PRIORITY_MAX);
  TestStream low(PRIORITY_MIN);
  CUgraph graph = nullptr;
  ASSERT_EQ(cuStreamBeginCapture_v2(high.Get(), 2), 0);
  EXPECT_NE(cuStreamBeginCapture_v2(high.Get(), 2), 0);  // it is captured
  ASSERT_EQ(cuStreamEndCapture(high.Get(), &graph), 0);
  std::atomic<bool> done{false};
  std::thread blocked = BlockedLaunch(&low, &high, &done);
  simulated::Hold(false);
  EXPECT_TRUE(Await(done));
  blocked.join();
}

}  // namespace
