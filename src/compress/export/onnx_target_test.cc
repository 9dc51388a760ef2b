#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx_model.pb.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "compress/export/export_target.h"
#include "compress/export/testing_tiny_llama.h"
#include "compress/job.h"
#include "core/error.h"
#include "core/file_map.h"

namespace scant {
namespace {

using scant_onnx::NodeProto;
using scant_onnx::TensorProto;
using testing::HasSubstr;

int bits_of(int type) {
  switch (type) {
    case TensorProto::UINT4:
    case TensorProto::INT4:
      return 4;
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return 16;
    case TensorProto::FLOAT:
      return 32;
    case TensorProto::INT64:
    case TensorProto::DOUBLE:
      return 64;
    default:
      return 8;
  }
}

float float8(int exponent_bits, int mantissa_bits, uint8_t code) {
  const int magnitude = code & 0x7f;
  const int exponent = magnitude >> mantissa_bits;
  const int mantissa = magnitude & ((1 << mantissa_bits) - 1);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const float value = exponent == 0
                          ? std::ldexp(static_cast<float>(mantissa), 1 - bias - mantissa_bits)
                          : std::ldexp(static_cast<float>(mantissa + (1 << mantissa_bits)),
                                       exponent - bias - mantissa_bits);
  return (code & 0x80) != 0 ? -value : value;
}

/// What a reader sees: the graph, and tensors by name as numbers, by ONNX's definitions.
class Read {
 public:
  explicit Read(const std::string& folder) : data_(read_file(folder + "/model.onnx_data")) {
    EXPECT_TRUE(model_.ParseFromString(read_file(folder + "/model.onnx")));
    for (const TensorProto& tensor : model_.graph().initializer()) {
      tensors_[tensor.name()] = &tensor;
    }
    for (const NodeProto& node : model_.graph().node()) {
      if (node.op_type() == "Cast") casts_[node.output(0)] = node.input(0);
    }
  }

  const scant_onnx::ModelProto& model() const { return model_; }
  const scant_onnx::GraphProto& graph() const { return model_.graph(); }
  const TensorProto& tensor(const std::string& name) const {
    const auto cast = casts_.find(name);
    return *tensors_.at(cast == casts_.end() ? name : cast->second);
  }
  bool has(const std::string& name) const { return tensors_.contains(name); }
  size_t data_size() const { return data_.size(); }

  std::map<std::string, std::string> external(const TensorProto& tensor) const {
    std::map<std::string, std::string> said;
    for (const auto& entry : tensor.external_data()) said[entry.key()] = entry.value();
    return said;
  }
  std::string_view bytes(const TensorProto& tensor) const {
    if (tensor.data_location() != TensorProto::EXTERNAL) return tensor.raw_data();
    const auto said = external(tensor);
    return std::string_view(data_).substr(std::stoul(said.at("offset")),
                                          std::stoul(said.at("length")));
  }

  std::vector<float> numbers(const std::string& name) const {
    const TensorProto& stored = tensor(name);
    const std::string_view raw = bytes(stored);
    std::vector<float> result;
    for (int64_t i = 0; i < elements(stored); ++i) result.push_back(number(stored, raw, i));
    return result;
  }

  static int64_t elements(const TensorProto& tensor) {
    int64_t count = 1;
    for (const int64_t size : tensor.dims()) count *= size;
    return count;
  }
  static int64_t attribute(const NodeProto& node, std::string_view name) {
    for (const auto& one : node.attribute()) {
      if (one.name() == name) return one.i();
    }
    return 0;
  }
  const NodeProto* reader_of(const std::string& name, std::string_view op) const {
    for (const NodeProto& node : graph().node()) {
      if (node.op_type() != op) continue;
      for (const std::string& input : node.input()) {
        if (input == name) return &node;
      }
    }
    return nullptr;
  }

  /// The rows x columns values of the weight whose codes are `codes`.
  std::vector<float> weight(const std::string& codes) const {
    if (const NodeProto* node = reader_of(codes, "MatMulNBits")) return from_blocks(*node);
    const NodeProto* node = reader_of(codes, "DequantizeLinear");
    EXPECT_NE(node, nullptr) << codes;
    return node == nullptr ? std::vector<float>() : dequantized(*node);
  }

