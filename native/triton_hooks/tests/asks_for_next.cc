// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Two libraries that have a function of one name; the first asks for that of
// the next.

#include <dlfcn.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

#if defined(ASKER)
EXPORT const char*
of_which_library()
{
  return "of the asker";
}

EXPORT const char*
next_of_asker()
{
  const auto next =
      reinterpret_cast<const char* (*)()>(dlsym(RTLD_NEXT, "of_which_library"));
  return next == nullptr ? "nothing" : next();
}
#else
EXPORT const char*
of_which_library()
{
  return "of the library behind the asker";
}
#endif
