// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// A backend whose models launch kernels of the simulated driver, and answer
// with how many microseconds that took. WORK, a file, says where they launch.
// Parameters of a model:
//   kernels, microseconds   of a request
//   fail                    yes: no instance can be initialized, after it has
//                           created its streams, which it leaves behind
// Built against nothing of Triton's and nothing of the core's: all of that is
// found in the process, as for any backend.

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "driver.h"
#include "json.h"
#include "triton_backend.h"
#include WORK

namespace {

constexpr int kErrorInternal = 1;
constexpr int kInt32 = 8;
constexpr uint32_t kFinal = 1;
constexpr uint32_t kReleaseAll = 1;

std::string
ParameterOf(const std::string& config, const char* name)
{
  std::string value;
  triton_hooks::FindString(
      config, {"parameters", name, "string_value"}, &value);
  return value;
}

std::string
ConfigOf(TRITONBACKEND_ModelInstance* instance)
{
  TRITONBACKEND_Model* model = nullptr;
  TRITONSERVER_Message* message = nullptr;
  const char* json = nullptr;
  size_t size = 0;
  if (TRITONBACKEND_ModelInstanceModel(instance, &model) != nullptr ||
      TRITONBACKEND_ModelConfig(model, 1, &message) != nullptr ||
      TRITONSERVER_MessageSerializeToJson(message, &json, &size) != nullptr) {
    abort();
  }
  std::string config(json, size);
  TRITONSERVER_MessageDelete(message);
  return config;
}

struct Instance {
  explicit Instance(const Request& request) : each(request) {}
  const Request each;
  Work work;
};

void
Answer(TRITONBACKEND_Request* request, int32_t value)
{
  TRITONBACKEND_Response* response = nullptr;
  TRITONBACKEND_Output* output = nullptr;
  const int64_t shape[] = {1};
  void* buffer = nullptr;
  int memory_type = 0;
  int64_t memory_type_id = 0;
  if (TRITONBACKEND_ResponseNew(&response, request) == nullptr) {
    TRITONSERVER_Error* error = TRITONBACKEND_ResponseOutput(
        response, &output, "OUTPUT", kInt32, shape, 1);
    if (error == nullptr) {
      error = TRITONBACKEND_OutputBuffer(
          output, &buffer, sizeof(value), &memory_type, &memory_type_id);
    }
    if (error == nullptr) {
      *static_cast<int32_t*>(buffer) = value;
    }
    TRITONBACKEND_ResponseSend(response, kFinal, error);
  }
  TRITONBACKEND_RequestRelease(request, kReleaseAll);
}

}  // namespace

#define BACKEND extern "C" __attribute__((visibility("default")))

BACKEND TRITONSERVER_Error*
TRITONBACKEND_ModelInstanceInitialize(TRITONBACKEND_ModelInstance* instance)
{
  const std::string config = ConfigOf(instance);
  auto state = std::make_unique<Instance>(Request{
      atoi(ParameterOf(config, "kernels").c_str()),
      strtoull(ParameterOf(config, "microseconds").c_str(), nullptr, 10)});
  if (!state->work.Begin()) {
    return TRITONSERVER_ErrorNew(kErrorInternal, "the driver failed");
  }
  if (ParameterOf(config, "fail") == "yes") {
    return TRITONSERVER_ErrorNew(kErrorInternal, "failed as it was told");
  }
  return TRITONBACKEND_ModelInstanceSetState(instance, state.release());
}

BACKEND TRITONSERVER_Error*
TRITONBACKEND_ModelInstanceFinalize(TRITONBACKEND_ModelInstance* instance)
{
  void* state = nullptr;
  TRITONBACKEND_ModelInstanceState(instance, &state);
  if (state != nullptr) {
    static_cast<Instance*>(state)->work.End();
    delete static_cast<Instance*>(state);
  }
  return nullptr;
}

BACKEND TRITONSERVER_Error*
TRITONBACKEND_ModelInstanceExecute(
    TRITONBACKEND_ModelInstance* instance, TRITONBACKEND_Request** requests,
    uint32_t count)
{
  void* state = nullptr;
  TRITONBACKEND_ModelInstanceState(instance, &state);
  auto* const self = static_cast<Instance*>(state);
  for (uint32_t i = 0; i < count; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    self->work.Do(self->each);
    const auto took = std::chrono::steady_clock::now() - begin;
    Answer(
        requests[i],
        static_cast<int32_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(took)
                .count()));
  }
  return nullptr;
}
