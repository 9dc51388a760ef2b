#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "compress/export/coded_folder.h"
#include "compress/export/export_target.h"
#include "compress/export/testing_tiny_llama.h"
#include "compress/job.h"
#include "core/error.h"
#include "core/file_map.h"

namespace scant {
namespace {

using testing::HasSubstr;

NumberFormat weights(const std::string& spelling) {
  return NumberFormat::parse(spelling, Role::kWeight);
}

/// "TARGET FORMAT" with the format as it is spelled.
std::string weights_named(const std::string& text) {
  const size_t space = text.find(' ');
  return text.substr(0, space + 1) + weights(text.substr(space + 1)).spelling();
}

/// Every element with every granularity and storage of scales that it may have here: groups of 16
/// and 32 fill the rows of the model.
std::vector<NumberFormat> formats() {
  std::vector<NumberFormat> all;
  for (const std::string& example : number_format_examples(Role::kWeight)) {
    const NumberFormat format = weights(example);
    all.push_back(format);
    if (format.rules().scales != ElementRules::Scales::kAny || format.mse || format.stochastic) {
      continue;
    }
    for (const char* granularity : {":tensor", ":channel", ":g16", ":g32"}) {
      const std::string_view option =
          std::visit([](const auto& e) { return e.option(); }, format.element);
      const std::string text =
          format.element_name() + granularity + (option.empty() ? "" : ":" + std::string(option));
      for (const char* storage : {"", ":scale=fp16", ":scale=bf16"}) {
        const NumberFormat one = weights(text + storage);
        if (std::ranges::find(all, one) == all.end()) all.push_back(one);
      }
    }
  }
  return all;
}

class Export : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = export_scratch(testing::UnitTest::GetInstance()->current_test_info()->name());
    write_tiny_llama(folder_ + "/model");
    model_ = Model::open(folder_ + "/model");
  }

  /// The model packed so. With a head of its own format, if one is named.
  std::unique_ptr<Model> packed(const std::optional<SparsityPattern>& pattern,
                                const std::optional<NumberFormat>& format,
                                const std::optional<NumberFormat>& inputs = std::nullopt) {
    Recipe recipe;
    recipe.steps = steps_for(pattern, format, Order::kSparsifyFirst, inputs);
    return packed(recipe);
  }
  std::unique_ptr<Model> packed(const Recipe& recipe) {
    const CompressionJob job{folder_ + "/packed", OutputKind::kPacked, true};
    compress_model(*model_, recipe, job, context_);
    return Model::open(folder_ + "/packed");
  }

  ExportResult write(const Model& model, std::string_view target, ExportOptions options = {}) {
    options.overwrite = true;
    return export_model(model, find_export_target(target), folder_ + "/out", options, context_);
  }

  /// A recipe that gives the layers these formats in turn.
  Recipe in_turn(std::span<const NumberFormat> some) {
    Recipe recipe;
    recipe.steps = steps_for(std::nullopt, some.front(), Order::kSparsifyFirst, std::nullopt);
    const std::vector<LinearInfo> layers = model_->linears();
    for (size_t i = 0; i < layers.size(); ++i) {
      recipe.steps[0].overrides.push_back(
          {.match = NamePattern(layers[i].kind, ""), .format = some[i % some.size()]});
    }
    return recipe;
  }

  /// Whether the target takes it; else the refusal must name tensor and alternative.
  bool accepts(const ExportTarget& target, const NumberFormat& format) {
    try {
      const CompressionPlan plan = make_plan(*model_, in_turn(std::span(&format, 1)));
      target.check(planned_export(*model_, plan, {}));
      return true;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("tensor model.layers.0."),
                                               HasSubstr("the nearest that")));
      return false;
    }
  }

  /// write(); nothing where version 1 of GPTQ meets a zero point of 0, which it cannot store.
  std::optional<ExportResult> written(const Model& model, const ExportTarget& target,
                                      const NumberFormat& format) {
    try {
      return write(model, target.name);
    } catch (const Error& error) {
      EXPECT_TRUE(target.name == "gptq" && format.rules().zero_point) << error.what();
      EXPECT_THAT(error.what(), HasSubstr("--to gptq_v2"));
      return std::nullopt;
    }
  }

  std::string refusal(const Model& model, std::string_view target, ExportOptions options = {}) {
    try {
      write(model, target, options);
    } catch (const Error& error) {
      return error.what();
    }
    ADD_FAILURE() << "expected an Error";
    return "";
  }

  nlohmann::json config() const {
    return nlohmann::json::parse(read_file(folder_ + "/out/config.json"));
  }

  std::string folder_;
  std::unique_ptr<Model> model_;
  ThreadPool pool_{2};
  Context context_{pool_};
};

