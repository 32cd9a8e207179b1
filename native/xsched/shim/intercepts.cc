// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Defines the functions of the tables (table.h), and returns them to
// callers who ask the driver for a function by name.

#include "cuda/driver.h"
#include "shim/call.h"
#include "shim/forward.h"
#include "shim/handles.h"
#include "shim/run_ahead.h"
#include "shim/streams.h"
#include "shim/symbol.h"
#include "shim/table.h"
#include "shim/work.h"

namespace xsched {
namespace {

void* FindIntercept(
    const char* name, void* found, int version, cuuint64_t flags);

// Replaces the driver's answer by the shim's function, if there is one.
template <typename Call>
CUresult
GetProcAddress(
    const Call& call, const char* name, void** function, int version,
    cuuint64_t flags)
{
  const CUresult result = call();
  if (result == kCudaSuccess && name != nullptr && function != nullptr &&
      *function != nullptr) {
    if (void* own = FindIntercept(name, *function, version, flags)) {
      *function = own;
    } else if (RunAhead::Read()) {
      *function = FindForward(name, *function);
    }
  }
  return result;
}

}  // namespace

#define XSCHED_INTERCEPT(                                                      \
    symbol, since, per_thread, behaviour, parameters, arguments)               \
  extern "C" __attribute__((visibility("default"))) CUresult symbol parameters \
  {                                                                            \
    static DriverFunction<CUresult parameters> driver(#symbol);                \
    const auto forward = [=]() __attribute__((always_inline))                  \
    {                                                                          \
      return driver arguments;                                                 \
    };                                                                         \
    const auto call = MakeCall<per_thread>(forward, #symbol);                  \
    return behaviour;                                                          \
  }
#include "shim/handles.def"
#include "shim/streams.def"
#include "shim/work.def"
#undef XSCHED_INTERCEPT

namespace {

struct Intercept {
  const char* symbol;
  int since;
  bool per_thread;
  void* address;
};

const Intercept kIntercepts[] = {
#define XSCHED_INTERCEPT(symbol, since, per_thread, ...) \
  {#symbol, since, per_thread, reinterpret_cast<void*>(&symbol)},
#include "shim/handles.def"
#include "shim/streams.def"
#include "shim/work.def"
#undef XSCHED_INTERCEPT
};

// The shim's function for the one that the driver found under a name; null if
// there is none.
void*
FindIntercept(const char* name, void* found, int version, cuuint64_t flags)
{
  const DriverLibrary& driver = DriverLibrary::Get();
  const bool wants_per_thread = (flags & kProcPerThreadStream) != 0;
  const Intercept* common = nullptr;
  const Intercept* own = nullptr;
  for (const Intercept& intercept : kIntercepts) {
    if (!IsOf(intercept.symbol, name)) {
      continue;
    }
    // Drivers return the address of one of their symbols.
    if (driver.Find(intercept.symbol) == found) {
      return intercept.address;
    }
    const Intercept*& best = intercept.per_thread ? own : common;
    if (intercept.since <= version &&
        (best == nullptr || best->since < intercept.since)) {
      best = &intercept;
    }
  }
  // A later version of the function, whose parameters may differ.
  if (driver.Exports(found)) {
    return nullptr;
  }
  // Functions without a stream have one variant for both.
  const Intercept* best = wants_per_thread && own != nullptr ? own : common;
  return best == nullptr ? nullptr : best->address;
}

}  // namespace
}  // namespace xsched
