// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CUDA_CUDA_HARDWARE_H_
#define XSCHED_CUDA_CUDA_HARDWARE_H_

#include <string>

#include "cuda/abi.h"
#include "preempt/export.h"
#include "preempt/hardware.h"

namespace xsched {

// CUDA devices.
class XSCHED_INTERNAL CudaHardware final : public Hardware {
 public:
  static CudaHardware* Get();

  Progress QueryStream(uint64_t stream, uint64_t context) override;
  void Refused(uint64_t stream) override;
  bool Synchronize(uint64_t stream, uint64_t context) override;
  void* CreateEvent(EventKind kind, uint64_t context) override;
  bool RecordEvent(void* event, uint64_t stream, uint64_t context) override;
  Progress QueryEvent(void* event, uint64_t context) override;
  int64_t ElapsedNs(void* from, void* to, uint64_t context) override;
  std::string NameOf(int device) override;
  int EnterCalls() override;
  void LeaveCalls(int state) override;
};

}  // namespace xsched

#endif  // XSCHED_CUDA_CUDA_HARDWARE_H_
