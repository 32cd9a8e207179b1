// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The part of the TensorRT backend that our sources need.

#ifndef STAND_IN_TENSORRT_MODEL_H_
#define STAND_IN_TENSORRT_MODEL_H_

namespace triton { namespace backend { namespace tensorrt {

class TensorRTModel {
 public:
  enum Priority { DEFAULT, MIN, MAX };
};

}}}  // namespace triton::backend::tensorrt

#endif  // STAND_IN_TENSORRT_MODEL_H_
