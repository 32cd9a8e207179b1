// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CONTROL_UTF8_H_
#define XSCHED_CONTROL_UTF8_H_

#include <string>

namespace xsched {

// 'text' with each byte that is no part of valid UTF-8 replaced by U+FFFD.
// Queues are named by the application, in any bytes; formats that other
// programs read allow only UTF-8.
std::string ValidUtf8(const std::string& text);

}  // namespace xsched

#endif  // XSCHED_CONTROL_UTF8_H_
