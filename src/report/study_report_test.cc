#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "compress/interplay/testing_study.h"
#include "core/error.h"
#include "core/version.h"
#include "report/study_csv.h"
#include "report/study_json.h"
#include "report/study_summary.h"

namespace scant {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::vector<std::string> kDefaultFormats = {"int8",  "int4",  "mxfp8_e4m3", "mxfp6_e3m2",
                                                  "mxfp4", "hbfp8", "hbfp6",      "hbfp4"};

double plain_loss(const CellSpec& spec) {
  const int bits = spec.format ? spec.format->code_bits() : 16;
  return (spec.sparsity ? 0.3 : 0) + (bits == 4 ? 0.5 : 0.01) +
         (spec.order == Order::kQuantizeFirst && bits == 4 ? 0.25 : 0);
}

/// Every part of a study filled, for `layers` = 2 x blocks.
Study full_study(const std::vector<std::string>& formats, bool activations, int64_t windows,
                 int64_t blocks) {
  Study study =
      made_up_study({"50%", "2:4"}, formats, plain_loss, 0.01, activations, windows, blocks);
  const CounterRandom random(5, 5);
  uint64_t next = 0;
  const auto value = [&] { return static_cast<double>(random.normal(next++)); };
  const auto layers = static_cast<int64_t>(study.layers.size());
  for (const std::string sparsity : {"50%", "2:4"}) {
    for (const std::string& format : formats) {
      for (int64_t layer = 0; layer < layers; ++layer) {
        study.tensors.push_back({layer, sparsity, format, value(), value(), value(), value(),
                                 value(), value(), value(), value(), true, 12345, 123, ""});
        for (const bool a : {false, true}) {
          if (a && !activations) continue;
          for (const Order order : kOrders) {
            LayerFigures errors{layer, sparsity, format, order, a};
            for (double* figure :
                 {&errors.sparsity_only, &errors.format_only, &errors.combined, &errors.interaction,
                  &errors.share, &errors.cosine, &errors.cross}) {
              *figure = value();
            }
            study.layer_figures.push_back(errors);
          }
        }
      }
    }
  }
  study.tensors[0].joint = std::numeric_limits<double>::quiet_NaN();
  study.tensors[0].premise = "pruning changed 12 scales, \"so\" to say";
  study.pictures.push_back(
      {1, "2:4", "int4", 1.5, 0.125, {1, 2}, {3, 4}, {5, 6}, 1, {{0.25, 0.125, 0.5}}});
  Sensitivity ranking;
  ranking.cell = study.cells.back().spec;
  ranking.dense = study.cells[0].nll;
  ranking.full = study.cells.back().nll;
  for (int64_t layer = 0; layer < layers; ++layer) {
    ranking.layers.push_back({layer, study.cells[1].nll, study.cells[2].nll});
  }
  study.sensitivity = ranking;
  study.times = {1, 2, 3, 4, 10, 5};
  return study;
}

Study small_study() { return full_study({"int8", "int4"}, true, 16, 2); }

void fail(Study& study, const std::string& name) {
  for (Cell& cell : study.cells) {
    if (cell.spec.name() != name) continue;
    const CellSpec spec = cell.spec;
    cell = Cell{};
    cell.spec = spec;
    cell.failure = "out of memory, sorry";
  }
}

std::string text_of(const Study& study) {
  const StudyAnalysis analysis = analyze(study);
  return study_json(study, analysis, advise(study, analysis));
}

json json_of(const Study& study) { return json::parse(text_of(study)); }

std::vector<std::string> keys(const json& object) {
  std::vector<std::string> result;
  for (const auto& [key, value] : object.items()) result.push_back(key);
  return result;
}

void expect_estimate(const json& array, const Estimate& estimate, double tolerance) {
  ASSERT_EQ(array.size(), 3u);
  const auto near = [&](const json& got, double want) {
    EXPECT_NEAR(got.get<double>(), want, tolerance * std::abs(want));
  };
  near(array[0], estimate.value);
  near(array[1], estimate.interval.low);
  near(array[2], estimate.interval.high);
}

TEST(StudyJson, HasTheKeysOfTheSchema) {
  const json study = json_of(small_study());
  EXPECT_THAT(keys(study), testing::UnorderedElementsAre(
                               "schema", "version", "scant", "model", "protocol", "layers",
                               "stages", "cells", "combinations", "orders", "tensors",
                               "layer_errors", "pictures", "sensitivity", "advice", "times"));
  EXPECT_EQ(study["schema"], "scant-interplay");
  EXPECT_EQ(study["version"], 1);
  EXPECT_EQ(study["scant"], kVersion);
  EXPECT_EQ(study["protocol"]["bootstrap_rounds"], 1000);
  EXPECT_EQ(study["protocol"]["seed"], 7);
  EXPECT_EQ(study["model"]["parameters"], 123456);
  EXPECT_EQ(study["times"]["total"], 10);
  EXPECT_EQ(study["times"]["reused"], 5);
  EXPECT_EQ(study["stages"][1], "block 0");
}

TEST(StudyJson, FiguresAreThoseOfTheAnalysis) {
  const Study study = small_study();
  const StudyAnalysis analysis = analyze(study);
  const json written = json_of(study);
  ASSERT_EQ(written["cells"].size(), study.cells.size());
  for (size_t i = 0; i < study.cells.size(); ++i) {
    const json& cell = written["cells"][i];
    EXPECT_EQ(cell["name"], study.cells[i].spec.name());
    EXPECT_TRUE(cell["failure"].is_null());
    expect_estimate(cell["perplexity"], analysis.cells[i]->perplexity, 1e-8);
    expect_estimate(cell["nll"], analysis.cells[i]->nll, 1e-8);
    expect_estimate(cell["kl"], analysis.cells[i]->kl, 1e-5);
    expect_estimate(cell["nll_difference"], analysis.cells[i]->nll_difference, 1e-5);
    ASSERT_EQ(cell["window_nll"].size(), study.cells[i].nll.sums.size());
    EXPECT_NEAR(cell["window_nll"][3].get<double>(), study.cells[i].nll.sums[3] / 8, 1e-7);
    EXPECT_EQ(cell["growth"].size(), study.stages.size());
  }
  ASSERT_EQ(written["combinations"].size(), analysis.combinations.size());
  for (size_t i = 0; i < analysis.combinations.size(); ++i) {
    const json& got = written["combinations"][i];
    const Combination& want = analysis.combinations[i];
    EXPECT_EQ(got["cell"], want.cell);
    expect_estimate(got["threshold_perplexity"], want.perplexity.threshold, 1e-8);
    expect_estimate(got["threshold_nll"], want.nll.threshold, 1e-8);
    expect_estimate(got["excess_perplexity"], want.perplexity.excess, 1e-5);
    expect_estimate(got["excess_nll"], want.nll.excess, 1e-5);
    expect_estimate(got["ratio_nll"], *want.nll.ratio, 1e-5);
    EXPECT_EQ(got["verdict"], verdict_name(want.verdict));
    EXPECT_EQ(got["reason"], want.reason);
  }
  ASSERT_EQ(written["orders"].size(), analysis.orders.size());
  expect_estimate(written["orders"][0]["nll_difference"], analysis.orders[0].nll, 1e-5);
  EXPECT_EQ(written["orders"][0]["order"], "quantize-first");
  EXPECT_EQ(written["orders"][0]["against"], "sparsify-first");
}

TEST(StudyJson, TablesHaveAsManyValuesAsColumns) {
  const Study study = small_study();
  const json written = json_of(study);
  for (const char* name : {"layers", "tensors", "layer_errors"}) {
    const json& table = written[name];
    EXPECT_FALSE(table["rows"].empty());
    for (const json& row : table["rows"]) EXPECT_EQ(row.size(), table["columns"].size()) << name;
  }
  EXPECT_EQ(written["sensitivity"]["layers"]["rows"].size(), 4u);
  EXPECT_EQ(written["sensitivity"]["cell"], study.cells.size() - 1);
  EXPECT_EQ(written["pictures"][0]["pairs"], json::parse("[[0.25, 0.125, 0.5]]"));
}

TEST(StudyJson, WhatDoesNotExistIsNull) {
  Study study = small_study();
  study.sensitivity.reset();
  fail(study, "int8");
  const json written = json_of(study);
  EXPECT_TRUE(written["sensitivity"].is_null());
  EXPECT_TRUE(written["tensors"]["rows"][0][8].is_null());
  EXPECT_TRUE(written["tensors"]["rows"][1][14].is_null());
  for (const json& cell : written["cells"]) {
    if (cell["name"] != "int8") continue;
    EXPECT_EQ(cell["failure"], "out of memory, sorry");
    for (const char* key : {"bits_per_weight", "bytes", "perplexity", "nll", "kl", "growth",
                            "nll_difference", "kl_p99", "top1_agreement", "window_nll"}) {
      EXPECT_TRUE(cell[key].is_null()) << key;
    }
  }
  for (Cell& cell : study.cells) {
    if (cell.failure.empty()) cell.nll = study.cells[0].nll;
  }
  for (const json& combination : json_of(study)["combinations"]) {
    EXPECT_TRUE(combination["ratio_nll"].is_null());  // the denominator is 0
  }
}

TEST(StudyJson, WithoutCellsIsStillAStudy) {
  Study study;
  const json written = json_of(study);
  EXPECT_TRUE(written["cells"].empty());
  EXPECT_TRUE(written["tensors"]["rows"].empty());
}

TEST(StudyJson, IsSmallForTheDefaultStudyOfAModelOf56Layers) {
  const Study study = full_study(kDefaultFormats, false, 64, 28);
  EXPECT_EQ(study.cells.size(), 59u);
  EXPECT_EQ(study.layers.size(), 56u);
  EXPECT_EQ(study.layer_figures.size(), 56u * 16 * 3);
  EXPECT_LT(text_of(study).size(), 500u * 1000);
}

std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows = {{""}};
  bool inside = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (inside && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      rows.back().back() += text[++i];
    } else if (c == '"') {
      inside = !inside;
    } else if (!inside && c == ',') {
      rows.back().emplace_back();
    } else if (!inside && c == '\n') {
      rows.push_back({""});
    } else {
      rows.back().back() += c;
    }
  }
  rows.pop_back();
  return rows;
}

