// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// XSCHED_RUN_AHEAD: what is kept of a queue that has to wait, and who waits for
// it.

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "run_ahead_fixture.h"

extern "C" {
CUresult cuEventElapsedTime(float*, CUevent, CUevent);
CUresult cuFuncSetAttribute(CUfunction, int, int);
CUresult cuLaunchCooperativeKernel(
    CUfunction, unsigned int, unsigned int, unsigned int, unsigned int,
    unsigned int, unsigned int, unsigned int, CUstream, void**);
CUresult cuMemAlloc_v2(CUdeviceptr*, size_t);
CUresult cuMemFree_v2(CUdeviceptr);
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr, CUdeviceptr, size_t, CUstream);
CUresult cuMemcpyDtoHAsync_v2(void*, CUdeviceptr, size_t, CUstream);
CUresult cuMemcpyDtoH_v2(void*, CUdeviceptr, size_t);
CUresult cuStreamIsCapturing(CUstream, int*);
CUresult cuStreamGetFlags(CUstream, unsigned int*);
CUresult cuCtxGetDevice(CUdevice*);
CUresult cuFuncGetParamInfo(CUfunction, size_t, size_t*, size_t*);
}

namespace {

using simulated::Execution;
using simulated::Kernel;

TEST_F(RunAheadTest, WhatHasToWaitReturnsAtOnceAndRunsInOrder)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  const Busy busy = KeepBusy(&high);
  std::vector<CUfunction> expected;
  for (int i = 0; i < kKept; ++i) {
    expected.push_back(Kernel(1, i + 1));
    ASSERT_EQ(low.Launch(expected.back()), 0);
  }
  EXPECT_EQ(low.Stats().launches, 0);
  EXPECT_TRUE(low.IsReady());
  const int64_t released_ns = xsched::NowNs();
  simulated::Hold(false);
  ASSERT_EQ(low.Synchronize(), 0);
  EXPECT_EQ(low.Stats().launches, kKept);
  const std::vector<Execution> runs = Runs();
  ASSERT_EQ(runs.size(), expected.size());
  for (size_t i = 0; i < runs.size(); ++i) {
    EXPECT_EQ(runs[i].function, expected[i]);
    EXPECT_GE(runs[i].submitted_ns, released_ns);
  }
}

TEST_F(RunAheadTest, WhatNeedNotWaitIsLaunchedByItsThread)
{
  TestStream alone(PRIORITY_MIN);
  simulated::Hold(true);
  for (int i = 0; i < 2 * kKept; ++i) {
    ASSERT_EQ(alone.Launch(Kernel(1)), 0);
    ASSERT_EQ(alone.Stats().launches, i + 1);
  }
  simulated::Hold(false);
  ASSERT_EQ(alone.Synchronize(), 0);
}

TEST_F(RunAheadTest, NoMoreIsKeptThanTheSettingSays)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  const Busy busy = KeepBusy(&high);
  for (int i = 0; i < kKept; ++i) {
    ASSERT_EQ(low.Launch(Kernel(1)), 0);
  }
  Calling more(context_, [&] { return low.Launch(Kernel(1)); });
  EXPECT_TRUE(more.Waits());
  simulated::Hold(false);
  EXPECT_EQ(more.Result(), 0);
  ASSERT_EQ(low.Synchronize(), 0);
  EXPECT_EQ(Runs().size(), static_cast<size_t>(kKept + 1));
}

