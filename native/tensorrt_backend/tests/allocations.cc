// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "allocations.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

std::atomic<int64_t> live{0};
thread_local bool out_of_memory = false;

void*
Allocate(size_t size, size_t alignment)
{
  void* memory = nullptr;
  if (out_of_memory || posix_memalign(&memory, alignment, size) != 0) {
    throw std::bad_alloc();
  }
  live.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

void
Free(void* memory)
{
  if (memory != nullptr) {
    live.fetch_sub(1, std::memory_order_relaxed);
    free(memory);
  }
}

}  // namespace

namespace allocations {

int64_t
Live()
{
  return live.load();
}

OutOfMemory::OutOfMemory()
{
  out_of_memory = true;
}

OutOfMemory::~OutOfMemory()
{
  out_of_memory = false;
}

}  // namespace allocations

// These replace the C++ library's and the sanitizers' operators for all
// libraries of the process.
#define ALLOCATION_FUNCTIONS(new_operator, delete_operator)             \
  void* new_operator(size_t size)                                       \
  {                                                                     \
    return Allocate(size, alignof(std::max_align_t));                   \
  }                                                                     \
  void* new_operator(size_t size, std::align_val_t alignment)           \
  {                                                                     \
    return Allocate(size, static_cast<size_t>(alignment));              \
  }                                                                     \
  void delete_operator(void* memory) noexcept                           \
  {                                                                     \
    Free(memory);                                                       \
  }                                                                     \
  void delete_operator(void* memory, size_t) noexcept                   \
  {                                                                     \
    Free(memory);                                                       \
  }                                                                     \
  void delete_operator(void* memory, std::align_val_t) noexcept         \
  {                                                                     \
    Free(memory);                                                       \
  }                                                                     \
  void delete_operator(void* memory, size_t, std::align_val_t) noexcept \
  {                                                                     \
    Free(memory);                                                       \
  }                                                                     \
  static_assert(true, "ends in a semicolon")

ALLOCATION_FUNCTIONS(operator new, operator delete);
ALLOCATION_FUNCTIONS(operator new[], operator delete[]);
