// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TRITON_HOOKS_BACKENDS_H_
#define XSCHED_TRITON_HOOKS_BACKENDS_H_

#include <atomic>
#include <cstdint>
#include <mutex>

#include "backend_count.h"
#include "triton_api.h"

namespace triton_hooks {

using InstanceFunction = TRITONSERVER_Error* (*)(TRITONBACKEND_ModelInstance*);
using ExecuteFunction =
    TRITONSERVER_Error* (*)(TRITONBACKEND_ModelInstance*, TRITONBACKEND_Request**, uint32_t);

// A backend's library. Triton requires only the last function.
struct Backend {
  std::atomic<InstanceFunction> initialize{nullptr};
  std::atomic<InstanceFunction> finalize{nullptr};
  std::atomic<ExecuteFunction> execute{nullptr};
};

// The backends whose functions Triton was given others for. Each has a number,
// which those functions pass on. Libraries come and go with models that bring
// their own: when the numbers are used up, those of libraries that are no
// longer loaded are used again.
class Backends {
 public:
  static Backends& Get();

  // The function that Triton gets in answer to dlsym; null if the answer is not
  // the hooks' business.
  void* Answer(void* library, const char* name, const void* caller);
  Backend& At(uint32_t number) { return backends_[number]; }

 private:
  // -1 if there are too many.
  int NumberOf(ExecuteFunction execute);

  Backend backends_[XSCHED_HOOKS_BACKENDS];
  std::mutex mutex_;
  uint32_t count_ = 0;
};

}  // namespace triton_hooks

#endif  // XSCHED_TRITON_HOOKS_BACKENDS_H_