// However far a queue runs ahead, a higher one waits no longer: see gate_test.
TEST_F(RunAheadTest, HighWaitsForNoMoreThanTheLimitAndOneKernel)
{
  constexpr int64_t kLimitUs = 150;
  for (const int64_t kernel_us : {10, 40, 120}) {
    TestStream low(PRIORITY_MIN);
    TestStream high(PRIORITY_MAX);
    std::atomic<bool> stop{false};
    std::thread background = InContext([&] {
      while (!stop.load()) {
        EXPECT_EQ(low.Launch(Kernel(kernel_us, kernel_us)), 0);
      }
    });
    AwaitLaunches(low, 60);  // the durations are learned
    for (int request = 0; request < 10; ++request) {
      AwaitLaunches(low, low.Stats().launches + 3);
      simulated::TakeRuns();
      for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(high.Launch(Kernel(50)), 0);
      }
      EXPECT_EQ(high.Synchronize(), 0);
      for (const Execution& run : simulated::TakeRuns()) {
        if (run.stream == high.Get()) {
          EXPECT_LE(
              (run.began_ns - run.submitted_ns) / 1000,
              kLimitUs + kLimitUs / 2 + 2 * kernel_us)
              << "kernels of " << kernel_us << " us";
          break;
        }
      }
    }
    stop = true;
    background.join();
  }
}

TEST_F(RunAheadTest, ParametersAreThoseOfTheCall)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  const Busy busy = KeepBusy(&high);
  uint64_t value = 1;
  size_t size = sizeof(value);
  void* separate[] = {&value};
  void* packed[] = {
      reinterpret_cast<void*>(1), &value, reinterpret_cast<void*>(2), &size,
      nullptr};
  xsched::CUlaunchAttribute attributes[1] = {};
  attributes[0].id = 4;  // cluster dimension
  CUlaunchConfig config = {1, 1, 1, 32, 1, 1, 0, low.Get(), attributes, 1};
  const std::function<CUresult()> calls[] = {
      [&] {
        return cuLaunchKernel(
            Kernel(2), 1, 1, 1, 32, 1, 1, 0, low.Get(), separate, nullptr);
      },
      [&] {  // of a library
        return cuLaunchKernel(
            Kernel(1), 1, 1, 1, 32, 1, 1, 0, low.Get(), separate, nullptr);
      },
      [&] {
        return cuLaunchKernel(
            Kernel(2), 1, 1, 1, 32, 1, 1, 0, low.Get(), nullptr, packed);
      },
      [&] {
        return cuLaunchCooperativeKernel(
            Kernel(2), 1, 1, 1, 32, 1, 1, 0, low.Get(), separate);
      },
      [&] { return cuLaunchKernelEx(&config, Kernel(2), separate, nullptr); },
      [&] { return cuLaunchKernelEx(&config, Kernel(2), nullptr, packed); },
  };
  std::vector<uint64_t> expected;
  for (const auto& call : calls) {
    value = 10 + expected.size();
    expected.push_back(value);
    ASSERT_EQ(call(), 0);
  }
  value = 0;
  size = 0;
  memset(separate, 0, sizeof(separate));
  memset(packed, 0, sizeof(packed));
  memset(attributes, 0xff, sizeof(attributes));
  config = {};
  EXPECT_EQ(low.Stats().launches, 0);
  simulated::Hold(false);
  ASSERT_EQ(low.Synchronize(), 0);
  std::vector<uint64_t> parameters;
  for (const Execution& run : Runs()) {
    parameters.push_back(run.parameter);
  }
  EXPECT_EQ(parameters, expected);
}

TEST_F(RunAheadTest, WhatCannotBeCopiedWaits)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  const Busy busy = KeepBusy(&high);
  ASSERT_EQ(low.Launch(Kernel(1, 1)), 0);
  xsched::CUlaunchAttribute attributes[1] = {};
  attributes[0].id = 7;  // records an event
  CUlaunchConfig config = {1, 1, 1, 32, 1, 1, 0, low.Get(), attributes, 1};
  Calling call(context_, [&] {
    return cuLaunchKernelEx(&config, Kernel(1, 2), nullptr, nullptr);
  });
  EXPECT_TRUE(call.Waits());
  simulated::Hold(false);
  EXPECT_EQ(call.Result(), 0);
  ASSERT_EQ(low.Synchronize(), 0);
  EXPECT_EQ(Kernels(), (std::vector<CUfunction>{Kernel(1, 1), Kernel(1, 2)}));
}

