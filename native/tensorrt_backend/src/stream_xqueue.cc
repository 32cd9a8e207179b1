// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "stream_xqueue.h"

#include <utility>

#include "triton/backend/backend_common.h"
#include "xsched/cuda/hal.h"
#include "xsched/ext.h"
#include "xsched/xsched.h"

namespace triton { namespace backend { namespace tensorrt {

namespace {

const char*
XResultString(const XResult result)
{
  switch (result) {
    case kXSchedSuccess:
      return "success";
    case kXSchedErrorHardware:
      return "the CUDA driver reported an error";
    case kXSchedErrorInvalidValue:
      return "invalid value";
    case kXSchedErrorNotFound:
      return "no such queue";
    case kXSchedErrorNotAllowed:
      return "not allowed in this state, or too many queues";
    case kXSchedErrorNotSupported:
      return "not supported";
    case kXSchedErrorBadResponse:
      return "bad response from the scheduler";
    case kXSchedErrorUnknown:
      return "out of memory or another internal error";
  }
  return "unexpected result";
}

TRITONSERVER_Error*
ErrorIfFailed(const char* function, const XResult result)
{
  RETURN_ERROR_IF_TRUE(
      result != kXSchedSuccess, TRITONSERVER_ERROR_INTERNAL,
      std::string("XSched: ") + function + " failed: " + XResultString(result) +
          " (" + std::to_string(result) + ")");
  return nullptr;  // success
}

}  // namespace

TRITONSERVER_Error*
StreamXQueue::Create(
    cudaStream_t stream, const ::Priority priority, const std::string& name,
    StreamXQueue* xqueue)
{
  // Destroys what was created if a later call fails.
  StreamXQueue created;
  HwQueueHandle hw_queue = 0;
  RETURN_IF_ERROR(
      ErrorIfFailed("CudaQueueCreate", CudaQueueCreate(&hw_queue, stream)));
  created.hw_queue_ = hw_queue;
  XQueueHandle handle = 0;
  RETURN_IF_ERROR(ErrorIfFailed(
      "XQueueCreate",
      XQueueCreate(
          &handle, hw_queue, kPreemptLevelBlock, kQueueCreateFlagNone)));
  created.xqueue_ = handle;
  RETURN_IF_ERROR(
      ErrorIfFailed("XHintPriority", XHintPriority(handle, priority)));
  RETURN_IF_ERROR(
      ErrorIfFailed("XQueueSetName", XQueueSetName(handle, name.c_str())));

  *xqueue = std::move(created);
  return nullptr;  // success
}

TRITONSERVER_Error*
StreamXQueue::SetFloor(const int32_t percent)
{
  const XResult result = XQueueSetFloor(xqueue_, percent);
  if (result != kXSchedErrorInvalidValue) {
    return ErrorIfFailed("XQueueSetFloor", result);
  }
  LOG_MESSAGE(
      TRITONSERVER_LOG_WARN,
      (std::string("XSched: the floors of other models leave no room for ") +
       std::to_string(percent) + " % on the GPU; they come to at most " +
       std::to_string(XSCHED_MAX_FLOORS) + " % together")
          .c_str());
  return nullptr;  // success
}

TRITONSERVER_Error*
StreamXQueue::SetWeight(const int32_t weight)
{
  return ErrorIfFailed("XQueueSetWeight", XQueueSetWeight(xqueue_, weight));
}

StreamXQueue::~StreamXQueue()
{
  // The hardware queue comes last: XSched refuses to destroy one that
  // still has an XQueue.
  if (xqueue_ != 0) {
    LOG_IF_ERROR(
        ErrorIfFailed("XQueueDestroy", XQueueDestroy(xqueue_)),
        "failed to destroy XQueue");
  }
  if (hw_queue_ != 0) {
    LOG_IF_ERROR(
        ErrorIfFailed("HwQueueDestroy", HwQueueDestroy(hw_queue_)),
        "failed to destroy hardware queue of XQueue");
  }
}

StreamXQueue::StreamXQueue(StreamXQueue&& rhs) noexcept
    : hw_queue_(rhs.hw_queue_), xqueue_(rhs.xqueue_)
{
  rhs.hw_queue_ = 0;
  rhs.xqueue_ = 0;
}

StreamXQueue&
StreamXQueue::operator=(StreamXQueue&& rhs) noexcept
{
  // Destroying 'taken' destroys what this object had before.
  StreamXQueue taken(std::move(rhs));
  std::swap(hw_queue_, taken.hw_queue_);
  std::swap(xqueue_, taken.xqueue_);
  return *this;
}

}}}  // namespace triton::backend::tensorrt
