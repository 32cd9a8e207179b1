// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The first call of a function that is only forwarded.

#include <atomic>
#include <cstdint>
#include <cstring>

#include "cuda/driver.h"

extern "C" {
// Made by generate.py: one address for each function, and their names, each
// ended by a zero byte, in the same order.
__attribute__((visibility("hidden"))) extern std::atomic<void*> xsched_slots[];
__attribute__((visibility("hidden"))) extern const char xsched_names[];

__attribute__((visibility("hidden"))) void* XschedResolve(uint64_t index);
}

namespace {

xsched::CUresult
NotFound()
{
  return xsched::kCudaErrorNotFound;
}

}  // namespace

// Returns the driver's function and leaves it in the slot. One that the
// driver does not have returns CUDA_ERROR_NOT_FOUND, as cuGetProcAddress does.
void*
XschedResolve(uint64_t index)
{
  const char* name = xsched_names;
  for (uint64_t i = 0; i < index; ++i) {
    name += strlen(name) + 1;
  }
  void* function = xsched::DriverLibrary::Get().Find(name);
  if (function == nullptr) {
    function = reinterpret_cast<void*>(&NotFound);
  }
  // Relaxed: see DriverFunction.
  xsched_slots[index].store(function, std::memory_order_relaxed);
  return function;
}