// Copies of the device's memory and of pinned memory are kept, others wait.
TEST_F(RunAheadTest, CopiesStayBehindTheLaunches)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  const Busy busy = KeepBusy(&high);
  ASSERT_EQ(low.Launch(Kernel(1, 5)), 0);
  ASSERT_EQ(cuMemsetD32Async(0, 1, 8, low.Get()), 0);
  ASSERT_EQ(cuMemcpyDtoDAsync_v2(0, 0, 1 << 20, low.Get()), 0);
  alignas(4096) char pinned[8];
  ASSERT_EQ(cuMemcpyHtoDAsync_v2(0, pinned, 8, low.Get()), 0);
  ASSERT_EQ(low.Launch(Kernel(1, 6)), 0);
  Calling read(context_, [&] {
    return cuMemcpyDtoHAsync_v2(pinned + 1, 0, 1, low.Get());
  });
  EXPECT_TRUE(read.Waits());
  EXPECT_EQ(low.Stats().launches, 0);
  simulated::Hold(false);
  EXPECT_EQ(read.Result(), 0);
  ASSERT_EQ(low.Synchronize(), 0);
  EXPECT_EQ(
      Kernels(), (std::vector<CUfunction>{
                     Kernel(1, 5), Kernel(1), Kernel(128), Kernel(1),
                     Kernel(1, 6), Kernel(1)}));
}

TEST_F(RunAheadTest, AnEventIsReadyOnlyAfterWhatItFollows)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  const Busy busy = KeepBusy(&high);
  ASSERT_EQ(low.Launch(Kernel(1, 1)), 0);
  ASSERT_EQ(cuEventRecord(event, low.Get()), 0);
  // The driver would say that it is done: it was never recorded.
  EXPECT_EQ(cuEventQuery(event), kNotReady);
  float milliseconds = 0;
  EXPECT_EQ(cuEventElapsedTime(&milliseconds, event, event), kNotReady);
  EXPECT_EQ(cuStreamQuery(low.Get()), kNotReady);
  Calling wait(context_, [&] { return cuEventSynchronize(event); });
  EXPECT_TRUE(wait.Waits());
  simulated::Hold(false);
  EXPECT_EQ(wait.Result(), 0);
  EXPECT_EQ(Kernels(), std::vector<CUfunction>{Kernel(1, 1)});
  EXPECT_EQ(cuEventQuery(event), 0);
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

// Whoever waits for an event waits for nothing that was kept after it.
TEST_F(RunAheadTest, AnEventDoesNotWaitForWhatFollowsIt)
{
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  bool seen = false;
  // After a second without progress, everything would be launched anyway: on a busy
  // machine that may be sooner than this thread is back.
  for (uint64_t round = 0; round < 5 && !seen; ++round) {
    // Their times are not known, so each is launched after the one before.
    const CUfunction kernels[] = {
        Kernel(1, 10 + round), Kernel(1, 20 + round), Kernel(1, 30 + round)};
    TestStream low(PRIORITY_MIN);
    TestStream high(PRIORITY_MAX);
    const Busy busy = KeepBusy(&high);
    simulated::HoldDuring(kernels[1]);
    ASSERT_EQ(low.Launch(kernels[0]), 0);
    ASSERT_EQ(cuEventRecord(event, low.Get()), 0);
    ASSERT_EQ(low.Launch(kernels[1]), 0);
    ASSERT_EQ(low.Launch(kernels[2]), 0);
    const Held held(Held::kUnknown);
    simulated::Hold(false);
    ASSERT_EQ(cuEventSynchronize(event), 0);
    seen = low.Stats().launches < 3 && !held.TooLong();
    while (low.Stats().launches < 2) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::vector<CUfunction> begun = Kernels();
    while (begun.empty() || begun.back() != kernels[1]) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      const std::vector<CUfunction> more = Kernels();
      begun.insert(begun.end(), more.begin(), more.end());
    }
    simulated::Hold(false);
    ASSERT_EQ(low.Synchronize(), 0);
    EXPECT_EQ(Kernels(), std::vector<CUfunction>{kernels[2]});
  }
  EXPECT_TRUE(seen);
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

