// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// What a launch costs on the CPU, on the simulated driver: straight to it,
// through the shim without any XQueue, and into a lone XQueue.

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "driver_interface.h"
#include "preempt/clock.h"
#include "simulated_driver/simulated_driver.h"
#include "xsched/cuda/hal.h"
#include "xsched/xsched.h"

namespace {

constexpr int kLaunches = 20000;
constexpr int kRepeats = 15;

// The best of several repeats: the machine's other work only adds.
template <typename Launch>
double
BestNs(CUstream stream, Launch launch)
{
  double best = 1e9;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    simulated::FailLaunches(kLaunches, 1);  // counted, but nothing to run
    const int64_t from = xsched::NowNs();
    for (int i = 0; i < kLaunches; ++i) {
      launch(
          simulated::Kernel(0), 1, 1, 1, 32, 1, 1, 0, stream, nullptr, nullptr);
    }
    best = std::min(
        best, static_cast<double>(xsched::NowNs() - from) / kLaunches);
    cuStreamSynchronize(stream);
  }
  return best;
}

}  // namespace

int
main()
{
  setenv("XSCHED_CUDA_LIB", SIMULATED_DRIVER, 1);
  CUcontext context = nullptr;
  CUstream stream = nullptr;
  HwQueueHandle hwq = 0;
  XQueueHandle xq = 0;
  cuInit(0);
  cuCtxCreate_v2(&context, 0, 0);
  cuStreamCreate(&stream, 0);
  void* driver = dlopen(SIMULATED_DRIVER, RTLD_NOW | RTLD_NOLOAD);
  auto* direct = reinterpret_cast<decltype(&cuLaunchKernel)>(
      dlsym(driver, "cuLaunchKernel"));
  const double direct_ns = BestNs(stream, direct);
  const double shim_ns = BestNs(stream, &cuLaunchKernel);
  CudaQueueCreate(&hwq, stream);
  XQueueCreate(&xq, hwq, kPreemptLevelBlock, kQueueCreateFlagNone);
  const double queue_ns = BestNs(stream, &cuLaunchKernel);
  printf(
      "ns per launch: driver %.1f, shim +%.1f, one queue +%.1f\n", direct_ns,
      shim_ns - direct_ns, queue_ns - direct_ns);
  XQueueDestroy(xq);
  HwQueueDestroy(hwq);
  return 0;
}
