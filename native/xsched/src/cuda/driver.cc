// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "cuda/driver.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "cuda/loader_search.h"
#include "preempt/log.h"

namespace xsched {
namespace {

constexpr const char* kName = "libcuda.so.1";

// Where drivers are that only the RUNPATH of a library leads to, or nothing
// does: tried when the loader would find none. Never an image's compatibility
// libraries: which of them fits, NVIDIA's entrypoint decides, and tells the
// loader.
constexpr const char* kElsewhere[] = {
    "/usr/local/nvidia/lib64",
    "/usr/lib64/nvidia",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
};

// Marks the stand-in; the driver has no such symbol.
constexpr const char* kOwnMark = "xsched_shim_version";

constexpr const char* kNoFile = "there is no such file";
constexpr const char* kOwn = "it is this package's own stand-in";

std::vector<std::string>
Candidates()
{
  std::vector<std::string> files = LoaderSearch(kName);
  for (const char* folder : kElsewhere) {
    files.push_back(std::string(folder) + "/" + kName);
  }
  return files;
}

}  // namespace

DriverLibrary&
DriverLibrary::Get()
{
  // Never destroyed: calls may come while the process exits.
  static DriverLibrary* library = new DriverLibrary;
  return *library;
}

DriverLibrary::DriverLibrary()
{
  const char* given = getenv("XSCHED_CUDA_LIB");
  if (given != nullptr && *given != '\0') {
    const std::string fault = Open(given);
    if (!fault.empty()) {
      Log(LogLevel::kError,
          "XSCHED_CUDA_LIB=%s is not the CUDA driver's library: %s", given,
          fault.c_str());
    }
    return;
  }
  // The first that is there but of no use, for the log.
  std::string faults;
  for (const std::string& path : Candidates()) {
    const std::string fault = Open(path);
    if (fault.empty()) {
      return;
    }
    if (fault != kNoFile && fault != kOwn && faults.empty()) {
      faults = "; " + path + ": " + fault;
    }
  }
  Log(LogLevel::kError,
      "no %s but this package's own was found; set XSCHED_CUDA_LIB to the "
      "driver's%s",
      kName, faults.c_str());
}

std::string
DriverLibrary::Open(const std::string& path)
{
  struct stat file;
  if (stat(path.c_str(), &file) != 0) {
    return kNoFile;
  }
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return dlerror();
  }
  // The loader knows files by device and inode, so this also recognises the
  // stand-in under another name. A copy of it has the mark as well.
  const bool is_own = dlsym(handle, kOwnMark) != nullptr;
  if (is_own || dlsym(handle, "cuInit") == nullptr) {
    dlclose(handle);
    return is_own ? kOwn : "it has no cuInit";
  }
  handle_ = handle;
  path_ = path;
  return "";
}

void*
DriverLibrary::Find(const char* symbol) const
{
  return handle_ == nullptr ? nullptr : dlsym(handle_, symbol);
}

bool
DriverLibrary::Exports(const void* address) const
{
  Dl_info info;
  return dladdr(address, &info) != 0 && info.dli_saddr == address;
}

}  // namespace xsched
