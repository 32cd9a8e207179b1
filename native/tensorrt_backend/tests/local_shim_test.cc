// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// A process that loads the shim as CUDA runtimes do: late, by the name of the
// driver's library, and without making its symbols global.

#include <dlfcn.h>

#include <vector>

#include "backend_fixture.h"
#include "built_files.h"
#include "environment.h"
#include "instance_xqueues.h"

namespace {

class LocalShimTest : public BackendTest {};

TEST_F(LocalShimTest, IsFound)
{
  const Environment required("XSCHED_REQUIRED", "ON");
  ASSERT_NE(dlopen(kShim, RTLD_NOW | RTLD_LOCAL), nullptr) << dlerror();
  ASSERT_EQ(dlsym(RTLD_DEFAULT, "xsched_shim_version"), nullptr);
  TestStream stream;
  std::vector<triton::backend::tensorrt::StreamXQueue> xqueues;
  EXPECT_EQ(
      server::MessageOf(triton::backend::tensorrt::CreateInstanceXQueues(
          "bert", "bert_0", 9, 0, 0, {stream.Get()}, &xqueues)),
      "");
  EXPECT_EQ(PriorityOf(stream.Get()), 9);
  xqueues.clear();
}

}  // namespace
