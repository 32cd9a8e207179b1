// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Every function of the shim's table of work, called once.

#include <dlfcn.h>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "fixture.h"
#include "shim/table.h"

namespace {

using simulated::Kernel;
using xsched::CUarray;
using xsched::CUmemLocation;
using xsched::CUmemoryPool;

// Memory that every pointer argument leads to. A structure that begins there
// names the stream, wherever in it that stands.
class Structure {
 public:
  explicit Structure(CUstream stream)
  {
    for (const size_t offset :
         {offsetof(CUlaunchConfig, hStream),
          offsetof(CUDA_LAUNCH_PARAMS, hStream)}) {
      memcpy(bytes_ + offset, &stream, sizeof(stream));
    }
  }
  void* Get() { return bytes_; }

 private:
  alignas(16) char bytes_[4096] = {};
};

template <typename Argument>
Argument
MakeArgument(CUstream stream, Structure* structure)
{
  if constexpr (std::is_same_v<Argument, CUstream>) {
    return stream;
  } else if constexpr (
      std::is_same_v<Argument, CUfunction> ||
      std::is_same_v<Argument, CUgraphExec>) {
    return reinterpret_cast<Argument>(Kernel(1));
  } else if constexpr (std::is_pointer_v<Argument>) {
    return static_cast<Argument>(structure->Get());
  } else if constexpr (std::is_class_v<Argument>) {
    return {};
  } else {
    return 1;
  }
}

template <typename Signature>
struct Caller;

template <typename... Arguments>
struct Caller<CUresult(Arguments...)> {
  static CUresult Run(const char* symbol, CUstream stream)
  {
    auto* function = reinterpret_cast<CUresult (*)(Arguments...)>(
        dlsym(RTLD_DEFAULT, symbol));
    Structure structure(stream);
    return function(MakeArgument<Arguments>(stream, &structure)...);
  }
};

template <typename... Arguments>
constexpr bool
TakesStream(CUresult (*)(Arguments...))
{
  return (std::is_same_v<Arguments, CUstream> || ...);
}

struct Function {
  const char* symbol;
  std::string behaviour;
  bool per_thread;
  bool takes_stream;
  CUresult (*run)(const char* symbol, CUstream stream);

  bool Is(const char* what) const { return behaviour.find(what) == 0; }
  bool IsLaunch() const { return Is("Launch(") || Is("LaunchGraph("); }
  // The stream may also stand in a structure.
  bool HasStream() const
  {
    return takes_stream || behaviour.find("StreamOf") != std::string::npos ||
           Is("LaunchTogether");
  }
};

const std::vector<Function> kFunctions = {
#define XSCHED_INTERCEPT(                                        \
    symbol, since, per_thread, behaviour, parameters, arguments) \
  {#symbol, #behaviour, per_thread,                              \
   TakesStream(static_cast<CUresult(*) parameters>(nullptr)),    \
   &Caller<CUresult parameters>::Run},
#include "shim/work.def"
#undef XSCHED_INTERCEPT
};

class TableTest : public DriverTest {};

TEST_F(TableTest, WorkBelongsToItsStreamsQueue)
{
  TestStream stream(0);
  int tried = 0;
  for (const Function& function : kFunctions) {
    if (!function.HasStream()) {
      continue;
    }
    const int64_t before = stream.Stats().launches;
    EXPECT_EQ(function.run(function.symbol, stream.Get()), 0)
        << function.symbol;
    EXPECT_EQ(stream.Stats().launches, before + 1) << function.symbol;
    ++tried;
  }
  EXPECT_GE(tried, 70);
}

TEST_F(TableTest, OtherWorkBelongsToTheQueueOfItsThread)
{
  TestStream stream(0);
  TestStream internal;
  ASSERT_EQ(stream.Launch(Kernel(1)), 0);
  for (CUstream other :
       {CUstream(nullptr), reinterpret_cast<CUstream>(xsched::kStreamLegacy),
        reinterpret_cast<CUstream>(xsched::kStreamPerThread), internal.Get()}) {
    for (const Function& function : kFunctions) {
      const int64_t before = stream.Stats().launches;
      EXPECT_EQ(function.run(function.symbol, other), 0) << function.symbol;
      EXPECT_EQ(stream.Stats().launches, before + 1) << function.symbol;
    }
  }
}

