// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "fixture.h"

namespace {

using simulated::Kernel;

class ShimTest : public DriverTest {};

TEST_F(ShimTest, ForwardingKeepsEveryArgument)
{
  for (int call = 0; call < 2; ++call) {  // the first one looks it up
    EXPECT_EQ(
        cuModuleLoadDataEx(
            reinterpret_cast<void*>(1), reinterpret_cast<void*>(2), 3,
            reinterpret_cast<void*>(4), reinterpret_cast<void*>(5)),
        12345);
    EXPECT_EQ(
        cuTexRefSetMipmapLevelBias(reinterpret_cast<void*>(10), 1.25f), 15);
  }
}

TEST_F(ShimTest, FunctionThatTheDriverLacksSaysSo)
{
  EXPECT_EQ(cuMulticastCreate(nullptr, nullptr), 500);
}

TEST_F(ShimTest, ProcAddressGivesTheShimsFunctions)
{
  void* function = nullptr;
  ASSERT_EQ(cuGetProcAddress("cuLaunchKernel", &function, 11070, 0), 0);
  EXPECT_EQ(function, reinterpret_cast<void*>(&cuLaunchKernel));
  ASSERT_EQ(cuGetProcAddress("cuStreamDestroy", &function, 11070, 0), 0);
  EXPECT_EQ(function, reinterpret_cast<void*>(&cuStreamDestroy_v2));
  int status = 0;
  ASSERT_EQ(
      cuGetProcAddress_v2("cuGetProcAddress", &function, 12000, 0, &status), 0);
  EXPECT_EQ(function, reinterpret_cast<void*>(&cuGetProcAddress_v2));
  ASSERT_EQ(
      cuGetProcAddress_v2("cuLaunchKernel", &function, 12000, 2, &status), 0);
  EXPECT_NE(function, reinterpret_cast<void*>(&cuLaunchKernel));
  ASSERT_EQ(
      cuGetProcAddress_v2("cuModuleLoadDataEx", &function, 12000, 0, &status),
      0);
  EXPECT_NE(function, nullptr);
  EXPECT_EQ(
      cuGetProcAddress_v2("cuNoSuchThing", &function, 12000, 0, &status), 500);
}

TEST_F(ShimTest, ErrorsOfTheDriverReachTheCaller)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  simulated::FailLaunches(1, 701);
  EXPECT_EQ(low.Launch(Kernel(1)), 701);
  EXPECT_EQ(low.Launch(Kernel(1)), 0);
  EXPECT_EQ(low.Synchronize(), 0);
}

TEST_F(ShimTest, LostContextEndsWaiting)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  CUresult result = 0;
  std::thread other([&] {
    cuCtxSetCurrent(context_);
    result = low.Launch(Kernel(1));
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  simulated::SetError(700);
  other.join();
  EXPECT_EQ(result, 700);
  EXPECT_EQ(high.Synchronize(), 700);
  simulated::SetError(0);
  simulated::Hold(false);
}

TEST_F(ShimTest, CapturePassesThrough)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  std::thread other([&] {
    cuCtxSetCurrent(context_);
    CUgraph graph = nullptr;
    ASSERT_EQ(cuStreamBeginCapture_v2(low.Get(), 0), 0);
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(low.Launch(Kernel(1)), 0);  // does not wait for high
    }
    EXPECT_EQ(cuStreamEndCapture(low.Get(), &graph), 0);
  });
  other.join();
  simulated::Hold(false);
  EXPECT_EQ(low.Stats().launches, 0);
  EXPECT_EQ(simulated::BrokenCaptures(), 0);
}

// TensorRT: the engine's own streams fork from the stream it was given and
// join it again, all on one thread.
TEST_F(ShimTest, StreamsWithoutQueueBelongToTheirThreadsQueue)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  TestStream internal;
  CUevent fork = nullptr;
  CUevent join = nullptr;
  ASSERT_EQ(cuEventCreate(&fork, 0), 0);
  ASSERT_EQ(cuEventCreate(&join, 0), 0);
  const auto infer = [&](TestStream* stream) {
    EXPECT_EQ(stream->Launch(Kernel(20)), 0);
    EXPECT_EQ(cuEventRecord(fork, stream->Get()), 0);
    EXPECT_EQ(cuStreamWaitEvent(internal.Get(), fork, 0), 0);
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(internal.Launch(Kernel(20)), 0);
      EXPECT_EQ(stream->Launch(Kernel(20)), 0);
    }
    EXPECT_EQ(cuEventRecord(join, internal.Get()), 0);
    EXPECT_EQ(cuStreamWaitEvent(stream->Get(), join, 0), 0);
    EXPECT_EQ(stream->Launch(Kernel(20)), 0);
    EXPECT_EQ(stream->Synchronize(), 0);
  };
  std::thread requests([&] {
    cuCtxSetCurrent(context_);
    for (int i = 0; i < 20; ++i) {
      for (int k = 0; k < 5; ++k) {
        EXPECT_EQ(high.Launch(Kernel(50)), 0);
      }
      EXPECT_EQ(high.Synchronize(), 0);
    }
  });
  for (int i = 0; i < 20; ++i) {
    infer(&low);
  }
  requests.join();
  EXPECT_EQ(low.Stats().launches, 20 * 12);
  EXPECT_EQ(cuEventDestroy_v2(fork), 0);
  EXPECT_EQ(cuEventDestroy_v2(join), 0);
}

TEST_F(ShimTest, EventOfTheApplicationShowsThatTheQueueIsIdle)
{
  TestStream high(PRIORITY_MAX);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(10)), 0);
  ASSERT_EQ(cuEventRecord(event, high.Get()), 0);
  XQueueState state = kQueueStateUnknown;
  ASSERT_EQ(XQueueQuery(high.Queue(), &state), kXSchedSuccess);
  EXPECT_EQ(state, kQueueStateReady);
  simulated::Hold(false);
  ASSERT_EQ(cuEventSynchronize(event), 0);
  ASSERT_EQ(XQueueQuery(high.Queue(), &state), kXSchedSuccess);
  EXPECT_EQ(state, kQueueStateIdle);
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

#if !defined(__SANITIZE_THREAD__)
TEST_F(ShimTest, ChildOfForkDoesNotHang)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(10);
    low.Launch(Kernel(1));
    _exit(0);
  }
  simulated::Hold(false);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
}
#endif

}  // namespace
