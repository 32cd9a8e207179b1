// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TRITON_HOOKS_NEXT_SYMBOL_H_
#define XSCHED_TRITON_HOOKS_NEXT_SYMBOL_H_

#include <pthread.h>

namespace triton_hooks {

// The functions that this library stands in front of: those of the next library
// in the loader's order that has them, which is the C library or another one
// that was preloaded.
using DlsymFunction = void* (*)(void* handle, const char* name);
using PthreadCreateFunction = int (*)(
    pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
    void* argument);
using ExecvpFunction = int (*)(const char* file, char* const arguments[]);

DlsymFunction NextDlsym();
ExecvpFunction NextExecvp();
PthreadCreateFunction NextPthreadCreate();

}  // namespace triton_hooks

#endif  // XSCHED_TRITON_HOOKS_NEXT_SYMBOL_H_
