#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "checkpoint/imports/compressed_tensors.h"
#include "checkpoint/tensor_table.h"
#include "core/error.h"

namespace scant {
namespace {

using nlohmann::json;

constexpr int64_t kLargestGroup = int64_t{1} << 30;

const json& member_or_null(const json& object, const char* key) {
  static const json kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

/// Reads the arguments of weights or of inputs; what is wrong is named after `where_`.
class ArgumentsReader {
 public:
  ArgumentsReader(const json& object, std::string where)
      : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) throw Error(where_, "is not an object");
  }

  CompressedTensorsArguments read() const {
    CompressedTensorsArguments arguments;
    arguments.bits = static_cast<int>(whole("num_bits", 8, 1, 8));
    const std::string type = text("type", "int");
    if (type != "int" && type != "float") fail("type", "is neither int nor float");
    arguments.is_float = type == "float";
    arguments.symmetric = flag("symmetric", true);
    const json& dynamic = member_or_null(object_, "dynamic");
    arguments.dynamic = dynamic.is_string() || (dynamic.is_boolean() && dynamic.get<bool>());
    arguments.group = whole("group_size", 0, -1, kLargestGroup);
    arguments.strategy = strategy(arguments.group);
    const bool groups = arguments.strategy == "group" || arguments.strategy == "tensor_group";
    if (groups && arguments.group < 1) fail("group_size", "is missing; expected one for groups");
    if (arguments.strategy == "block") read_block(arguments);
    return arguments;
  }

 private:
  [[noreturn]] void fail(const char* key, const std::string& problem) const {
    throw Error(where_, fmt::format("{} {}", key, problem));
  }

  std::string strategy(int64_t group) const {
    const std::string given = text("strategy", "");
    constexpr std::array<std::string_view, 6> kKnown = {"tensor", "channel",      "group",
                                                        "token",  "tensor_group", "block"};
    if (given.empty()) return group > 0 ? "group" : group < 0 ? "channel" : "tensor";
    if (std::ranges::find(kKnown, given) == kKnown.end()) {
      fail("strategy", fmt::format("is {}; expected tensor, channel, group, tensor_group, block "
                                   "or token",
                                   quoted_name(given)));
    }
    return given;
  }

  void read_block(CompressedTensorsArguments& arguments) const {
    const json& block = member_or_null(object_, "block_structure");
    const auto extent = [&](size_t i) {
      const bool known = block.is_array() && block.size() == 2 && block[i].is_number_integer();
      const int64_t size = known ? block[i].get<int64_t>() : 0;
      if (size < 1 || size > kLargestGroup) fail("block_structure", "is not a list of two sizes");
      return size;
    };
    arguments.block_rows = extent(0);
    arguments.block_cols = extent(1);
  }

  std::string text(const char* key, const char* otherwise) const {
    const json& value = member_or_null(object_, key);
    if (value.is_null()) return otherwise;
    if (!value.is_string()) fail(key, "is not a text");
    return value.get<std::string>();
  }
  bool flag(const char* key, bool otherwise) const {
    const json& value = member_or_null(object_, key);
    if (value.is_null()) return otherwise;
    if (!value.is_boolean()) fail(key, "is neither true nor false");
    return value.get<bool>();
  }
  int64_t whole(const char* key, int64_t otherwise, int64_t lowest, int64_t highest) const {
    const json& value = member_or_null(object_, key);
    if (value.is_null()) return otherwise;
    if (!value.is_number_integer() || value < lowest || value > highest) {
      fail(key, fmt::format("is {}; expected a whole number from {} to {}",
                            value.dump().substr(0, 40), lowest, highest));
    }
    return value.get<int64_t>();
  }

  const json& object_;
  std::string where_;
};

CompressedTensorsGroup read_group(const json& group, const std::string& where) {
  if (!group.is_object()) throw Error(where, "is not an object; expected targets and weights");
  CompressedTensorsGroup result;
  const json& targets = member_or_null(group, "targets");
  if (!targets.is_array()) throw Error(where, "targets is not a list");
  for (const json& target : targets) {
    if (!target.is_string()) throw Error(where, "targets holds something that is not a text");
    result.targets.push_back(target.get<std::string>());
  }
  if (!member_or_null(group, "output_activations").is_null()) {
    throw Error(where, "quantizes outputs (output_activations), which scant does not do");
  }
  const json& weights = member_or_null(group, "weights");
  const json& inputs = member_or_null(group, "input_activations");
  if (!weights.is_null()) result.weights = ArgumentsReader(weights, where + ".weights").read();
  if (!inputs.is_null()) {
    result.inputs = ArgumentsReader(inputs, where + ".input_activations").read();
  }
  return result;
}

void refuse_unread(const json& config, const std::string& where) {
  const json& transforms = member_or_null(config, "transform_config");
  if (transforms.is_object() && !transforms.empty()) {
    throw Error(where, "transform_config rotates inputs at run time, which scant does not read");
  }
  const json& sparsity = member_or_null(config, "sparsity_config");
  if (!sparsity.is_object()) return;
  const json& format = member_or_null(sparsity, "format");
  if (!format.is_null() && format != "dense") {
    throw Error(where, fmt::format("sparsity_config has the format {}, which scant does not read; "
                                   "expected dense",
                                   format.dump().substr(0, 60)));
  }
}

}  // namespace

std::vector<CompressedTensorsGroup> compressed_tensors_groups(const json& config,
                                                              const std::string& where) {
  refuse_unread(config, where);
  std::vector<CompressedTensorsGroup> groups;
  const json& list = member_or_null(config, "config_groups");
  if (!list.is_object() || list.empty()) {
    throw Error(where, "has no config_groups; expected an object of schemes");
  }
  for (const auto& [name, group] : list.items()) {
    groups.push_back(
        read_group(group, fmt::format("{}: config_groups.{}", where, name.substr(0, 100))));
  }
  return groups;
}

}  // namespace scant
