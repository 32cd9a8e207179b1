// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Measures what the scheduler costs with thousands of queues and many waiting
// threads, on the simulated driver: the time of a decision, when a queue becomes
// ready or idle, and the share of a processor that the process's threads take
// while launches are blocked.
//
//   scale [QUEUES [THREADS]]    (default: 4000 and 64)

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "built_files.h"
#include "driver_interface.h"
#include "preempt/clock.h"
#include "preempt/scheduler.h"
#include "simulated_driver/simulated_driver.h"
#include "xsched/cuda/hal.h"
#include "xsched/xsched.h"

namespace {

using xsched::NowNs;
using xsched::Queue;
using xsched::Scheduler;

constexpr int kDecisions = 20000;
constexpr double kSeconds = 2;

void
Check(bool ok, const char* what)
{
  if (!ok) {
    fprintf(stderr, "scale: %s failed\n", what);
    _Exit(1);
  }
}

struct Stream {
  explicit Stream(Priority priority)
  {
    Check(cuStreamCreate(&stream, 0) == 0, "cuStreamCreate");
    Check(CudaQueueCreate(&hwq, stream) == kXSchedSuccess, "CudaQueueCreate");
    Check(
        XQueueCreate(&xq, hwq, kPreemptLevelBlock, kQueueCreateFlagNone) ==
            kXSchedSuccess,
        "XQueueCreate");
    Check(XHintPriority(xq, priority) == kXSchedSuccess, "XHintPriority");
    queue = Scheduler::Get().Find(reinterpret_cast<uint64_t>(stream));
  }

  CUstream stream = nullptr;
  HwQueueHandle hwq = 0;
  XQueueHandle xq = 0;
  Queue* queue = nullptr;
};

// Each queue turns ready and idle, as with a request. The driver is not called.
void
MeasureDecisions(const char* what, const std::vector<Stream>& streams)
{
  Scheduler& scheduler = Scheduler::Get();
  std::vector<int64_t> times_ns;
  for (int i = 0; i < kDecisions; ++i) {
    Queue* queue = streams[i % streams.size()].queue;
    const int64_t begin_ns = NowNs();
    scheduler.BeforeWork(queue);
    scheduler.AfterWork(queue);
    const int64_t ready_ns = NowNs();
    scheduler.Finished(queue, scheduler.Launched(queue));
    times_ns.push_back(ready_ns - begin_ns);
    times_ns.push_back(NowNs() - ready_ns);
  }
  std::sort(times_ns.begin(), times_ns.end());
  printf(
      "decision, %s: median %.2f us, P99 %.2f us\n", what,
      static_cast<double>(times_ns[times_ns.size() / 2]) / 1e3,
      static_cast<double>(times_ns[times_ns.size() * 99 / 100]) / 1e3);
}

double
ProcessorSeconds()
{
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const struct timeval& time) {
    return static_cast<double>(time.tv_sec) +
           static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

int
main(int argc, char** argv)
{
  const int queues = argc > 1 ? atoi(argv[1]) : 4000;
  const int threads = argc > 2 ? atoi(argv[2]) : 64;
  setenv("XSCHED_CUDA_LIB", kSimulatedDriver, 1);
  setenv("XSCHED_CONTROL", "OFF", 1);
  setenv("XSCHED_LOG_LEVEL", "WARN", 0);
  CUcontext context = nullptr;
  Check(cuInit(0) == 0 && cuCtxCreate_v2(&context, 0, 0) == 0, "a context");
  std::vector<Stream> streams;
  for (int i = 0; i < queues; ++i) {
    streams.emplace_back(PRIORITY_MIN + i % (PRIORITY_MAX - PRIORITY_MIN));
  }
  MeasureDecisions("no launch waits", streams);

  Stream high(PRIORITY_MAX);
  simulated::Hold(true);
  std::thread([&] {
    cuCtxSetCurrent(context);
    Check(LaunchOn(high.stream, simulated::Kernel(1)) == 0, "a launch");
  }).join();
  for (int i = 0; i < threads; ++i) {
    const Stream& stream = streams[i * queues / threads];
    std::thread([&stream, context] {
      cuCtxSetCurrent(context);
      LaunchOn(stream.stream, simulated::Kernel(1));
    }).detach();
  }
  for (int i = 0; i < threads; ++i) {
    while (streams[i * queues / threads].queue->waiting.load() == 0) {
      std::this_thread::yield();
    }
  }
  std::vector<Stream> others;
  for (int i = 0; i < queues; ++i) {
    if (i * threads % queues != 0) {
      others.push_back(streams[i]);
    }
  }
  MeasureDecisions("all threads wait", others);
  for (const Stream& stream : others) {
    Scheduler::Get().BeforeWork(stream.queue);
    Scheduler::Get().AfterWork(stream.queue);
  }
  MeasureDecisions("all threads wait and all queues are ready", {high});

  // What the highest queue has is not done: its launch is held.
  Scheduler::Get().BeforeWork(high.queue);
  const double before = ProcessorSeconds();
  std::this_thread::sleep_for(std::chrono::duration<double>(kSeconds));
  printf(
      "%d queues, %d waiting threads: %.1f %% of a processor\n", queues,
      threads, 100 * (ProcessorSeconds() - before) / kSeconds);
  fflush(stdout);
  _Exit(0);
}
