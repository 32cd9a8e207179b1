// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "stand_in_triton.h"

#include <dlfcn.h>

#include <atomic>
#include <mutex>
#include <stdexcept>

struct TRITONSERVER_Error {
  int code;
  std::string message;
};

struct TRITONSERVER_Message {
  std::string json;
};

struct TRITONBACKEND_Request {
  int32_t answer;
};

namespace stand_in {
namespace {

std::mutex mutex;
std::vector<std::string> log;
std::string failing;
std::atomic<int> live{0};

Instance*
Of(void* handle)
{
  return static_cast<Instance*>(handle);
}

}  // namespace

std::vector<std::string>
TakeLog()
{
  std::lock_guard<std::mutex> lock(mutex);
  std::vector<std::string> lines;
  lines.swap(log);
  return lines;
}

int
LiveObjects()
{
  return live.load();
}

void
Fail(const std::string& function)
{
  std::lock_guard<std::mutex> lock(mutex);
  failing = function;
}

template <typename Function>
void
Backend::Find(const char* name, bool optional, Function* function)
{
  dlerror();
  void* found = dlsym(library, name);
  if (const char* error = dlerror()) {
    if (optional) {
      return;
    }
    throw std::runtime_error(error);
  }
  *function = reinterpret_cast<Function>(found);
}

Backend::Backend(const std::string& path)
    : library(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL))
{
  if (library == nullptr) {
    throw std::runtime_error(dlerror());
  }
  Find("TRITONBACKEND_ModelInstanceInitialize", true, &initialize);
  Find("TRITONBACKEND_ModelInstanceFinalize", true, &finalize);
  Find("TRITONBACKEND_ModelInstanceExecute", false, &execute);
}

Backend::~Backend()
{
  dlclose(library);
}

Instance::Instance(
    const Backend& backend, const std::string& model_name,
    const std::string& model_config, int instance_kind,
    const std::string& instance_name)
    : model(model_name), config(model_config),
      name(instance_name.empty() ? model_name + "_0_0" : instance_name),
      kind(instance_kind), backend_(backend)
{
  if (backend.initialize == nullptr) {
    return;
  }
  if (TRITONSERVER_Error* error = backend.initialize(Handle())) {
    problem_ = std::to_string(error->code) + ": " + error->message;
    delete error;
    --live;
  }
}

Instance::~Instance()
{
  if (backend_.finalize != nullptr) {
    backend_.finalize(Handle());
  }
}

int32_t
Instance::Execute()
{
  TRITONBACKEND_Request request = {-1};
  TRITONBACKEND_Request* requests[] = {&request};
  backend_.execute(Handle(), requests, 1);
  return request.answer;
}

std::string
Config(const std::string& parameters, const std::string& priority)
{
  return R"({"name":"a","optimization":{"priority":"PRIORITY_)" + priority +
         R"(","cuda":{"graphs":false}},"instance_group":[{"count":1}],)" +
         R"("parameters":{)" + parameters + "}}";
}

std::string
Parameter(const std::string& name, const std::string& value)
{
  return "\"" + name + R"(":{"string_value":")" + value + "\"}";
}

}  // namespace stand_in

#define TRITON extern "C" __attribute__((visibility("default")))

namespace {

TRITONSERVER_Error*
ErrorIfFailing(const char* function)
{
  std::lock_guard<std::mutex> lock(stand_in::mutex);
  if (stand_in::failing != function) {
    return nullptr;
  }
  ++stand_in::live;
  return new TRITONSERVER_Error{1, std::string(function) + " failed"};
}

#define RETURN_IF_FAILING()                                     \
  if (TRITONSERVER_Error* failure = ErrorIfFailing(__func__)) { \
    return failure;                                             \
  }                                                             \
  static_assert(true, "ends in a semicolon")

}  // namespace

TRITON TRITONSERVER_Error*
TRITONSERVER_ErrorNew(int code, const char* message)
{
  ++stand_in::live;
  return new TRITONSERVER_Error{code, message};
}

TRITON void
TRITONSERVER_ErrorDelete(TRITONSERVER_Error* error)
{
  --stand_in::live;
  delete error;
}

