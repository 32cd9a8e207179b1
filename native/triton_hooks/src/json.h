// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_TRITON_HOOKS_JSON_H_
#define XSCHED_TRITON_HOOKS_JSON_H_

#include <string>
#include <vector>

namespace triton_hooks {

enum class Found { kYes, kNo, kMalformed };

// The string at 'path', the names of members of objects, one within the other,
// in a JSON text (RFC 8259). kNo if there is nothing, or something that is not a
// string. If a name occurs twice, its first value counts. Objects and arrays may
// be 64 levels deep.
Found FindString(
    const std::string& json, const std::vector<std::string>& path,
    std::string* value);

}  // namespace triton_hooks

#endif  // XSCHED_TRITON_HOOKS_JSON_H_
