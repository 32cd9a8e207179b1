// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_SHIM_SYMBOL_H_
#define XSCHED_SHIM_SYMBOL_H_

#include <cstring>

namespace xsched {

// Whether a symbol is a version or a variant of the function 'name'.
inline bool
IsOf(const char* symbol, const char* name)
{
  const size_t length = strlen(name);
  return strncmp(symbol, name, length) == 0 &&
         (symbol[length] == '\0' || strncmp(symbol + length, "_v", 2) == 0 ||
          strncmp(symbol + length, "_pt", 3) == 0);
}

}  // namespace xsched

#endif  // XSCHED_SHIM_SYMBOL_H_
