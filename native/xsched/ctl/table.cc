// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "ctl/table.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>

#include "control/utf8.h"

namespace xsched {
namespace {

// Text that is safe on a terminal: valid UTF-8 without the control characters
// U+0080 to U+009F, which some terminals obey.
std::string
Printable(const std::string& text)
{
  std::string printable = ValidUtf8(text);
  for (size_t i = 0; i + 1 < printable.size(); ++i) {
    if (printable[i] == '\xC2' &&
        static_cast<unsigned char>(printable[i + 1]) < 0xA0) {
      printable.replace(i, 2, "?");
    }
  }
  return printable;
}

// The length in characters, not bytes.
size_t
Width(const std::string& text)
{
  return std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  });
}

}  // namespace

std::string
FormatTable(
    const std::vector<Column>& columns,
    const std::vector<std::vector<std::string>>& rows)
{
  std::vector<std::vector<std::string>> lines(1);
  for (const Column& column : columns) {
    lines[0].push_back(column.title);
  }
  lines.insert(lines.end(), rows.begin(), rows.end());
  std::vector<size_t> widths(columns.size());
  for (auto& line : lines) {
    for (size_t i = 0; i < columns.size(); ++i) {
      line[i] = Printable(line[i]);
      widths[i] = std::max(widths[i], Width(line[i]));
    }
  }
  std::string text;
  for (const auto& line : lines) {
    std::string row;
    for (size_t i = 0; i < columns.size(); ++i) {
      const std::string space(widths[i] - Width(line[i]), ' ');
      row += i == 0 ? "" : "  ";
      row +=
          columns[i].align == Align::kLeft ? line[i] + space : space + line[i];
    }
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + "\n";
  }
  return text;
}

std::string
Fixed(double value, int digits, const char* unit)
{
  char text[64];
  snprintf(text, sizeof(text), "%.*f%s", digits, value, unit);
  return text;
}

}  // namespace xsched
