// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "next_symbol.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>

// Where dlsym, in entry_points.S, goes with everything that is not the hooks':
// what is found once, and what finds it.
extern "C" {
#define XSCHED_HIDDEN __attribute__((visibility("hidden")))
XSCHED_HIDDEN std::atomic<triton_hooks::DlsymFunction> xsched_hooks_next_dlsym{
    nullptr};
XSCHED_HIDDEN triton_hooks::DlsymFunction xsched_hooks_find_next_dlsym();
}

namespace triton_hooks {
namespace {

// The version of dlsym that x86-64 had first. Later C libraries still have it.
constexpr char kFirstVersion[] = "GLIBC_2.2.5";

template <typename Function>
Function
Found(void* function)
{
  if (function == nullptr) {
    abort();  // there is no C library
  }
  return reinterpret_cast<Function>(function);
}

// Not with dlsym, which is this library's own here. dlvsym finds only what has
// that version, so not the function of another library that was preloaded, too;
// but what it finds does.
DlsymFunction
FindNextDlsym()
{
  const auto of_c_library =
      Found<DlsymFunction>(dlvsym(RTLD_NEXT, "dlsym", kFirstVersion));
  return Found<DlsymFunction>(of_c_library(RTLD_NEXT, "dlsym"));
}

// Looked for once.
template <typename Function>
Function
Next(std::atomic<Function>* found, const char* name)
{
  // Relaxed: every thread finds the same address.
  Function next = found->load(std::memory_order_relaxed);
  if (__builtin_expect(next == nullptr, 0)) {
    next = Found<Function>(NextDlsym()(RTLD_NEXT, name));
    found->store(next, std::memory_order_relaxed);
  }
  return next;
}

}  // namespace

DlsymFunction
NextDlsym()
{
  // Relaxed: every thread finds the same address.
  DlsymFunction next = xsched_hooks_next_dlsym.load(std::memory_order_relaxed);
  if (__builtin_expect(next == nullptr, 0)) {
    next = FindNextDlsym();
    xsched_hooks_next_dlsym.store(next, std::memory_order_relaxed);
  }
  return next;
}

PthreadCreateFunction
NextPthreadCreate()
{
  static std::atomic<PthreadCreateFunction> found{nullptr};
  return Next(&found, "pthread_create");
}

ExecvpFunction
NextExecvp()
{
  static std::atomic<ExecvpFunction> found{nullptr};
  return Next(&found, "execvp");
}

}  // namespace triton_hooks

triton_hooks::DlsymFunction
xsched_hooks_find_next_dlsym()
{
  return triton_hooks::NextDlsym();
}
