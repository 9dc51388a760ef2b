#include "checkpoint/packed_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "checkpoint/stored_rows.h"
#include "checkpoint/tensor_table.h"
#include "core/error.h"

namespace scant {
namespace {

using nlohmann::json;

constexpr const char* kMethod = "scant";
constexpr int64_t kLargestSide = int64_t{1} << 32;

const json& member(const json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) throw Error(where, fmt::format("has no {}", key));
  return *found;
}

std::string text_of(const json& object, const char* key, const std::string& where) {
  const json& value = member(object, key, where);
  if (!value.is_string()) throw Error(where, fmt::format("{} is not a text", key));
  return value.get<std::string>();
}

/// As a text of config.json may say it: a fault names the tensor.
template <typename Parse>
auto parsed(const std::string& where, const Parse& parse) {
  try {
    return parse();
  } catch (const Error& problem) {
    throw Error(where, problem.what());
  }
}

Shape shape_of(const json& object, const std::string& where) {
  const json& list = member(object, "shape", where);
  Shape shape;
  if (list.is_array()) {
    for (const json& extent : list) {
      if (!extent.is_number_integer() || extent.get<int64_t>() < 1 ||
          extent.get<int64_t>() > kLargestSide) {
        shape.clear();
        break;
      }
      shape.push_back(extent.get<int64_t>());
    }
  }
  if (shape.empty() || shape.size() > 2) {
    throw Error(where, "shape is not a list of one or two positive numbers");
  }
  return shape;
}

/// The parts of one tensor, found in the folder but not looked at yet.
struct Packed {
  PackedEntry entry;
  PackedMatrix::Parts parts;
};

class PackedFolder final : public Checkpoint {
 public:
  explicit PackedFolder(std::unique_ptr<Checkpoint> folder)
      : folder_(std::move(folder)), config_(folder_->config()) {
    const std::string where = folder_->path() + "/config.json: quantization_config";
    const json method = config_.at("quantization_config");
    config_.erase("quantization_config");
    const json version = member(method, "format_version", where);
    if (!version.is_number_integer() || version < 1 || version > kPackedFormatVersion) {
      throw Error(where, fmt::format("format_version is {}; expected 1 to {}",
                                     version.dump().substr(0, 40), kPackedFormatVersion));
    }
    const json& tensors = member(method, "tensors", where);
    if (!tensors.is_object()) throw Error(where, "tensors is not an object");
    std::map<std::string, std::string, std::less<>> owner_of_part;
    std::map<std::string, Packed> by_name;
    for (const auto& [name, description] : tensors.items()) {
      const std::string at = fmt::format("{}: tensors.{}", where, name.substr(0, 200));
      Packed packed{packed_entry(description, at), {}};
      find_parts(name, packed, owner_of_part);
      by_name.emplace(name, std::move(packed));
    }
    list_tensors(owner_of_part, by_name);
  }

  const std::string& path() const override { return folder_->path(); }
  std::string_view container() const override { return kPackedContainer; }
  const json& config() const override { return config_; }
  const std::vector<StoredTensor>& tensors() const override { return table_.tensors(); }
  const StoredTensor* find(std::string_view name) const override { return table_.find(name); }
  std::optional<TokenizerFiles> tokenizer_files() const override {
    return folder_->tokenizer_files();
  }
  std::vector<std::string> companion_files() const override { return folder_->companion_files(); }

  TensorView raw(const StoredTensor& tensor) const override {
    const StoredTensor* plain = plain_.at(tensor.index);
    return plain == nullptr ? TensorView{} : folder_->raw(*plain);
  }

  void read_rows(const StoredTensor& tensor, int64_t begin, int64_t count,
                 std::span<float> out) const override {
    if (const StoredTensor* plain = plain_.at(tensor.index)) {
      return folder_->read_rows(*plain, begin, count, out);
    }
    check_row_range(path(), tensor, begin, count, out.size());
    const auto matrix = packed(tensor);
    read_stored_rows(tensor, packed_entry_of(tensor)->transposed, matrix->rows(), matrix->cols(),
                     begin, count, out,
                     [&](int64_t row, MatrixView values) { matrix->unpack_rows(row, values); });
  }

