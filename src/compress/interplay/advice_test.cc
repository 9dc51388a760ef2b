#include "compress/interplay/advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compress/interplay/testing_study.h"

namespace scant {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> texts(const std::vector<Advice>& advice) {
  std::vector<std::string> result;
  for (const Advice& one : advice) result.push_back(one.text);
  return result;
}

std::vector<std::string> advice_texts(const Study& study) {
  return texts(advise(study, analyze(study)));
}

double figure(const std::vector<Advice>& advice, const std::string& label) {
  for (const Advice& one : advice) {
    for (const auto& [name, value] : one.figures) {
      if (name == label) return value;
    }
  }
  ADD_FAILURE() << "no figure " << label;
  return std::nan("");
}

int bits_of(const CellSpec& spec) { return spec.format ? spec.format->code_bits() : 16; }

/// Costly at 4 bits, quantize-first worse there and equal elsewhere, everything more than additive.
double paper_loss(const CellSpec& spec) {
  const double s = spec.sparsity ? 0.3 : 0;
  const double q = !spec.format ? 0 : bits_of(spec) == 4 ? 0.5 : 0.002;
  const bool late = spec.order == Order::kQuantizeFirst && bits_of(spec) == 4;
  return s + q + (s > 0 && bits_of(spec) == 4 ? 0.2 : 0) + (late ? 0.25 : 0);
}

Study paper_study(double noise = 0.001) {
  return made_up_study({"50%", "2:4"}, {"int8", "mxfp6_e3m2", "int4"}, paper_loss, noise);
}

TEST(Advice, SaysWhichOrderAtFewBitsAndThatThereIsNoDifferenceAtMore) {
  const Study study = paper_study();
  const auto advice = advise(study, analyze(study));
  EXPECT_THAT(advice.at(0).text, AllOf(HasSubstr("At 4 bits sparsify first"),
                                       HasSubstr("At 6 and 8 bits no difference")));
  EXPECT_NEAR(figure(advice, "NLL, quantize-first minus sparsify-first at 4 bits"), 0.25, 0.01);
}

TEST(Advice, SaysQuantizeFirstWhereThatIsWhatTheFiguresSay) {
  const Study study = made_up_study({"2:4"}, {"int4"}, [](const CellSpec& spec) {
    return spec.order == Order::kSparsifyFirst ? 0.5 : 0.25;
  });
  EXPECT_THAT(advice_texts(study).at(0),
              AllOf(HasSubstr("At 4 bits quantize first"), HasSubstr("costs +0.2")));
}

TEST(Advice, ClaimsNothingOfStudiesOfPureNoise) {
  for (const double noise : {0.0, 1e-9}) {
    const Study study = made_up_study(
        {"50%", "2:4"}, {"int8", "int4"}, [](const CellSpec&) { return 0.0; }, noise);
    Study same = study;
    for (Cell& cell : same.cells) cell.nll = study.cells[0].nll;
    const auto advice = advice_texts(same);
    EXPECT_THAT(advice, Contains(HasSubstr("no difference between sparsify-first and quantize")));
    EXPECT_THAT(advice, Contains(HasSubstr("joint order makes no difference")));
    EXPECT_THAT(advice, Contains(HasSubstr("Neither loss dominates")));
    EXPECT_THAT(advice, Contains(HasSubstr("None of 12 combinations compounds")));
    EXPECT_THAT(advice, Contains(HasSubstr("no difference between sparsity and fewer bits")));
  }
}

TEST(Advice, NamesTheNarrowestFormatThatThePatternTolerates) {
  const Study study = paper_study();
  const auto advice = advise(study, analyze(study));
  EXPECT_THAT(texts(advice), Contains(HasSubstr("2:4 tolerates mxfp6_e3m2")));
  const Study none = made_up_study({"2:4"}, {"int4"}, paper_loss);
  EXPECT_THAT(advice_texts(none), Contains(HasSubstr("No format stays surely within 1%")));
}

TEST(Advice, CountsWhichLossDominates) {
  const Study study = paper_study();
  const auto advice = advise(study, analyze(study));
  EXPECT_THAT(texts(advice), Contains(AllOf(HasSubstr("more than the format in 4 of 6 pairs"),
                                            HasSubstr("the format more in 2 (int4)"))));
  EXPECT_EQ(figure(advice, "sparsity dominates"), 4);
  EXPECT_EQ(figure(advice, "format dominates"), 2);
}

TEST(Advice, CountsVerdictsAsTheAnalysisDoes) {
  const Study study = paper_study();
  const StudyAnalysis analysis = analyze(study);
  const auto advice = advise(study, analysis);
  const auto count = [&](Verdict verdict) {
    return std::count_if(analysis.combinations.begin(), analysis.combinations.end(),
                         [&](const Combination& c) { return c.verdict == verdict; });
  };
  EXPECT_GE(count(Verdict::kCompounding), 6);
  EXPECT_EQ(figure(advice, "compounding"), static_cast<double>(count(Verdict::kCompounding)));
  EXPECT_THAT(texts(advice), Contains(HasSubstr("int4 quantize-first, 1.")));
}

TEST(Advice, FewerBitsBeatSparsityOnlyAtTheSameBytesOrFewer) {
  Study study = made_up_study({"2:4"}, {"int8", "int4"}, paper_loss);
  for (Cell& cell : study.cells) {  // 2:4+int8 is larger than int4
    cell.bytes = !cell.spec.format     ? 9000
                 : !cell.spec.sparsity ? bits_of(cell.spec) * 1000
                                       : bits_of(cell.spec) * 500 + 1000;
  }
  // 2:4 loses 0.3 and int8 0.002; int4 loses 0.5 against 0.302 of 2:4+int8.
  const auto advice = advise(study, analyze(study));
  EXPECT_THAT(texts(advice),
              Contains(AllOf(HasSubstr("Fewer bits beat sparsity"),
                             HasSubstr("int8 (8 bits per weight) is better than 2:4"))));
  EXPECT_EQ(figure(advice, "fewer bits win"), 1);  // int8 against 2:4 alone
  EXPECT_EQ(figure(advice, "sparse cells compared"), 7);
}

TEST(Advice, NamesTheLayersWhoseErrorsReinforceEachOther) {
  Study study = paper_study();
  for (int64_t layer = 0; layer < 4; ++layer) {
    LayerFigures figures;
    figures.layer = layer;
    figures.sparsity = "2:4";
    figures.format = "int4";
    figures.share = layer % 2 == 1 ? 0.1 + 0.01 * static_cast<double>(layer) : -0.05;
    figures.interaction = 0.2;
    study.layer_figures.push_back(figures);
  }
  EXPECT_THAT(advice_texts(study), Contains(AllOf(HasSubstr("The errors of down_proj reinforce"),
                                                  HasSubstr("most in model.layers.1.down_proj"))));
  for (LayerFigures& figures : study.layer_figures) figures.share = -0.05;
  EXPECT_THAT(advice_texts(study), Contains(HasSubstr("In no layer do the two errors reinforce")));
}

TEST(Advice, NamesTheBlockInWhichTheErrorGrowsFastest) {
  Study study = paper_study();
  for (Cell& cell : study.cells) cell.growth = {0, 0.1, 0.3, 0.9};  // the last one: final norm
  const auto advice = advise(study, analyze(study));
  EXPECT_THAT(texts(advice), Contains(HasSubstr("grows fastest in block 1: from 0.1 to 0.3")));
}

TEST(Advice, ExemptsTheLayerThatGainsMostPerByte) {
  Study study = paper_study();
  Sensitivity ranking;
  ranking.cell = cell_spec("2:4", "int4", Order::kSparsifyFirst);
  const std::vector<double> dense = noisy_windows(16, 3, 0.1, 0);
  ranking.dense = window_metric("nll", dense);
  ranking.full = window_metric("nll", shifted(dense, 1));
  study.layers[0].dense_bytes = 100000;
  for (int64_t layer = 0; layer < 4; ++layer) {
    const double gain = layer == 0 ? 0.5 : layer == 2 ? 0.25 : 0;
    ranking.layers.push_back({layer, window_metric("nll", shifted(dense, 0.1)),
                              window_metric("nll", shifted(dense, 1 - gain))});
  }
  study.sensitivity = ranking;
  EXPECT_THAT(advice_texts(study),
              Contains(AllOf(HasSubstr("Cheapest to exempt from 2:4+int4"),
                             HasSubstr("model.layers.1.q_proj"), HasSubstr("2 of 4 layers"))));
  for (LayerSensitivity& layer : study.sensitivity->layers) layer.exempt = ranking.full;
  EXPECT_THAT(advice_texts(study), Contains(HasSubstr("gains nothing outside noise")));
}

TEST(Advice, IsShortAndEveryNumberHasALabel) {
  Study study = paper_study();
  const auto advice = advise(study, analyze(study));
  EXPECT_LE(advice.size(), kMostAdvice);
  EXPECT_GE(advice.size(), 6u);
  for (const Advice& one : advice) {
    EXPECT_LE(one.text.size(), 400u) << one.text;
    EXPECT_FALSE(one.figures.empty()) << one.text;
    EXPECT_THAT(one.text, Not(HasSubstr("nan")));
    for (const auto& [label, value] : one.figures) {
      EXPECT_FALSE(label.empty());
      EXPECT_TRUE(std::isfinite(value)) << label;
    }
  }
}

TEST(Advice, OfTooFewWindowsSaysSo) {
  const Study study = made_up_study({"2:4"}, {"int4"}, paper_loss, 0.001, false, /*windows=*/3);
  const auto advice = advice_texts(study);
  EXPECT_THAT(advice.at(0), HasSubstr("3 windows are too few"));
  EXPECT_THAT(advice, Not(Contains(HasSubstr("nan"))));
}

TEST(Advice, OfAStudyWithoutResultsIsNone) {
  Study study = paper_study();
  for (Cell& cell : study.cells) {
    const CellSpec spec = cell.spec;
    cell = Cell{};
    cell.spec = spec;
    cell.failure = "stopped";
  }
  EXPECT_THAT(advise(study, analyze(study)), IsEmpty());
}

}  // namespace
}  // namespace scant