/// The same codes, scales and values.
void expect_same_matrix(const PackedMatrix& before, const PackedMatrix& after) {
  ASSERT_EQ(before.rows(), after.rows());
  ASSERT_EQ(before.cols(), after.cols());
  ASSERT_EQ(scales_per_row(before.spec()), scales_per_row(after.spec()));
  const bool asymmetric = before.spec().format.rules().zero_point;
  ASSERT_EQ(asymmetric, after.spec().format.rules().zero_point);
  std::vector<uint32_t> codes(static_cast<size_t>(before.cols())), others(codes);
  for (int64_t r = 0; r < before.rows(); ++r) {
    read_codes(before, r, codes);
    read_codes(after, r, others);
    ASSERT_EQ(codes, others) << "row " << r;
    for (int64_t b = 0; b < scales_per_row(before.spec()); ++b) {
      const BlockScale one = before.stored_scale(r, b), other = after.stored_scale(r, b);
      // A block without kept weights has no scale before and any afterwards.
      if (one.scale == 0.0f) continue;
      ASSERT_EQ(one.scale, other.scale) << "row " << r << ", block " << b;
      ASSERT_EQ(one.zero_point, other.zero_point) << "row " << r << ", block " << b;
    }
  }
  // The reciprocal is what some targets store.
  ASSERT_NEAR(after.tensor_scale() / before.tensor_scale(), 1.0f, 1e-6f);
}

void expect_same_weights(const Checkpoint& before, const Checkpoint& after) {
  int coded = 0;
  for (const StoredTensor& tensor : before.tensors()) {
    const auto matrix = before.packed(tensor);
    const StoredTensor& other = after.require(tensor.name);
    EXPECT_EQ(tensor.shape, other.shape);
    if (matrix == nullptr || matrix->spec().format.is_plain()) {
      std::vector<float> values(static_cast<size_t>(element_count(tensor.shape))), back(values);
      before.read_rows(tensor, 0, tensor.rows(), values);
      after.read_rows(other, 0, other.rows(), back);
      EXPECT_EQ(values, back) << tensor.name;
      continue;
    }
    SCOPED_TRACE(tensor.name);
    const auto read = after.packed(other);
    ASSERT_NE(read, nullptr);
    expect_same_matrix(*matrix, *read);
    ++coded;
    // Rows alone are decoded without the packed matrix.
    std::vector<float> row(static_cast<size_t>(read->cols())), unpacked(row);
    after.read_rows(other, read->rows() - 1, 1, row);
    read->unpack_rows(read->rows() - 1, MatrixView(unpacked.data(), 1, read->cols()));
    EXPECT_EQ(std::memcmp(row.data(), unpacked.data(), row.size() * sizeof(float)), 0);
  }
  EXPECT_GT(coded, 0);
}

TEST_F(Export, EveryFormatThatATargetHoldsComesBackWithTheSameCodesAndOthersAreRefused) {
  std::set<std::string> held;
  const auto round_trip = [&](const ExportTarget& target, std::span<const NumberFormat> some) {
    const auto model = packed(in_turn(some));
    if (!written(*model, target, some.front())) return;
    expect_same_weights(model->checkpoint(), *Checkpoint::open(folder_ + "/out"));
    for (const NumberFormat& format : some) {
      held.insert(std::string(target.name) + " " + format.spelling());
    }
  };
  const size_t layers = model_->linears().size();
  for (const ExportTarget& target : all_export_targets()) {
    if (!target.needs_codes) continue;
    // Not together with others: zero points that version 1 of GPTQ cannot store, and symmetric
    // formats beside asymmetric ones, whose zero points alone tell them apart there.
    std::array<std::vector<NumberFormat>, 2> accepted;
    for (const NumberFormat& format : formats()) {
      SCOPED_TRACE(std::string(target.name) + " " + format.spelling());
      if (accepts(target, format)) accepted[format.rules().zero_point ? 1 : 0].push_back(format);
    }
    for (const auto& alike : accepted) {
      const bool alone = target.name == "gptq" && &alike == &accepted[1];
      const size_t step = alone ? 1 : layers;
      for (size_t i = 0; i < alike.size(); i += step) {
        SCOPED_TRACE(std::string(target.name) + " from " + alike[i].spelling());
        round_trip(target, std::span(alike).subspan(i, std::min(step, alike.size() - i)));
      }
    }
  }
  for (const char* one : {"compressed-tensors int3:g16:asym", "compressed-tensors nvfp4",
                          "gptq int3:g16:scale=fp16", "gptq int8:channel:asym:scale=fp16",
                          "gptq_v2 int2:g32:asym:scale=fp16", "gptq_v2 int4:tensor:scale=bf16"}) {
    EXPECT_TRUE(held.contains(weights_named(one))) << one;
  }
}

