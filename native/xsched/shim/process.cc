// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "shim/process.h"

#include <pthread.h>

#include <atomic>
#include <string>

#include "control/control.h"
#include "cuda/capture.h"
#include "cuda/driver.h"
#include "preempt/inquiries.h"
#include "preempt/log.h"
#include "preempt/options.h"
#include "preempt/scheduler.h"
#include "shim/run_ahead.h"
#include "shim/transparent.h"

namespace xsched {
namespace {

std::atomic<int> init_result{kCudaSuccess};

int
InitResult()
{
  // Relaxed: the number is all there is to know.
  return init_result.load(std::memory_order_relaxed);
}

}  // namespace

void
NoteInit(CUresult result)
{
  init_result.store(result, std::memory_order_relaxed);
}

void
AnnounceOnce()
{
  static std::atomic<bool> done{false};
  if (done.exchange(true, std::memory_order_relaxed)) {
    return;
  }
  pthread_atfork(nullptr, nullptr, [] {
    Scheduler::Get().Disable();
    RunAhead::Forget();
    Captures::Get().Forget();
    Inquiries::Forget();
  });
  AdoptProcess();
  RunAhead::Read();
  const DriverLibrary& driver = DriverLibrary::Get();
  const std::string socket = StartControl(
      {XSCHED_VERSION, driver.Loaded() ? driver.Path() : "", InitResult});
  Log(LogLevel::kInfo,
      "version %s, driver %s, policy %s, mode %s, in flight at most %lld us, "
      "control %s",
      XSCHED_VERSION, driver.Loaded() ? driver.Path().c_str() : "(none)",
      Scheduler::Get().PolicyName(), Scheduler::Get().ModeName(),
      static_cast<long long>(GetOptions().inflight_ns / 1000),
      socket.empty() ? "off" : socket.c_str());
}

}  // namespace xsched

// Marks this library, so that it never mistakes itself for the driver.
extern "C" __attribute__((visibility("default"))) const char*
xsched_shim_version()
{
  return XSCHED_VERSION;
}

// For xsched-ctl check: the driver's library, empty if there is none.
extern "C" __attribute__((visibility("default"))) const char*
xsched_shim_driver()
{
  const xsched::DriverLibrary& driver = xsched::DriverLibrary::Get();
  return driver.Loaded() ? driver.Path().c_str() : "";
}
