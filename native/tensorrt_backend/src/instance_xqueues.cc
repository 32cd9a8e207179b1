// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "instance_xqueues.h"

#include <utility>

#include "model_scheduling.h"
#include "triton/backend/backend_common.h"

namespace triton { namespace backend { namespace tensorrt {

namespace {

TRITONSERVER_Error*
ErrorIfProblem(const TRITONSERVER_Error_Code code, const std::string& problem)
{
  return problem.empty() ? nullptr
                         : TRITONSERVER_ErrorNew(code, problem.c_str());
}

TRITONSERVER_Error*
CreateXQueues(
    const std::string& name, const ::Priority priority, const int32_t floor,
    const int32_t weight, const std::vector<cudaStream_t>& streams,
    std::vector<StreamXQueue>* xqueues)
{
  RETURN_IF_ERROR(
      ErrorIfProblem(TRITONSERVER_ERROR_UNAVAILABLE, ShimProblem()));

  std::vector<StreamXQueue> created;
  for (cudaStream_t stream : streams) {
    if (stream != nullptr) {
      StreamXQueue xqueue;
      RETURN_IF_ERROR(StreamXQueue::Create(stream, priority, name, &xqueue));
      created.push_back(std::move(xqueue));
    }
  }

  if (!created.empty()) {
    RETURN_IF_ERROR(created.front().SetFloor(floor));
    RETURN_IF_ERROR(created.front().SetWeight(weight));
  }

  xqueues->swap(created);
  return nullptr;  // success
}

}  // namespace

TRITONSERVER_Error*
CreateInstanceXQueues(
    const std::string& model_name, const std::string& instance_name,
    const ::Priority priority, const int32_t floor, const int32_t weight,
    const std::vector<cudaStream_t>& streams,
    std::vector<StreamXQueue>* xqueues)
{
  bool required = false;
  RETURN_IF_ERROR(ErrorIfProblem(
      TRITONSERVER_ERROR_INVALID_ARG, ReadXSchedRequired(&required)));

  const std::string name = XQueueName(model_name, instance_name);
  TRITONSERVER_Error* err =
      CreateXQueues(name, priority, floor, weight, streams, xqueues);
  if (err == nullptr) {
    LOG_MESSAGE(
        TRITONSERVER_LOG_INFO,
        (std::string("XSched schedules instance ") + instance_name + " as '" +
         name + "': " + std::to_string(xqueues->size()) + " streams with " +
         SchedulingWords(priority, floor, weight))
            .c_str());
    return nullptr;  // success
  }

  const TRITONSERVER_Error_Code code = TRITONSERVER_ErrorCode(err);
  const std::string message = std::string("XSched can't schedule instance ") +
                              instance_name + " of model '" + model_name +
                              "': " + TRITONSERVER_ErrorMessage(err);
  TRITONSERVER_ErrorDelete(err);
  RETURN_ERROR_IF_TRUE(
      required, code,
      message + " (" + kXSchedRequiredVariable +
          "=ON: the model is not loaded unscheduled)");

  LOG_MESSAGE(
      TRITONSERVER_LOG_WARN, (message + " (" + kXSchedRequiredVariable +
                              " is not ON: the model runs unscheduled)")
                                 .c_str());
  return nullptr;  // success
}

}}}  // namespace triton::backend::tensorrt
