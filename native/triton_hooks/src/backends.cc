// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "backends.h"

#include <dlfcn.h>

#include <cstring>
#include <string>

#include "next_symbol.h"
#include "xsched/ext.h"

// In entry_points.S.
extern "C" {
extern const char xsched_hooks_initialize_functions[];
extern const char xsched_hooks_finalize_functions[];
extern const char xsched_hooks_execute_functions[];
__attribute__((visibility("hidden"))) void* xsched_hooks_answer(
    void* library, const char* name, const void* caller);
}

namespace triton_hooks {
namespace {

constexpr char kPrefix[] = "TRITONBACKEND_ModelInstance";
constexpr size_t kPrefixSize = sizeof(kPrefix) - 1;
constexpr char kExecute[] = "TRITONBACKEND_ModelInstanceExecute";

void*
FunctionAt(const char* functions, int number)
{
  return const_cast<char*>(
      functions + (static_cast<size_t>(number) << XSCHED_HOOKS_FUNCTION_BITS));
}

// Where a library has a function; null if it has none, and then dlerror says
// nothing about that: what Triton finds there is the hooks' answer.
template <typename Function>
Function
Find(void* library, const char* name)
{
  void* found = NextDlsym()(library, name);
  if (found == nullptr) {
    dlerror();
  }
  return reinterpret_cast<Function>(found);
}

std::string
PathOf(const void* code)
{
  Dl_info info = {};
  return dladdr(code, &info) != 0 ? info.dli_fname : "";
}

}  // namespace

Backends&
Backends::Get()
{
  // Never destroyed: requests may be executed while the process exits.
  static Backends* backends = new Backends;
  return *backends;
}

int
Backends::NumberOf(ExecuteFunction execute)
{
  std::lock_guard<std::mutex> lock(mutex_);
  for (uint32_t number = 0; number < count_; ++number) {
    if (backends_[number].execute.load(std::memory_order_relaxed) == execute) {
      return static_cast<int>(number);
    }
  }
  uint32_t number = count_;
  if (count_ < XSCHED_HOOKS_BACKENDS) {
    ++count_;
  } else {
    number = 0;
    Dl_info info = {};
    while (number < count_ &&
           dladdr(
               reinterpret_cast<void*>(
                   backends_[number].execute.load(std::memory_order_relaxed)),
               &info) != 0) {
      ++number;
    }
    if (number == count_) {
      return -1;
    }
  }
  backends_[number].execute.store(execute, std::memory_order_relaxed);
  return static_cast<int>(number);
}

void*
Backends::Answer(void* library, const char* name, const void* caller)
{
  const auto execute = Find<ExecuteFunction>(library, kExecute);
  if (execute == nullptr) {
    return nullptr;  // no backend
  }
  const TritonApi* triton = TritonApi::Find(caller);
  if (triton == nullptr) {
    return nullptr;  // nobody who asks for it is Triton
  }
  const int number = NumberOf(execute);
  if (number < 0) {
    // Its models are not seen, so they count as one, for good.
    XUnscheduledAdd(1);
    triton->Log(
        kLogWarning, "XSched has no place for another backend: the models of " +
                         PathOf(reinterpret_cast<void*>(execute)) +
                         " run unscheduled");
    return nullptr;
  }
  Backend& backend = At(static_cast<uint32_t>(number));
  const char* const function = name + kPrefixSize;
  // Relaxed: Triton calls what it was given only after that.
  if (strcmp(function, "Initialize") == 0) {
    backend.initialize.store(
        Find<InstanceFunction>(library, name), std::memory_order_relaxed);
    triton->Log(
        kLogInfo, "XSched's hooks are in front of the backend " +
                      PathOf(reinterpret_cast<void*>(execute)));
    return FunctionAt(xsched_hooks_initialize_functions, number);
  }
  if (strcmp(function, "Finalize") == 0) {
    backend.finalize.store(
        Find<InstanceFunction>(library, name), std::memory_order_relaxed);
    return FunctionAt(xsched_hooks_finalize_functions, number);
  }
  return FunctionAt(xsched_hooks_execute_functions, number);
}

}  // namespace triton_hooks

void*
xsched_hooks_answer(void* library, const char* name, const void* caller)
{
  using triton_hooks::Backends;
  triton_hooks::NextDlsym();  // where everything else goes
  // The driver, the CUDA runtime and others ask for thousands of names.
  if (name == nullptr ||
      strncmp(name, triton_hooks::kPrefix, triton_hooks::kPrefixSize) != 0) {
    return nullptr;
  }
  const char* const function = name + triton_hooks::kPrefixSize;
  if (library == RTLD_NEXT || library == RTLD_DEFAULT ||
      (strcmp(function, "Initialize") != 0 &&
       strcmp(function, "Finalize") != 0 && strcmp(function, "Execute") != 0)) {
    return nullptr;
  }
  try {
    return Backends::Get().Answer(library, name, caller);
  } catch (...) {
    return nullptr;  // out of memory: the models run unscheduled
  }
}