TEST_F(RunAheadTest, AnotherStreamThatWaitsForAnEventComesAfterIt)
{
  TestStream first(PRIORITY_MIN);
  TestStream second(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  const Busy busy = KeepBusy(&high);
  ASSERT_EQ(first.Launch(Kernel(500, 1)), 0);
  ASSERT_EQ(cuEventRecord(event, first.Get()), 0);
  Calling other(context_, [&] {
    const CUresult result = cuStreamWaitEvent(second.Get(), event, 0);
    return result == 0 ? second.Launch(Kernel(1, 2)) : result;
  });
  EXPECT_TRUE(other.Waits());
  simulated::Hold(false);
  EXPECT_EQ(other.Result(), 0);
  ASSERT_EQ(second.Synchronize(), 0);
  EXPECT_EQ(Kernels(), (std::vector<CUfunction>{Kernel(500, 1), Kernel(1, 2)}));
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

// A wait is for the record that came before it, although another one follows
// while the wait is kept.
TEST_F(RunAheadTest, AnEventIsNotRecordedAgainBeforeAWaitThatIsKept)
{
  TestStream low(PRIORITY_MIN);
  TestStream other(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  ASSERT_EQ(cuEventRecord(event, other.Get()), 0);
  const Busy busy = KeepBusy(&high);
  ASSERT_EQ(low.Launch(Kernel(1, 1)), 0);
  ASSERT_EQ(cuStreamWaitEvent(low.Get(), event, 0), 0);
  Calling again(context_, [&] { return cuEventRecord(event, other.Get()); });
  EXPECT_TRUE(again.Waits());
  simulated::Hold(false);
  EXPECT_EQ(again.Result(), 0);
  ASSERT_EQ(cuCtxSynchronize(), 0);
  const Busy again_busy = KeepBusy(&high);
  ASSERT_EQ(low.Launch(Kernel(1, 1)), 0);
  ASSERT_EQ(cuStreamWaitEvent(low.Get(), event, 0), 0);
  Calling destroyed(context_, [&] { return cuEventDestroy_v2(event); });
  EXPECT_TRUE(destroyed.Waits());
  simulated::Hold(false);
  EXPECT_EQ(destroyed.Result(), 0);
  ASSERT_EQ(low.Synchronize(), 0);
}

// All that is neither kept nor only asks.
TEST_F(RunAheadTest, OtherCallsWaitForWhatIsKept)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  TestStream third(PRIORITY_MIN);
  const auto address = [](const char* name, int version) {
    void* function = nullptr;
    EXPECT_EQ(cuGetProcAddress(name, &function, version, 0), 0);
    return function;
  };
  CUdeviceptr memory = 0;
  char host[8];
  int value = 0;
  void* const forwarded = address("cuTexRefSetMipmapLevelBias", 12000);
  void* const unknown = address("cuStreamQuery", simulated::kUnknownVersion);
  EXPECT_EQ(unknown, address("cuStreamQuery", simulated::kUnknownVersion));
  const std::pair<const char*, std::function<CUresult()>> calls[] = {
      {"cuStreamSynchronize", [&] { return low.Synchronize(); }},
      {"cuCtxSynchronize", [] { return cuCtxSynchronize(); }},
      {"cuMemAlloc", [&] { return cuMemAlloc_v2(&memory, 8); }},
      {"cuMemFree", [&] { return cuMemFree_v2(memory); }},
      {"cuMemcpyDtoH", [&] { return cuMemcpyDtoH_v2(host, 0, 8); }},
      {"cuMemFreeAsync", [&] { return cuMemFreeAsync(0, low.Get()); }},
      {"cuModuleUnload", [] { return cuModuleUnload(nullptr); }},
      {"cuLibraryUnload", [] { return cuLibraryUnload(nullptr); }},
      {"cuGraphExecDestroy", [] { return cuGraphExecDestroy(nullptr); }},
      {"cuGraphExecUpdate",
       [] { return cuGraphExecUpdate_v2(nullptr, nullptr, nullptr); }},
      {"cuFuncSetAttribute",
       [] { return cuFuncSetAttribute(Kernel(1), 9, 50); }},
      {"a forwarded one",
       [] { return cuTexRefSetMipmapLevelBias(nullptr, 0); }},
      {"one by its address",
       [&] {
         return reinterpret_cast<CUresult (*)(void*, float)>(forwarded)(
             nullptr, 0);
       }},
      {"one that is not known",
       [&] {
         return reinterpret_cast<CUresult (*)(CUstream, int)>(unknown)(
             low.Get(), 0);
       }},
      {"one that the driver lacks",
       [] { return cuMulticastCreate(nullptr, nullptr) == 500 ? 0 : 1; }},
      {"XQueueWaitAll",
       [&] { return static_cast<CUresult>(XQueueWaitAll(low.Queue())); }},
      {"cuStreamBeginCapture",
       [&] {
         const CUresult result = cuStreamBeginCapture_v2(low.Get(), 2);
         CUgraph graph = nullptr;
         return result == 0 ? cuStreamEndCapture(low.Get(), &graph) : result;
       }},
      // A launch into the legacy stream waits for the blocking ones.
      {"a launch into the legacy stream",
       [&] {
         EXPECT_EQ(third.Launch(Kernel(1)), 0);
         return LaunchOn(nullptr, Kernel(1));
       }},
      {"a launch that the driver makes together",
       [&] {
         CUDA_LAUNCH_PARAMS launch = {};
         launch.function = Kernel(1);
         launch.hStream = low.Get();
         return cuLaunchCooperativeKernelMultiDevice(&launch, 1, 0);
       }},
      {"a launch into the per-thread stream",
       [&] {
         EXPECT_EQ(low.Launch(Kernel(1)), 0);
         return cuLaunchKernel_ptsz(
             Kernel(1), 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr);
       }},
  };
  for (const auto& each : calls) {
    const Busy busy = KeepBusy(&high);
    ASSERT_EQ(low.Launch(Kernel(1)), 0);
    ASSERT_EQ(low.Launch(Kernel(1)), 0);
    Calling call(context_, each.second);
    EXPECT_TRUE(call.Waits()) << each.first;
    simulated::Hold(false);
    EXPECT_EQ(call.Result(), 0) << each.first;
    ASSERT_EQ(low.Synchronize(), 0);
    ASSERT_EQ(cuCtxSynchronize(), 0);
  }
  EXPECT_EQ(value, 0);
}

TEST_F(RunAheadTest, CallsThatOnlyAskDoNotWait)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  TestStream other(PRIORITY_MIN);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  void* function = nullptr;
  ASSERT_EQ(cuGetProcAddress("cuStreamIsCapturing", &function, 12000, 0), 0);
  const Busy busy = KeepBusy(&high);
  ASSERT_EQ(low.Launch(Kernel(1)), 0);
  int value = 0;
  size_t offset = 0;
  size_t size = 0;
  unsigned int flags = 0;
  CUcontext context = nullptr;
  CUevent made = nullptr;
  CUstream stream = nullptr;
  EXPECT_EQ(cuCtxGetCurrent(&context), 0);
  EXPECT_EQ(cuCtxSetCurrent(context), 0);
  EXPECT_EQ(cuCtxGetDevice(&value), 0);
  EXPECT_EQ(cuStreamIsCapturing(low.Get(), &value), 0);
  EXPECT_EQ(
      reinterpret_cast<CUresult (*)(CUstream, int*)>(function)(
          low.Get(), &value),
      0);
  EXPECT_EQ(cuStreamGetFlags(low.Get(), &flags), 0);
  EXPECT_EQ(cuFuncGetParamInfo(Kernel(2), 0, &offset, &size), 0);
  EXPECT_EQ(cuEventCreate(&made, 0), 0);
  EXPECT_EQ(cuEventDestroy_v2(made), 0);
  EXPECT_EQ(cuStreamCreate(&stream, 1), 0);
  EXPECT_EQ(cuStreamDestroy_v2(stream), 0);
  // What an attribute is already, or more memory than what is kept needs.
  EXPECT_EQ(cuFuncSetAttribute(Kernel(1), 9, 0), 0);
  EXPECT_EQ(cuFuncSetAttribute(Kernel(1), 8, 4096), 0);
  // Another stream's own affairs.
  EXPECT_EQ(cuEventQuery(event), 0);
  EXPECT_EQ(cuStreamQuery(other.Get()), 0);
  EXPECT_EQ(cuStreamSynchronize(other.Get()), 0);
  EXPECT_EQ(low.Stats().launches, 0);
  simulated::Hold(false);
  ASSERT_EQ(low.Synchronize(), 0);
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

TEST_F(RunAheadTest, AnErrorIsThatOfTheNextCall)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  const std::function<CUresult()> calls[] = {
      [&] { return low.Synchronize(); },
      [&] { return cuCtxSynchronize(); },
      [&] { return cuEventSynchronize(event); },
  };
  for (const auto& call : calls) {
    const Busy busy = KeepBusy(&high);
    ASSERT_EQ(low.Launch(Kernel(1, 1)), 0);
    ASSERT_EQ(cuEventRecord(event, low.Get()), 0);
    simulated::FailLaunches(1, kLaunchFailed);
    simulated::Hold(false);
    EXPECT_EQ(call(), kLaunchFailed);
    EXPECT_EQ(call(), 0);
    EXPECT_TRUE(Kernels().empty());
  }
  const Busy busy = KeepBusy(&high);
  ASSERT_EQ(low.Launch(Kernel(1, 1)), 0);
  simulated::FailLaunches(1, kLaunchFailed);
  simulated::Hold(false);
  ASSERT_EQ(cuStreamSynchronize(high.Get()), 0);
  while (low.Launch(Kernel(1, 2)) == 0) {
    std::this_thread::yield();
  }
  EXPECT_EQ(low.Launch(Kernel(1, 3)), 0);
  ASSERT_EQ(low.Synchronize(), 0);
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

// What was kept before counts as launched.
TEST_F(RunAheadTest, WhoSuspendsAQueueMayStillWaitForIt)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  const Busy busy = KeepBusy(&high);
  ASSERT_EQ(low.Launch(Kernel(1, 1)), 0);
  ASSERT_EQ(low.Launch(Kernel(1, 2)), 0);
  ASSERT_EQ(XQueueSuspend(low.Queue(), kQueueSuspendFlagNone), kXSchedSuccess);
  Calling later(context_, [&] { return low.Launch(Kernel(1, 3)); });
  simulated::Hold(false);
  ASSERT_EQ(low.Synchronize(), 0);
  EXPECT_EQ(Kernels(), (std::vector<CUfunction>{Kernel(1, 1), Kernel(1, 2)}));
  EXPECT_TRUE(later.Waits());
  ASSERT_EQ(XQueueResume(low.Queue(), kQueueResumeFlagNone), kXSchedSuccess);
  EXPECT_EQ(later.Result(), 0);
}

TEST_F(RunAheadTest, WhatIsKeptOfAQueueThatMayLaunchNothingMoreIsLaunched)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  const Busy busy = KeepBusy(&high);
  ASSERT_EQ(low.Launch(Kernel(1, 1)), 0);
  ASSERT_EQ(XHintPriority(low.Queue(), PRIORITY_NO_EXECUTE), kXSchedSuccess);
  Calling later(context_, [&] { return low.Launch(Kernel(1, 2)); });
  EXPECT_TRUE(later.Waits());
  EXPECT_EQ(low.Stats().launches, 0);
  simulated::Hold(false);
  ASSERT_EQ(low.Synchronize(), 0);
  EXPECT_EQ(Kernels(), std::vector<CUfunction>{Kernel(1, 1)});
  EXPECT_TRUE(later.Waits());
  ASSERT_EQ(XHintPriority(low.Queue(), PRIORITY_MIN), kXSchedSuccess);
  EXPECT_EQ(later.Result(), 0);
}

