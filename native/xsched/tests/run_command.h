// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TESTS_RUN_COMMAND_H_
#define XSCHED_TESTS_RUN_COMMAND_H_

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

// Runs a command of the shell, which must succeed; its standard output and
// error.
inline std::string
RunCommand(const std::string& command)
{
  FILE* pipe = popen(("{ " + command + "; } 2>&1").c_str(), "r");
  std::string output;
  char buffer[4096];
  size_t length = 0;
  while ((length = fread(buffer, 1, sizeof(buffer), pipe)) > 0) {
    output.append(buffer, length);
  }
  EXPECT_EQ(pclose(pipe), 0) << output;
  return output;
}

inline int
CountIn(const std::string& text, const std::string& part)
{
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

#endif  // XSCHED_TESTS_RUN_COMMAND_H_
