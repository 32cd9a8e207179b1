// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

// Also included by assembly code.

#ifndef XSCHED_TRITON_HOOKS_BACKEND_COUNT_H_
#define XSCHED_TRITON_HOOKS_BACKEND_COUNT_H_

// How many backends can be loaded at a time. A model may bring one of its own.
#define XSCHED_HOOKS_BACKENDS 1024
// Of the functions that Triton calls, each begins this many bits of an address
// after the one before.
#define XSCHED_HOOKS_FUNCTION_BITS 4

#endif  // XSCHED_TRITON_HOOKS_BACKEND_COUNT_H_
