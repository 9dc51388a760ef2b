#include "checkpoint/folder_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "checkpoint/safetensors.h"
#include "checkpoint/testing_files.h"
#include "core/file_map.h"

namespace scant {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

void put_floats(FolderWriter& writer, const std::string& name, const std::vector<float>& values) {
  writer.begin_tensor(name, DType::kF32);
  writer.append(std::as_bytes(std::span(values)));
}

void put_bf16(FolderWriter& writer, const std::string& name, const std::vector<uint16_t>& values) {
  writer.begin_tensor(name, DType::kBF16);
  for (const uint16_t value : values) writer.append(std::as_bytes(std::span(&value, 1)));
}

void put_config(const AtomicFolder& folder) {
  OutputFile config(folder.file("config.json"));
  config.write("{}");
  config.close();
}

/// Every file may grow to `bytes` only while this lives: a disk that is full.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  sighandler_t handler_;
  rlimit before_{};
};

TEST(FolderWriter, AFolderReadsBackAsItWasPlanned) {
  const std::string out = fresh_folder("write") + "/out";
  AtomicFolder folder(out);
  put_config(folder);
  FolderWriter writer(folder, {{"model.safetensors", {{"odd \"name\"", {3}}, {"b", {2, 2}}}}});
  put_bf16(writer, "odd \"name\"", {0x3f80, 0x4000, 0x4040});
  put_floats(writer, "b", {4, 5, 6, 7});
  writer.close();
  folder.commit();

  const auto model = Checkpoint::open(out);
  ASSERT_EQ(model->tensors().size(), 2u);
  EXPECT_EQ(model->tensors()[0].type, "BF16");
  std::vector<float> values(3);
  model->read_rows(model->require("odd \"name\""), 0, 3, values);
  EXPECT_THAT(values, ElementsAre(1, 2, 3));
  values.resize(4);
  model->read_rows(model->require("b"), 0, 2, values);
  EXPECT_THAT(values, ElementsAre(4, 5, 6, 7));
  EXPECT_FALSE(fs::exists(out + "/model.safetensors.index.json"));

  const FileMap file(out + "/model.safetensors");
  const SafetensorsHeader header = parse_safetensors(file.bytes(), file.path());
  EXPECT_EQ(header.data_begin % 8, 0u);
  EXPECT_EQ(header.metadata.at("format"), "pt");
}

TEST(FolderWriter, SeveralShardsGetAnIndexWithTheTotalSize) {
  const std::string out = fresh_folder("write_shards") + "/out";
  AtomicFolder folder(out);
  put_config(folder);
  FolderWriter writer(folder, {{"model-00001-of-00002.safetensors", {{"x", {2}}, {"empty", {0}}}},
                               {"model-00002-of-00002.safetensors", {{"y", {1}}}}});
  put_floats(writer, "x", {1, 2});
  put_floats(writer, "empty", {});
  put_bf16(writer, "y", {0x3f80});
  writer.close();
  folder.commit();
  const auto model = Checkpoint::open(out);
  EXPECT_EQ(model->require("y").file, "model-00002-of-00002.safetensors");
  EXPECT_EQ(model->require("empty").file, "model-00001-of-00002.safetensors");
  const auto index = nlohmann::json::parse(read_file(out + "/model.safetensors.index.json"));
  EXPECT_EQ(index["metadata"]["total_size"], 10);
}

TEST(FolderWriter, APlanLikeAFolderKeepsItsShardsAndCompanions) {
  const std::string base = fresh_folder("plan");
  {
    AtomicFolder folder(base + "/source");
    put_config(folder);
    OutputFile tokenizer(folder.file("tokenizer.json"));
    tokenizer.write("{\"x\":1}");
    tokenizer.close();
    FolderWriter writer(folder, {{"model-00001-of-00001.safetensors", {{"x", {1}}, {"w", {1}}}}});
    put_floats(writer, "x", {1});
    put_floats(writer, "w", {2});
    writer.close();
    folder.commit();
  }
  const auto source = Checkpoint::open(base + "/source");
  const std::vector<PlannedShard> plan = plan_like(*source);
  ASSERT_EQ(plan.size(), 1u);
  EXPECT_EQ(plan[0].file, "model-00001-of-00001.safetensors");
  EXPECT_EQ(plan[0].tensors.at(1).name, "w");
  AtomicFolder copy(base + "/copy");
  copy_companion_files(*source, copy);
  EXPECT_EQ(read_file(copy.file("tokenizer.json")), "{\"x\":1}");
}

TEST(FolderWriter, AGgufFileIsPlannedAsOneSafetensorsFile) {
  const auto source =
      Checkpoint::open(std::string(SCANT_SOURCE_DIR) + "/tests/goldens/gguf/llama_tiny.gguf");
  const std::vector<PlannedShard> plan = plan_like(*source);
  ASSERT_EQ(plan.size(), 1u);
  EXPECT_EQ(plan[0].file, "model.safetensors");
  EXPECT_EQ(plan[0].tensors.size(), source->tensors().size());
}

TEST(FolderWriter, CallsThatDoNotFollowThePlanAreProgrammingErrors) {
  const AtomicFolder folder(fresh_folder("write_order") + "/out");
  FolderWriter writer(folder, {{"model.safetensors", {{"x", {2}}, {"y", {1}}}}});
  const std::vector<std::byte> five_bytes(5);
  EXPECT_THROW(writer.append(five_bytes), std::logic_error);
  EXPECT_THROW(writer.begin_tensor("y", DType::kF32), std::logic_error);
  writer.begin_tensor("x", DType::kBF16);
  EXPECT_THROW(writer.append(five_bytes), std::logic_error);
  EXPECT_THROW(writer.begin_tensor("y", DType::kF32), std::logic_error);
  EXPECT_THROW(writer.close(), std::logic_error);
  writer.append(std::span(five_bytes).first(4));
  writer.begin_tensor("y", DType::kI8);
  writer.append(std::span(five_bytes).first(1));
  EXPECT_THROW(writer.begin_tensor("z", DType::kF32), std::logic_error);
  EXPECT_NO_THROW(writer.close());
}

TEST(FolderWriter, AFullDiskIsAnErrorThatNamesTheFileAndLeavesNothing) {
  const std::string base = fresh_folder("full_disk");
  const std::vector<std::byte> piece(1 << 20);
  std::string text;
  {
    const AtomicFolder folder(base + "/out");
    FolderWriter writer(folder, {{"model.safetensors", {{"x", {8 << 20}}}}});
    writer.begin_tensor("x", DType::kU8);
    const FullDisk full(3 << 20);
    text = error_of([&] {
      for (int i = 0; i < 8; ++i) writer.append(piece);
      writer.close();
    });
  }
  EXPECT_THAT(text, HasSubstr("model.safetensors: cannot be written: File too large"));
  EXPECT_TRUE(fs::is_empty(base));
}

TEST(FolderWriter, AFullDiskIsNoticedEvenInTheLastBufferedBytes) {
  const std::string base = fresh_folder("full_disk_at_close");
  const AtomicFolder folder(base + "/out");
  FolderWriter writer(folder, {{"model.safetensors", {{"x", {100}}}}});
  writer.begin_tensor("x", DType::kU8);
  writer.append(std::vector<std::byte>(100));
  const FullDisk full(64);
  EXPECT_THAT(error_of([&] { writer.close(); }), HasSubstr("cannot be written"));
}

}  // namespace
}  // namespace scant
