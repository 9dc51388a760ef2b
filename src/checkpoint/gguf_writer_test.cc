#include "checkpoint/gguf_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "checkpoint/gguf_architecture.h"
#include "checkpoint/gguf_checkpoint.h"
#include "checkpoint/testing_files.h"
#include "core/file_map.h"

namespace scant {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::span<const std::byte> bytes_of(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

TEST(GgufWriter, KeysAndTensorsComeBackAsTheyWereWritten) {
  const std::string path = fresh_folder("gguf_writer") + "/made.gguf";
  const std::vector<float> matrix = {1, 2, 3, 4, 5, 6}, vector = {7, 8};
  GgufKeys keys;
  keys.text("text", "a\xc3\xa9");
  keys.u32("number", 70000);
  keys.f32("epsilon", 1e-5);
  keys.boolean("flag", true);
  keys.texts("words", std::vector<std::string>{"a", "", "b c"});
  keys.floats("scores", std::vector<float>{0.5f, -1.0f});
  keys.integers("types", std::vector<int32_t>{-1, 3});
  {
    AtomicFile file(path);
    GgufWriter writer(file.out(), keys,
                      {{"m", {2, 3}, find_gguf_type("F32")}, {"v", {2}, find_gguf_type("F32")}});
    writer.begin_tensor("m");
    writer.append(bytes_of(matrix).first(8));
    writer.append(bytes_of(matrix).subspan(8));
    writer.begin_tensor("v");
    writer.append(bytes_of(vector));
    writer.finish();
    EXPECT_EQ(writer.total_bytes(), 32u);
    EXPECT_FALSE(std::filesystem::exists(path));  // whole or not at all
    file.commit();
  }
  const FileMap map(path);
  const GgufFile file(map.bytes(), path);
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(file.text("text"), "a\xc3\xa9");
  EXPECT_EQ(file.integer("number"), 70000);
  EXPECT_EQ(file.number("epsilon"), 1e-5);
  EXPECT_EQ(file.boolean("flag"), true);
  EXPECT_THAT(*file.texts("words"), ElementsAre("a", "", "b c"));
  EXPECT_THAT(*file.floats("scores"), ElementsAre(0.5f, -1.0f));
  EXPECT_THAT(*file.integers("types"), ElementsAre(-1, 3));
  ASSERT_EQ(file.tensors().size(), 2u);
  EXPECT_EQ(file.tensors()[0].shape, (Shape{2, 3}));
  EXPECT_EQ(std::memcmp(file.tensors()[0].data, matrix.data(), 24), 0);
  EXPECT_EQ(std::memcmp(file.tensors()[1].data, vector.data(), 8), 0);
  EXPECT_EQ(map.bytes().size() % 32, 0u);

  GgufKeys copied;  // bytes of another file, unchanged
  for (const auto& [key, value] : file.stored_values()) copied.copy(key, value);
  EXPECT_EQ(copied.count(), keys.count());
  EXPECT_EQ(copied.bytes().size(), keys.bytes().size());
}

TEST(GgufWriter, AFileThatIsNotFinishedNeverAppears) {
  const std::string folder = fresh_folder("gguf_unfinished");
  const std::string path = folder + "/made.gguf";
  {
    AtomicFile file(path);
    GgufWriter writer(file.out(), GgufKeys(), {{"v", {2}, find_gguf_type("F32")}});
    writer.begin_tensor("v");
    EXPECT_THROW(writer.finish(), std::logic_error);
    EXPECT_THROW(writer.append(bytes_of({1, 2, 3})), std::logic_error);
    EXPECT_THROW(writer.begin_tensor("w"), std::logic_error);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  put(path, "old");
  EXPECT_THAT(error_of([&] { AtomicFile{path}; }), HasSubstr("already exists"));
  EXPECT_THAT(error_of([&] { AtomicFile{folder}; }), HasSubstr("is a folder"));
  { AtomicFile replaced(path, true); }
  EXPECT_EQ(read_file(path), "old");
  AtomicFile(path, true).commit();
  EXPECT_EQ(read_file(path), "");
}

TEST(AtomicFile, ReplacesWhatIsNotThereInTheCurrentFolder) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(testing::TempDir());
  std::filesystem::remove("not_there.gguf");
  EXPECT_NO_THROW(AtomicFile("not_there.gguf", true).commit());
  EXPECT_TRUE(std::filesystem::exists("not_there.gguf"));
  std::filesystem::remove("not_there.gguf");
  std::filesystem::current_path(before);
}

TEST(GgufWriter, TensorsThatGgufCannotHaveAreRefusedByName) {
  const std::string path = fresh_folder("gguf_refused") + "/made.gguf";
  const auto refusal = [&](GgufPlannedTensor tensor) {
    return error_of([&] {
      AtomicFile file(path);
      GgufWriter(file.out(), GgufKeys(), {std::move(tensor)});
    });
  };
  EXPECT_THAT(refusal({std::string(64, 'x'), {1}, find_gguf_type("F32")}), HasSubstr("63 bytes"));
  EXPECT_THAT(refusal({"t", {1, 1, 1, 1, 1}, find_gguf_type("F32")}), HasSubstr("tensor t: has"));
  EXPECT_THAT(refusal({"t", {2, 48}, find_gguf_type("Q8_0")}),
              HasSubstr("rows of 48 values; Q8_0 needs a multiple of 32"));
}

TEST(GgufWriter, AVocabularyComesBackAsItWas) {
  const std::string path = fresh_folder("gguf_vocabulary") + "/made.gguf";
  GgufVocabulary before;
  before.model = "gpt2";
  before.pre = "smollm";
  before.tokens = {"a", "b", "ab"};
  before.scores = {0, -1, -2};
  before.types = {1, 3, 1};
  before.merges = {"a b"};
  before.bos = 1;
  before.eos = 2;
  before.unknown = 0;
  before.add_bos = true;
  before.add_eos = false;
  before.add_space_prefix = false;
  before.chat_template = "{{ x }}";
  GgufKeys keys;
  write_gguf_vocabulary(before, keys);
  AtomicFile file(path);
  GgufWriter(file.out(), keys, {}).finish();
  file.commit();
  const auto opened = Checkpoint::open(path);
  const GgufVocabulary& after = *opened->gguf_vocabulary();
  EXPECT_EQ(after.model, before.model);
  EXPECT_EQ(after.pre, before.pre);
  EXPECT_EQ(after.tokens, before.tokens);
  EXPECT_EQ(after.scores, before.scores);
  EXPECT_EQ(after.types, before.types);
  EXPECT_EQ(after.merges, before.merges);
  EXPECT_EQ(after.bos, before.bos);
  EXPECT_EQ(after.eos, before.eos);
  EXPECT_EQ(after.unknown, before.unknown);
  EXPECT_EQ(after.padding, before.padding);
  EXPECT_EQ(after.add_bos, before.add_bos);
  EXPECT_EQ(after.add_eos, before.add_eos);
  EXPECT_EQ(after.add_space_prefix, before.add_space_prefix);
  EXPECT_EQ(after.chat_template, before.chat_template);
}

TEST(GgufArchitecture, RowsGoThereAndBack) {
  // Heads of 6: transformers has the halves 0 1 2 | 3 4 5, the file 0 3 1 4 2 5.
  const std::vector<int64_t> file = {0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11};
  for (int64_t row = 0; row < 12; ++row) {
    EXPECT_EQ(huggingface_row(row, 6), file[static_cast<size_t>(row)]);
    EXPECT_EQ(gguf_row(huggingface_row(row, 6), 6), row);
  }
  EXPECT_EQ(gguf_architecture_of_class("MistralForCausalLM")->name, "llama");
  EXPECT_EQ(gguf_architecture_of_class("OPTForCausalLM"), nullptr);
  EXPECT_EQ(find_gguf_architecture("qwen3")->model_class, "Qwen3ForCausalLM");
}

}  // namespace
}  // namespace scant
