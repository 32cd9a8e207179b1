// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// A program that uses the device, for tests that need a process of its own:
//   scheduled_process WAY [NAME]...
// It makes a queue of each name, writes "ready", does what WAY says, and ends
// when its standard input does.
//   wait    nothing
//   ahead   (with XSCHED_RUN_AHEAD=4) has kept two calls of its last queue, below
//           work of its first one that the device is held at; for each line of
//           input it launches more than can be kept, lets the device go on, waits
//           for it, writes "done", and begins again
//   churn   makes and destroys queues, and launches
//   fork    has a child that ends normally before "ready"
//   orphan  has a child that writes its number, and ends when its standard
//           input does

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "driver_interface.h"
#include "simulated_driver/simulated_driver.h"
#include "xsched/cuda/hal.h"
#include "xsched/ext.h"
#include "xsched/xsched.h"

namespace {

void
AwaitEndOfInput()
{
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

void
Say(const std::string& line)
{
  puts(line.c_str());
  fflush(stdout);
}

// A stream and its queue.
class NamedQueue {
 public:
  explicit NamedQueue(const std::string& name)
  {
    if (cuStreamCreate(&stream_, 0) != 0 ||
        CudaQueueCreate(&hwq_, stream_) != kXSchedSuccess ||
        XQueueCreate(&xq_, hwq_, kPreemptLevelBlock, 0) != kXSchedSuccess ||
        XQueueSetName(xq_, name.c_str()) != kXSchedSuccess) {
      fprintf(stderr, "no queue %s\n", name.c_str());
      abort();
    }
  }
  ~NamedQueue()
  {
    XQueueDestroy(xq_);
    HwQueueDestroy(hwq_);
    cuStreamSynchronize(stream_);
    cuStreamDestroy_v2(stream_);
  }
  NamedQueue(const NamedQueue&) = delete;
  NamedQueue& operator=(const NamedQueue&) = delete;

  void Launch() { LaunchOn(stream_, simulated::Kernel(10)); }
  void Synchronize() { cuStreamSynchronize(stream_); }
  void SetPriority(Priority priority) { XHintPriority(xq_, priority); }

 private:
  CUstream stream_ = nullptr;
  HwQueueHandle hwq_ = 0;
  XQueueHandle xq_ = 0;
};

void
Churn(CUcontext context, const std::atomic<bool>& stop)
{
  cuCtxSetCurrent(context);
  for (int i = 0; !stop.load(); ++i) {
    NamedQueue queue("churn/" + std::to_string(i));
    queue.Launch();
  }
}

// Another thread's work: a thread never waits for its own.
void
HoldAndKeep(CUcontext context, NamedQueue* high, NamedQueue* low)
{
  simulated::Hold(true);
  std::thread([&] {
    cuCtxSetCurrent(context);
    high->Launch();
  }).join();
  low->Launch();
  low->Launch();
}

void
RunAhead(CUcontext context, NamedQueue* high, NamedQueue* low)
{
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
    if (byte != '\n') {
      continue;
    }
    std::thread release([] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      simulated::Hold(false);
    });
    for (int i = 0; i < 3; ++i) {
      low->Launch();
    }
    low->Synchronize();
    release.join();
    HoldAndKeep(context, high, low);
    Say("done");
  }
  simulated::Hold(false);
}

}  // namespace

int
main(int argc, char** argv)
{
  if (const char* mask = getenv("TEST_UMASK")) {
    umask(static_cast<mode_t>(strtol(mask, nullptr, 8)));
  }
  const std::string way = argc > 1 ? argv[1] : "wait";
  CUcontext context = nullptr;
  if (cuInit(0) != 0 || cuCtxCreate_v2(&context, 0, 0) != 0) {
    Say("no device");
    AwaitEndOfInput();
    return 0;
  }
  std::vector<std::unique_ptr<NamedQueue>> queues;
  for (int i = 2; i < argc; ++i) {
    queues.push_back(std::make_unique<NamedQueue>(argv[i]));
  }
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  if (way == "churn") {
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] { Churn(context, stop); });
    }
  } else if (way == "fork") {
    const pid_t child = fork();
    if (child == 0) {
      exit(0);  // with all that belongs to a normal end
    }
    int status = -1;
    waitpid(child, &status, 0);
    if (status != 0) {
      Say("the child failed");
      return 1;
    }
  } else if (way == "orphan") {
    const pid_t child = fork();
    if (child == 0) {
      // Itself: fork has come to its end here by now. Without memory from an
      // allocator, which the child of a process with threads may not have.
      dprintf(STDOUT_FILENO, "%d\n", static_cast<int>(getpid()));
      AwaitEndOfInput();
      _exit(0);
    }
    AwaitEndOfInput();
    return 0;
  }
  if (way == "ahead") {
    queues.front()->SetPriority(PRIORITY_MAX);
    queues.back()->SetPriority(PRIORITY_MIN);
    HoldAndKeep(context, queues.front().get(), queues.back().get());
    Say("ready");
    RunAhead(context, queues.front().get(), queues.back().get());
    return 0;
  }
  Say("ready");
  AwaitEndOfInput();
  stop.store(true);
  for (std::thread& thread : threads) {
    thread.join();
  }
  return 0;
}
