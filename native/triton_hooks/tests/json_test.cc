// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0

#include "json.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace {

using triton_hooks::FindString;
using triton_hooks::Found;

const std::vector<std::string> kPath = {"a", "b"};

TEST(JsonTest, FindsAStringByTheNamesOfItsObjects)
{
  const struct {
    std::string json;
    std::string value;
  } kCases[] = {
      {R"({"a":{"b":"c"}})", "c"},
      {" {\t\"x\" : [1, {\"a\":{\"b\":\"no\"}}], \"a\":\r\n{\"b\":\"c\"} } ",
       "c"},
      {R"({"a":{"x":{"b":"no"},"b":""}})", ""},
      {R"({"a":{"b":"\"\\\/\b\f\n\r\t"}})", "\"\\/\b\f\n\r\t"},
      {R"({"\u0061":{"b":"\u00e4\u20AC\ud83d\ude00\u0000"}})",
       std::string("ä€😀\0", 10)},
      {R"({"a":{"b":"first","b":"second"},"a":{"b":"third"}})", "first"},
      {R"({"n":[-0,0.5,-12.25e+3,1E-2,true,false,null,[],{}],"a":{"b":"c"}})",
       "c"},
  };
  for (const auto& each : kCases) {
    std::string value = "unchanged";
    EXPECT_EQ(FindString(each.json, kPath, &value), Found::kYes) << each.json;
    EXPECT_EQ(value, each.value) << each.json;
  }
}

TEST(JsonTest, FindsNothingWhereThereIsNoString)
{
  for (const char* json :
       {"{}", "[]", "\"c\"", "1", "null", R"({"a":"b"})", R"({"b":{"a":"c"}})",
        R"({"a":{"b":1}})", R"({"a":{"b":{"c":"d"}}})", R"({"a":[{"b":"c"}]})",
        R"([{"a":{"b":"c"}}])", R"({"a":{},"a":{"b":"second"}})"}) {
    std::string value = "unchanged";
    EXPECT_EQ(FindString(json, kPath, &value), Found::kNo) << json;
    EXPECT_EQ(value, "unchanged");
  }
}

TEST(JsonTest, TellsWhatIsMalformed)
{
  std::string deep;
  for (int i = 0; i < 100000; ++i) {
    deep += '[';
  }
  for (const std::string& json : std::vector<std::string>{
           "",
           " ",
           "{",
           "}",
           "[",
           "]",
           "{\"a\"",
           "{\"a\":",
           "{\"a\":1",
           "{\"a\":1,}",
           "{,}",
           "{1:2}",
           "[1,]",
           "[1 2]",
           "\"",
           "\"\\\"",
           "\"\\x\"",
           "\"\\u12\"",
           "\"\\u12G4\"",
           "\"\\ud800\"",
           "\"\\ud800\\u0041\"",
           "\"\\udc00\"",
           "\"\n\"",
           "tru",
           "nulls",
           "01",
           "-",
           "1.",
           "1e",
           "+1",
           ".5",
           "{} {}",
           "{\"a\":{\"b\":\"c\"}",
           std::string("{}\0", 3),
           std::string("\"\\\0\"", 4),
           deep}) {
    std::string value = "unchanged";
    EXPECT_EQ(FindString(json, kPath, &value), Found::kMalformed)
        << json.substr(0, 40);
    EXPECT_EQ(value, "unchanged");
  }
}

TEST(JsonTest, TakesAnyText)
{
  std::mt19937 random(1);
  const std::string good =
      R"({"n":[-0.5e3,{"x":"\u00e4\n"}],"a":{"b":"c"},"t":true})";
  for (int round = 0; round < 100000; ++round) {
    std::string json = good;
    for (unsigned int change = 0; change < 1 + round % 3U; ++change) {
      const size_t at = random() % json.size();
      switch (random() % 3) {
        case 0:
          json[at] = static_cast<char>(random());
          break;
        case 1:
          json.erase(at, 1);
          break;
        default:
          json.insert(at, 1, good[random() % good.size()]);
      }
    }
    std::string value;
    FindString(json, kPath, &value);
    FindString(json.substr(0, random() % json.size()), kPath, &value);
  }
}

}  // namespace
