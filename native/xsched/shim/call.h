// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_SHIM_CALL_H_
#define XSCHED_SHIM_CALL_H_

#include "cuda/abi.h"

namespace xsched {

// One call to the driver: its function with the arguments.
template <bool kPerThread, typename Function>
class Call {
 public:
  Call(const Function& function, const char* name)
      : function_(function), name_(name)
  {
  }

  // Inlined even where it appears twice: calling the closure would cost more
  // than everything else in an unscheduled launch.
  __attribute__((always_inline)) CUresult operator()() const
  {
    return function_();
  }

  // It holds copies of the arguments.
  const Function& GetFunction() const { return function_; }
  // The driver's symbol.
  const char* Name() const { return name_; }

  // The stream that is meant. The null stream stands for one of two others,
  // which have their own handles.
  static CUstream Meant(CUstream stream)
  {
    return stream != nullptr
               ? stream
               : reinterpret_cast<CUstream>(
                     kPerThread ? kStreamPerThread : kStreamLegacy);
  }

 private:
  const Function& function_;
  const char* const name_;
};

template <bool kPerThread, typename Function>
Call<kPerThread, Function>
MakeCall(const Function& function, const char* name)
{
  return Call<kPerThread, Function>(function, name);
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