TEST(StudyCsv, HasATablePerPartWithTheNumbersOfTheJson) {
  const json study = json_of(small_study());
  const std::vector<CsvFile> files = study_csv(study, "interplay.json");
  std::vector<std::string> names;
  for (const CsvFile& file : files) names.push_back(file.name);
  EXPECT_THAT(names, ElementsAre("cells.csv", "tensors.csv", "layers.csv", "growth.csv",
                                 "combinations.csv", "orders.csv", "sensitivity.csv"));
  for (const CsvFile& file : files) {
    const auto rows = parse_csv(file.content);
    ASSERT_GT(rows.size(), 1u) << file.name;
    for (const auto& row : rows) EXPECT_EQ(row.size(), rows[0].size()) << file.name;
  }
  const auto cells = parse_csv(files[0].content);
  EXPECT_EQ(cells.size(), study["cells"].size() + 1);
  const auto column = std::find(cells[0].begin(), cells[0].end(), "nll_low") - cells[0].begin();
  EXPECT_EQ(cells[3][static_cast<size_t>(column)], study["cells"][2]["nll"][1].dump());
  const auto tensors = parse_csv(files[1].content);
  EXPECT_EQ(tensors[1][0], "model.layers.0.q_proj");
  EXPECT_EQ(tensors[1].back(), "pruning changed 12 scales, \"so\" to say");
  EXPECT_EQ(parse_csv(files[4].content)[1][1], "50%");  // names, not indexes
}

