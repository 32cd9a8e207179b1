// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "instance_xqueues.h"

#include <dlfcn.h>
#include <link.h>
#include <strings.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "triton/backend/backend_common.h"
#include "xsched/xqueue.h"

namespace triton { namespace backend { namespace tensorrt {

namespace {

constexpr char kRequiredVariable[] = "XSCHED_REQUIRED";
constexpr char kDriverLibrary[] = "libcuda.so.1";

// Bytes that XQueueSetName allows.
constexpr size_t kMaxNameSize = 63;

TRITONSERVER_Error*
IsXSchedRequired(bool* required)
{
  const char* env = getenv(kRequiredVariable);
  const std::string value = (env == nullptr) ? "" : env;
  if (strcasecmp(value.c_str(), "ON") == 0 || value == "1") {
    *required = true;
  } else if (
      value.empty() || strcasecmp(value.c_str(), "OFF") == 0 || value == "0") {
    *required = false;
  } else {
    return TRITONSERVER_ErrorNew(
        TRITONSERVER_ERROR_INVALID_ARG,
        (std::string("environment variable ") + kRequiredVariable + " is '" +
         value + "', but must be ON or OFF")
            .c_str());
  }
  return nullptr;  // success
}

// Make sure that launches pass XSched's shim. XQueues could be created
// without it, but nothing would hold a launch back.
TRITONSERVER_Error*
CheckShim()
{
  // The CUDA runtimes of this process, including TensorRT's, loaded the
  // driver by this name, so they call the library that the loader knows
  // by it. Global symbols can't tell: runtimes load the driver without
  // making its symbols global.
  void* library = dlopen(kDriverLibrary, RTLD_LAZY | RTLD_NOLOAD);
  RETURN_ERROR_IF_TRUE(
      library == nullptr, TRITONSERVER_ERROR_UNAVAILABLE,
      std::string("no ") + kDriverLibrary + " is loaded");

  const bool is_shim = dlsym(library, "xsched_shim_version") != nullptr;
  // The shim must look for XQueues where this library creates them.
  const bool same_xsched =
      dlsym(library, "XQueueCreate") == reinterpret_cast<void*>(&XQueueCreate);
  struct link_map* map = nullptr;
  const std::string path =
      (dlinfo(library, RTLD_DI_LINKMAP, &map) == 0) ? map->l_name : "";
  dlclose(library);

  RETURN_ERROR_IF_FALSE(
      is_shim, TRITONSERVER_ERROR_UNAVAILABLE,
      std::string(kDriverLibrary) + " is " + path +
          ", which is not XSched's; put the directory of XSched's first in "
          "LD_LIBRARY_PATH");
  RETURN_ERROR_IF_FALSE(
      same_xsched, TRITONSERVER_ERROR_UNAVAILABLE,
      std::string(kDriverLibrary) + " is " + path +
          ", which does not use the libpreempt.so of this backend; install "
          "XSched once and put its directory first in LD_LIBRARY_PATH");
  return nullptr;  // success
}

TRITONSERVER_Error*
CreateXQueues(
    const std::string& name, const ::Priority priority,
    const std::vector<cudaStream_t>& streams,
    std::vector<StreamXQueue>* xqueues)
{
  RETURN_IF_ERROR(CheckShim());

  std::vector<StreamXQueue> created;
  for (cudaStream_t stream : streams) {
    if (stream != nullptr) {
      StreamXQueue xqueue;
      RETURN_IF_ERROR(StreamXQueue::Create(stream, priority, name, &xqueue));
      created.push_back(std::move(xqueue));
    }
  }

  xqueues->swap(created);
  return nullptr;  // success
}

bool
IsUtf8Continuation(const char c)
{
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

}  // namespace

TRITONSERVER_Error*
CreateInstanceXQueues(
    const std::string& model_name, const std::string& instance_name,
    const ::Priority priority, const std::vector<cudaStream_t>& streams,
    std::vector<StreamXQueue>* xqueues)
{
  bool required = false;
  RETURN_IF_ERROR(IsXSchedRequired(&required));

  const std::string name = XQueueName(model_name, instance_name);
  TRITONSERVER_Error* err = CreateXQueues(name, priority, streams, xqueues);
  if (err == nullptr) {
    LOG_MESSAGE(
        TRITONSERVER_LOG_INFO,
        (std::string("XSched schedules instance ") + instance_name + " as '" +
         name + "': " + std::to_string(xqueues->size()) +
         " streams with priority " + std::to_string(priority))
            .c_str());
    return nullptr;  // success
  }

  const TRITONSERVER_Error_Code code = TRITONSERVER_ErrorCode(err);
  const std::string message = std::string("XSched can't schedule instance ") +
                              instance_name + " of model '" + model_name +
                              "': " + TRITONSERVER_ErrorMessage(err);
  TRITONSERVER_ErrorDelete(err);
  RETURN_ERROR_IF_TRUE(
      required, code,
      message + " (" + kRequiredVariable +
          "=ON: the model is not loaded unscheduled)");

  LOG_MESSAGE(
      TRITONSERVER_LOG_WARN, (message + " (" + kRequiredVariable +
                              " is not ON: the model runs unscheduled)")
                                 .c_str());
  return nullptr;  // success
}

std::string
XQueueName(const std::string& model_name, const std::string& instance_name)
{
  std::string name = model_name + "/" + instance_name;
  if (name.size() > kMaxNameSize) {
    // Don't cut a character in the middle.
    const size_t instance = model_name.size() + 1;
    if (instance < kMaxNameSize) {
      size_t cut = name.size() - kMaxNameSize;
      while (IsUtf8Continuation(name[instance + cut])) {
        ++cut;
      }
      name.erase(instance, cut);
    } else {
      size_t end = std::min(kMaxNameSize, model_name.size());
      while (end > 0 && IsUtf8Continuation(name[end])) {
        --end;
      }
      name.resize(end);
    }
  }

  // A name in XSched is a single line.
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) {
      c = '_';
    }
  }
  return name;
}

}}}  // namespace triton::backend::tensorrt