TEST_F(TableTest, ThreadThatWorksForNoQueueIsLeftAlone)
{
  TestStream stream(0);
  InContext([&] {
    for (const Function& function : kFunctions) {
      EXPECT_EQ(function.run(function.symbol, nullptr), 0) << function.symbol;
    }
  }).join();
  EXPECT_EQ(stream.Stats().launches, 0);
}

TEST_F(TableTest, CapturedWorkIsNotCounted)
{
  TestStream stream(0);
  CUgraph graph = nullptr;
  ASSERT_EQ(cuStreamBeginCapture_v2(stream.Get(), 0), 0);
  for (const Function& function : kFunctions) {
    if (function.HasStream()) {
      EXPECT_EQ(function.run(function.symbol, stream.Get()), 0)
          << function.symbol;
    }
  }
  ASSERT_EQ(cuStreamEndCapture(stream.Get(), &graph), 0);
  EXPECT_EQ(stream.Stats().launches, 0);
}

// Launches wait their turn; nothing else does.
TEST_F(TableTest, OnlyLaunchesWait)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  for (const Function& function : kFunctions) {
    if (function.Is("WaitForDevice")) {
      continue;
    }
    simulated::Hold(true);
    ASSERT_EQ(high.Launch(Kernel(1)), 0);
    std::thread other = InContext([&] {
      // So that it works for this queue. Does not wait.
      cuMemFreeAsync(0, low.Get());
      EXPECT_EQ(function.run(function.symbol, low.Get()), 0) << function.symbol;
    });
    if (function.IsLaunch()) {
      low.AwaitBlocked();
    } else {
      other.join();
    }
    simulated::Hold(false);
    if (other.joinable()) {
      other.join();
    }
    ASSERT_EQ(cuCtxSynchronize(), 0);
  }
}

// The driver waits for the device in these: what has less priority must not
// go on meanwhile, or the call waits behind it.
TEST_F(TableTest, LowerQueuesWaitForACallThatWaitsForTheDevice)
{
  TestStream low(PRIORITY_MIN);
  TestStream high(PRIORITY_MAX);
  for (const Function& function : kFunctions) {
    if (!function.Is("WaitForDevice")) {
      continue;
    }
    ASSERT_EQ(cuCtxSynchronize(), 0);
    std::atomic<bool> calling{false};
    std::atomic<bool> done{false};
    std::thread caller = InContext([&] {
      EXPECT_EQ(high.Launch(Kernel(1)), 0);  // it works for this queue
      EXPECT_EQ(high.Synchronize(), 0);
      simulated::Hold(true);
      InContext([&] { EXPECT_EQ(low.Launch(Kernel(1)), 0); }).join();
      calling.store(true);
      EXPECT_EQ(function.run(function.symbol, nullptr), 0) << function.symbol;
      done.store(true);
    });
    while (!calling.load()) {
      std::this_thread::yield();
    }
    std::thread background = InContext([&] {
      while (!done.load()) {  // some may be faster than the call
        EXPECT_EQ(low.Launch(Kernel(1)), 0);
      }
    });
    low.AwaitBlocked();
    EXPECT_FALSE(done.load()) << function.symbol;
    simulated::Hold(false);
    caller.join();
    background.join();
    EXPECT_FALSE(high.IsReady()) << function.symbol;
  }
}

TEST_F(TableTest, IdleQueueIsIdleAfterACallThatWaitsForTheDevice)
{
  TestStream stream(0);
  for (const Function& function : kFunctions) {
    if (function.Is("WaitForDevice")) {
      ASSERT_EQ(stream.Launch(Kernel(1)), 0);
      ASSERT_EQ(stream.Synchronize(), 0);
      EXPECT_EQ(function.run(function.symbol, nullptr), 0) << function.symbol;
      EXPECT_FALSE(stream.IsReady()) << function.symbol;
    }
  }
}

}  // namespace