TEST(StudyCsv, OfAFailedCellHasEmptyFields) {
  Study study = small_study();
  fail(study, "int8");
  const auto rows = parse_csv(study_csv(json_of(study), "x")[0].content);
  for (const auto& row : rows) {
    if (row[0] != "int8") continue;
    EXPECT_EQ(row[5], "out of memory, sorry");
    EXPECT_EQ(row[6], "");
    EXPECT_EQ(row.back(), "");
  }
}

TEST(StudyCsv, RefusesWhatIsNotAStudy) {
  const json study = json_of(small_study());
  const auto refused = [](const json& bad) {
    EXPECT_THROW(study_csv(bad, "interplay.json"), Error) << bad.dump().substr(0, 80);
  };
  refused(json::object());
  refused(json::parse("[1]"));
  for (const char* key : {"cells", "layers", "tensors", "combinations", "orders", "sensitivity"}) {
    json bad = study;
    bad[key] = 3;
    refused(bad);
    bad.erase(key);
    refused(bad);
  }
  json bad = study;
  bad["combinations"][0]["cell"] = 100000;
  refused(bad);
  bad = study;
  bad["combinations"][0]["cell"] = "one";
  refused(bad);
  bad = study;
  bad["tensors"]["rows"][0] = json::array({1});
  refused(bad);
  bad = study;
  bad["tensors"]["rows"][0][0] = -1;
  refused(bad);
}