  std::shared_ptr<const PackedMatrix> packed(const StoredTensor& tensor) const override {
    const auto found = packed_.find(tensor.name);
    if (found == packed_.end()) return nullptr;
    const std::lock_guard lock(mutex_);
    auto& opened = opened_[tensor.index];
    if (!opened) {
      opened = parsed(path() + "/" + tensor.file + ": tensor " + tensor.name, [&] {
        return std::make_shared<const PackedMatrix>(found->second.entry.spec, found->second.parts,
                                                    folder_);
      });
    }
    return opened;
  }

  const PackedEntry* packed_entry_of(const StoredTensor& tensor) const override {
    const auto found = packed_.find(tensor.name);
    return found == packed_.end() ? nullptr : &found->second.entry;
  }

 private:
  void find_parts(const std::string& name, Packed& packed,
                  std::map<std::string, std::string, std::less<>>& owner_of_part) const {
    const PackedSpec& spec = packed.entry.spec;
    const auto sizes = parsed(path() + ": tensor " + name, [&] { return packed_part_bytes(spec); });
    for (size_t i = 0; i < kPackedParts; ++i) {
      const auto part = static_cast<PackedPart>(i);
      if (sizes[i] == 0) continue;
      const std::string part_name = packed_part_tensor(name, part);
      const StoredTensor& stored = folder_->require(part_name);
      const TensorView raw = folder_->raw(stored);
      const DType dtype = packed_part_dtype(spec, part);
      if (raw.dtype != dtype || std::cmp_not_equal(raw.bytes(), sizes[i])) {
        throw Error(path() + "/" + stored.file,
                    fmt::format("tensor {} has {} of {} in all; expected {} bytes of {}",
                                quoted_name(part_name), stored.bytes, stored.type, sizes[i],
                                dtype_name(dtype)));
      }
      packed.parts[i] = {raw.data, raw.bytes()};
      owner_of_part.emplace(part_name, name);
    }
  }

  /// In the order of the file: a packed tensor stands where its first part does.
  void list_tensors(const std::map<std::string, std::string, std::less<>>& owner_of_part,
                    std::map<std::string, Packed>& by_name) {
    for (const StoredTensor& stored : folder_->tensors()) {
      const auto owner = owner_of_part.find(stored.name);
      if (owner == owner_of_part.end()) {
        table_.add(stored, path());
        plain_.push_back(&stored);
        continue;
      }
      const auto waiting = by_name.find(owner->second);
      if (waiting == by_name.end()) continue;  // listed already
      const PackedSpec& spec = waiting->second.entry.spec;
      StoredTensor tensor;
      tensor.name = waiting->first;
      tensor.shape = waiting->second.entry.shape;
      tensor.type = spec.format.spelling() + (spec.pattern ? " " + spec.pattern->spelling() : "") +
                    (spec.column_order ? " (act-order)" : "");
      tensor.bytes = spec.size().total();
      tensor.file = stored.file;
      table_.add(std::move(tensor), path());
      plain_.push_back(nullptr);
      packed_.insert(by_name.extract(waiting));
    }
    opened_.resize(table_.tensors().size());
  }

  std::shared_ptr<Checkpoint> folder_;
  json config_;
  TensorTable table_;
  std::map<std::string, Packed, std::less<>> packed_;
  std::vector<const StoredTensor*> plain_;  ///< by StoredTensor::index; null: packed
  mutable std::mutex mutex_;
  mutable std::vector<std::shared_ptr<const PackedMatrix>> opened_;
};

}  // namespace

std::string packed_part_tensor(const std::string& tensor, PackedPart part) {
  return fmt::format("{}.{}", tensor, packed_part_name(part));
}

DType packed_part_dtype(const PackedSpec& spec, PackedPart part) {
  switch (part) {
    case PackedPart::kScales:
      if (spec.format.super_block() != nullptr) break;  // records
      return scale_dtype(spec.format.scale_storage);
    case PackedPart::kConstants:
      return DType::kF32;
    case PackedPart::kColumnFactors:
      return DType::kF16;
    case PackedPart::kColumnOrder:
      return DType::kI32;
    case PackedPart::kPositions:
    case PackedPart::kCodes:
    case PackedPart::kZeroPoints:
      break;
  }
  return DType::kU8;
}

