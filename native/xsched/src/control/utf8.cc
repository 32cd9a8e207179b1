// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "control/utf8.h"

#include <cstddef>
#include <cstdint>

namespace xsched {
namespace {

// The length of the valid sequence at the start; 0 if there is none.
size_t
SequenceLength(const unsigned char* bytes, size_t available)
{
  const unsigned char first = bytes[0];
  const size_t length = first < 0x80    ? 1
                        : first < 0xC0  ? 0
                        : first < 0xE0  ? 2
                        : first < 0xF0  ? 3
                        : first <= 0xF4 ? 4
                                        : 0;
  if (length <= 1) {
    return length;
  }
  if (length > available) {
    return 0;
  }
  uint32_t point = first & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((bytes[i] & 0xC0) != 0x80) {
      return 0;
    }
    point = (point << 6) | (bytes[i] & 0x3F);
  }
  // Overlong, half of a surrogate pair, or beyond the last code point.
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool allowed = point >= kLeast[length] && point <= 0x10FFFF &&
                       (point < 0xD800 || point > 0xDFFF);
  return allowed ? length : 0;
}

}  // namespace

std::string
ValidUtf8(const std::string& text)
{
  std::string valid;
  for (size_t i = 0; i < text.size();) {
    const size_t length = SequenceLength(
        reinterpret_cast<const unsigned char*>(text.data()) + i,
        text.size() - i);
    if (length == 0) {
      valid += "\xEF\xBF\xBD";
      ++i;
    } else {
      valid.append(text, i, length);
      i += length;
    }
  }
  return valid;
}

}  // namespace xsched