std::string summary_of(const Study& study) {
  const StudyAnalysis analysis = analyze(study);
  return study_summary(study, analysis, advise(study, analysis), "out/study", false);
}

size_t code_points(const std::string& line) {
  return static_cast<size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

TEST(StudySummary, OfTheDefaultStudyFitsAScreen) {
  Study study = full_study(kDefaultFormats, false, 64, 4);
  study.sensitivity.reset();
  ASSERT_EQ(study.cells.size(), 59u);
  const std::string text = summary_of(study);
  std::istringstream stream(text);
  size_t lines = 0;
  for (std::string line; std::getline(stream, line); ++lines) EXPECT_LE(code_points(line), 100u);
  EXPECT_LE(lines, 42u) << text;
}

TEST(StudySummary, ShowsPerplexitiesAndMarksOrdersOutsideNoise) {
  const std::string text = summary_of(small_study());
  EXPECT_THAT(text, AllOf(HasSubstr("Q then S"), HasSubstr("threshold"), HasSubstr("out/study"),
                          HasSubstr("2:4 +act")));
  const Study study = small_study();
  const StudyAnalysis analysis = analyze(study);
  size_t marks = 0;
  for (const OrderDifference& order : analysis.orders) {
    marks += order.better && study.cells[order.against_cell].spec.order == Order::kSparsifyFirst;
  }
  size_t shown = 0;
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    shown += text[i - 1] == ' ' && (text[i] == '+' || text[i] == '-') && text[i + 1] >= '0' &&
             text[i + 1] <= '9' && i < text.find("Verdict:");
  }
  EXPECT_GT(marks, 0u);
  EXPECT_EQ(shown, marks);
}

TEST(StudySummary, SaysWhichCellsFailed) {
  Study study = small_study();
  fail(study, "2:4+int4 joint");
  fail(study, "int8");
  const std::string text = summary_of(study);
  EXPECT_THAT(text, AllOf(HasSubstr("out of memory, sorry (and 1 more)"), HasSubstr("failed")));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
}

TEST(StudySummary, OfAnEmptyStudyIsNotAnError) {
  EXPECT_THAT(summary_of(empty_study()), HasSubstr("Perplexity of small"));
}

}  // namespace
}  // namespace scant
