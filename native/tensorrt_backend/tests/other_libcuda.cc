// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// A libcuda.so.1 that is not XSched's; with ANOTHER_XSCHED, one from another
// installation of XSched.

extern "C" __attribute__((visibility("default"))) int
cuInit(unsigned int)
{
  return 0;
}

#ifdef ANOTHER_XSCHED
extern "C" __attribute__((visibility("default"))) const char*
xsched_shim_version()
{
  return "0";
}
#endif
