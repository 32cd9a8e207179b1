// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TRITON_HOOKS_INSTANCES_H_
#define XSCHED_TRITON_HOOKS_INSTANCES_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "triton_api.h"
#include "xsched/ext.h"

namespace triton_hooks {

// The model instances, and the owners that XSched knows them by.
class Instances {
 public:
  static Instances& Get();

  // An instance is about to be initialized. The error, if its model must not be
  // loaded. An instance that only can't be scheduled has no owner.
  TRITONSERVER_Error* Begin(TRITONBACKEND_ModelInstance* instance);
  // It is about to be finalized. False if its backend does not know it, because
  // it was refused.
  bool IsKnownToBackend(TRITONBACKEND_ModelInstance* instance);
  // It has been finalized.
  void End(TRITONBACKEND_ModelInstance* instance);

  // 0 if it has none.
  XOwnerHandle OwnerOf(TRITONBACKEND_ModelInstance* instance);

 private:
  struct Instance {
    XOwnerHandle owner = 0;
    bool refused = false;
    bool IsUnscheduled() const { return owner == 0 && !refused; }
  };

  void Set(TRITONBACKEND_ModelInstance* instance, const Instance& value);
  XOwnerHandle Find(TRITONBACKEND_ModelInstance* instance);

  std::mutex mutex_;
  std::unordered_map<TRITONBACKEND_ModelInstance*, Instance> instances_;
  // Grows with every change; what threads remember is of one version.
  std::atomic<uint64_t> version_{1};
};

}  // namespace triton_hooks

#endif  // XSCHED_TRITON_HOOKS_INSTANCES_H_
