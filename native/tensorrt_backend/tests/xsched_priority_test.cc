// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "xsched_priority.h"

#include <gtest/gtest.h>

#include "tritonserver.h"

namespace {

using triton::backend::tensorrt::ParseXSchedFloor;
using triton::backend::tensorrt::ParseXSchedPriority;
using triton::backend::tensorrt::ParseXSchedWeight;
using triton::backend::tensorrt::TensorRTModel;
using triton::backend::tensorrt::ToXSchedPriority;

TEST(XSchedPriorityTest, TritonsThreeLevelsDiffer)
{
  EXPECT_EQ(ToXSchedPriority(TensorRTModel::Priority::MAX), 255);
  EXPECT_EQ(ToXSchedPriority(TensorRTModel::Priority::DEFAULT), 0);
  EXPECT_EQ(ToXSchedPriority(TensorRTModel::Priority::MIN), -255);
}

TEST(XSchedPriorityTest, GoodValues)
{
  const struct {
    const char* value;
    Priority priority;
  } kGood[] = {
      {"40", 40},   {"0", 0},       {"-0", 0},     {"255", 255},
      {"-1", -1},   {"-255", -255}, {"007", 7},    {"0000000000000255", 255},
      {"max", 255}, {"default", 0}, {"min", -255},
  };
  for (const auto& good : kGood) {
    Priority priority = 99;
    EXPECT_EQ(
        server::MessageOf(ParseXSchedPriority(good.value, &priority)), "");
    EXPECT_EQ(priority, good.priority) << good.value;
  }
}

TEST(XSchedPriorityTest, BadValues)
{
  const std::string kBad[] = {
      "",
      "-",
      "--1",
      "+1",
      "256",
      "-256",
      "4294967296",
      "-4294967041",
      "99999999999999999999999999",
      "1.0",
      "1e2",
      "0x10",
      " 1",
      "1 ",
      "4 0",
      "MAX",
      "Max",
      "maximum",
      "high",
      "PRIORITY_MAX",
      "none",
      "1\n",
      "٤",
      std::string("1\0", 2)};
  for (const std::string& bad : kBad) {
    Priority priority = 99;
    TRITONSERVER_Error* error = ParseXSchedPriority(bad, &priority);
    ASSERT_NE(error, nullptr) << bad;
    EXPECT_EQ(TRITONSERVER_ErrorCode(error), TRITONSERVER_ERROR_INVALID_ARG);
    EXPECT_EQ(
        server::MessageOf(error),
        "model parameter 'xsched_priority' is '" + std::string(bad.c_str()) +
            (bad.find('\0') == std::string::npos
                 ? "', but must be an integer from -255 to 255, 'max', "
                   "'default' or 'min'"
                 : ""));
    EXPECT_EQ(priority, 99);
  }
}

TEST(XSchedPriorityTest, EveryFloor)
{
  for (int value = -60; value <= 60; ++value) {
    int32_t floor = 99;
    const std::string problem =
        server::MessageOf(ParseXSchedFloor(std::to_string(value), &floor));
    if (value >= 0 && value <= 50) {
      EXPECT_EQ(problem, "") << value;
      EXPECT_EQ(floor, value);
    } else {
      EXPECT_EQ(
          problem, "model parameter 'xsched_floor' is '" +
                       std::to_string(value) +
                       "', but must be an integer from 0 to 50, in percent of "
                       "the GPU's time");
      EXPECT_EQ(floor, 99);
    }
  }
  for (const char* bad : {"", "max", "20%", "1.5", " 1", "4294967296"}) {
    int32_t floor = 99;
    EXPECT_NE(server::MessageOf(ParseXSchedFloor(bad, &floor)), "") << bad;
    EXPECT_EQ(floor, 99);
  }
}

TEST(XSchedPriorityTest, EveryWeight)
{
  for (int value = -110; value <= 110; ++value) {
    int32_t weight = 999;
    const std::string problem =
        server::MessageOf(ParseXSchedWeight(std::to_string(value), &weight));
    if (value >= 0 && value <= 100) {
      EXPECT_EQ(problem, "") << value;
      EXPECT_EQ(weight, value);
    } else {
      EXPECT_EQ(
          problem, "model parameter 'xsched_weight' is '" +
                       std::to_string(value) +
                       "', but must be an integer from 0 (none) to 100");
      EXPECT_EQ(weight, 999);
    }
  }
  for (const char* bad : {"", "max", "3:1", "1.5", " 1", "4294967296"}) {
    int32_t weight = 999;
    EXPECT_NE(server::MessageOf(ParseXSchedWeight(bad, &weight)), "") << bad;
    EXPECT_EQ(weight, 999);
  }
}

TEST(XSchedPriorityTest, EveryPriority)
{
  for (int value = -300; value <= 300; ++value) {
    Priority priority = 99;
    const bool good =
        server::MessageOf(ParseXSchedPriority(std::to_string(value), &priority))
            .empty();
    EXPECT_EQ(good, value >= PRIORITY_MIN && value <= PRIORITY_MAX) << value;
    EXPECT_EQ(priority, good ? value : 99);
  }
}

}  // namespace
