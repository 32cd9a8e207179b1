// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_PREEMPT_HASH_H_
#define XSCHED_PREEMPT_HASH_H_

#include <cstdint>

namespace xsched {

// Spreads the bits of a handle or an address.
inline uint64_t
Mix(uint64_t value)
{
  value ^= value >> 32;
  value *= UINT64_C(0x9E3779B97F4A7C15);
  value ^= value >> 29;
  return value;
}

}  // namespace xsched

#endif  // XSCHED_PREEMPT_HASH_H_