 private:
  static float number(const TensorProto& tensor, std::string_view raw, int64_t i) {
    const auto at = static_cast<size_t>(i);
    const auto byte = [&](size_t index) { return static_cast<uint8_t>(raw[index]); };
    switch (tensor.data_type()) {
      case TensorProto::UINT4:
        return static_cast<float>(byte(at / 2) >> (at % 2 * 4) & 15);
      case TensorProto::INT4: {
        const int nibble = byte(at / 2) >> (at % 2 * 4) & 15;
        return static_cast<float>(nibble < 8 ? nibble : nibble - 16);
      }
      case TensorProto::UINT8:
        return byte(at);
      case TensorProto::INT8:
        return static_cast<int8_t>(byte(at));
      case TensorProto::FLOAT8E4M3FN:
        return float8(4, 3, byte(at));
      case TensorProto::FLOAT8E5M2:
        return float8(5, 2, byte(at));
      case TensorProto::FLOAT16:
        return f16_to_f32(static_cast<uint16_t>(byte(2 * at) | byte(2 * at + 1) << 8));
      case TensorProto::BFLOAT16:
        return bf16_to_f32(static_cast<uint16_t>(byte(2 * at) | byte(2 * at + 1) << 8));
      default: {
        float value = 0;
        std::memcpy(&value, raw.data() + 4 * at, sizeof(value));
        return value;
      }
    }
  }

  std::vector<float> from_blocks(const NodeProto& node) const {
    const int64_t rows = attribute(node, "N"), cols = attribute(node, "K");
    const int64_t block = attribute(node, "block_size"), blocks = (cols + block - 1) / block;
    const std::string_view codes = bytes(tensor(node.input(1)));
    const std::vector<float> scales = numbers(node.input(2));
    const std::string_view zeros =
        node.input_size() > 3 ? bytes(tensor(node.input(3))) : std::string_view();
    const auto nibble = [](std::string_view bytes_of, int64_t i) {
      return static_cast<uint8_t>(bytes_of[static_cast<size_t>(i / 2)]) >> (i % 2 * 4) & 15;
    };
    std::vector<float> values;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        const int zero = zeros.empty() ? 8 : nibble(zeros, r * ((blocks + 1) / 2 * 2) + c / block);
        const int code = nibble(codes, r * blocks * block + c) - zero;
        values.push_back(static_cast<float>(code) *
                         scales[static_cast<size_t>(r * blocks + c / block)]);
      }
    }
    return values;
  }

  std::vector<float> dequantized(const NodeProto& node) const {
    const TensorProto& codes = tensor(node.input(0));
    const TensorProto& scale = tensor(node.input(1));
    const std::vector<float> scales = numbers(node.input(1));
    const auto zeros =
        node.input_size() > 2 ? numbers(node.input(2)) : std::vector<float>(scales.size());
    std::vector<float> values = numbers(node.input(0));
    const int64_t cols = codes.dims(1), block = attribute(node, "block_size");
    for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
      const int64_t row = i / cols;
      const int64_t at = scale.dims_size() == 0   ? 0
                         : scale.dims_size() == 1 ? row
                                                  : row * scale.dims(1) + i % cols / block;
      values[static_cast<size_t>(i)] =
          (values[static_cast<size_t>(i)] - zeros[static_cast<size_t>(at)]) *
          scales[static_cast<size_t>(at)];
    }
    return values;
  }

  scant_onnx::ModelProto model_;
  std::string data_;
  std::map<std::string, const TensorProto*> tensors_;
  std::map<std::string, std::string> casts_;  // output -> input
};

class OnnxTarget : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = export_scratch(testing::UnitTest::GetInstance()->current_test_info()->name());
    write_tiny_llama(folder_ + "/model");
    model_ = Model::open(folder_ + "/model");
  }

  std::unique_ptr<Model> packed(const std::string& weights, const std::string& inputs = "",
                                const std::string& pattern = "") {
    const auto format = [](const std::string& spelling, Role role) {
      return spelling.empty() ? std::nullopt : std::optional(NumberFormat::parse(spelling, role));
    };
    Recipe recipe;
    recipe.steps = steps_for(
        pattern.empty() ? std::nullopt : std::optional(SparsityPattern::parse(pattern)),
        format(weights, Role::kWeight), Order::kSparsifyFirst, format(inputs, Role::kActivation));
    return packed(recipe);
  }
  std::unique_ptr<Model> packed(const Recipe& recipe) {
    compress_model(*model_, recipe, {folder_ + "/packed", OutputKind::kPacked, true}, context_);
    return Model::open(folder_ + "/packed");
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
  ExportResult write(const Model& model, ExportOptions options = {}) {
    options.overwrite = true;
    return export_model(model, find_export_target("onnx"), folder_ + "/out", options, context_);
  }
  std::string refusal(const Model& model, ExportOptions options = {}) {
    try {
      write(model, options);
    } catch (const Error& error) {
      return error.what();
    }
    ADD_FAILURE() << "expected an Error";
    return "";
  }

  std::vector<float> values_of(const Model& model, const StoredTensor& tensor) {
    std::vector<float> values(static_cast<size_t>(element_count(tensor.shape)));
    model.checkpoint().read_rows(tensor, 0, tensor.rows(), values);
    return values;
  }
  /// Every tensor of the model comes out of the files bit for bit; how many as codes.
  int expect_same_weights(const Model& model) {
    const Read read(folder_ + "/out");
    int coded = 0;
    for (const StoredTensor& tensor : model.checkpoint().tensors()) {
      SCOPED_TRACE(tensor.name);
      const bool codes = read.has(tensor.name + ".codes");
      EXPECT_EQ(values_of(model, tensor),
                codes ? read.weight(tensor.name + ".codes") : read.numbers(tensor.name));
      coded += codes ? 1 : 0;
    }
    return coded;
  }

  std::string folder_;
  std::unique_ptr<Model> model_;
  ThreadPool pool_{2};
  Context context_{pool_};
};

