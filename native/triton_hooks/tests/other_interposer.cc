// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Another library that stands in front of dlsym and pthread_create. It counts
// the calls.

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

std::atomic<int> lookups{0};
std::atomic<int> threads{0};

void*
Next(const char* name, const char* version)
{
  return dlvsym(RTLD_NEXT, name, version);
}

}  // namespace

EXPORT void*
dlsym(void* handle, const char* name)
{
  static const auto next = reinterpret_cast<void* (*)(void*, const char*)>(
      Next("dlsym", "GLIBC_2.2.5"));
  ++lookups;
  return next(handle, name);
}

EXPORT int
pthread_create(
    pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
    void* argument)
{
  using Function =
      int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto next =
      reinterpret_cast<Function>(Next("pthread_create", "GLIBC_2.2.5"));
  ++threads;
  return next(thread, attributes, start, argument);
}

EXPORT int
other_lookups()
{
  return lookups.load();
}

EXPORT int
other_threads()
{
  return threads.load();
}