DType scale_dtype(ScaleStorage storage) {
  switch (storage) {
    case ScaleStorage::kF32:
      return DType::kF32;
    case ScaleStorage::kBF16:
      return DType::kBF16;
    case ScaleStorage::kF16:
      return DType::kF16;
    case ScaleStorage::kE4M3:
      return DType::kF8E4M3;
    case ScaleStorage::kE8M0:
      break;
  }
  return DType::kU8;  // older readers do not know F8_E8M0
}

nlohmann::ordered_json packed_entry_json(const PackedEntry& entry) {
  const NumberFormat& format = entry.spec.format;
  nlohmann::ordered_json json;
  json["element"] = format.element_name();
  json["granularity"] = format.granularity_name();
  json["format"] = format.spelling();
  if (entry.spec.pattern) json["pattern"] = entry.spec.pattern->spelling();
  json["layout"] = entry.spec.layout;
  json["shape"] = entry.shape;
  if (entry.transposed) json["transposed"] = true;
  if (entry.spec.column_factors) json["column_factors"] = true;
  if (entry.spec.column_order) json["column_order"] = true;
  json["dtype"] = dtype_name(entry.dtype);
  return json;
}

PackedEntry packed_entry(const nlohmann::json& json, const std::string& where) {
  if (!json.is_object()) throw Error(where, "is not an object");
  const auto flag = [&](const char* key) {
    const auto found = json.find(key);
    if (found != json.end() && !found->is_boolean()) {
      throw Error(where, fmt::format("{} is not true or false", key));
    }
    return found != json.end() && found->get<bool>();
  };
  PackedEntry entry;
  entry.shape = shape_of(json, where);
  entry.transposed = flag("transposed");
  const bool vector = entry.shape.size() == 1;
  entry.spec.rows = vector ? 1 : entry.shape[entry.transposed ? 1 : 0];
  entry.spec.cols = vector ? entry.shape[0] : entry.shape[entry.transposed ? 0 : 1];
  if (vector && entry.transposed) throw Error(where, "is a vector, which has no transpose");
  if (entry.spec.cols > (int64_t{1} << 40) / entry.spec.rows) {
    throw Error(where, "shape has more than 2^40 weights");
  }
  entry.spec.format = parsed(
      where, [&] { return NumberFormat::parse(text_of(json, "format", where), Role::kWeight); });
  for (const auto& [key, expected] :
       {std::pair{"element", entry.spec.format.element_name()},
        std::pair{"granularity", entry.spec.format.granularity_name()}}) {
    if (const std::string said = text_of(json, key, where); said != expected) {
      throw Error(where, fmt::format("{} is {}, but the format {} has {}", key, quoted_name(said),
                                     entry.spec.format.spelling(), expected));
    }
  }
  if (json.contains("pattern")) {
    entry.spec.pattern =
        parsed(where, [&] { return SparsityPattern::parse(text_of(json, "pattern", where)); });
  }
  entry.spec.layout = text_of(json, "layout", where);
  entry.spec.column_factors = flag("column_factors");
  entry.spec.column_order = flag("column_order");
  const auto dtype = parse_dtype(text_of(json, "dtype", where));
  if (!dtype || !is_weight_dtype(*dtype)) {
    throw Error(where, "dtype is not one of F32, F16, BF16");
  }
  entry.dtype = *dtype;
  return entry;
}

bool is_packed_config(const nlohmann::json& config) {
  if (!config.is_object()) return false;
  const auto found = config.find("quantization_config");
  return found != config.end() && found->is_object() &&
         found->value("quant_method", json()) == kMethod;
}

std::unique_ptr<Checkpoint> open_packed_folder(std::unique_ptr<Checkpoint> folder) {
  return std::make_unique<PackedFolder>(std::move(folder));
}

}  // namespace scant
