// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_BACKEND_TESTS_ENVIRONMENT_H_
#define XSCHED_BACKEND_TESTS_ENVIRONMENT_H_

#include <cstdlib>

// Sets a variable that is otherwise unset; nullptr leaves it unset.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name)
  {
    if (value != nullptr) {
      setenv(name, value, 1);
    }
  }
  ~Environment() { unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
};

#endif  // XSCHED_BACKEND_TESTS_ENVIRONMENT_H_