TEST_F(RunAheadTest, ANewPriorityReachesWhatIsKept)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(10);
  const Busy busy = KeepBusy(&high);
  ASSERT_EQ(low.Launch(Kernel(1, 1)), 0);
  EXPECT_EQ(low.Stats().launches, 0);
  ASSERT_EQ(XHintPriority(low.Queue(), 20), kXSchedSuccess);
  AwaitLaunches(low, 1);  // while the other one is held
  simulated::Hold(false);
  ASSERT_EQ(low.Synchronize(), 0);
}

TEST_F(RunAheadTest, NothingIsKeptWhileAnythingIsCaptured)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  TestStream captured(PRIORITY_MAX);
  const Busy busy = KeepBusy(&high);
  ASSERT_EQ(cuStreamBeginCapture_v2(captured.Get(), 2), 0);
  Calling call(context_, [&] { return low.Launch(Kernel(1, 1)); });
  EXPECT_TRUE(call.Waits());
  simulated::Hold(false);
  EXPECT_EQ(call.Result(), 0);
  CUgraph graph = nullptr;
  ASSERT_EQ(cuStreamEndCapture(captured.Get(), &graph), 0);
  ASSERT_EQ(low.Synchronize(), 0);
}

// A thread never waits for its own work: neither in a higher queue, nor does what
// it launches there overtake what it has launched before.
TEST_F(RunAheadTest, AThreadsOwnWorkIsLaunchedInItsOrder)
{
  TestStream low(PRIORITY_MIN);
  TestStream middle(0);
  TestStream high(PRIORITY_MAX);
  simulated::Hold(true);
  ASSERT_EQ(middle.Launch(Kernel(1, 1)), 0);
  ASSERT_EQ(low.Launch(Kernel(1, 2)), 0);  // not kept
  EXPECT_EQ(low.Stats().launches, 1);
  simulated::Hold(false);
  ASSERT_EQ(cuCtxSynchronize(), 0);
  simulated::TakeRuns();
  const Busy busy = KeepBusy(&high);
  Calling both(context_, [&] {
    EXPECT_EQ(low.Launch(Kernel(1, 3)), 0);
    return middle.Launch(Kernel(1, 4));
  });
  EXPECT_TRUE(both.Waits());
  EXPECT_EQ(middle.Stats().launches, 1);
  simulated::Hold(false);
  EXPECT_EQ(both.Result(), 0);
  ASSERT_EQ(cuCtxSynchronize(), 0);
  EXPECT_EQ(Kernels(), (std::vector<CUfunction>{Kernel(1, 3), Kernel(1, 4)}));
}

// Its thread would then wait for work of the one that launches.
TEST_F(RunAheadTest, NothingIsKeptBelowAThreadsOwnWork)
{
  TestStream low(PRIORITY_MIN);
  TestStream middle(0);
  TestStream high(PRIORITY_MAX);
  simulated::Hold(true);
  const Busy release;
  ASSERT_EQ(middle.Launch(Kernel(1, 1)), 0);
  InContext([&] { EXPECT_EQ(high.Launch(Kernel(1, 2)), 0); }).join();
  std::atomic<int64_t> launched{-1};
  const auto context = context_;
  std::thread releasing([&] {
    cuCtxSetCurrent(context);
    std::this_thread::sleep_for(kMoment);
    launched = low.Stats().launches;
    simulated::Hold(false);
  });
  // It waits for the high one, although a call that need not be made at once
  // would be kept: this thread's work is in the middle one.
  ASSERT_EQ(low.Launch(Kernel(1, 3)), 0);
  EXPECT_EQ(low.Stats().launches, 1);
  releasing.join();
  EXPECT_EQ(launched, 0);
  ASSERT_EQ(cuCtxSynchronize(), 0);
}

}  // namespace
