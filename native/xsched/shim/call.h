// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_SHIM_CALL_H_
#define XSCHED_SHIM_CALL_H_

#include "cuda/abi.h"

namespace xsched {

// One call of the driver: its function with its arguments.
template <bool kPerThread, typename Function>
class Call {
 public:
  explicit Call(const Function& function) : function_(function) {}

  // Inlined even where it stands twice: a closure that is not costs more than
  // all the rest of a launch that nobody schedules.
  __attribute__((always_inline)) CUresult operator()() const
  {
    return function_();
  }

  // The stream that is meant. The null stream is one of two others, which
  // have handles of their own.
  static CUstream Meant(CUstream stream)
  {
    return stream != nullptr
               ? stream
               : reinterpret_cast<CUstream>(
                     kPerThread ? kStreamPerThread : kStreamLegacy);
  }

 private:
  const Function& function_;
};

template <bool kPerThread, typename Function>
Call<kPerThread, Function>
MakeCall(const Function& function)
{
  return Call<kPerThread, Function>(function);
}

template <typename Handle>
uint64_t
Number(Handle handle)
{
  return reinterpret_cast<uint64_t>(handle);
}

inline bool
IsDefaultStream(CUstream stream)
{
  return Number(stream) <= kStreamPerThread;
}

}  // namespace xsched

#endif  // XSCHED_SHIM_CALL_H_