TRITON const char*
TRITONSERVER_ErrorMessage(TRITONSERVER_Error* error)
{
  return error->message.c_str();
}

TRITON TRITONSERVER_Error*
TRITONSERVER_LogMessage(int level, const char*, int, const char* message)
{
  RETURN_IF_FAILING();
  std::lock_guard<std::mutex> lock(stand_in::mutex);
  stand_in::log.push_back(std::to_string(level) + ": " + message);
  return nullptr;
}

TRITON TRITONSERVER_Error*
TRITONSERVER_MessageSerializeToJson(
    TRITONSERVER_Message* message, const char** base, size_t* size)
{
  RETURN_IF_FAILING();
  *base = message->json.data();
  *size = message->json.size();
  return nullptr;
}

TRITON TRITONSERVER_Error*
TRITONSERVER_MessageDelete(TRITONSERVER_Message* message)
{
  --stand_in::live;
  delete message;
  return nullptr;
}

// An instance is its own model.
TRITON TRITONSERVER_Error*
TRITONBACKEND_ModelInstanceModel(
    TRITONBACKEND_ModelInstance* instance, TRITONBACKEND_Model** model)
{
  RETURN_IF_FAILING();
  *model = reinterpret_cast<TRITONBACKEND_Model*>(instance);
  return nullptr;
}

TRITON TRITONSERVER_Error*
TRITONBACKEND_ModelInstanceName(
    TRITONBACKEND_ModelInstance* instance, const char** name)
{
  RETURN_IF_FAILING();
  *name = stand_in::Of(instance)->name.c_str();
  return nullptr;
}

TRITON TRITONSERVER_Error*
TRITONBACKEND_ModelInstanceKind(
    TRITONBACKEND_ModelInstance* instance, int* kind)
{
  RETURN_IF_FAILING();
  *kind = stand_in::Of(instance)->kind;
  return nullptr;
}

TRITON TRITONSERVER_Error*
TRITONBACKEND_ModelInstanceState(
    TRITONBACKEND_ModelInstance* instance, void** state)
{
  *state = stand_in::Of(instance)->state;
  return nullptr;
}

TRITON TRITONSERVER_Error*
TRITONBACKEND_ModelInstanceSetState(
    TRITONBACKEND_ModelInstance* instance, void* state)
{
  stand_in::Of(instance)->state = state;
  return nullptr;
}

TRITON TRITONSERVER_Error*
TRITONBACKEND_ModelName(TRITONBACKEND_Model* model, const char** name)
{
  RETURN_IF_FAILING();
  *name = stand_in::Of(model)->model.c_str();
  return nullptr;
}

TRITON TRITONSERVER_Error*
TRITONBACKEND_ModelConfig(
    TRITONBACKEND_Model* model, uint32_t, TRITONSERVER_Message** config)
{
  RETURN_IF_FAILING();
  ++stand_in::live;
  *config = new TRITONSERVER_Message{stand_in::Of(model)->config};
  return nullptr;
}

// A request is its own response, output and buffer.
TRITON TRITONSERVER_Error*
TRITONBACKEND_ResponseNew(void** response, TRITONBACKEND_Request* request)
{
  *response = request;
  return nullptr;
}

TRITON TRITONSERVER_Error*
TRITONBACKEND_ResponseOutput(
    void* response, void** output, const char*, int, const int64_t*, uint32_t)
{
  *output = response;
  return nullptr;
}

TRITON TRITONSERVER_Error*
TRITONBACKEND_OutputBuffer(
    void* output, void** buffer, uint64_t, int*, int64_t*)
{
  *buffer = &static_cast<TRITONBACKEND_Request*>(output)->answer;
  return nullptr;
}

TRITON TRITONSERVER_Error*
TRITONBACKEND_ResponseSend(void*, uint32_t, TRITONSERVER_Error*)
{
  return nullptr;
}

TRITON TRITONSERVER_Error*
TRITONBACKEND_RequestRelease(TRITONBACKEND_Request*, uint32_t)
{
  return nullptr;
}
