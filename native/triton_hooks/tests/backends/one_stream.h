// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "driver.h"

namespace {

// As TensorRT's and ONNX Runtime's: an instance has a stream of its own.
class Work {
 public:
  bool Begin()
  {
    return Driver::Get().Enter() &&
           (stream_ = Driver::Get().CreateStream()) != nullptr;
  }
  void Do(const Request& request)
  {
    Driver::Get().Enter();
    Driver::Get().Launch(stream_, request);
    Driver::Get().Synchronize(stream_);
    Driver::Get().Leave();
  }
  void End()
  {
    Driver::Get().DestroyStream(stream_);
    Driver::Get().Leave();
  }

 private:
  xsched::CUstream stream_ = nullptr;
};

}  // namespace
