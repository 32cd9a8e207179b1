// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// A process that CUDA was loaded into without the shim.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "built_files.h"
#include "stand_in_triton.h"

namespace {

using stand_in::Backend;
using stand_in::Config;
using stand_in::Instance;

TEST(WithoutShimTest, AModelOnAGpuRunsUnscheduledOrIsRefused)
{
  const Backend backend(kOnlyExecute);
  const std::string problem =
      "XSched can't schedule instance m_0_0 of model 'm': no libcuda.so.1 is "
      "loaded (XSCHED_REQUIRED";
  stand_in::TakeLog();
  {
    Instance instance(backend, "m", Config(""), stand_in::kGpu);
    EXPECT_EQ(instance.Problem(), "");
    EXPECT_EQ(instance.Execute(), -1);
    EXPECT_EQ(
        stand_in::TakeLog().back(),
        "1: " + problem + " is not ON: the model runs unscheduled)");
  }
  setenv("XSCHED_REQUIRED", "ON", 1);
  {
    const Instance instance(backend, "m", Config(""), stand_in::kGpu);
    EXPECT_EQ(
        instance.Problem(),
        "4: " + problem + "=ON: the model is not loaded unscheduled)");
  }
  // A model on the CPU needs no driver.
  Instance instance(backend, "m", Config(""), stand_in::kCpu);
  EXPECT_EQ(instance.Problem(), "");
  EXPECT_EQ(instance.Execute(), -1);
}

}  // namespace