TEST_F(Export, PrunedWeightsAreWrittenAsCodesOfZeroAndCounted) {
  for (const char* pattern : {"2:4", "50%", "50%:block=1x16", "50%:rows"}) {
    for (const char* format :
         {"int4:g16:scale=fp16", "int4:g16:asym:scale=fp16", "nvfp4", "mxfp8_e4m3"}) {
      const auto model = packed(SparsityPattern::parse(pattern), weights(format));
      for (const ExportTarget& target : all_export_targets()) {
        const bool integers = std::string_view(format).starts_with("int");
        if (!target.needs_codes || (!integers && target.name != "compressed-tensors")) continue;
        SCOPED_TRACE(std::string(target.name) + " " + format + " " + pattern);
        const auto result = written(*model, target, weights(format));
        if (!result) continue;
        EXPECT_EQ(result->weights, 7);
        EXPECT_EQ(result->pruned, 7);
        EXPECT_GT(result->pruned_bytes, result->pruned_source_bytes);
        expect_same_weights(model->checkpoint(), *Checkpoint::open(folder_ + "/out"));
      }
    }
  }
}

TEST_F(Export, WeightsThatAreOnlyPrunedStayPlain) {
  Recipe recipe;
  recipe.steps = steps_for(SparsityPattern::parse("2:4"), weights("int4:g16"),
                           Order::kSparsifyFirst, std::nullopt);
  recipe.steps[1].overrides.push_back({.match = NamePattern("self_attn", ""), .none = true});
  const auto model = packed(recipe);
  write(*model, "compressed-tensors");
  expect_same_weights(model->checkpoint(), *Checkpoint::open(folder_ + "/out"));
  EXPECT_THAT(config()["quantization_config"]["ignore"],
              testing::Contains("model.layers.0.self_attn.q_proj"));
}

TEST_F(Export, MixedPrecisionNamesTheLayersOfEveryGroup) {
  Recipe recipe;
  recipe.steps = steps_for(std::nullopt, weights("int4:g16"), Order::kSparsifyFirst, std::nullopt);
  recipe.steps[0].overrides.push_back(
      {.match = NamePattern("down_proj", ""), .format = weights("fp8_e4m3")});
  const auto model = packed(recipe);
  write(*model, "compressed-tensors");
  const nlohmann::json said = config()["quantization_config"];
  EXPECT_EQ(said["format"], "mixed-precision");
  EXPECT_EQ(said["config_groups"].size(), 2u);
  EXPECT_EQ(said["config_groups"]["group_1"]["targets"],
            nlohmann::json({"model.layers.0.mlp.down_proj"}));
  EXPECT_EQ(said["ignore"], nlohmann::json({"lm_head"}));
  expect_same_weights(model->checkpoint(), *Checkpoint::open(folder_ + "/out"));
}

TEST_F(Export, QuantizedInputsComeBackAsTheyWere) {
  for (const char* inputs :
       {"int8", "int8:asym", "int8:tensor", "fp8_e4m3", "int4:g32:scale=fp32"}) {
    const auto format = NumberFormat::parse(inputs, Role::kActivation);
    const bool is_float = !std::holds_alternative<IntElement>(format.element);
    const auto model = packed(std::nullopt, weights(is_float ? "fp8_e4m3" : "int8"), format);
    write(*model, "compressed-tensors");
    const auto back = Model::open(folder_ + "/out");
    ASSERT_EQ(back->activations().size(), 7u) << inputs;
    for (const auto& [module, input] : model->activations()) {
      EXPECT_EQ(back->activations().at(module).format, input.format) << module;
    }
    write(*model, "compressed-tensors", {.weights_only = true});
    EXPECT_TRUE(Model::open(folder_ + "/out")->activations().empty());
  }
}

TEST_F(Export, InputsInBlocksGoBesideWeightsInBlocks) {
  for (const auto& [inputs, of_weights] :
       {std::pair{"mxfp4", "mxfp4"}, {"mxfp8_e4m3", "mxfp4"}, {"mxfp8_e4m3", "mxfp8_e4m3"}}) {
    const auto model =
        packed(std::nullopt, weights(of_weights), NumberFormat::parse(inputs, Role::kActivation));
    write(*model, "compressed-tensors");
    const auto back = Model::open(folder_ + "/out");
    for (const auto& [module, input] : model->activations()) {
      EXPECT_EQ(back->activations().at(module).format, input.format) << module;
    }
  }
  const auto dynamic =
      packed(std::nullopt, weights("nvfp4"), NumberFormat::parse("nvfp4", Role::kActivation));
  EXPECT_THAT(refusal(*dynamic, "compressed-tensors"), HasSubstr("--activation-method static"));
  const auto mixed =
      packed(std::nullopt, weights("nvfp4"), NumberFormat::parse("int8", Role::kActivation));
  EXPECT_THAT(refusal(*mixed, "compressed-tensors"), HasSubstr("is nvfp4 with inputs of int8"));
}

