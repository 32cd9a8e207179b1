// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef XSCHED_CTL_TABLE_H_
#define XSCHED_CTL_TABLE_H_

#include <string>
#include <vector>

namespace xsched {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align;
};

// A table with column titles, for people at a terminal.
std::string FormatTable(
    const std::vector<Column>& columns,
    const std::vector<std::vector<std::string>>& rows);

// A number with 'digits' decimal places and its unit, as cells show it.
std::string Fixed(double value, int digits, const char* unit);

}  // namespace xsched

#endif  // XSCHED_CTL_TABLE_H_
