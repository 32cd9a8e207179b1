// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TRITON_HOOKS_TRITON_API_H_
#define XSCHED_TRITON_HOOKS_TRITON_API_H_

#include <cstddef>
#include <cstdint>
#include <string>

// What the hooks use of Triton's C interface, which has not changed since
// Triton 22.06: tritonserver.h and tritonbackend.h of
// https://github.com/triton-inference-server/core have the documentation.
struct TRITONBACKEND_Model;
struct TRITONBACKEND_ModelInstance;
struct TRITONBACKEND_Request;
struct TRITONSERVER_Error;
struct TRITONSERVER_Message;

namespace triton_hooks {

// Of TRITONSERVER_Error_Code, TRITONSERVER_LogLevel and
// TRITONSERVER_InstanceGroupKind.
constexpr int kErrorInvalidArgument = 3;
constexpr int kErrorUnavailable = 4;
constexpr int kLogInfo = 0;
constexpr int kLogWarning = 1;
constexpr int kKindCpu = 1;

// The functions of the Triton that is in this process. It need not have been
// loaded when this library was.
class TritonApi {
 public:
  // Looks for them where the program's symbols are, and else in the library
  // that has this code, which is Triton's. Null if any is missing.
  static const TritonApi* Find(const void* code_of_triton);
  // What Find has found; null before that.
  static const TritonApi* Get();

  // What follows returns false, with the reason in 'problem', if Triton does
  // not answer.
  bool ModelNameOf(
      TRITONBACKEND_ModelInstance* instance, std::string* name,
      std::string* problem) const;
  bool InstanceNameOf(
      TRITONBACKEND_ModelInstance* instance, std::string* name,
      std::string* problem) const;
  bool KindOf(
      TRITONBACKEND_ModelInstance* instance, int* kind,
      std::string* problem) const;
  // The model's configuration as JSON.
  bool ConfigOf(
      TRITONBACKEND_ModelInstance* instance, std::string* json,
      std::string* problem) const;

  TRITONSERVER_Error* MakeError(int code, const std::string& text) const;
  void Log(int level, const std::string& text) const;

 private:
  bool Load(void* library);
  bool ModelOf(
      TRITONBACKEND_ModelInstance* instance, TRITONBACKEND_Model** model,
      std::string* problem) const;
  // Whether a call succeeded; takes the error.
  bool Succeeded(TRITONSERVER_Error* error, std::string* problem) const;

  TRITONSERVER_Error* (*error_new_)(int, const char*);
  void (*error_delete_)(TRITONSERVER_Error*);
  const char* (*error_message_)(TRITONSERVER_Error*);
  TRITONSERVER_Error* (*log_message_)(int, const char*, int, const char*);
  TRITONSERVER_Error* (*message_to_json_)(
      TRITONSERVER_Message*, const char**, size_t*);
  TRITONSERVER_Error* (*message_delete_)(TRITONSERVER_Message*);
  TRITONSERVER_Error* (*instance_model_)(
      TRITONBACKEND_ModelInstance*, TRITONBACKEND_Model**);
  TRITONSERVER_Error* (*instance_name_)(
      TRITONBACKEND_ModelInstance*, const char**);
  TRITONSERVER_Error* (*instance_kind_)(TRITONBACKEND_ModelInstance*, int*);
  TRITONSERVER_Error* (*model_name_)(TRITONBACKEND_Model*, const char**);
  TRITONSERVER_Error* (*model_config_)(
      TRITONBACKEND_Model*, uint32_t, TRITONSERVER_Message**);
};

}  // namespace triton_hooks

#endif  // XSCHED_TRITON_HOOKS_TRITON_API_H_
