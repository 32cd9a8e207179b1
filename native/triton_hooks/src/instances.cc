// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "instances.h"

#include <string>

#include "model_scheduling.h"
#include "model_settings.h"

namespace triton_hooks {
namespace {

using triton::backend::kXSchedRequiredVariable;
using triton::backend::ReadXSchedRequired;
using triton::backend::SchedulingWords;
using triton::backend::ShimProblem;
using triton::backend::XQueueName;

// An instance that the thread has executed.
struct Remembered {
  uint64_t version;
  TRITONBACKEND_ModelInstance* instance;
  XOwnerHandle owner;
};

// A thread of Triton's executes one instance, or those of a device. Each has one
// place here, which it may share.
constexpr size_t kPlaces = 16;
thread_local Remembered remembered[kPlaces] = {};

Remembered&
PlaceOf(const TRITONBACKEND_ModelInstance* instance)
{
  // Multiplied by a large odd number, an address differs in its high bits.
  const uint64_t mixed =
      reinterpret_cast<uint64_t>(instance) * UINT64_C(0x9E3779B97F4A7C15);
  return remembered[mixed >> 60];
}
static_assert(kPlaces == 1 << (64 - 60), "four bits choose a place");

// What is to become of an instance.
struct Verdict {
  // The model must not be loaded.
  int error = 0;
  std::string problem;
  XOwnerHandle owner = 0;
};

// Why the process can't schedule it; empty if it can.
std::string
ProcessProblem(const TritonApi& triton, TRITONBACKEND_ModelInstance* instance)
{
  int kind = kKindCpu;
  std::string problem;
  if (!triton.KindOf(instance, &kind, &problem)) {
    return problem;
  }
  // Where there is no GPU, there need not be a driver.
  return kind == kKindCpu ? "" : ShimProblem();
}

Verdict
Judge(const TritonApi& triton, TRITONBACKEND_ModelInstance* instance)
{
  bool required = false;
  Verdict verdict;
  verdict.problem = ReadXSchedRequired(&required);
  if (!verdict.problem.empty()) {
    verdict.error = kErrorInvalidArgument;
    return verdict;
  }
  std::string model;
  std::string name;
  std::string config;
  std::string problem;
  if (triton.ModelNameOf(instance, &model, &problem) &&
      triton.InstanceNameOf(instance, &name, &problem) &&
      triton.ConfigOf(instance, &config, &problem)) {
    ModelSettings settings;
    const ConfigProblem found = ReadSettings(config, &settings);
    if (found.is_the_users) {
      verdict.error = kErrorInvalidArgument;
      verdict.problem = found.text;
      return verdict;
    }
    problem =
        found.text.empty() ? ProcessProblem(triton, instance) : found.text;
    const std::string queue = XQueueName(model, name);
    if (problem.empty() &&
        XOwnerCreate(&verdict.owner, queue.c_str(), settings.priority) !=
            kXSchedSuccess) {
      problem = "XSched has no place for another instance";
    }
    if (problem.empty()) {
      // Of an owner that has a model's name, and in range: neither is refused.
      XOwnerSetFloor(verdict.owner, settings.floor);
      XOwnerSetWeight(verdict.owner, settings.weight);
      triton.Log(
          kLogInfo,
          "XSched schedules the work of instance " + name +
              " in this process as '" + queue + "', with " +
              SchedulingWords(
                  settings.priority, settings.floor, settings.weight));
      return verdict;
    }
  }
  const std::string what = "XSched can't schedule instance " + name +
                           " of model '" + model + "': " + problem + " (" +
                           kXSchedRequiredVariable;
  if (required) {
    verdict.error = kErrorUnavailable;
    verdict.problem = what + "=ON: the model is not loaded unscheduled)";
  } else {
    triton.Log(kLogWarning, what + " is not ON: the model runs unscheduled)");
  }
  return verdict;
}

}  // namespace

Instances&
Instances::Get()
{
  // Never destroyed: requests may be executed while the process exits.
  static Instances* instances = new Instances;
  return *instances;
}

void
Instances::Set(TRITONBACKEND_ModelInstance* instance, const Instance& value)
{
  std::lock_guard<std::mutex> lock(mutex_);
  instances_[instance] = value;
  if (value.IsUnscheduled()) {
    XUnscheduledAdd(1);
  }
  // Release: whoever sees the new number finds the new state.
  version_.fetch_add(1, std::memory_order_release);
}

TRITONSERVER_Error*
Instances::Begin(TRITONBACKEND_ModelInstance* instance)
{
  const TritonApi* const triton = TritonApi::Get();
  // One that Triton did not finalize had the same address.
  End(instance);
  const Verdict verdict = Judge(*triton, instance);
  Set(instance, {verdict.owner, verdict.error != 0});
  return verdict.error == 0 ? nullptr
                            : triton->MakeError(verdict.error, verdict.problem);
}

bool
Instances::IsKnownToBackend(TRITONBACKEND_ModelInstance* instance)
{
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = instances_.find(instance);
  return found == instances_.end() || !found->second.refused;
}

void
Instances::End(TRITONBACKEND_ModelInstance* instance)
{
  XOwnerHandle owner = 0;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = instances_.find(instance);
    if (found == instances_.end()) {
      return;
    }
    owner = found->second.owner;
    if (found->second.IsUnscheduled()) {
      XUnscheduledAdd(-1);
    }
    instances_.erase(found);
    version_.fetch_add(1, std::memory_order_release);
  }
  if (owner != 0) {
    XOwnerDestroy(owner);
  }
}

XOwnerHandle
Instances::Find(TRITONBACKEND_ModelInstance* instance)
{
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = instances_.find(instance);
  return found == instances_.end() ? 0 : found->second.owner;
}

XOwnerHandle
Instances::OwnerOf(TRITONBACKEND_ModelInstance* instance)
{
  // Acquire: before the state is read that belongs to it.
  const uint64_t version = version_.load(std::memory_order_acquire);
  Remembered& place = PlaceOf(instance);
  if (place.version != version || place.instance != instance) {
    place = {version, instance, Find(instance)};
  }
  return place.owner;
}

}  // namespace triton_hooks
