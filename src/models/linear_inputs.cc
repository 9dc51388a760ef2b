#include "models/linear_inputs.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "checkpoint/json_text.h"
#include "checkpoint/vector_file.h"
#include "core/error.h"
#include "core/file_map.h"

namespace scant {
namespace {

using Json = nlohmann::json;

/// Reads entries of one scant.json and turns every fault into an Error that names the key.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& folder)
      : where_((folder / "scant.json").string()),
        vectors_path_((folder / kLinearInputsFile).string()) {
    constexpr size_t kLimit = size_t{64} << 20;
    content_ = parse_json_object(read_file(where_, kLimit), where_);
    const auto version = content_.find("format_version");
    if (version == content_.end()) return;
    if (!version->is_number_integer() || *version < 1 || *version > kScantJsonVersion) {
      throw Error(where_, fmt::format("format_version is {}; expected 1 to {}, which this version "
                                      "of scant reads",
                                      version->dump().substr(0, 40), kScantJsonVersion));
    }
  }

  Reader(std::string where, Json content)
      : where_(std::move(where)), content_(std::move(content)) {}

  LinearInputs read() {
    LinearInputs inputs;
    const Json activations = object("activations");
    const Json rotations = object("rotations");
    for (const auto& [module, entry] : activations.items()) {
      inputs.quantizations.emplace(module, quantization(module, entry));
    }
    for (const auto& [module, entry] : rotations.items()) {
      inputs.rotations.emplace(module, rotation("rotations." + module, entry));
    }
    return inputs;
  }

 private:
  [[noreturn]] void fail(const std::string& key, const std::string& problem) const {
    throw Error(where_, key + " " + problem);
  }

  Json object(const char* key) const {
    const auto found = content_.find(key);
    if (found == content_.end() || found->is_null()) return Json::object();
    if (!found->is_object()) fail(key, "is not an object; expected one with module names as keys");
    return *found;
  }

  std::string text(const std::string& key, const Json& object, const char* name) const {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_string()) {
      fail(key, fmt::format("has no text {}; expected one", name));
    }
    return found->get<std::string>();
  }

  double number(const std::string& key, const Json& object, const char* name) const {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_number()) {
      fail(key, fmt::format("has no number {}; expected one", name));
    }
    return found->get<double>();
  }

  template <typename Parse>
  auto parsed(const std::string& key, const std::string& spelling, Parse parse) const {
    try {
      return parse(spelling);
    } catch (const Error& problem) {
      throw Error(where_, fmt::format("{}: {}", key, problem.what()));
    }
  }

  InputQuantization quantization(const std::string& module, const Json& entry) {
    const std::string key = "activations." + module;
    const auto format_of = [](const std::string& spelling) {
      return NumberFormat::parse(spelling, Role::kActivation);
    };
    if (entry.is_string()) return parsed(key, entry.get<std::string>(), format_of);
    if (!entry.is_object()) fail(key, "is not a text or an object; expected a format");
    InputQuantization result = parsed(key, text(key, entry, "format"), format_of);
    const ActivationMethod method =
        parsed(key, text(key, entry, "method"), ActivationMethod::parse);
    if (const auto sentence = method.refusal(result.format)) fail(key + ":", *sentence);
    if (method.kind == ActivationMethod::Kind::kStatic) {
      result.scale = scale(key, entry, result.format);
    } else if (method.kind == ActivationMethod::Kind::kCrossQuant) {
      result.cross = std::make_shared<CrossScales>(method.alpha, column_maxima(key, module));
    }
    return result;
  }

  BlockScale scale(const std::string& key, const Json& entry, const NumberFormat& format) const {
    BlockScale result{static_cast<float>(number(key, entry, "scale")), 0};
    if (!std::isfinite(result.scale) || result.scale < 0) {
      fail(key, "has a scale that is negative or not finite");
    }
    if (format.rules().two_level && result.scale == 0) fail(key, "has a tensor scale of 0");
    if (!format.rules().zero_point) return result;
    const double zero = number(key, entry, "zero_point");
    if (zero < 0 || zero >= (1 << format.code_bits()) || zero != std::floor(zero)) {
      fail(key,
           fmt::format("has the zero point {}; expected a code of {}", zero, format.spelling()));
    }
    result.zero_point = static_cast<int32_t>(zero);
    return result;
  }

  std::vector<float> column_maxima(const std::string& key, const std::string& module) {
    if (!vectors_) vectors_ = read_vectors(vectors_path_);
    const auto found = vectors_->find(module + ".input_maxima");
    if (found == vectors_->end()) {
      fail(key, fmt::format("needs {}.input_maxima, which {} lacks", module, vectors_path_));
    }
    for (const float value : found->second) {
      if (!std::isfinite(value) || value < 0) {
        throw Error(vectors_path_, fmt::format("{}.input_maxima holds {}; expected finite "
                                               "magnitudes",
                                               module, value));
      }
    }
    return found->second;
  }

  std::shared_ptr<const Rotation> rotation(const std::string& key, const Json& entry) const {
    if (!entry.is_object()) fail(key, "is not an object; expected size and seed");
    const auto size = entry.find("size");
    const auto seed = entry.find("seed");
    constexpr int64_t kLargest = int64_t{1} << 24;
    if (size == entry.end() || !size->is_number_integer() || *size < 1 || *size > kLargest ||
        seed == entry.end() || !seed->is_number_unsigned()) {
      fail(key, "has no whole numbers size and seed; expected them");
    }
    return parsed(key, "", [&](const std::string&) {
      return std::make_shared<const Rotation>(size->get<int64_t>(), seed->get<uint64_t>());
    });
  }

  std::string where_, vectors_path_;
  Json content_;
  std::optional<NamedVectors> vectors_;
};

}  // namespace

LinearInputs read_linear_inputs(const std::string& folder) {
  const std::filesystem::path path(folder);
  std::error_code error;
  if (!std::filesystem::is_regular_file(path / "scant.json", error)) return {};
  return Reader(path).read();
}

LinearInputs read_linear_inputs(const Checkpoint& checkpoint) {
  const Json* said = checkpoint.linear_inputs();
  if (said == nullptr) return read_linear_inputs(checkpoint.path());
  return Reader(checkpoint.path() + "/config.json: quantization_config", *said).read();
}

}  // namespace scant
