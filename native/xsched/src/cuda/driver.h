// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CUDA_DRIVER_H_
#define XSCHED_CUDA_DRIVER_H_

#include <atomic>
#include <string>

#include "cuda/abi.h"
#include "preempt/export.h"

namespace xsched {

// The real driver's library. It is found once, at its first use:
// XSCHED_CUDA_LIB if set; otherwise the libcuda.so.1 that the dynamic loader
// would take if this package were not there. A file that is one of the
// libraries of this package, under whatever name, is not the driver.
class XSCHED_INTERNAL DriverLibrary {
 public:
  static DriverLibrary& Get();

  // The driver's own function; null if it has none of that name.
  void* Find(const char* symbol) const;
  // Whether an address is that of one of the driver's symbols.
  bool Exports(const void* address) const;
  const std::string& Path() const { return path_; }
  bool Loaded() const { return handle_ != nullptr; }

 private:
  DriverLibrary();
  // What is wrong with the file, in words; empty if it is the driver's.
  std::string Open(const std::string& path);

  void* handle_ = nullptr;
  std::string path_;
};

// Declares a function of the driver, looked up at its first call:
//   XSCHED_DRIVER_FUNCTION(cuStreamQuery, CUresult(CUstream));
//   real::cuStreamQuery(stream)
#define XSCHED_DRIVER_FUNCTION(name, ...)         \
  inline xsched::DriverFunction<__VA_ARGS__> name \
  {                                               \
#name                                         \
  }

template <typename Signature>
class DriverFunction;

template <typename... Arguments>
class DriverFunction<CUresult(Arguments...)> {
 public:
  explicit constexpr DriverFunction(const char* name) : name_(name) {}

  CUresult operator()(Arguments... arguments)
  {
    Function function = Address();
    return function == nullptr ? kCudaErrorNotFound : function(arguments...);
  }

  bool Exists() { return Address() != nullptr; }

 private:
  using Function = CUresult (*)(Arguments...);

  Function Address()
  {
    // Relaxed: every thread finds the same address, and the code behind it
    // was mapped before the address was known.
    Function function = address_.load(std::memory_order_relaxed);
    if (__builtin_expect(function == nullptr, 0)) {
      function = reinterpret_cast<Function>(DriverLibrary::Get().Find(name_));
      address_.store(function, std::memory_order_relaxed);
    }
    return function;
  }

  const char* const name_;
  std::atomic<Function> address_{nullptr};
};

}  // namespace xsched

#endif  // XSCHED_CUDA_DRIVER_H_
