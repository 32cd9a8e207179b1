// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// What happens in place of what Triton and the backends call. entry_points.S
// has what they call.

#include <pthread.h>

#include <memory>
#include <new>

#include "backends.h"
#include "instances.h"
#include "next_symbol.h"
#include "xsched/ext.h"

// Called by entry_points.S.
extern "C" {
#define XSCHED_HIDDEN __attribute__((visibility("hidden")))
XSCHED_HIDDEN TRITONSERVER_Error* xsched_hooks_initialize(
    TRITONBACKEND_ModelInstance* instance, void*, void*, uint32_t backend);
XSCHED_HIDDEN TRITONSERVER_Error* xsched_hooks_finalize(
    TRITONBACKEND_ModelInstance* instance, void*, void*, uint32_t backend);
XSCHED_HIDDEN TRITONSERVER_Error* xsched_hooks_execute(
    TRITONBACKEND_ModelInstance* instance, TRITONBACKEND_Request** requests,
    uint32_t count, uint32_t backend);
}

namespace triton_hooks { namespace {

// The calling thread works for an owner, for as long as this exists.
class WorksFor {
 public:
  explicit WorksFor(XOwnerHandle owner) : before_(XOwnerExchange(owner)) {}
  ~WorksFor() { XOwnerExchange(before_); }
  WorksFor(const WorksFor&) = delete;
  WorksFor& operator=(const WorksFor&) = delete;

 private:
  const XOwnerHandle before_;
};

TRITONSERVER_Error*
Call(
    const std::atomic<InstanceFunction>& function,
    TRITONBACKEND_ModelInstance* instance)
{
  // Relaxed: it was there before Triton had what it called. Null if the backend
  // does without it.
  const InstanceFunction call = function.load(std::memory_order_relaxed);
  return call == nullptr ? nullptr : call(instance);
}

// A thread that was started for an owner.
struct Started {
  void* (*start)(void*);
  void* argument;
  XOwnerHandle owner;
};

void*
StartForOwner(void* argument)
{
  Started started;
  {
    const std::unique_ptr<Started> given(static_cast<Started*>(argument));
    started = *given;
  }
  XOwnerExchange(started.owner);
  return started.start(started.argument);
}

__attribute__((constructor)) void
Announce()
{
  XHooksAnnounce();
}

}}  // namespace triton_hooks

using triton_hooks::Backend;
using triton_hooks::Backends;
using triton_hooks::Instances;
using triton_hooks::WorksFor;

TRITONSERVER_Error*
xsched_hooks_initialize(
    TRITONBACKEND_ModelInstance* instance, void*, void*, uint32_t backend)
{
  XOwnerHandle owner = 0;
  try {
    if (TRITONSERVER_Error* error = Instances::Get().Begin(instance)) {
      return error;
    }
    owner = Instances::Get().OwnerOf(instance);
  } catch (...) {
    // Out of memory: the model runs unscheduled.
  }
  const WorksFor work(owner);
  // If it fails, Triton finalizes the instance.
  return triton_hooks::Call(Backends::Get().At(backend).initialize, instance);
}

TRITONSERVER_Error*
xsched_hooks_finalize(
    TRITONBACKEND_ModelInstance* instance, void*, void*, uint32_t backend)
{
  Instances& instances = Instances::Get();
  TRITONSERVER_Error* error = nullptr;
  if (instances.IsKnownToBackend(instance)) {
    const WorksFor work(instances.OwnerOf(instance));
    error = triton_hooks::Call(Backends::Get().At(backend).finalize, instance);
  }
  instances.End(instance);
  return error;
}

TRITONSERVER_Error*
xsched_hooks_execute(
    TRITONBACKEND_ModelInstance* instance, TRITONBACKEND_Request** requests,
    uint32_t count, uint32_t backend)
{
  const WorksFor work(Instances::Get().OwnerOf(instance));
  // Relaxed: as above.
  return Backends::Get().At(backend).execute.load(std::memory_order_relaxed)(
      instance, requests, count);
}

// A thread belongs to the instance in which it was started.
extern "C" __attribute__((visibility("default"))) int
pthread_create(
    pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
    void* argument)
{
  using triton_hooks::Started;
  const auto next = triton_hooks::NextPthreadCreate();
  const XOwnerHandle owner = XOwnerCurrent();
  Started* const started =
      owner == 0 ? nullptr : new (std::nothrow) Started{start, argument, owner};
  if (started == nullptr) {
    return next(thread, attributes, start, argument);
  }
  const int result =
      next(thread, attributes, triton_hooks::StartForOwner, started);
  if (result != 0) {
    delete started;
  }
  return result;
}

// Tells that the hooks are there.
extern "C" __attribute__((visibility("default"))) const char*
xsched_triton_hooks_version()
{
  return XSCHED_VERSION;
}
