// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "ctl/check.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace xsched {
namespace {

ExitCode
Refused(const std::string& problem)
{
  printf("scheduled  no: %s\n", problem.c_str());
  return kExitRefused;
}

}  // namespace

ExitCode
CheckEnvironment()
{
  // Nobody needs to inspect this process.
  setenv("XSCHED_CONTROL", "OFF", 1);
  setenv("XSCHED_LOG_LEVEL", "ERROR", 1);
  unsetenv("XSCHED_METRICS_FILE");
  // As CUDA runtimes do.
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return Refused(dlerror());
  }
  auto* init =
      reinterpret_cast<int (*)(unsigned int)>(dlsym(library, "cuInit"));
  Dl_info info = {};
  if (init == nullptr || dladdr(reinterpret_cast<void*>(init), &info) == 0) {
    return Refused("libcuda.so.1 has no cuInit");
  }
  printf("library    %s\n", info.dli_fname);
  auto* driver =
      reinterpret_cast<const char* (*)()>(dlsym(library, "xsched_shim_driver"));
  if (driver == nullptr) {
    return Refused("this library is not XSched's; is LD_LIBRARY_PATH right?");
  }
  const std::string path = driver();
  printf("driver     %s\n", path.empty() ? "(none)" : path.c_str());
  if (path.empty()) {
    return Refused(
        "no CUDA driver found; set XSCHED_CUDA_LIB to its libcuda.so.1");
  }
  if (const int result = init(0)) {
    return Refused(
        "the CUDA driver does not start: cuInit returns " +
        std::to_string(result));
  }
  puts("scheduled  yes");
  return kExitSuccess;
}

}  // namespace xsched
