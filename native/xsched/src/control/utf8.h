// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CONTROL_UTF8_H_
#define XSCHED_CONTROL_UTF8_H_

#include <string>

namespace xsched {

// Replaces each byte of 'text' that is not part of valid UTF-8 by U+FFFD. The
// application may name queues with any bytes, but formats that other programs
// read allow only UTF-8.
std::string ValidUtf8(const std::string& text);

}  // namespace xsched

#endif  // XSCHED_CONTROL_UTF8_H_
