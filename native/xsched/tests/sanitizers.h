// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TESTS_SANITIZERS_H_
#define XSCHED_TESTS_SANITIZERS_H_

// Whether the child of a fork may use memory although its parent had threads,
// as glibc lets it. AddressSanitizer's runtime does not (GCC 12's): what a
// thread held of its allocator is never given back in the child, and the check
// for leaks at the end takes all of it. Of 400 children 12 hung there, and none
// of 300 under ThreadSanitizer.
#if defined(__SANITIZE_ADDRESS__)
#define XSCHED_CHILD_MAY_ALLOCATE 0
#else
#define XSCHED_CHILD_MAY_ALLOCATE 1
#endif

#endif  // XSCHED_TESTS_SANITIZERS_H_