std::vector<std::string> names(const auto& values) {
  std::vector<std::string> result;
  for (const auto& value : values) result.push_back(value.name());
  return result;
}

TEST_F(OnnxTarget, TheGraphIsOrderedAndItsDataLieAlignedInOneFile) {
  write(*packed("int4:g32", "int8"));
  const Read read(folder_ + "/out");
  EXPECT_EQ(read.model().ir_version(), 10);
  EXPECT_THAT(names(read.graph().input()),
              testing::ElementsAre("input_ids", "attention_mask", "position_ids",
                                   "past_key_values.0.key", "past_key_values.0.value"));
  EXPECT_THAT(names(read.graph().output()),
              testing::ElementsAre("logits", "present.0.key", "present.0.value"));
  std::set<std::string> known;
  const auto add = [&](const std::string& name) { EXPECT_TRUE(known.insert(name).second) << name; };
  for (const std::string& name : names(read.graph().input())) add(name);
  size_t external = 0;
  for (const TensorProto& tensor : read.graph().initializer()) {
    add(tensor.name());
    EXPECT_EQ(static_cast<int64_t>(read.bytes(tensor).size()),
              (Read::elements(tensor) * bits_of(tensor.data_type()) + 7) / 8)
        << tensor.name();
    if (tensor.data_location() != TensorProto::EXTERNAL) continue;
    ++external;
    const auto said = read.external(tensor);
    EXPECT_EQ(said.at("location"), "model.onnx_data");
    EXPECT_EQ(std::stoul(said.at("offset")) % 64, 0u);
    EXPECT_LE(std::stoul(said.at("offset")) + std::stoul(said.at("length")), read.data_size());
  }
  EXPECT_EQ(external, 5u + 7u * 2u);
  for (const NodeProto& node : read.graph().node()) {
    for (const std::string& input : node.input()) EXPECT_TRUE(known.contains(input)) << input;
    for (const std::string& output : node.output()) add(output);
  }
  for (const std::string& name : names(read.graph().output())) EXPECT_TRUE(known.contains(name));
}

TEST_F(OnnxTarget, EveryFormatIsWrittenBitForBitOrRefusedWithTheNearest) {
  std::set<std::string> wanted = {"int8:asym", "int3:narrow", "int4:g48:scale=fp16"};
  for (const std::string& example : number_format_examples(Role::kWeight)) {
    if (example.find(":mse") == std::string::npos) wanted.insert(example);
  }
  std::set<std::string> must = {"int3:narrow", "int8:asym", "fp8_e5m2", "ternary",
                                "binary",      "hbfp4",     "fp16",     "int8:narrow"};
  for (const char* element : {"int2", "int4", "int7", "fp8_e4m3"}) {
    for (const std::string rest : {":tensor", ":channel", ":g16", ":g24", ":g10", ":g64:scale=fp32",
                                   ":g8:asym", ":g16:asym", ":tensor:asym"}) {
      if (element[0] == 'i' || !rest.ends_with("asym")) must.insert(element + rest);
    }
  }
  wanted.insert(must.begin(), must.end());
  std::vector<NumberFormat> held;
  const ExportTarget& target = find_export_target("onnx");
  for (const std::string& spelling : wanted) {
    SCOPED_TRACE(spelling);
    const NumberFormat format = NumberFormat::parse(spelling, Role::kWeight);
    try {
      target.check(planned_export(*model_, make_plan(*model_, in_turn(std::span(&format, 1))), {}));
      held.push_back(format);
    } catch (const Error& error) {
      EXPECT_FALSE(must.contains(spelling)) << error.what();
      EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("tensor model.layers.0."),
                                               HasSubstr("the nearest that onnx can hold")));
    }
  }
  EXPECT_LT(held.size(), wanted.size());
  const size_t layers = model_->linears().size();
  for (size_t i = 0; i < held.size(); i += layers) {
    SCOPED_TRACE(held[i].spelling());
    const auto some = std::span(held).subspan(i, std::min(layers, held.size() - i));
    const auto model = packed(in_turn(some));
    write(*model);
    expect_same_weights(*model);
  }
}

