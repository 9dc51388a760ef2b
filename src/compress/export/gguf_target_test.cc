#include "compress/export/gguf_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "checkpoint/gguf.h"
#include "compress/export/gguf_types.h"
#include "compress/export/testing_tiny_llama.h"
#include "compress/job.h"
#include "core/error.h"
#include "core/file_map.h"

namespace scant {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

const std::string kGoldens = std::string(SCANT_SOURCE_DIR) + "/tests/goldens/";

NumberFormat weights(const std::string& spelling) {
  return NumberFormat::parse(spelling, Role::kWeight);
}

/// Every element with the scales that it may have here.
std::vector<NumberFormat> formats() {
  std::set<std::string> all;
  for (const std::string& example : number_format_examples(Role::kWeight)) {
    const NumberFormat format = weights(example);
    all.insert(format.spelling());
    if (format.rules().scales != ElementRules::Scales::kAny || format.mse || format.stochastic) {
      continue;
    }
    const std::string_view option =
        std::visit([](const auto& e) { return e.option(); }, format.element);
    const std::string name =
        format.element_name() + (option.empty() ? "" : ":" + std::string(option));
    for (const char* granularity : {":tensor", ":channel", ":g16", ":g32", ":g64"}) {
      for (const char* storage : {"", ":scale=fp16", ":scale=bf16"}) {
        all.insert(weights(name + granularity + storage).spelling());
      }
    }
  }
  std::vector<NumberFormat> made;
  for (const std::string& spelling : all) made.push_back(weights(spelling));
  return made;
}

class GgufTarget : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = export_scratch(testing::UnitTest::GetInstance()->current_test_info()->name());
    write_tiny_llama(folder_ + "/model");
    model_ = Model::open(folder_ + "/model");
    out_ = folder_ + "/out.gguf";
  }

  std::unique_ptr<Model> packed(const Model& model, const std::optional<SparsityPattern>& pattern,
                                const std::optional<NumberFormat>& format,
                                const std::optional<NumberFormat>& inputs = std::nullopt) {
    Recipe recipe;
    recipe.steps = steps_for(pattern, format, Order::kSparsifyFirst, inputs);
    compress_model(model, recipe, {folder_ + "/packed", OutputKind::kPacked, true}, context_);
    return Model::open(folder_ + "/packed");
  }
  std::unique_ptr<Model> packed(const std::string& format, const std::string& pattern = "") {
    return packed(*model_,
                  pattern.empty() ? std::nullopt : std::optional(SparsityPattern::parse(pattern)),
                  format.empty() ? std::nullopt : std::optional(weights(format)));
  }

  ExportResult write(const Model& model, ExportOptions options = {}) {
    options.overwrite = true;
    return export_model(model, find_export_target("gguf"), out_, options, context_);
  }
  std::string refusal(const Model& model, const ExportOptions& options = {}) {
    try {
      write(model, options);
    } catch (const Error& error) {
      return error.what();
    }
    ADD_FAILURE() << "expected an Error";
    return "";
  }

  /// Why a plan with the format would be refused; empty: it would not.
  std::string planned(const NumberFormat& format) {
    Recipe recipe;
    recipe.steps = steps_for(std::nullopt, format, Order::kSparsifyFirst, std::nullopt);
    try {
      gguf_target().check(planned_export(*model_, make_plan(*model_, recipe), {}));
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }

  std::string folder_, out_;
  std::unique_ptr<Model> model_;
  ThreadPool pool_{2};
  Context context_{pool_};
};

/// Every tensor of `before` has the same values, signs of zeros apart, in `after`.
void expect_same_values(const Checkpoint& before, const Checkpoint& after) {
  for (const StoredTensor& tensor : before.tensors()) {
    SCOPED_TRACE(tensor.name);
    const StoredTensor& other = after.require(tensor.name);
    ASSERT_EQ(tensor.shape, other.shape);
    std::vector<float> values(static_cast<size_t>(element_count(tensor.shape))), back(values);
    before.read_rows(tensor, 0, tensor.rows(), values);
    after.read_rows(other, 0, other.rows(), back);
    ASSERT_EQ(values, back);
  }
}

