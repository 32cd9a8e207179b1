// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The driver as a backend uses it: found by its name, as CUDA's runtimes do.

#ifndef XSCHED_TRITON_HOOKS_TESTS_DRIVER_H_
#define XSCHED_TRITON_HOOKS_TESTS_DRIVER_H_

#include <dlfcn.h>

#include <cstdint>

#include "cuda/abi.h"

// What a request makes a model do.
struct Request {
  int kernels;
  uint64_t microseconds;
};

class Driver {
 public:
  static Driver& Get()
  {
    static Driver driver;
    return driver;
  }

  // Makes the first device's primary context current. False without a driver.
  bool Enter()
  {
    xsched::CUcontext context = nullptr;
    return library_ != nullptr && Call<unsigned int>("cuInit", 0) &&
           Call<xsched::CUcontext*, xsched::CUdevice>(
               "cuDevicePrimaryCtxRetain", &context, 0) &&
           Call<xsched::CUcontext>("cuCtxSetCurrent", context);
  }
  void Leave() { Call<xsched::CUdevice>("cuDevicePrimaryCtxRelease_v2", 0); }

  xsched::CUstream CreateStream()
  {
    xsched::CUstream stream = nullptr;
    Call<xsched::CUstream*, unsigned int>("cuStreamCreate", &stream, 0);
    return stream;
  }
  void DestroyStream(xsched::CUstream stream)
  {
    Call<xsched::CUstream>("cuStreamDestroy_v2", stream);
  }
  // 'suffix' is that of the functions for which the null stream is the calling
  // thread's own.
  void Launch(
      xsched::CUstream stream, const Request& request, bool per_thread = false)
  {
    const auto kernel =
        reinterpret_cast<xsched::CUfunction>(request.microseconds | 1UL << 32);
    for (int i = 0; i < request.kernels; ++i) {
      Call<
          xsched::CUfunction, unsigned int, unsigned int, unsigned int,
          unsigned int, unsigned int, unsigned int, unsigned int,
          xsched::CUstream, void**, void**>(
          per_thread ? "cuLaunchKernel_ptsz" : "cuLaunchKernel", kernel, 1, 1,
          1, 32, 1, 1, 0, stream, nullptr, nullptr);
    }
  }
  void Synchronize(xsched::CUstream stream, bool per_thread = false)
  {
    Call<xsched::CUstream>(
        per_thread ? "cuStreamSynchronize_ptsz" : "cuStreamSynchronize",
        stream);
  }

 private:
  Driver() : library_(dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) {}

  template <typename... Arguments>
  bool Call(const char* name, Arguments... arguments)
  {
    using Function = int (*)(Arguments...);
    const auto function = reinterpret_cast<Function>(dlsym(library_, name));
    return function != nullptr && function(arguments...) == 0;
  }

  void* const library_;
};

#endif  // XSCHED_TRITON_HOOKS_TESTS_DRIVER_H_
