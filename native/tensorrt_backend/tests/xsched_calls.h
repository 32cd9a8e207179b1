// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// Stands between the code under test and XSched. Records the calls that create
// and destroy queues, and makes them fail on demand.

#ifndef XSCHED_BACKEND_TESTS_XSCHED_CALLS_H_
#define XSCHED_BACKEND_TESTS_XSCHED_CALLS_H_

#include <string>
#include <vector>

#include "xsched/types.h"

namespace calls {

// Forgets the recorded calls, and lets all calls succeed again.
void Reset();

// The calls in order: "XQueueCreate", or with the argument of interest,
// "XHintPriority 40".
std::vector<std::string> Take();

// Records a step of the test itself.
void Note(const std::string& step);

// Makes calls of 'function' do nothing and return 'result'.
void Fail(const std::string& function, XResult result);

// Lets XSched run out of memory in calls of 'function'.
void Starve(const std::string& function);

}  // namespace calls

#endif  // XSCHED_BACKEND_TESTS_XSCHED_CALLS_H_
