// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CTL_JSON_H_
#define XSCHED_CTL_JSON_H_

#include <string>

namespace xsched {

// 'text' as a JSON string, with its quotes.
std::string JsonString(const std::string& text);

}  // namespace xsched

#endif  // XSCHED_CTL_JSON_H_
