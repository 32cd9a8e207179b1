// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// A process without a libcuda.so.1, or with the wrong one. Nothing ever touches
// the streams.

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "built_files.h"
#include "environment.h"
#include "instance_xqueues.h"
#include "tritonserver.h"

namespace {

using triton::backend::tensorrt::CreateInstanceXQueues;
using triton::backend::tensorrt::StreamXQueue;

const cudaStream_t kStream = reinterpret_cast<cudaStream_t>(0x1000);

// A library, loaded as a CUDA runtime loads the driver.
class Loaded {
 public:
  explicit Loaded(const char* path)
      : library_(dlopen(path, RTLD_NOW | RTLD_LOCAL))
  {
    EXPECT_NE(library_, nullptr) << dlerror();
  }
  ~Loaded() { EXPECT_EQ(dlclose(library_), 0); }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

 private:
  void* library_;
};

void
ExpectUnscheduled(const std::string& reason)
{
  const std::string start =
      "XSched can't schedule instance bert_0 of model 'bert': ";
  std::vector<StreamXQueue> xqueues;
  {
    const Environment required("XSCHED_REQUIRED", "ON");
    TRITONSERVER_Error* error =
        CreateInstanceXQueues("bert", "bert_0", 0, 0, 0, {kStream}, &xqueues);
    ASSERT_NE(error, nullptr);
    EXPECT_EQ(TRITONSERVER_ErrorCode(error), TRITONSERVER_ERROR_UNAVAILABLE);
    EXPECT_EQ(
        server::MessageOf(error),
        start + reason +
            " (XSCHED_REQUIRED=ON: the model is not loaded unscheduled)");
    EXPECT_TRUE(server::TakeLog().empty());
  }
  EXPECT_EQ(
      CreateInstanceXQueues("bert", "bert_0", 0, 0, 0, {kStream}, &xqueues),
      nullptr);
  EXPECT_TRUE(xqueues.empty());
  const auto log = server::TakeLog();
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0].level, TRITONSERVER_LOG_WARN);
  EXPECT_EQ(
      log[0].text,
      start + reason +
          " (XSCHED_REQUIRED is not ON: the model runs unscheduled)");
  EXPECT_EQ(server::LiveErrors(), 0);
}

TEST(WithoutShimTest, NoDriver)
{
  ExpectUnscheduled("no libcuda.so.1 is loaded");
}

TEST(WithoutShimTest, AnotherDriver)
{
  const Loaded driver(kOtherLibcuda);
  ExpectUnscheduled(
      "libcuda.so.1 is " + std::string(kOtherLibcuda) +
      ", which is not XSched's; put the directory of XSched's first in "
      "LD_LIBRARY_PATH");
}

TEST(WithoutShimTest, ShimOfAnotherInstallation)
{
  const Loaded shim(kOtherShim);
  ExpectUnscheduled(
      "libcuda.so.1 is " + std::string(kOtherShim) +
      ", which does not use the libpreempt.so of this backend; install XSched "
      "once and put its directory first in LD_LIBRARY_PATH");
}

}  // namespace
