// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <cstdlib>

#include "built_files.h"

int
main(int argc, char** argv)
{
  setenv("XSCHED_CUDA_LIB", kSimulatedDriver, 1);
  // Tests of the socket say where it is to be.
  setenv("XSCHED_CONTROL", "OFF", 0);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
