// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_NAME_H_
#define XSCHED_PREEMPT_NAME_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

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

// The part of a queue's name before the first slash: the model's name, if
// queues are named <model>/<instance>.
inline std::string
ModelOf(const std::string& name)
{
  return name.substr(0, name.find('/'));
}

}  // namespace xsched

#endif  // XSCHED_PREEMPT_NAME_H_
