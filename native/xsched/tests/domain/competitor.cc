// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// A program that competes for the device with other processes:
//   competitor PRIORITY [DEVICE]
// It makes a queue of that priority, writes "ready", and does what the lines of
// its standard input say, each with a line of output:
//   hold        work that the device does not finish until "finish" or "release"
//   finish      the device finishes it, and the process does not ask for it
//   release     the device finishes it, and the process waits for that
//   pass        launches once; the line says how many milliseconds that took
//   keep        launches some times, without waiting for the device
//   launched    how many launches of the queue have been made
//   begin       launches a collective, without waiting for the device
//   run, stop   launches all the time, from a thread of its own
//   collectives N   the same, collectives of N microseconds
//   count       how many launches "run" has made
//   priority N  the queue's priority from now on
//   floor N     its floor, in percent
//   weight N    its weight
//   fork        a child that does nothing lives for some seconds
//   exec        becomes another program that does nothing

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

#include "driver_interface.h"
#include "simulated_driver/simulated_driver.h"
#include "xsched/cuda/hal.h"
#include "xsched/ext.h"
#include "xsched/xsched.h"

namespace {

constexpr uint64_t kKernelUs = 200;
constexpr int kAtOnce = 16;
constexpr unsigned kChildSeconds = 10;

class Competitor {
 public:
  Competitor(Priority priority, CUdevice device) : device_(device)
  {
    if (cuInit(0) != 0 || cuCtxCreate_v2(&context_, 0, device) != 0 ||
        cuStreamCreate(&stream_, 0) != 0 ||
        CudaQueueCreate(&hwq_, stream_) != kXSchedSuccess ||
        XQueueCreate(&xq_, hwq_, kPreemptLevelBlock, 0) != kXSchedSuccess) {
      abort();
    }
    SetPriority(priority);
  }

  std::string Do(const std::string& line)
  {
    if (line == "hold") {
      simulated::Hold(true, device_);
      Launch();
    } else if (line == "release") {
      simulated::Hold(false, device_);
      cuStreamSynchronize(stream_);
    } else if (line == "finish") {
      simulated::Hold(false, device_);
    } else if (line == "begin") {
      LaunchOn(stream_, simulated::Collective(kKernelUs));
    } else if (line == "pass") {
      const auto begin = std::chrono::steady_clock::now();
      Launch();
      const auto took = std::chrono::steady_clock::now() - begin;
      cuStreamSynchronize(stream_);
      return std::to_string(
          std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
    } else if (line == "keep") {
      for (int i = 0; i < kAtOnce; ++i) {
        Launch();
      }
    } else if (line == "launched") {
      XQueueStats stats = {};
      XQueueGetStats(xq_, &stats);
      return std::to_string(stats.launches);
    } else if (line == "run" || line.rfind("collectives ", 0) == 0) {
      runs_ = true;
      const CUfunction kernel =
          line == "run" ? simulated::Kernel(kKernelUs)
                        : simulated::Collective(
                              static_cast<uint64_t>(atoi(line.c_str() + 12)));
      thread_ = std::thread([this, kernel] {
        cuCtxSetCurrent(context_);
        while (runs_) {
          LaunchOn(stream_, kernel);
          if (++launches_ % kAtOnce == 0) {
            cuStreamSynchronize(stream_);
          }
        }
      });
    } else if (line == "stop") {
      runs_ = false;
      thread_.join();
      cuStreamSynchronize(stream_);
    } else if (line == "count") {
      return std::to_string(launches_.load());
    } else if (line.rfind("priority ", 0) == 0) {
      SetPriority(atoi(line.c_str() + 9));
    } else if (line.rfind("floor ", 0) == 0) {
      if (XQueueSetFloor(xq_, atoi(line.c_str() + 6)) != kXSchedSuccess) {
        return "refused";
      }
    } else if (line.rfind("weight ", 0) == 0) {
      if (XQueueSetWeight(xq_, atoi(line.c_str() + 7)) != kXSchedSuccess) {
        return "refused";
      }
    } else if (line == "fork") {
      if (fork() == 0) {
        sleep(kChildSeconds);
        _exit(0);
      }
    } else if (line == "exec") {
      execlp("sleep", "sleep", "1000", nullptr);
      abort();
    } else {
      return "what?";
    }
    return "done";
  }

 private:
  void Launch() { LaunchOn(stream_, simulated::Kernel(kKernelUs)); }
  void SetPriority(Priority priority) { XHintPriority(xq_, priority); }

  const CUdevice device_;
  CUcontext context_ = nullptr;
  CUstream stream_ = nullptr;
  HwQueueHandle hwq_ = 0;
  XQueueHandle xq_ = 0;
  std::atomic<bool> runs_{false};
  std::atomic<uint64_t> launches_{0};
  std::thread thread_;
};

}  // namespace

int
main(int count, char** argv)
{
  Competitor competitor(atoi(argv[1]), count < 3 ? 0 : atoi(argv[2]));
  std::cout << "ready" << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::cout << competitor.Do(line) << std::endl;
  }
  _exit(0);
}
