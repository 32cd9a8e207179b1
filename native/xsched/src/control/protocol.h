// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// The form of requests and answers, for both sides. What they mean stands in
// control/requests.h.

#ifndef XSCHED_CONTROL_PROTOCOL_H_
#define XSCHED_CONTROL_PROTOCOL_H_

#include <cstddef>
#include <string>
#include <vector>

#include "xsched/types.h"

namespace xsched {

// The longest request, without its line end.
constexpr size_t kMaxRequest = 4096;

// An answer's rows, the first of which names the columns.
class AnswerTable {
 public:
  explicit AnswerTable(std::vector<std::string> columns);
  // As many fields as there are columns. What would break a row is replaced.
  void AddRow(std::vector<std::string> fields);

  size_t Rows() const { return rows_.size(); }
  // Empty if there is no such column: the other side may be older.
  const std::string& Field(size_t row, const std::string& column) const;

  std::string ToAnswer() const;

 private:
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
};

std::string ErrorAnswer(const std::string& message);

// What an answer says. Exactly one of these.
struct ParsedAnswer {
  enum class Kind { kTable, kError, kIncomplete } kind;
  AnswerTable table;
  std::string error;
};

ParsedAnswer ParseAnswer(const std::string& text);

// False, and why, if 'text' is no priority: -255 to 255, max, default or min.
bool ParsePriority(
    const std::string& text, Priority* priority, std::string* error);

// Text that can stand in a line: control characters become question marks.
std::string OneLine(const std::string& text);

// The part of a queue's name before the first slash: the model's name, where
// queues are named <model>/<instance>.
std::string ModelOf(const std::string& name);

}  // namespace xsched

#endif  // XSCHED_CONTROL_PROTOCOL_H_
