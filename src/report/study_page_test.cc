#include "report/study_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "core/error.h"
#include "report/testing_study.h"

namespace scant {
namespace {

using Json = nlohmann::ordered_json;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

/// What stands in the data element `id`, up to the end of the element as a browser finds it.
std::string data_of(const std::string& page, const std::string& id) {
  const std::string open = "<script type=\"application/json\" id=\"" + id + "\">";
  const size_t begin = page.find(open) + open.size();
  return page.substr(begin, page.find("</script", begin) - begin);
}

std::string error_of(const std::string& text) {
  try {
    study_page(text, "DIR/interplay.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(StudyPage, HoldsTheJsonVerbatim) {
  const std::string study = TestingStudy().json().dump();
  const std::string page = study_page(study);
  EXPECT_THAT(page, HasSubstr(">" + study + "</script>"));
  EXPECT_EQ(data_of(page, "other"), "");
  EXPECT_THAT(page, HasSubstr("<title>invented-6m: sparsity and quantization</title>"));
  EXPECT_THAT(page, EndsWith("</html>\n"));
}

TEST(StudyPage, NamesCannotLeaveTheirPlace) {
  TestingStudy study;
  study.model = "</title></script><script>alert('1')</script><!--<script>{{other}}&\"";
  const Json json = study.json();
  const std::string page = study_page(json.dump());
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page,
              HasSubstr("<title>&lt;/title&gt;&lt;/script&gt;&lt;script&gt;alert(&#39;1&#39;)"));
  const std::string data = data_of(page, "study");
  EXPECT_THAT(data, Not(HasSubstr("<!--")));
  EXPECT_EQ(Json::parse(data), json);
  EXPECT_EQ(data_of(page, "other"), "");
}

TEST(StudyPage, AsksNoNetworkForAnything) {
  const std::string page = study_page(TestingStudy().json().dump());
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  const std::regex fetched(
      R"(\s(src|href)\s*=\s*["']?(https?:|//)|url\(|@import|\bfetch\(|XMLHttpRequest|<link|<img)");
  std::smatch found;
  EXPECT_FALSE(std::regex_search(page, found, fetched)) << found.str();
}

TEST(StudyPage, IsSmallWithTypicalDataAndKeepsTheNoticeOfItsLibrary) {
  const std::string page = study_page(TestingStudy().json().dump());
  EXPECT_LT(page.size(), 700u << 10);
  EXPECT_THAT(page, HasSubstr("Chart.js Contributors"));
  EXPECT_THAT(page, HasSubstr("Permission is hereby granted, free of charge"));
}

TEST(StudyPage, LeavesNoPlaceUnfilled) {
  const std::string page = study_page("" + TestingStudy().json().dump());
  for (const char* mark :
       {"{{title}}", "{{study}}", "{{other}}", "{{style}}", "{{chart}}", "{{script}}"}) {
    EXPECT_THAT(page, Not(HasSubstr(mark)));
  }
}

TEST(ComparisonPage, HoldsBothStudiesInOrder) {
  TestingStudy second;
  second.model = "invented-<7m>";
  second.seed = 2;
  const Json a = TestingStudy().json(), b = second.json();
  const std::string page = comparison_page(a.dump(), b.dump());
  EXPECT_EQ(Json::parse(data_of(page, "study")), a);
  EXPECT_EQ(Json::parse(data_of(page, "other")), b);
  EXPECT_THAT(page, HasSubstr("<title>invented-6m against invented-&lt;7m&gt;</title>"));
}

TEST(StudyPage, SaysInOneLineWhatIsWrongWithAFile) {
  const auto changed = [](auto change) {
    Json json = TestingStudy().json();
    change(json);
    return error_of(json.dump());
  };
  EXPECT_EQ(error_of("{\"schema\":"),
            "DIR/interplay.json: not valid JSON with an object at the top");
  EXPECT_EQ(error_of("[]"), "DIR/interplay.json: not valid JSON with an object at the top");
  EXPECT_THAT(error_of("{\"schema\": 7}"), HasSubstr("not an interplay study"));
  EXPECT_THAT(changed([](Json& json) { json["schema"] = "other"; }),
              HasSubstr("not an interplay study"));
  EXPECT_THAT(changed([](Json& json) { json["version"] = 2; }),
              HasSubstr("version 2 is newer than this program, which reads 1"));
  EXPECT_THAT(changed([](Json& json) { json["version"] = "1"; }), HasSubstr("\"version\""));
  EXPECT_THAT(changed([](Json& json) { json["tensors"].erase("rows"); }),
              HasSubstr("\"tensors.rows\" is missing or not an array"));
  EXPECT_THAT(changed([](Json& json) { json["cells"] = Json::array(); }), HasSubstr("\"cells\""));
  EXPECT_THAT(changed([](Json& json) { json["model"] = 3; }), HasSubstr("\"model\""));
  EXPECT_EQ(changed([](Json& json) { json["later_addition"] = 3; }), "no error");
}

}  // namespace
}  // namespace scant