/// The tensor's numbers in a file of one I32 g_idx per module, in another order of columns.
void shuffle_groups(const std::string& folder) {
  const std::string path = folder + "/model.safetensors";
  std::string bytes = read_file(path);
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  const auto tensors = nlohmann::json::parse(bytes.substr(sizeof header, header));
  for (const auto& [name, tensor] : tensors.items()) {
    if (!name.ends_with(".g_idx")) continue;
    const auto cols = tensor["shape"][0].get<size_t>();
    char* data = bytes.data() + sizeof header + header + tensor["data_offsets"][0].get<size_t>();
    std::vector<int32_t> before(cols), after(cols);
    std::memcpy(before.data(), data, 4 * cols);
    for (size_t c = 0; c < cols; ++c) after[c] = before[(c * 35 + 3) % cols];
    std::memcpy(data, after.data(), 4 * cols);
  }
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST_F(Export, AnActOrderComesBackColumnByColumn) {
  for (const char* target : {"gptq", "gptq_v2"}) {
    write(*packed(std::nullopt, weights("int4:g16:scale=fp16")), target);
    std::filesystem::remove_all(folder_ + "/shuffled");
    std::filesystem::rename(folder_ + "/out", folder_ + "/shuffled");
    shuffle_groups(folder_ + "/shuffled");
    const auto others = Model::open(folder_ + "/shuffled");
    const StoredTensor& up = others->checkpoint().require("model.layers.0.mlp.up_proj.weight");
    ASSERT_TRUE(others->checkpoint().packed_entry_of(up)->spec.column_order);
    write(*others, target);
    EXPECT_TRUE(read_file(folder_ + "/out/model.safetensors") ==
                read_file(folder_ + "/shuffled/model.safetensors"));
    EXPECT_EQ(config()["quantization_config"]["desc_act"], true);
    expect_same_weights(others->checkpoint(), *Checkpoint::open(folder_ + "/out"));
    EXPECT_THAT(refusal(*others, "compressed-tensors"),
                testing::AllOf(HasSubstr("q_proj.weight: has groups of reordered columns"),
                               HasSubstr("can hold: ")));
  }
}

TEST_F(Export, WhatATargetCannotHoldIsRefusedWithTheNearestThatItCan) {
  auto model = packed(std::nullopt, weights("int4:g48"));
  EXPECT_THAT(refusal(*model, "compressed-tensors"),
              testing::AllOf(HasSubstr("q_proj.weight: is int4:g48, but its 64 inputs"),
                             HasSubstr("the nearest that compressed-tensors can hold: int4:g32")));
  model = packed(std::nullopt, weights("hbfp8"));
  EXPECT_THAT(refusal(*model, "compressed-tensors"), HasSubstr("can hold: int8:g64"));
  model =
      packed(std::nullopt, weights("int8"), NumberFormat::parse("mxfp8_e4m3", Role::kActivation));
  EXPECT_THAT(refusal(*model, "compressed-tensors"), HasSubstr("--weights-only"));
  EXPECT_THAT(refusal(*model, "dense"), HasSubstr("--weights-only"));
  EXPECT_THAT(refusal(*model_, "compressed-tensors"), HasSubstr("has no packed tensors"));
  EXPECT_THAT(refusal(*model, "compressed-tensors", {.dtype = DType::kF16}),
              HasSubstr("only with --to dense, gguf or onnx"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/out"));
}

TEST_F(Export, DenseTensorsAreExactUnlessATypeIsAskedFor) {
  const auto model = packed(std::nullopt, weights("int4:g16"));
  ExportResult result = write(*model, "dense");
  EXPECT_THAT(result.notes, testing::ElementsAre(HasSubstr("Every value is exact")));
  const auto exact = Checkpoint::open(folder_ + "/out");
  for (const StoredTensor& tensor : model->checkpoint().tensors()) {
    std::vector<float> values(static_cast<size_t>(element_count(tensor.shape))), back(values);
    model->checkpoint().read_rows(tensor, 0, tensor.rows(), values);
    exact->read_rows(exact->require(tensor.name), 0, tensor.rows(), back);
    EXPECT_EQ(values, back) << tensor.name;
  }
  result = write(*model, "dense", {.dtype = DType::kBF16});
  EXPECT_EQ(Checkpoint::open(folder_ + "/out")->require("lm_head.weight").type, "BF16");
  EXPECT_EQ(config()["torch_dtype"], "bfloat16");
  EXPECT_THAT(result.notes, testing::ElementsAre(HasSubstr("were rounded to nearest")));
}

}  // namespace
}  // namespace scant
