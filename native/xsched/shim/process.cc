// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// What concerns the process as a whole: the line in the log, the transparent
// mode, fork, and the way from names to functions.

#include <pthread.h>

#include <atomic>
#include <cstring>
#include <string>

#include "control/control.h"
#include "cuda/functions.h"
#include "preempt/log.h"
#include "preempt/options.h"
#include "preempt/scheduler.h"
#include "shim/intercept.h"
#include "xsched/cuda/hal.h"
#include "xsched/xsched.h"

// Declared here as what they are for: addresses.
#define XSCHED_INTERCEPT(symbol, ...) extern "C" char symbol##_address \
    __asm__(#symbol);
#include "shim/intercepts.def"
#undef XSCHED_INTERCEPT

namespace xsched {
namespace real {

XSCHED_DRIVER_FUNCTION(
    cuGetProcAddress, CUresult(const char*, void**, int, cuuint64_t));
XSCHED_DRIVER_FUNCTION(
    cuGetProcAddress_v2,
    CUresult(const char*, void**, int, cuuint64_t, int*));

}  // namespace real

namespace {

struct Intercept {
  const char* name;
  int since;
  bool per_thread;
  void* address;
};

constexpr Intercept kIntercepts[] = {
#define XSCHED_INTERCEPT(symbol, name, since, per_thread) \
  {#name, since, per_thread, &symbol##_address},
#include "shim/intercepts.def"
#undef XSCHED_INTERCEPT
};

// The shim's function for what the driver found under a name; the driver's
// own if the shim has none.
void*
Replace(const char* name, void* found, int version, cuuint64_t flags)
{
  const bool per_thread = (flags & kProcPerThreadStream) != 0;
  void* common = nullptr;
  void* own = nullptr;
  for (const Intercept& intercept : kIntercepts) {
    if (strcmp(intercept.name, name) != 0 || intercept.since > version) {
      continue;
    }
    (intercept.per_thread ? own : common) = intercept.address;
  }
  // Functions that take no stream have one variant for both.
  void* replacement = per_thread && own != nullptr ? own : common;
  return replacement == nullptr ? found : replacement;
}

}  // namespace

void
AnnounceOnce()
{
  static std::atomic<bool> done{false};
  if (done.exchange(true, std::memory_order_relaxed)) {
    return;
  }
  pthread_atfork(nullptr, nullptr, [] { Scheduler::Get().Disable(); });
  const Options& options = GetOptions();
  const DriverLibrary& driver = DriverLibrary::Get();
  const std::string socket = StartControl(
      {XSCHED_VERSION, driver.Loaded() ? driver.Path() : ""});
  Log(LogLevel::kInfo,
      "version %s, driver %s, policy %s, mode %s, in flight at most %lld us, "
      "control %s",
      XSCHED_VERSION, driver.Loaded() ? driver.Path().c_str() : "(none)",
      Scheduler::Get().PolicyName(),
      options.auto_xqueue ? "transparent" : "explicit",
      static_cast<long long>(options.inflight_ns / 1000),
      socket.empty() ? "off" : socket.c_str());
}

void
AdoptStream(CUstream stream)
{
  const Options& options = GetOptions();
  if (!options.auto_xqueue) {
    return;
  }
  HwQueueHandle hwq = 0;
  XQueueHandle queue = 0;
  if (CudaQueueCreate(&hwq, stream) != kXSchedSuccess ||
      XQueueCreate(&queue, hwq, kPreemptLevelBlock, kQueueCreateFlagNone) !=
          kXSchedSuccess) {
    Log(LogLevel::kWarning, "no XQueue for stream %p; it is not scheduled",
        static_cast<void*>(stream));
    return;
  }
  Priority priority = options.auto_priority;
  if (!options.has_auto_priority) {
    // CUDA counts downwards, from 0 for the least to about -5.
    int least = 0;
    int greatest = 0;
    int own = 0;
    if (real::cuCtxGetStreamPriorityRange(&least, &greatest) ==
            kCudaSuccess &&
        real::cuStreamGetPriority(stream, &own) == kCudaSuccess) {
      priority = least - own;
    }
  }
  XHintPriority(queue, priority);
  if (options.auto_threshold != 0 || options.auto_batch_size != 0) {
    XQueueSetLaunchConfig(
        queue, options.auto_threshold == 0 ? -1 : options.auto_threshold,
        options.auto_batch_size == 0 ? -1 : options.auto_batch_size);
  }
}

void
ReleaseStream(CUstream stream)
{
  HwQueueHandle hwq = 0;
  XQueueHandle queue = 0;
  if (!GetOptions().auto_xqueue ||
      CudaQueueGet(&hwq, stream) != kXSchedSuccess) {
    return;
  }
  if (XQueueGet(&queue, hwq) == kXSchedSuccess) {
    XQueueDestroy(queue);
  }
  HwQueueDestroy(hwq);
}

}  // namespace xsched

// Marks this library, so that it never takes itself for the driver.
extern "C" __attribute__((visibility("default"))) const char*
xsched_shim_version()
{
  return XSCHED_VERSION;
}

XSCHED_SHIM_FUNCTION
cuGetProcAddress(
    const char* symbol, void** function, int version, cuuint64_t flags)
{
  const CUresult result =
      xsched::real::cuGetProcAddress(symbol, function, version, flags);
  if (result == xsched::kCudaSuccess && symbol != nullptr &&
      function != nullptr && *function != nullptr) {
    *function = xsched::Replace(symbol, *function, version, flags);
  }
  return result;
}

XSCHED_SHIM_FUNCTION
cuGetProcAddress_v2(
    const char* symbol, void** function, int version, cuuint64_t flags,
    int* status)
{
  const CUresult result = xsched::real::cuGetProcAddress_v2(
      symbol, function, version, flags, status);
  if (result == xsched::kCudaSuccess && symbol != nullptr &&
      function != nullptr && *function != nullptr) {
    *function = xsched::Replace(symbol, *function, version, flags);
  }
  return result;
}
