// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "json.h"

#include <cstdint>
#include <cstring>

namespace triton_hooks {
namespace {

constexpr int kMaxDepth = 64;

// Reads one value after the other. Every function returns false if the text is
// malformed.
class Reader {
 public:
  Reader(
      const std::string& text, const std::vector<std::string>& path,
      std::string* value)
      : next_(text.data()), end_(text.data() + text.size()), path_(path),
        value_(value)
  {
  }

  bool ReadAll()
  {
    if (!ReadValue(0, true)) {
      return false;
    }
    SkipSpace();
    return next_ == end_;
  }
  bool HasFound() const { return found_; }

 private:
  void SkipSpace()
  {
    while (next_ != end_ && memchr(" \t\r\n", *next_, 4) != nullptr) {
      ++next_;
    }
  }

  // Takes a character that must or may come next.
  bool Take(char c)
  {
    SkipSpace();
    return TakeAtOnce(c);
  }
  bool TakeAtOnce(char c)
  {
    if (next_ == end_ || *next_ != c) {
      return false;
    }
    ++next_;
    return true;
  }

  bool TakeWord(const char* word)
  {
    const size_t size = strlen(word);
    if (static_cast<size_t>(end_ - next_) < size ||
        memcmp(next_, word, size) != 0) {
      return false;
    }
    next_ += size;
    return true;
  }

  // 'depth' is how many objects and arrays it is in; 'on_path' says that the
  // names of those objects are the path's first.
  bool ReadValue(int depth, bool on_path)
  {
    SkipSpace();
    if (next_ == end_ || depth > kMaxDepth) {
      return false;
    }
    switch (*next_) {
      case '{':
        return ReadObject(depth, on_path);
      case '[':
        return ReadArray(depth);
      case '"': {
        std::string text;
        if (!ReadString(&text)) {
          return false;
        }
        if (on_path && !found_ && static_cast<size_t>(depth) == path_.size()) {
          *value_ = text;
          found_ = true;
        }
        return true;
      }
      case 't':
        return TakeWord("true");
      case 'f':
        return TakeWord("false");
      case 'n':
        return TakeWord("null");
      default:
        return ReadNumber();
    }
  }

  bool ReadObject(int depth, bool on_path)
  {
    ++next_;
    if (Take('}')) {
      return true;
    }
    bool seen = false;
    do {
      std::string name;
      SkipSpace();
      if (!ReadString(&name) || !Take(':')) {
        return false;
      }
      const bool is_next = on_path && !seen &&
                           static_cast<size_t>(depth) < path_.size() &&
                           name == path_[static_cast<size_t>(depth)];
      seen = seen || is_next;
      if (!ReadValue(depth + 1, is_next)) {
        return false;
      }
    } while (Take(','));
    return Take('}');
  }

  bool ReadArray(int depth)
  {
    ++next_;
    if (Take(']')) {
      return true;
    }
    do {
      if (!ReadValue(depth + 1, false)) {
        return false;
      }
    } while (Take(','));
    return Take(']');
  }

  bool ReadDigits()
  {
    const char* const begin = next_;
    while (next_ != end_ && *next_ >= '0' && *next_ <= '9') {
      ++next_;
    }
    return next_ != begin;
  }

  bool ReadNumber()
  {
    TakeAtOnce('-');
    if (!TakeAtOnce('0') && !ReadDigits()) {
      return false;
    }
    if (TakeAtOnce('.') && !ReadDigits()) {
      return false;
    }
    if (TakeAtOnce('e') || TakeAtOnce('E')) {
      if (!TakeAtOnce('-')) {
        TakeAtOnce('+');
      }
      return ReadDigits();
    }
    return true;
  }

  bool ReadString(std::string* text)
  {
    if (!TakeAtOnce('"')) {
      return false;
    }
    while (next_ != end_ && *next_ != '"') {
      if (static_cast<unsigned char>(*next_) < ' ') {
        return false;
      }
      if (*next_ != '\\') {
        text->push_back(*next_++);
      } else if (!ReadEscape(text)) {
        return false;
      }
    }
    return TakeAtOnce('"');
  }

  bool ReadEscape(std::string* text)
  {
    ++next_;
    if (next_ == end_) {
      return false;
    }
    static constexpr char kLetters[] = "\"\\/bfnrt";
    static constexpr char kMeanings[] = "\"\\/\b\f\n\r\t";
    const char letter = *next_++;
    if (letter == 'u') {
      return ReadUnicode(text);
    }
    const char* const found = strchr(kLetters, letter);
    if (letter == '\0' || found == nullptr) {
      return false;
    }
    text->push_back(kMeanings[found - kLetters]);
    return true;
  }

  bool ReadHex(uint32_t* number)
  {
    *number = 0;
    for (int i = 0; i < 4; ++i, ++next_) {
      static constexpr char kDigits[] = "0123456789abcdef";
      if (next_ == end_ || *next_ == '\0') {
        return false;
      }
      const char lower = *next_ >= 'A' && *next_ <= 'F'
                             ? static_cast<char>(*next_ + 32)
                             : *next_;
      const char* const found = strchr(kDigits, lower);
      if (found == nullptr) {
        return false;
      }
      *number = *number * 16 + static_cast<uint32_t>(found - kDigits);
    }
    return true;
  }

  // A character beyond the first plane is a pair of surrogates.
  bool ReadUnicode(std::string* text)
  {
    uint32_t code = 0;
    uint32_t low = 0;
    if (!ReadHex(&code)) {
      return false;
    }
    if (code >= 0xD800 && code < 0xE000) {
      if (code >= 0xDC00 || !TakeWord("\\u") || !ReadHex(&low) ||
          low < 0xDC00 || low >= 0xE000) {
        return false;
      }
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    const auto add = [text](uint32_t byte) {
      text->push_back(static_cast<char>(byte));
    };
    if (code < 0x80) {
      add(code);
    } else if (code < 0x800) {
      add(0xC0 | code >> 6);
      add(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      add(0xE0 | code >> 12);
      add(0x80 | (code >> 6 & 0x3F));
      add(0x80 | (code & 0x3F));
    } else {
      add(0xF0 | code >> 18);
      add(0x80 | (code >> 12 & 0x3F));
      add(0x80 | (code >> 6 & 0x3F));
      add(0x80 | (code & 0x3F));
    }
    return true;
  }

  const char* next_;
  const char* const end_;
  const std::vector<std::string>& path_;
  std::string* const value_;
  bool found_ = false;
};

}  // namespace

Found
FindString(
    const std::string& json, const std::vector<std::string>& path,
    std::string* value)
{
  std::string found;
  Reader reader(json, path, &found);
  if (!reader.ReadAll()) {
    return Found::kMalformed;
  }
  if (!reader.HasFound()) {
    return Found::kNo;
  }
  *value = found;
  return Found::kYes;
}

}  // namespace triton_hooks
