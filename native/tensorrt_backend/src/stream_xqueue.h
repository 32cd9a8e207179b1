// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "triton/core/tritonserver.h"
#include "xsched/types.h"

namespace triton { namespace backend { namespace tensorrt {

//
// StreamXQueue
//
// The XQueue of one CUDA stream. While it exists, XSched schedules the
// stream. The caller owns the stream and must not destroy it before the
// XQueue, because XSched asks the driver about it until then.
//
class StreamXQueue {
 public:
  // Create the XQueue of 'stream', whose device must be the current
  // one. If the stream already has an XQueue, in XSched's transparent
  // mode, take it over. On error, nothing is left behind and 'xqueue'
  // is unchanged.
  static TRITONSERVER_Error* Create(
      cudaStream_t stream, const ::Priority priority, const std::string& name,
      StreamXQueue* xqueue);

  // Set the floor of the model that the XQueue is named after, which all
  // of the model's XQueues share. If the floors of other models leave no
  // room for it, the model keeps the one that it has, and a warning says
  // so.
  TRITONSERVER_Error* SetFloor(const int32_t percent);

  // The same for its weight, which there is always room for.
  TRITONSERVER_Error* SetWeight(const int32_t weight);

  StreamXQueue() : hw_queue_(0), xqueue_(0) {}

  // Launches that wait in the XQueue go ahead. Doesn't wait for work
  // that is on the device.
  ~StreamXQueue();

  StreamXQueue(StreamXQueue&& rhs) noexcept;
  StreamXQueue& operator=(StreamXQueue&& rhs) noexcept;
  StreamXQueue(const StreamXQueue&) = delete;
  StreamXQueue& operator=(const StreamXQueue&) = delete;

 private:
  // 0 if there is none.
  HwQueueHandle hw_queue_;
  XQueueHandle xqueue_;
};

}}}  // namespace triton::backend::tensorrt
