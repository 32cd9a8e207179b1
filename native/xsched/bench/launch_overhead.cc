// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Measures what a launch costs on the CPU: straight to the driver, through the
// shim without any XQueue, into a lone XQueue, into one that could be preempted
// and is therefore counted, and into the default stream by a thread that has an
// owner. Runs on a GPU, or on the simulated driver,
// where the in-flight limit is so high that its slow events are left out.
//   usage: launch_overhead [--neighbour]
//   --neighbour: beside a process that has an XQueue of the highest priority and
//   nothing to run. With XSCHED_SCHEDULER=GLB, the two share a domain.

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "cuda/abi.h"
#include "preempt/clock.h"
#include "xsched/cuda/hal.h"
#include "xsched/ext.h"
#include "xsched/xsched.h"
#if defined(SIMULATED)
#include "built_files.h"
#include "simulated_driver/simulated_driver.h"
#endif

using xsched::CUcontext;
using xsched::CUdevice;
using xsched::CUfunction;
using xsched::CUresult;
using xsched::NowNs;

extern "C" {
CUresult cuInit(unsigned int);
CUresult cuDevicePrimaryCtxRetain(CUcontext*, CUdevice);
CUresult cuCtxCreate_v2(CUcontext*, unsigned int, CUdevice);
CUresult cuCtxSetCurrent(CUcontext);
CUresult cuModuleLoadData(void**, const void*);
CUresult cuModuleGetFunction(CUfunction*, void*, const char*);
CUresult cuStreamCreate(CUstream*, unsigned int);
CUresult cuStreamSynchronize(CUstream);
CUresult cuLaunchKernel(
    CUfunction, unsigned int, unsigned int, unsigned int, unsigned int,
    unsigned int, unsigned int, unsigned int, CUstream, void**, void**);
}

namespace {

constexpr int kLaunches = 2000;
constexpr int kRepeats = 101;
// Until the kernel's time is known.
constexpr int kLearning = 8;

void
Check(bool ok, const char* what)
{
  if (!ok) {
    fprintf(stderr, "launch_overhead: %s failed\n", what);
    _Exit(1);
  }
}

#if defined(SIMULATED)

CUfunction
EmptyKernel()
{
  CUcontext context = nullptr;
  Check(cuCtxCreate_v2(&context, 0, 0) == 0, "cuCtxCreate");
  return simulated::Kernel(1);
}

std::string
DriverPath()
{
  return kSimulatedDriver;
}

void
Prepare()
{
  simulated::FailLaunches(kLaunches, 1);  // counted, but nothing to run
}

#else

CUfunction
EmptyKernel()
{
  static const char kPtx[] =
      ".version 6.4\n.target sm_70\n.address_size 64\n"
      ".visible .entry empty() { ret; }\n";
  CUcontext context = nullptr;
  void* module = nullptr;
  CUfunction function = nullptr;
  Check(cuDevicePrimaryCtxRetain(&context, 0) == 0, "cuDevicePrimaryCtxRetain");
  Check(cuCtxSetCurrent(context) == 0, "cuCtxSetCurrent");
  Check(cuModuleLoadData(&module, kPtx) == 0, "cuModuleLoadData");
  Check(cuModuleGetFunction(&function, module, "empty") == 0, "empty kernel");
  return function;
}

// The driver's library: the mapped one that is not the shim.
std::string
DriverPath()
{
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const size_t path = line.find('/');
    if (path != std::string::npos &&
        line.find("/libcuda.so.", path) != std::string::npos) {
      void* library = dlopen(line.c_str() + path, RTLD_NOW | RTLD_NOLOAD);
      if (library != nullptr &&
          dlsym(library, "xsched_shim_version") == nullptr) {
        return line.substr(path);
      }
    }
  }
  return "";
}

void
Prepare()
{
}

#endif

using Launch = decltype(&cuLaunchKernel);

double
NsPerLaunch(CUfunction kernel, CUstream stream, Launch launch)
{
  Prepare();
  const int64_t from_ns = NowNs();
  for (int i = 0; i < kLaunches; ++i) {
    launch(kernel, 1, 1, 1, 32, 1, 1, 0, stream, nullptr, nullptr);
  }
  const int64_t to_ns = NowNs();
  cuStreamSynchronize(stream);
  return static_cast<double>(to_ns - from_ns) / kLaunches;
}

struct Queue {
  Queue(CUstream stream, Priority priority)
  {
    Check(CudaQueueCreate(&hwq, stream) == kXSchedSuccess, "CudaQueueCreate");
    Check(
        XQueueCreate(&xq, hwq, kPreemptLevelBlock, kQueueCreateFlagNone) ==
            kXSchedSuccess,
        "XQueueCreate");
    Check(XHintPriority(xq, priority) == kXSchedSuccess, "XHintPriority");
  }
  ~Queue()
  {
    XQueueDestroy(xq);
    HwQueueDestroy(hwq);
  }

