// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <dlfcn.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "fixture.h"
#include "sanitizers.h"

namespace {

using simulated::Kernel;

class ShimTest : public DriverTest {};

TEST_F(ShimTest, ForwardingKeepsEveryArgument)
{
  const auto pointer = [](uint64_t value) {
    return reinterpret_cast<uint64_t*>(value);
  };
  const auto word = [](uint64_t value) {
    return reinterpret_cast<unsigned int*>(value);
  };
  CUresult expected = 0;
  for (int value = 1; value <= 12; ++value) {
    expected = expected * 3 + value;
  }
  for (int call = 0; call < 2; ++call) {  // the first one looks it up
    EXPECT_EQ(
        cuTensorMapEncodeTiled(
            pointer(1), 2, 3, pointer(4), pointer(5), pointer(6), word(7),
            word(8), 9, 10, 11, 12),
        expected);
    EXPECT_EQ(cuTexRefSetMipmapLevelBias(pointer(10), 1.25f), 15);
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
      cuGetProcAddress_v2("cuGetExportTable", &function, 12000, 0, &status), 0);
  EXPECT_NE(function, nullptr);
  EXPECT_EQ(
      cuGetProcAddress_v2("cuNoSuchThing", &function, 12000, 0, &status), 500);
}

TEST_F(ShimTest, ProcAddressFollowsTheVersion)
{
  void* function = nullptr;
  ASSERT_EQ(cuGetProcAddress("cuCtxSynchronize", &function, 12090, 0), 0);
  EXPECT_EQ(function, reinterpret_cast<void*>(&cuCtxSynchronize));
  ASSERT_EQ(cuGetProcAddress("cuCtxSynchronize", &function, 13000, 0), 0);
  EXPECT_EQ(function, reinterpret_cast<void*>(&cuCtxSynchronize_v2));
  ASSERT_EQ(cuGetProcAddress("cuMemcpyBatchAsync", &function, 12080, 0), 0);
  EXPECT_EQ(function, reinterpret_cast<void*>(&cuMemcpyBatchAsync));
  ASSERT_EQ(cuGetProcAddress("cuMemcpyBatchAsync", &function, 13000, 2), 0);
  EXPECT_EQ(function, reinterpret_cast<void*>(&cuMemcpyBatchAsync_v2_ptsz));
}

// The shim must not put a function in the place of one that takes other
// arguments.
TEST_F(ShimTest, ProcAddressLeavesALaterVersionOfAFunctionAlone)
{
  void* function = nullptr;
  ASSERT_EQ(
      cuGetProcAddress(
          "cuStreamQuery", &function, simulated::kUnknownVersion, 0),
      0);
  EXPECT_NE(function, nullptr);
  EXPECT_NE(function, reinterpret_cast<void*>(&cuStreamQuery));
  ASSERT_EQ(cuGetProcAddress("cuStreamQuery", &function, 13000, 0), 0);
  EXPECT_EQ(function, reinterpret_cast<void*>(&cuStreamQuery));
}

TEST_F(ShimTest, ProcAddressKnowsFunctionsThatTheDriverDoesNotExport)
{
  void* function = nullptr;
  ASSERT_EQ(
      cuGetProcAddress(
          "cuEventQuery", &function, simulated::kUnexportedVersion, 0),
      0);
  EXPECT_EQ(function, reinterpret_cast<void*>(&cuEventQuery));
}

// Libraries of CUDA reach undocumented functions through it.
TEST_F(ShimTest, ExportTableIsReachable)
{
  const char id[16] = {1};
  std::vector<decltype(&cuGetExportTable)> ways = {&cuGetExportTable};
  void* function = nullptr;
  ASSERT_EQ(cuGetProcAddress("cuGetExportTable", &function, 11070, 0), 0);
  ways.push_back(reinterpret_cast<decltype(&cuGetExportTable)>(function));
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  ASSERT_NE(library, nullptr);
  ways.push_back(reinterpret_cast<decltype(&cuGetExportTable)>(
      dlsym(library, "cuGetExportTable")));
  dlclose(library);
  for (const auto way : ways) {
    ASSERT_NE(way, nullptr);
    const void* table = nullptr;
    EXPECT_EQ(way(&table, id), 0);
    EXPECT_STREQ(*static_cast<const char* const*>(table), "export table");
    EXPECT_NE(way(&table, nullptr), 0);
  }
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

TEST_F(ShimTest, LostContextEndsEveryWait)
{
  constexpr int kThreads = 16;
  TestStream high(PRIORITY_MAX);
  std::vector<std::unique_ptr<TestStream>> low;
  for (int i = 0; i < kThreads; ++i) {
    low.push_back(std::make_unique<TestStream>(i % 3));
  }
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.push_back(InContext([&, i] {
      CUresult result = 0;
      while (result == 0) {
        result = low[i]->Launch(Kernel(1));
      }
      EXPECT_EQ(result, 700);
      EXPECT_EQ(low[i]->Launch(Kernel(1)), 700);
      EXPECT_EQ(low[i]->Synchronize(), 700);
    }));
  }
  for (const auto& stream : low) {
    stream->AwaitBlocked();
  }
  simulated::SetError(700);
  for (std::thread& thread : threads) {
    thread.join();
  }
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
  std::thread other = InContext([&] {
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

TEST_F(ShimTest, StreamThatJoinsACaptureIsPartOfIt)
{
  TestStream low(PRIORITY_MIN);
  TestStream joined(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  CUevent event = nullptr;
  CUgraph graph = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  InContext([&] {
    EXPECT_EQ(cuStreamBeginCapture_v2(low.Get(), 0), 0);
    EXPECT_EQ(cuEventRecord(event, low.Get()), 0);
    EXPECT_EQ(cuStreamWaitEvent(joined.Get(), event, 0), 0);
    EXPECT_EQ(joined.Launch(Kernel(1)), 0);  // does not wait for high
    EXPECT_EQ(cuStreamEndCapture(low.Get(), &graph), 0);
  }).join();
  simulated::Hold(false);
  EXPECT_EQ(joined.Stats().launches, 0);
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

// A launch that waits asks the driver about the queue that it waits for. That
// must not break a capture, of this or another stream; and when the capture
// has ended, the wait must end.
TEST_F(ShimTest, CaptureWhileAnotherThreadIsBlocked)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  TestStream third;
  for (CUstream captured : {high.Get(), third.Get()}) {
    simulated::Hold(true);
    ASSERT_EQ(high.Launch(Kernel(1)), 0);
    std::thread other = InContext([&] { EXPECT_EQ(low.Launch(Kernel(1)), 0); });
    low.AwaitBlocked();
    CUgraph graph = nullptr;
    ASSERT_EQ(cuStreamBeginCapture_v2(captured, 0), 0);
    simulated::Hold(false);
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(LaunchOn(captured, Kernel(1)), 0);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    ASSERT_EQ(cuStreamEndCapture(captured, &graph), 0);
    other.join();
    EXPECT_EQ(low.Synchronize(), 0);
    EXPECT_EQ(high.Synchronize(), 0);
  }
  EXPECT_EQ(simulated::BrokenCaptures(), 0);
}

// Nobody but the thread itself can ask whether its stream is captured.
TEST_F(ShimTest, CaptureOfAPerThreadStreamWhileAnotherThreadIsBlocked)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  CUgraph graph = nullptr;
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  ASSERT_EQ(LaunchOn(nullptr, Kernel(1)), 0);
  std::thread other = InContext([&] { EXPECT_EQ(low.Launch(Kernel(1)), 0); });
  low.AwaitBlocked();
  ASSERT_EQ(cuStreamBeginCapture_v2_ptsz(nullptr, 0), 0);
  simulated::Hold(false);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_EQ(cuStreamEndCapture_ptsz(nullptr, &graph), 0);
  other.join();
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
  std::thread requests = InContext([&] {
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

// While the event is recorded, another thread launches behind it: when the event
// is done, that is not.
TEST_F(ShimTest, EventSaysNothingOfWhatIsLaunchedWhileItIsRecorded)
{
  TestStream high(PRIORITY_MAX);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  ASSERT_EQ(high.Launch(Kernel(10)), 0);
  simulated::AtNextRecord([&] {
    InContext([&] { EXPECT_EQ(high.Launch(Kernel(100000)), 0); }).join();
  });
  ASSERT_EQ(cuEventRecord(event, high.Get()), 0);
  ASSERT_EQ(cuEventSynchronize(event), 0);
  EXPECT_TRUE(high.IsReady());
  EXPECT_EQ(high.Synchronize(), 0);
  EXPECT_FALSE(high.IsReady());
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

// It stands where it stood before, and there it is done.
TEST_F(ShimTest, EventThatWasNotRecordedSaysNothing)
{
  TestStream high(PRIORITY_MAX);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  ASSERT_EQ(cuEventRecord(event, high.Get()), 0);
  ASSERT_EQ(cuEventSynchronize(event), 0);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(10)), 0);
  simulated::SetError(700);
  EXPECT_EQ(cuEventRecord(event, high.Get()), 700);
  simulated::SetError(0);
  EXPECT_EQ(cuEventQuery(event), 0);
  EXPECT_TRUE(high.IsReady());
  simulated::Hold(false);
  EXPECT_EQ(high.Synchronize(), 0);
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

// It is done now, but not behind the stream where it was recorded before.
TEST_F(ShimTest, EventOfAWholeContextSaysNothingOfAStream)
{
  TestStream high(PRIORITY_MAX);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  const std::function<CUresult()> calls[] = {
      [&] { return cuCtxRecordEvent(context_, event); },
      [&] { return cuGreenCtxRecordEvent(nullptr, event); }};
  for (const auto& record : calls) {
    simulated::Hold(true);
    ASSERT_EQ(high.Launch(Kernel(10)), 0);
    ASSERT_EQ(cuEventRecord(event, high.Get()), 0);
    ASSERT_EQ(record(), 0);
    EXPECT_EQ(cuEventQuery(event), 0);
    EXPECT_TRUE(high.IsReady());
    simulated::Hold(false);
    EXPECT_EQ(high.Synchronize(), 0);
  }
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}

#if XSCHED_CHILD_MAY_ALLOCATE
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

// The child tidies up while the locks are as a thread left them that it does
// not have.
TEST_F(ShimTest, ChildOfForkTakesNoLock)
{
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.push_back(InContext([&] {
      while (!stop.load()) {
        TestStream stream(PRIORITY_MAX);
        CUevent event = nullptr;
        EXPECT_EQ(cuEventCreate(&event, 0), 0);
        EXPECT_EQ(stream.Launch(Kernel(1)), 0);
        EXPECT_EQ(cuEventRecord(event, stream.Get()), 0);
        EXPECT_EQ(cuCtxSynchronize(), 0);
        EXPECT_EQ(cuEventDestroy_v2(event), 0);
      }
    }));
  }
  TestStream stream(PRIORITY_MIN);
  CUevent event = nullptr;
  ASSERT_EQ(cuEventCreate(&event, 0), 0);
  for (int i = 0; i < 200; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(30);
      cuEventRecord(event, stream.Get());
      cuEventDestroy_v2(event);
      XQueueDestroy(stream.Queue());
      cuStreamDestroy_v2(stream.Get());
      cuCtxSynchronize();
      cuCtxDestroy_v2(context_);
      _exit(0);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << "fork " << i;
    if (!WIFEXITED(status)) {
      break;
    }
  }
  stop.store(true);
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(cuEventDestroy_v2(event), 0);
}
#endif

// Run by the next test, in a process of its own.
TEST_F(ShimTest, DISABLED_WaitForEver)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  simulated::Hold(true);
  ASSERT_EQ(high.Launch(Kernel(1)), 0);
  std::thread other = InContext([&] { low.Launch(Kernel(1)); });
  low.AwaitBlocked();
  ASSERT_EQ(write(STDOUT_FILENO, "@", 1), 1);
  other.join();
}

TEST_F(ShimTest, ProcessEndsBySignalsWhileItIsBlocked)
{
  for (const int signal : {SIGTERM, SIGKILL}) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      dup2(ends[1], STDOUT_FILENO);
      execl(
          "/proc/self/exe", "shim_test", "--gtest_also_run_disabled_tests",
          "--gtest_filter=*WaitForEver", static_cast<char*>(nullptr));
      _exit(1);
    }
    close(ends[1]);
    char letter = 0;
    while (letter != '@') {
      ASSERT_EQ(read(ends[0], &letter, 1), 1);
    }
    close(ends[0]);
    ASSERT_EQ(kill(child, signal), 0);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), signal);
  }
}

}  // namespace
