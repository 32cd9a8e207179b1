// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "control/protocol.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "preempt/options.h"
#include "preempt/policy.h"

namespace xsched {
namespace {

void
AppendRow(const std::vector<std::string>& fields, std::string* text)
{
  for (size_t i = 0; i < fields.size(); ++i) {
    *text += i == 0 ? "" : "\t";
    *text += fields[i];
  }
  *text += '\n';
}

std::vector<std::string>
Split(const std::string& text, char separator)
{
  std::vector<std::string> parts;
  size_t begin = 0;
  for (;;) {
    const size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) {
      return parts;
    }
    begin = end + 1;
  }
}

constexpr const char* kOk = "ok";
constexpr const char* kError = "error ";

// An integer from 0, which means none, to 'most'.
bool
ParseUpTo(
    int most, const char* what, const char* unit, const std::string& text,
    int* value, std::string* error)
{
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, *value);
  if (result.ec == std::errc() && result.ptr == end && *value >= 0 &&
      *value <= most) {
    return true;
  }
  *error = std::string("the ") + what + " \"" + OneLine(text) +
           "\" is not allowed; give an integer from 0 (none) to " +
           std::to_string(most) + unit;
  return false;
}

}  // namespace

AnswerTable::AnswerTable(std::vector<std::string> columns)
    : columns_(std::move(columns))
{
}

void
AnswerTable::AddRow(std::vector<std::string> fields)
{
  for (std::string& field : fields) {
    field = OneLine(field);
  }
  rows_.push_back(std::move(fields));
}

const std::string&
AnswerTable::Field(size_t row, const std::string& column) const
{
  static const std::string* const kNone = new std::string;
  const size_t index =
      std::find(columns_.begin(), columns_.end(), column) - columns_.begin();
  return row < rows_.size() && index < rows_[row].size() ? rows_[row][index]
                                                         : *kNone;
}

std::string
AnswerTable::ToAnswer() const
{
  std::string text = std::string(kOk) + "\n";
  AppendRow(columns_, &text);
  for (const auto& row : rows_) {
    AppendRow(row, &text);
  }
  return text + "\n";
}

std::string
ErrorAnswer(const std::string& message)
{
  return kError + OneLine(message) + "\n\n";
}

ParsedAnswer
ParseAnswer(const std::string& text)
{
  ParsedAnswer answer = {ParsedAnswer::Kind::kIncomplete, AnswerTable({}), ""};
  const size_t end = text.find("\n\n");
  if (end == std::string::npos) {
    return answer;
  }
  const std::vector<std::string> lines = Split(text.substr(0, end), '\n');
  if (lines[0].compare(0, std::string(kError).size(), kError) == 0) {
    answer.kind = ParsedAnswer::Kind::kError;
    answer.error = lines[0].substr(std::string(kError).size());
  } else if (lines[0] == kOk && lines.size() >= 2) {
    answer.kind = ParsedAnswer::Kind::kTable;
    answer.table = AnswerTable(Split(lines[1], '\t'));
    for (size_t i = 2; i < lines.size(); ++i) {
      answer.table.AddRow(Split(lines[i], '\t'));
    }
  }
  return answer;
}

bool
ParsePriority(const std::string& text, Priority* priority, std::string* error)
{
  if (text == "max" || text == "default" || text == "min") {
    *priority = text == "max"   ? PRIORITY_MAX
                : text == "min" ? PRIORITY_MIN
                                : PRIORITY_DEFAULT;
    return true;
  }
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, *priority);
  if (result.ec == std::errc() && result.ptr == end &&
      *priority >= PRIORITY_MIN && *priority <= PRIORITY_MAX) {
    return true;
  }
  *error = "the priority \"" + OneLine(text) +
           "\" is not allowed; give an integer from " +
           std::to_string(PRIORITY_MIN) + " to " +
           std::to_string(PRIORITY_MAX) + ", or max, default or min";
  return false;
}

bool
ParseFloor(const std::string& text, int* percent, std::string* error)
{
  return ParseUpTo(
      kMaxFloor, "floor", ", in percent of the GPU's time", text, percent,
      error);
}

bool
ParseWeight(const std::string& text, int* weight, std::string* error)
{
  return ParseUpTo(kMaxWeight, "weight", "", text, weight, error);
}

bool
ParseRunAhead(const std::string& text, int* calls, std::string* error)
{
  return ParseUpTo(
      kMaxRunAhead, "number of calls to run ahead by", "", text, calls, error);
}

std::string
OneLine(const std::string& text)
{
  std::string line = text;
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) {
      c = '?';
    }
  }
  return line;
}

}  // namespace xsched