  HwQueueHandle hwq = 0;
  XQueueHandle xq = 0;
};

// A process that has an idle XQueue as soon as this is constructed, until it is
// destroyed. It is forked before either process has a driver.
class Neighbour {
 public:
  Neighbour()
  {
    int ready[2];
    int end[2];
    Check(pipe(ready) == 0 && pipe(end) == 0, "pipe");
    child_ = fork();
    Check(child_ >= 0, "fork");
    if (child_ == 0) {
      close(end[1]);
      Run(ready[1], end[0]);
    }
    close(ready[1]);
    close(end[0]);
    char byte = 0;
    Check(read(ready[0], &byte, 1) == 1, "starting the neighbour");
    end_ = end[1];
  }
  ~Neighbour()
  {
    close(end_);
    waitpid(child_, nullptr, 0);
  }

 private:
  [[noreturn]] static void Run(int ready, int end)
  {
    Check(cuInit(0) == 0, "cuInit of the neighbour");
    EmptyKernel();
    CUstream stream = nullptr;
    Check(cuStreamCreate(&stream, 1) == 0, "cuStreamCreate of the neighbour");
    const Queue queue(stream, PRIORITY_MAX);
    char byte = 0;
    Check(write(ready, &byte, 1) == 1, "write");
    while (read(end, &byte, 1) > 0) {
    }
    _Exit(0);
  }

  pid_t child_ = -1;
  int end_ = -1;
};

double
Median(std::vector<double> values)
{
  std::nth_element(
      values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

}  // namespace

int
main(int argc, char** argv)
{
#if defined(SIMULATED)
  setenv("XSCHED_CUDA_LIB", kSimulatedDriver, 1);
  setenv("XSCHED_INFLIGHT_US", "1000000", 1);
#endif
  std::unique_ptr<Neighbour> neighbour;
  if (argc > 1) {
    Check(argc == 2 && strcmp(argv[1], "--neighbour") == 0, "reading options");
    neighbour = std::make_unique<Neighbour>();
  }
  Check(cuInit(0) == 0, "cuInit");
  const CUfunction kernel = EmptyKernel();
  CUstream stream = nullptr;
  CUstream other = nullptr;
  constexpr unsigned int kNonBlocking = 1;
  cuStreamCreate(&stream, kNonBlocking);
  cuStreamCreate(&other, kNonBlocking);
  void* driver = dlopen(DriverPath().c_str(), RTLD_NOW | RTLD_NOLOAD);
  Check(driver != nullptr, "finding the driver");
  const Launch direct =
      reinterpret_cast<Launch>(dlsym(driver, "cuLaunchKernel"));
  std::vector<double> driver_ns, shim_ns, queue_ns, counted_ns, default_ns;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const double base = NsPerLaunch(kernel, stream, direct);
    driver_ns.push_back(base);
    shim_ns.push_back(NsPerLaunch(kernel, stream, &cuLaunchKernel) - base);
    Queue queue(stream, PRIORITY_MIN);
    queue_ns.push_back(NsPerLaunch(kernel, stream, &cuLaunchKernel) - base);
    {
      Queue higher(other, PRIORITY_MAX);
      for (int i = 0; i < kLearning; ++i) {
        cuLaunchKernel(kernel, 1, 1, 1, 32, 1, 1, 0, stream, nullptr, nullptr);
        cuStreamSynchronize(stream);
      }
      NsPerLaunch(kernel, stream, &cuLaunchKernel);
      counted_ns.push_back(NsPerLaunch(kernel, stream, &cuLaunchKernel) - base);
    }
    XOwnerHandle owner = 0;
    Check(
        XOwnerCreate(&owner, "owner", PRIORITY_DEFAULT) == kXSchedSuccess,
        "XOwnerCreate");
    const double default_base = NsPerLaunch(kernel, nullptr, direct);
    XOwnerExchange(owner);
    default_ns.push_back(
        NsPerLaunch(kernel, nullptr, &cuLaunchKernel) - default_base);
    XOwnerExchange(0);
    Check(XOwnerDestroy(owner) == kXSchedSuccess, "XOwnerDestroy");
  }
  printf(
      "ns per launch: driver %.1f, shim %+.1f, lone queue %+.1f, counted queue "
      "%+.1f, an owner's default stream %+.1f\n",
      Median(driver_ns), Median(shim_ns), Median(queue_ns), Median(counted_ns),
      Median(default_ns));
  return 0;
}
