// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// A backend with the one function that Triton requires. It answers nothing.

#include <cstdint>

extern "C" __attribute__((visibility("default"))) void*
TRITONBACKEND_ModelInstanceExecute(void*, void**, uint32_t)
{
  return nullptr;
}
