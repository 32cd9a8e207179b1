// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The tests' stand-in for Triton's core: it loads backends as Triton does, and
// has the functions that the hooks and the backends call.

#ifndef XSCHED_TRITON_HOOKS_TESTS_STAND_IN_TRITON_H_
#define XSCHED_TRITON_HOOKS_TESTS_STAND_IN_TRITON_H_

#include <cstdint>
#include <string>
#include <vector>

#include "triton_api.h"

namespace stand_in {

constexpr int kCpu = 1;
constexpr int kGpu = 2;

// What was logged since the last call.
std::vector<std::string> TakeLog();
// Errors and messages that nobody has deleted.
int LiveObjects();
// The function of that name fails from now on; none if it is empty.
void Fail(const std::string& function);

// A backend's library, and the functions that Triton has found in it.
class Backend {
 public:
  explicit Backend(const std::string& path);
  ~Backend();
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  using InstanceFunction =
      TRITONSERVER_Error* (*)(TRITONBACKEND_ModelInstance*);
  using ExecuteFunction =
      TRITONSERVER_Error* (*)(TRITONBACKEND_ModelInstance*, TRITONBACKEND_Request**, uint32_t);

  void* library = nullptr;
  InstanceFunction initialize = nullptr;
  InstanceFunction finalize = nullptr;
  ExecuteFunction execute = nullptr;

 private:
  // As Triton's SharedLibrary::GetEntrypoint: what dlerror says counts.
  template <typename Function>
  void Find(const char* name, bool optional, Function* function);
};

// A model with one instance.
class Instance {
 public:
  Instance(
      const Backend& backend, const std::string& model,
      const std::string& config, int kind = kCpu, const std::string& name = "");
  // Finalizes it, also if it could not be initialized.
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // What was wrong with its initialization: "CODE: text"; empty if nothing.
  const std::string& Problem() const { return problem_; }
  // The number that the backend answers a request with.
  int32_t Execute();
  TRITONBACKEND_ModelInstance* Handle()
  {
    return reinterpret_cast<TRITONBACKEND_ModelInstance*>(this);
  }

  const std::string model;
  const std::string config;
  const std::string name;
  const int kind;
  void* state = nullptr;

 private:
  const Backend& backend_;
  std::string problem_;
};

// A model configuration as Triton gives it.
std::string Config(
    const std::string& parameters, const std::string& priority = "DEFAULT");
// One of its parameters.
std::string Parameter(const std::string& name, const std::string& value);

}  // namespace stand_in

#endif  // XSCHED_TRITON_HOOKS_TESTS_STAND_IN_TRITON_H_
