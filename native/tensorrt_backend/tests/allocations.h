// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The C++ heap of a test's process: counts live allocations, and simulates
// running out of memory.

#ifndef XSCHED_BACKEND_TESTS_ALLOCATIONS_H_
#define XSCHED_BACKEND_TESTS_ALLOCATIONS_H_

#include <cstdint>

namespace allocations {

// The number of live allocations.
int64_t Live();

// While an object exists, its thread gets no memory.
class OutOfMemory {
 public:
  OutOfMemory();
  ~OutOfMemory();
  OutOfMemory(const OutOfMemory&) = delete;
  OutOfMemory& operator=(const OutOfMemory&) = delete;
};

}  // namespace allocations

#endif  // XSCHED_BACKEND_TESTS_ALLOCATIONS_H_
