// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_NAME_H_
#define XSCHED_PREEMPT_NAME_H_

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace xsched {

// Of a queue or an owner, in bytes.
constexpr size_t kMaxName = 63;

// One line of text.
inline bool
IsName(const char* name)
{
  return name != nullptr && strlen(name) <= kMaxName &&
         std::all_of(name, name + strlen(name), [](const char c) {
           return static_cast<unsigned char>(c) >= ' ' && c != 0x7F;
         });
}

}  // namespace xsched

#endif  // XSCHED_PREEMPT_NAME_H_