TEST_F(OnnxTarget, PrunedWeightsAreWrittenAsZerosAndCounted) {
  for (const char* format : {"int4:g16", "int4:g16:asym", "int8", "fp8_e4m3", "ternary"}) {
    for (const char* pattern : {"2:4", "50%:block=1x16", "50%:rows"}) {
      SCOPED_TRACE(std::string(format) + " " + pattern);
      const auto model = packed(format, "", pattern);
      const ExportResult result = write(*model);
      EXPECT_EQ(result.pruned, 7);
      EXPECT_GT(result.pruned_bytes, result.pruned_source_bytes);
      EXPECT_EQ(expect_same_weights(*model), 7);
    }
  }
  const auto model = packed("", "", "2:4");
  EXPECT_EQ(write(*model).pruned, 7);
  EXPECT_EQ(expect_same_weights(*model), 0);
}

TEST_F(OnnxTarget, ADenseModelKeepsItsTypesUnlessOneIsAskedFor) {
  EXPECT_EQ(write(*model_).weights, 0);
  EXPECT_EQ(expect_same_weights(*model_), 0);
  EXPECT_EQ(Read(folder_ + "/out").tensor("lm_head.weight").data_type(), TensorProto::BFLOAT16);
  const ExportResult result = write(*model_, {.dtype = DType::kF16});
  EXPECT_EQ(Read(folder_ + "/out").tensor("lm_head.weight").data_type(), TensorProto::FLOAT16);
  EXPECT_EQ(result.written_bytes, write(*model_).written_bytes);
}

TEST_F(OnnxTarget, ATableIsGatheredAndMultipliedFromTheSameBytes) {
  write_tiny_llama(folder_ + "/model", true);
  model_ = Model::open(folder_ + "/model");
  const std::string table = "model.embed_tokens.weight";
  for (const char* format : {"int4:g16", "int3:g16:asym", "int4", "int8", "int4:g20", "fp16"}) {
    SCOPED_TRACE(format);
    Recipe recipe;
    recipe.steps = steps_for(std::nullopt, NumberFormat::parse(format, Role::kWeight),
                             Order::kSparsifyFirst, std::nullopt);
    recipe.include.emplace_back("embed_tokens", "");
    const auto model = packed(recipe);
    write(*model);
    const Read read(folder_ + "/out");
    const StoredTensor& stored = model->checkpoint().require(table);
    const NodeProto* head = read.reader_of(table + ".codes.of_head", "MatMulNBits");
    const bool blocks = read.has(table + ".codes") &&
                        read.tensor(table + ".codes").data_type() == TensorProto::UINT8;
    ASSERT_EQ(head != nullptr, blocks);
    if (!blocks) {
      EXPECT_EQ(expect_same_weights(*model), format[0] == 'i' ? 8 : 0);
      continue;
    }
    EXPECT_EQ(read.weight(table + ".codes.of_head"), values_of(*model, stored));
    const NodeProto* gather = read.reader_of(table + ".codes", "GatherBlockQuantized");
    ASSERT_NE(gather, nullptr);
    EXPECT_EQ(read.external(read.tensor(gather->input(0))).at("offset"),
              read.external(read.tensor(head->input(1))).at("offset"));
    EXPECT_EQ(Read::attribute(*gather, "block_size"), Read::attribute(*head, "block_size"));
  }
}

TEST_F(OnnxTarget, WhatItCannotHoldIsRefusedAndNothingIsWritten) {
  auto model = packed("nvfp4");
  EXPECT_THAT(refusal(*model),
              HasSubstr("q_proj.weight: is nvfp4, for which there are no operators; "
                        "the nearest that onnx can hold: int4:g32"));
  model = packed("int8", "int8:tensor");
  EXPECT_THAT(refusal(*model), HasSubstr("the nearest that onnx can hold: int8, whose scales are"));
  model = packed("int8", "mxfp8_e4m3");
  EXPECT_THAT(refusal(*model), HasSubstr("has inputs of mxfp8_e4m3"));
  model = packed("int8", "int8:stoch");
  EXPECT_THAT(refusal(*model), HasSubstr("the nearest that onnx can hold: int8"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/out"));
  write(*model, {.weights_only = true});
  EXPECT_EQ(expect_same_weights(*model), 7);
}

}  // namespace
}  // namespace scant
