#include "checkpoint/folder_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "checkpoint/safetensors.h"
#include "core/error.h"

namespace scant {
namespace {

constexpr std::string_view kSingleFile = "model.safetensors";

struct WrittenTensor {
  DType dtype = DType::kF64;
  uint64_t begin = 0;
  uint64_t end = 0;
};

/// The JSON header. Spelled by hand so that the tensors keep their order.
std::string header_text(const PlannedShard& plan, const std::vector<WrittenTensor>& written) {
  std::string text = R"({"__metadata__":{"format":"pt"})";
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    text += fmt::format(R"(,{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                        nlohmann::json(plan.tensors[i].name).dump(), dtype_name(written[i].dtype),
                        fmt::join(plan.tensors[i].shape, ","), written[i].begin, written[i].end);
  }
  return text + "}";
}

/// Room for the header whatever the dtypes: the longest type name and the largest offsets. Padded
/// so that the data begin at a multiple of 8, as the reference implementation does.
size_t reserved_length(const PlannedShard& plan) {
  constexpr DType kLongestName = DType::kF8E4M3;
  const uint64_t largest_element = dtype_size(DType::kF64);
  std::vector<WrittenTensor> largest;
  uint64_t position = 0;
  for (const PlannedTensor& tensor : plan.tensors) {
    const uint64_t begin = position;
    position += static_cast<uint64_t>(element_count(tensor.shape)) * largest_element;
    largest.push_back({kLongestName, begin, position});
  }
  return (header_text(plan, largest).size() + 7) / 8 * 8;
}

}  // namespace

std::vector<PlannedShard> plan_like(const Checkpoint& source) {
  std::vector<PlannedShard> plan;
  for (const StoredTensor& tensor : source.tensors()) {
    const bool is_safetensors = tensor.file.ends_with(".safetensors");
    const std::string file = is_safetensors ? tensor.file : std::string(kSingleFile);
    if (plan.empty() || plan.back().file != file) plan.push_back({file, {}});
    plan.back().tensors.push_back({tensor.name, tensor.shape});
  }
  return plan;
}

void copy_companion_files(const Checkpoint& source, const AtomicFolder& folder) {
  for (const std::string& name : source.companion_files()) {
    copy_file(source.path(), name, folder);
  }
}

struct FolderWriter::Shard {
  Shard(const PlannedShard& plan_in, const std::string& path)
      : plan(plan_in), file(path), header_length(reserved_length(plan_in)) {
    if (header_length > kSafetensorsHeaderLimit) {
      throw Error(path, fmt::format("would need a header of {} bytes; a safetensors file may have "
                                    "at most {}",
                                    header_length, kSafetensorsHeaderLimit));
    }
    const uint64_t length = header_length;
    file.write(std::as_bytes(std::span(&length, 1)));
    file.write(std::string(header_length, ' '));
  }
  bool is_complete() const { return written.size() == plan.tensors.size() && missing == 0; }

  const PlannedShard& plan;
  OutputFile file;
  size_t header_length;
  std::vector<WrittenTensor> written;
  uint64_t missing = 0;  ///< bytes still to come of the last one
};

FolderWriter::FolderWriter(const AtomicFolder& folder, std::vector<PlannedShard> shards)
    : folder_(folder), plan_(std::move(shards)) {}

FolderWriter::~FolderWriter() = default;

void FolderWriter::open_shard() {
  const PlannedShard& plan = plan_[next_shard_++];
  shard_ = std::make_unique<Shard>(plan, folder_.file(plan.file));
}

void FolderWriter::close_shard() {
  if (!shard_->is_complete()) throw std::logic_error("shard " + shard_->plan.file + " lacks data");
  const std::string header = header_text(shard_->plan, shard_->written);
  shard_->file.overwrite(sizeof(uint64_t), header);
  shard_->file.close();
  if (!shard_->written.empty()) total_bytes_ += shard_->written.back().end;
  shard_.reset();
}

void FolderWriter::begin_tensor(const std::string& name, DType dtype) {
  while (shard_ == nullptr || shard_->is_complete()) {
    if (shard_ != nullptr) close_shard();
    if (next_shard_ == plan_.size()) throw std::logic_error("tensor " + name + " is not planned");
    open_shard();
  }
  const size_t next = shard_->written.size();
  if (shard_->missing != 0 || shard_->plan.tensors[next].name != name) {
    throw std::logic_error("tensor " + name + " is not the next of the plan");
  }
  const uint64_t begin = next == 0 ? 0 : shard_->written.back().end;
  shard_->missing =
      static_cast<uint64_t>(element_count(shard_->plan.tensors[next].shape)) * dtype_size(dtype);
  shard_->written.push_back({dtype, begin, begin + shard_->missing});
}

void FolderWriter::append(std::span<const std::byte> bytes) {
  if (shard_ == nullptr || bytes.size() > shard_->missing) {
    throw std::logic_error("more data than the tensor has room for");
  }
  shard_->file.write(bytes);
  shard_->missing -= bytes.size();
}

void FolderWriter::close() {
  if (shard_ != nullptr) close_shard();
  while (next_shard_ < plan_.size()) {
    open_shard();
    close_shard();  // complete only if no tensor was planned for it
  }
  if (plan_.size() > 1 || (plan_.size() == 1 && plan_[0].file != kSingleFile)) write_index();
}

void FolderWriter::write_index() const {
  nlohmann::json index = {{"metadata", {{"total_size", total_bytes_}}},
                          {"weight_map", nlohmann::json::object()}};
  for (const PlannedShard& shard : plan_) {
    for (const PlannedTensor& tensor : shard.tensors) index["weight_map"][tensor.name] = shard.file;
  }
  OutputFile file(folder_.file("model.safetensors.index.json"));
  file.write(index.dump(2) + "\n");
  file.close();
}

}  // namespace scant
