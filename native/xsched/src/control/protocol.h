// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The format of requests and answers, for both sides. control/requests.h
// defines their meaning.

#ifndef XSCHED_CONTROL_PROTOCOL_H_
#define XSCHED_CONTROL_PROTOCOL_H_

#include <cstddef>
#include <string>
#include <vector>

#include "xsched/types.h"

namespace xsched {

// The longest request, without its line feed.
constexpr size_t kMaxRequest = 4096;

// The rows of an answer; the first one names the columns.
class AnswerTable {
 public:
  explicit AnswerTable(std::vector<std::string> columns);
  // Takes one field per column, and replaces characters that would break a row.
  void AddRow(std::vector<std::string> fields);

  size_t Rows() const { return rows_.size(); }
  // Empty if the column is missing: the other side may be older.
  const std::string& Field(size_t row, const std::string& column) const;

  std::string ToAnswer() const;

 private:
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
};

std::string ErrorAnswer(const std::string& message);

// A parsed answer: exactly one of these kinds.
struct ParsedAnswer {
  enum class Kind { kTable, kError, kIncomplete } kind;
  AnswerTable table;
  std::string error;
};

ParsedAnswer ParseAnswer(const std::string& text);

// False, with the reason, unless 'text' is a priority: -255 to 255, max,
// default or min.
bool ParsePriority(
    const std::string& text, Priority* priority, std::string* error);

// The same for a floor: 0 to kMaxFloor.
bool ParseFloor(const std::string& text, int* percent, std::string* error);
// And for a weight: 0 to kMaxWeight.
bool ParseWeight(const std::string& text, int* weight, std::string* error);

// And for by how many calls a queue may run ahead: 0 to kMaxRunAhead.
bool ParseRunAhead(const std::string& text, int* calls, std::string* error);

// Text that fits on one line: control characters become question marks.
std::string OneLine(const std::string& text);

}  // namespace xsched

#endif  // XSCHED_CONTROL_PROTOCOL_H_
