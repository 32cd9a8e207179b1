// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// A test whose hooks are preloaded, as they are in use: the program begins anew
// with LD_PRELOAD. The order matters to ThreadSanitizer, which must know a
// thread before the hooks run in it.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "built_files.h"

namespace {

__attribute__((constructor)) void
BeginAnew(int, char** argv, char**)
{
  // AddressSanitizer insists on being the first library.
#if !defined(__SANITIZE_ADDRESS__)
  if (getenv("LD_PRELOAD") == nullptr) {
    setenv("LD_PRELOAD", kHooks, 1);
    execv("/proc/self/exe", argv);
    perror("execv");
    _exit(1);
  }
#else
  (void)argv;
#endif
}

}  // namespace
