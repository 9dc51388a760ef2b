#include "compress/calibration_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"

namespace scant {
namespace {

std::string file_with(const std::string& name, const std::string& content) {
  const std::string path = testing::TempDir() + "calibration_text_" + name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

TEST(CalibrationText, JoinsTheFieldsOfTheLines) {
  const std::string content =
      "{\"text\": \"One.\\nTwo \\u00e9.\", \"id\": 1}\n\n{\"id\": 2, \"text\": \"Three\"}\r\n"
      "  \n{\"text\": \"\", \"body\": \"b\"}";
  EXPECT_EQ(read_calibration_text(file_with("a.jsonl", content), "text"),
            "One.\nTwo \u00e9.\n\nThree\n\n");
  EXPECT_EQ(read_calibration_text(file_with("a.txt", content), "text"), content);
}

TEST(CalibrationText, NamesTheBadLine) {
  struct Bad {
    const char* line;
    const char* reason;
  };
  for (const Bad& bad :
       {Bad{"{\"text\": \"cut", "expected a JSON object"}, Bad{"[1, 2]", "expected a JSON object"},
        Bad{"plain words", "expected a JSON object"},
        Bad{"{\"text\": \"\xff\"}", "expected a JSON object"},
        Bad{"{\"body\": \"b\", \"id\": 3}",
            "has no field \"text\" (--calibration-field); its "
            "fields: \"body\", \"id\""},
        Bad{"{}", "its fields: none"}, Bad{"{\"text\": 5}", "is number; expected a string"}}) {
    const std::string path =
        file_with("bad.jsonl", "{\"text\": \"good\"}\n\n" + std::string(bad.line) + "\n");
    try {
      read_calibration_text(path, "text");
      FAIL() << bad.line;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(path + ", line 3"));
      EXPECT_THAT(error.what(), testing::HasSubstr(bad.reason));
    }
  }
}

}  // namespace
}  // namespace scant
