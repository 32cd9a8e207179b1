// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "driver.h"

namespace {

// As PyTorch's: nobody ever creates a stream.
class Work {
 public:
  bool Begin() { return Driver::Get().Enter(); }
  void Do(const Request& request)
  {
    Driver::Get().Enter();
    Driver::Get().Launch(nullptr, request);
    Driver::Get().Synchronize(nullptr);
    Driver::Get().Leave();
  }
  void End() { Driver::Get().Leave(); }
};

}  // namespace
