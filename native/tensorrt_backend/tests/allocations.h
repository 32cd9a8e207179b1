// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The C++ heap of a test's process: what is live, and memory that runs out.

#ifndef XSCHED_BACKEND_TESTS_ALLOCATIONS_H_
#define XSCHED_BACKEND_TESTS_ALLOCATIONS_H_

#include <cstdint>

namespace allocations {

// How many there are that nobody has freed.
int64_t Live();

// While one exists, its thread gets no memory.
class OutOfMemory {
 public:
  OutOfMemory();
  ~OutOfMemory();
  OutOfMemory(const OutOfMemory&) = delete;
  OutOfMemory& operator=(const OutOfMemory&) = delete;
};

}  // namespace allocations

#endif  // XSCHED_BACKEND_TESTS_ALLOCATIONS_H_
