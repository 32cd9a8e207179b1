// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "triton_api.h"

#include <dlfcn.h>

#include <atomic>
#include <mutex>

#include "next_symbol.h"

namespace triton_hooks {
namespace {

std::atomic<const TritonApi*> found{nullptr};

template <typename Function>
bool
Resolve(void* library, const char* name, Function* function)
{
  *function = reinterpret_cast<Function>(NextDlsym()(library, name));
  return *function != nullptr;
}

}  // namespace

const TritonApi*
TritonApi::Get()
{
  // Acquire: it is complete before it is found.
  return found.load(std::memory_order_acquire);
}

const TritonApi*
TritonApi::Find(const void* code_of_triton)
{
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  if (Get() != nullptr) {
    return Get();
  }
  // Never freed: requests may be executed while the process exits.
  static TritonApi* const api = new TritonApi;
  bool loaded = api->Load(RTLD_DEFAULT);
  Dl_info info = {};
  if (!loaded && dladdr(code_of_triton, &info) != 0) {
    // Triton may be in a Python program, which keeps its symbols to itself. It
    // calls this, so it stays.
    if (void* library = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD)) {
      loaded = api->Load(library);
      dlclose(library);
    }
  }
  if (loaded) {
    found.store(api, std::memory_order_release);
  }
  return Get();
}

bool
TritonApi::Load(void* library)
{
  return Resolve(library, "TRITONSERVER_ErrorNew", &error_new_) &&
         Resolve(library, "TRITONSERVER_ErrorDelete", &error_delete_) &&
         Resolve(library, "TRITONSERVER_ErrorMessage", &error_message_) &&
         Resolve(library, "TRITONSERVER_LogMessage", &log_message_) &&
         Resolve(
             library, "TRITONSERVER_MessageSerializeToJson",
             &message_to_json_) &&
         Resolve(library, "TRITONSERVER_MessageDelete", &message_delete_) &&
         Resolve(
             library, "TRITONBACKEND_ModelInstanceModel", &instance_model_) &&
         Resolve(library, "TRITONBACKEND_ModelInstanceName", &instance_name_) &&
         Resolve(library, "TRITONBACKEND_ModelInstanceKind", &instance_kind_) &&
         Resolve(library, "TRITONBACKEND_ModelName", &model_name_) &&
         Resolve(library, "TRITONBACKEND_ModelConfig", &model_config_);
}

bool
TritonApi::Succeeded(TRITONSERVER_Error* error, std::string* problem) const
{
  if (error == nullptr) {
    return true;
  }
  *problem = error_message_(error);
  error_delete_(error);
  return false;
}

bool
TritonApi::ModelOf(
    TRITONBACKEND_ModelInstance* instance, TRITONBACKEND_Model** model,
    std::string* problem) const
{
  return Succeeded(instance_model_(instance, model), problem);
}

bool
TritonApi::ModelNameOf(
    TRITONBACKEND_ModelInstance* instance, std::string* name,
    std::string* problem) const
{
  TRITONBACKEND_Model* model = nullptr;
  const char* text = nullptr;
  if (!ModelOf(instance, &model, problem) ||
      !Succeeded(model_name_(model, &text), problem)) {
    return false;
  }
  *name = text;
  return true;
}

bool
TritonApi::InstanceNameOf(
    TRITONBACKEND_ModelInstance* instance, std::string* name,
    std::string* problem) const
{
  const char* text = nullptr;
  if (!Succeeded(instance_name_(instance, &text), problem)) {
    return false;
  }
  *name = text;
  return true;
}

bool
TritonApi::KindOf(
    TRITONBACKEND_ModelInstance* instance, int* kind,
    std::string* problem) const
{
  return Succeeded(instance_kind_(instance, kind), problem);
}

bool
TritonApi::ConfigOf(
    TRITONBACKEND_ModelInstance* instance, std::string* json,
    std::string* problem) const
{
  constexpr uint32_t kConfigVersion = 1;
  TRITONBACKEND_Model* model = nullptr;
  TRITONSERVER_Message* message = nullptr;
  if (!ModelOf(instance, &model, problem) ||
      !Succeeded(model_config_(model, kConfigVersion, &message), problem)) {
    return false;
  }
  const char* text = nullptr;
  size_t size = 0;
  // The text is the message's.
  const bool serialized =
      Succeeded(message_to_json_(message, &text, &size), problem);
  if (serialized) {
    json->assign(text, size);
  }
  std::string ignored;
  Succeeded(message_delete_(message), &ignored);
  return serialized;
}

TRITONSERVER_Error*
TritonApi::MakeError(int code, const std::string& text) const
{
  return error_new_(code, text.c_str());
}

void
TritonApi::Log(int level, const std::string& text) const
{
  std::string ignored;
  Succeeded(log_message_(level, __FILE__, __LINE__, text.c_str()), &ignored);
}

}  // namespace triton_hooks