TEST_F(GgufTarget, EveryFormatThatATypeHoldsComesBackExactlyAndOthersAreRefusedWithOneThatIs) {
  std::set<std::string> types;
  for (const NumberFormat& format : formats()) {
    SCOPED_TRACE(format.spelling());
    const std::string refused = planned(format);
    if (!refused.empty()) {
      const std::string before = "the nearest that GGUF can hold: ";
      EXPECT_THAT(refused, AllOf(HasSubstr("tensor model.layers.0."), HasSubstr(before)));
      const std::string near = refused.substr(refused.find(before) + before.size());
      EXPECT_EQ(planned(weights(near)), "") << near;
      continue;
    }
    const auto model = packed(format.spelling());
    try {
      write(*model);
    } catch (const Error& error) {  // a scale that only bfloat16 holds
      EXPECT_THAT(error.what(), AllOf(HasSubstr("has the scale"), HasSubstr(":scale=fp16")));
      EXPECT_NE(format.scale_storage, ScaleStorage::kF16);
      continue;
    }
    const auto back = Checkpoint::open(out_);
    expect_same_values(model->checkpoint(), *back);
    types.insert(back->require("model.layers.0.self_attn.q_proj.weight").type);
  }
  // Rows of 64 fill no block of TQ2_0 or of the types with blocks of 256.
  EXPECT_EQ(types,
            (std::set<std::string>{"BF16", "MXFP4", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"}));
}

TEST_F(GgufTarget, TheSmallestTypeThatHoldsTheCodesIsTaken) {
  const auto type = [&](const std::string& format, int64_t cols) {
    ExportedWeight weight{"t", "t", {}};
    weight.entry.spec = {weights(format), std::nullopt, "dense", 4, cols};
    return std::string(gguf_encoding(weight).type->name);
  };
  EXPECT_EQ(type("ternary:channel:scale=fp16", 512), "TQ2_0");
  EXPECT_EQ(type("ternary:g256", 512), "TQ2_0");
  EXPECT_EQ(type("int2:narrow:g256", 512), "TQ2_0");
  EXPECT_EQ(type("ternary:g128", 512), "Q4_0");
  EXPECT_EQ(type("ternary:channel:scale=fp16", 96), "Q4_0");
  EXPECT_EQ(type("int2:g32", 64), "Q4_0");
  EXPECT_EQ(type("int3:g32:asym", 64), "Q4_0");
  EXPECT_EQ(type("int4:g32", 64), "Q4_0");
  EXPECT_EQ(type("int4:g32:asym", 64), "Q5_0");
  EXPECT_EQ(type("int5:g32", 64), "Q5_0");
  EXPECT_EQ(type("int5:g32:asym", 64), "Q8_0");
  EXPECT_EQ(type("int7:g32:asym", 64), "Q8_0");
  EXPECT_EQ(type("mxfp4", 64), "MXFP4");
  EXPECT_EQ(type("fp4_e2m1:g32", 64), "Q5_0");
  for (const char* own : {"q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "q4_1", "q5_1"}) {
    std::string name = own;
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
    EXPECT_EQ(type(own, 512), name);
  }
  EXPECT_THROW(type("q4_k", 128), Error);
  EXPECT_THROW(type("int8:g32:asym", 64), Error);
  EXPECT_THROW(type("nf4", 64), Error);
  EXPECT_THROW(type("nvfp4", 64), Error);
}

TEST_F(GgufTarget, ATernaryModelOfWholeBlocksIsTq2) {
  // The rows of the fixture are too short.
  const NumberFormat format = weights("ternary:channel:scale=fp16");
  Matrix values(8, 512);
  const CounterRandom random(3, 1);
  for (int64_t i = 0; i < values.size(); ++i) {
    values.values()[static_cast<size_t>(i)] = random.normal(static_cast<uint64_t>(i));
  }
  const PackedMatrix matrix = pack(quantize(values.view(), format, {}, context_), nullptr, {});
  ExportedWeight weight{"t", "t", {}};
  weight.entry.spec = matrix.spec();
  const GgufEncoding& encoding = gguf_encoding(weight);
  ASSERT_EQ(encoding.type->name, "TQ2_0");
  const auto levels = GgufLevels::of(format);
  GgufRow row(weight, matrix, levels);
  for (int64_t r = 0; r < 8; ++r) {
    row.read(r);
    std::vector<std::byte> blocks(2 * encoding.type->bytes);
    encoding.encode(row, 0, blocks.data());
    encoding.encode(row, 256, blocks.data() + encoding.type->bytes);
    std::vector<float> back(512), expected(512);
    read_gguf_values(*encoding.type, blocks.data(), 0, back);
    matrix.unpack_rows(r, MatrixView(expected.data(), 1, 512));
    EXPECT_EQ(back, expected);
  }
}

/// Rows of a matrix through the blocks of its type and back.
Matrix through_blocks(const PackedMatrix& matrix) {
  ExportedWeight weight{"t", "t", {}};
  weight.entry.spec = matrix.spec();
  const GgufEncoding& encoding = gguf_encoding(weight);
  const int64_t elements = encoding.type->elements;
  const auto levels = GgufLevels::of(matrix.spec().format);
  GgufRow row(weight, matrix, levels);
  Matrix back(matrix.rows(), matrix.cols());
  for (int64_t r = 0; r < matrix.rows(); ++r) {
    row.read(r);
    // Bytes that were there before must not show.
    std::vector<std::byte> blocks(
        static_cast<size_t>(matrix.cols() / elements) * encoding.type->bytes, std::byte{0xff});
    for (int64_t b = 0; b * elements < matrix.cols(); ++b) {
      encoding.encode(row, b * elements,
                      blocks.data() + static_cast<size_t>(b) * encoding.type->bytes);
    }
    read_gguf_values(*encoding.type, blocks.data(), 0, back.row_span(r));
  }
  return back;
}

TEST_F(GgufTarget, BlocksWithScalesOfTheirOwnHoldEveryValueAndZerosWhereTheyCan) {
  Matrix values(6, 512);
  const CounterRandom random(3, 2);
  for (int64_t i = 0; i < values.size(); ++i) {
    values.data()[i] = 0.02f * random.normal(static_cast<uint64_t>(i));
  }
  const SparsityPattern pattern = SparsityPattern::parse("2:4");
  const Mask mask = pattern.select_magnitude(values.view(), context_);
  for (const std::string& name : GgufBlockElement::examples()) {
    SCOPED_TRACE(name);
    Matrix expected(6, 512);
    const PackedMatrix dense =
        pack(quantize(values.view(), weights(name), {}, context_), nullptr, {});
    dense.unpack_rows(0, expected.view());
    EXPECT_TRUE(std::ranges::equal(through_blocks(dense).values(), expected.values()));
    const PackedMatrix pruned =
        pack(quantize(values.view(), weights(name), {.mask = &mask}, context_), &mask, pattern);
    pruned.unpack_rows(0, expected.view());
    const Matrix back = through_blocks(pruned);
    for (int64_t i = 0; i < values.size(); ++i) {
      if (mask.keep[static_cast<size_t>(i)] != 0 || weights(name).rules().has_zero) {
        ASSERT_EQ(back.data()[i], expected.data()[i]);
      } else {
        ASSERT_LT(std::abs(back.data()[i]), 0.03f);  // the nearest that there is
      }
    }
  }
}

TEST_F(GgufTarget, LostZerosAreSaidAndRowsThatFillNoBlockAreRefused) {
  EXPECT_THAT(write(*packed("q4_1", "2:4")).notes,
              testing::Contains(AllOf(HasSubstr("Q4_1 has no exact zero: in 7 pruned tensors"),
                                      HasSubstr("Q3_K, Q6_K"))));
  EXPECT_THAT(write(*packed("q4_1")).notes, Not(testing::Contains(HasSubstr("zero"))));
  EXPECT_THAT(refusal(*packed("q4_k")),
              AllOf(HasSubstr("tensor model.layers.0."),
                    HasSubstr("has 64 inputs, which are no whole number of blocks of 256"),
                    HasSubstr("the nearest that GGUF can hold: q4_1")));
  EXPECT_THAT(refusal(*packed("q6_k")), HasSubstr("can hold: int8:g32:scale=fp16"));
}

TEST_F(GgufTarget, AScaleThatFloat16DoesNotHoldIsRefusedUnlessAllItsCodesAreZero) {
  Matrix values = Matrix::zeros(1, 96);
  for (int64_t c = 0; c < 96; ++c)
    values(0, c) = (c < 32 ? 1e-9f : 0.1f) * static_cast<float>(c + 1);
  for (int64_t c = 64; c < 96; ++c) values(0, c) = 0.0f;
  const PackedMatrix matrix =
      pack(quantize(values.view(), weights("int4:g32"), {}, context_), nullptr, {});
  ExportedWeight weight{"some.weight", "some", {}};
  weight.entry.spec = matrix.spec();
  const auto levels = GgufLevels::of(matrix.spec().format);
  GgufRow row(weight, matrix, levels);
  row.read(0);
  EXPECT_THAT([&] { row.step(0, 32); },
              testing::ThrowsMessage<Error>(
                  AllOf(HasSubstr("tensor some.weight: has the scale"),
                        HasSubstr("(output 0, group 0), which float16 does not hold"),
                        HasSubstr("the nearest that GGUF can hold: int4:g32:scale=fp16"))));
  EXPECT_EQ(f16_to_f32(row.step(32, 32)), matrix.scale(0, 1).scale);
  row.step(64, 32);
}

TEST_F(GgufTarget, PrunedWeightsStayZeroAndAreCounted) {
  for (const char* format : {"int4:g32:scale=fp16", "int4:g32:asym:scale=fp16", "mxfp4", "hbfp8",
                             "binary:g32:scale=fp16", ""}) {
    for (const char* pattern : {"2:4", "50%:block=1x16"}) {
      SCOPED_TRACE(std::string(format) + " " + pattern);
      const auto model = packed(format, pattern);
      const ExportResult result = write(*model);
      EXPECT_EQ(result.weights, 7);
      EXPECT_EQ(result.pruned, 7);
      EXPECT_GT(result.pruned_bytes, result.pruned_source_bytes);
      expect_same_values(model->checkpoint(), *Checkpoint::open(out_));
    }
  }
}

TEST_F(GgufTarget, TheFileSaysWhatTheModelIs) {
  const auto model = packed("int4:g64:scale=fp16");
  const ExportResult result = write(*model);
  const FileMap map(out_);
  const GgufFile file(map.bytes(), out_);
  EXPECT_EQ(file.text("general.architecture"), "llama");
  EXPECT_EQ(file.text("general.name"), "out");
  EXPECT_EQ(file.text("general.type"), "model");
  EXPECT_EQ(file.integer("general.file_type"), 2);  // mostly Q4_0
  EXPECT_EQ(file.integer("general.quantization_version"), 2);
  EXPECT_EQ(file.integer("llama.vocab_size"), 48);
  EXPECT_EQ(file.integer("llama.context_length"), 64);
  EXPECT_EQ(file.integer("llama.embedding_length"), 64);
  EXPECT_EQ(file.integer("llama.block_count"), 1);
  EXPECT_EQ(file.integer("llama.feed_forward_length"), 96);
  EXPECT_EQ(file.integer("llama.attention.head_count"), 4);
  EXPECT_EQ(file.integer("llama.attention.head_count_kv"), 2);
  EXPECT_EQ(file.integer("llama.rope.dimension_count"), 16);
  EXPECT_EQ(file.number("llama.rope.freq_base"), 10000.0);
  EXPECT_EQ(file.number("llama.attention.layer_norm_rms_epsilon"), 1e-5);
  EXPECT_EQ(file.text("tokenizer.ggml.model"), "none");
  EXPECT_THAT(result.notes,
              testing::ElementsAre(HasSubstr("2 BF16, 3 F32, 7 Q4_0"), HasSubstr("are repeated"),
                                   HasSubstr("no tokenizer.json")));
  EXPECT_EQ(result.weights, 7);
}

TEST_F(GgufTarget, ModelsOfEveryArchitectureComputeTheSame) {
  for (const char* name : {"llama", "llama_linear", "llama_llama3", "llama_rope_parameters",
                           "llama_tied_bias", "mistral_no_window", "qwen2", "qwen3", "gpt2"}) {
    SCOPED_TRACE(name);
    const auto model = Model::open(kGoldens + "models/" + name);
    write(*model);
    const auto back = Model::open(out_);
    State before, after;
    before.tokens = after.tokens = {3, 66, 5, 9, 0, 41, 17};
    run_stages(*model, model->weights(), std::span(&before, 1), nullptr, context_);
    run_stages(*back, back->weights(), std::span(&after, 1), nullptr, context_);
    const Matrix expected = logits(*model, before, context_);
    const Matrix actual = logits(*back, after, context_);
    for (int64_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(actual.data()[i], expected.data()[i], 1e-5) << i;
    }
  }
}

TEST_F(GgufTarget, WeightsThatAreStoredInputsByOutputsAreTurned) {
  const auto model = Model::open(kGoldens + "models/gpt2");
  const auto made = packed(*model, std::nullopt, weights("int8:g32:scale=fp16"));
  write(*made);
  const auto back = Checkpoint::open(out_);
  expect_same_values(made->checkpoint(), *back);
  EXPECT_EQ(back->require("transformer.h.0.attn.c_attn.weight").type, "Q8_0");
  // Some rows alone, as a streaming reader asks for them.
  const StoredTensor& tensor = back->require("transformer.h.0.attn.c_attn.weight");
  std::vector<float> all(static_cast<size_t>(element_count(tensor.shape)));
  std::vector<float> some(static_cast<size_t>(3 * tensor.row_size()));
  back->read_rows(tensor, 0, tensor.rows(), all);
  back->read_rows(tensor, 5, 3, some);
  EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin() + 5 * tensor.row_size()));
}

TEST_F(GgufTarget, WhatLlamaCppHasNotIsRefused) {
  const auto refused = [&](const std::string& name) {
    return refusal(*Model::open(kGoldens + "models/" + name));
  };
  EXPECT_THAT(refused("opt"), AllOf(HasSubstr("is a OPTForCausalLM, for which llama.cpp has no "
                                              "architecture"),
                                    HasSubstr("llama, qwen2, qwen3, gpt2")));
  EXPECT_THAT(refused("qwen2_window"), HasSubstr("use_sliding_window"));
  EXPECT_THAT(refused("qwen3_window_bias"), HasSubstr("attention_bias"));
  EXPECT_THAT(refused("gpt2_options"),
              AnyOf(HasSubstr("activation_function"), HasSubstr("scale_attn")));
  EXPECT_THAT(refusal(*packed("int4:g32:scale=fp32")), HasSubstr("with scales of float32"));
  const auto inputs = packed(*model_, std::nullopt, weights("int8:g32:scale=fp16"),
                             NumberFormat::parse("int8", Role::kActivation));
  EXPECT_THAT(refusal(*inputs), HasSubstr("--weights-only"));
  write(*inputs, {.weights_only = true});
  EXPECT_TRUE(std::filesystem::exists(out_));
}

TEST_F(GgufTarget, MistralsWindowIsSaidAndNoted) {
  const ExportResult result = write(*Model::open(kGoldens + "models/mistral"));
  const FileMap map(out_);
  EXPECT_EQ(GgufFile(map.bytes(), out_).integer("llama.attention.sliding_window"), 5);
  EXPECT_THAT(result.notes, testing::Contains(HasSubstr("reaches back 5 tokens")));
}

TEST_F(GgufTarget, AGgufFileComesOutAsItWentIn) {
  const std::string path = kGoldens + "gguf/llama_tiny.gguf";
  write(*Model::open(path));
  const FileMap before(path), after(out_);
  const GgufFile old(before.bytes(), path), made(after.bytes(), out_);
  ASSERT_EQ(old.tensors().size(), made.tensors().size());
  for (const GgufTensor& tensor : old.tensors()) {
    const auto found = std::ranges::find(made.tensors(), tensor.name, &GgufTensor::name);
    ASSERT_NE(found, made.tensors().end()) << tensor.name;
    if (tensor.shape.size() == 1) continue;  // F32 now
    ASSERT_EQ(found->type, tensor.type) << tensor.name;
    EXPECT_EQ(std::memcmp(found->data, tensor.data, tensor.bytes), 0) << tensor.name;
  }
  for (const auto& [key, value] : old.stored_values()) {
    if (!key.starts_with("tokenizer.")) continue;
    const auto found = made.stored_values().find(key);
    ASSERT_NE(found, made.stored_values().end()) << key;
    EXPECT_TRUE(std::ranges::equal(found->second.bytes, value.bytes)) << key;
  }
}

TEST_F(GgufTarget, DenseModelsAreWrittenInTheirOwnTypeOrRounded) {
  write(*model_);
  EXPECT_EQ(Checkpoint::open(out_)->config()["torch_dtype"], "bfloat16");
  expect_same_values(model_->checkpoint(), *Checkpoint::open(out_));
  const ExportResult result = write(*model_, {.dtype = DType::kF16});
  const auto half = Checkpoint::open(out_);
  EXPECT_EQ(half->require("lm_head.weight").type, "F16");
  EXPECT_EQ(half->require("model.norm.weight").type, "F32");
  EXPECT_THAT(result.notes, testing::Not(testing::Contains(HasSubstr("0 tensors hold"))));
}

TEST_F(GgufTarget, TheOutputIsOneFileWithItsEnding) {
  const auto refused = [&](const std::string& out) {
    try {
      export_model(*model_, gguf_target(), out, {}, context_);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(refused(folder_), HasSubstr("writes one file, whose name ends in .gguf; expected " +
                                          folder_ + "/model.gguf"));
  EXPECT_THAT(refused(folder_ + "/name"), HasSubstr("expected " + folder_ + "/name.gguf"));
  EXPECT_EQ(refused(out_), "");
  EXPECT_THAT(refused(out_), HasSubstr("already exists"));
  std::filesystem::create_directory(folder_ + "/dir.gguf");
  EXPECT_THAT(refused(folder_ + "/dir.gguf"), HasSubstr("is a folder"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/name.gguf"));
}

}  // namespace
}  // namespace scant
