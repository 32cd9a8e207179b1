// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Stands between the code under test and XSched: notes the calls that make
// and destroy queues, and makes them fail.

#ifndef XSCHED_BACKEND_TESTS_XSCHED_CALLS_H_
#define XSCHED_BACKEND_TESTS_XSCHED_CALLS_H_

#include <string>
#include <vector>

#include "xsched/types.h"

namespace calls {

// Forgets the calls, and lets all of them succeed again.
void Reset();

// The calls in their order: "XQueueCreate", and those with an argument of
// interest as "XHintPriority 40".
std::vector<std::string> Take();

// Adds a step of the test's own.
void Note(const std::string& step);

// Calls of 'function' return 'result' and do nothing.
void Fail(const std::string& function, XResult result);

// XSched gets no memory in calls of 'function'.
void Starve(const std::string& function);

}  // namespace calls

#endif  // XSCHED_BACKEND_TESTS_XSCHED_CALLS_H_
