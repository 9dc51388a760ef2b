// The YAML form of recipes: reading, with errors that name the line, and writing.
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <utility>

#include "compress/recipe.h"
#include "core/error.h"
#include "models/tokenizer/utf8.h"

namespace scant {
namespace {

constexpr size_t kLargestRecipe = size_t{1} << 20;
constexpr std::array<std::pair<StepKind, std::string_view>, 4> kSteps = {{
    {StepKind::kSparsify, "sparsify"},
    {StepKind::kQuantize, "quantize"},
    {StepKind::kJoint, "joint"},
    {StepKind::kActivations, "activations"},
}};

std::string_view step_name(StepKind kind) { return kSteps[static_cast<size_t>(kind)].second; }

/// Reads nodes of one file and turns every fault into an Error with its line.
class Reader {
 public:
  explicit Reader(std::string source) : source_(std::move(source)) {}

  [[noreturn]] void fail(const YAML::Node& node, const std::string& problem) const {
    const YAML::Mark mark = node.Mark();
    const std::string line = mark.is_null() ? "" : ":" + std::to_string(mark.line + 1);
    throw Error(source_ + line, problem);
  }

  void require_keys(const YAML::Node& map, std::initializer_list<std::string_view> allowed,
                    const std::string& what) const {
    if (!map.IsMap()) fail(map, what + ": expected a mapping");
    std::string list;
    for (const std::string_view key : allowed)
      list += (list.empty() ? "" : ", ") + std::string(key);
    std::vector<std::string> seen;
    for (const auto& entry : map) {
      const std::string key = scalar(entry.first, what);
      if (std::find(allowed.begin(), allowed.end(), key) == allowed.end()) {
        fail(entry.first, what + ": unknown key \"" + key + "\"; expected one of " + list);
      }
      if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
        fail(entry.first, what + ": the key \"" + key + "\" stands twice");
      }
      seen.push_back(key);
    }
  }

  std::string scalar(const YAML::Node& node, const std::string& what) const {
    if (!node.IsDefined() || !node.IsScalar()) fail(node, what + ": expected a single value");
    return node.Scalar();
  }

  uint64_t number(const YAML::Node& node, const std::string& what) const {
    const std::string text = scalar(node, what);
    if (text.empty() || text.size() > 18 ||
        !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      fail(node, what + ": \"" + text + "\" is not a whole number");
    }
    return std::stoull(text);
  }

  /// Runs a parser of spellings and puts the line before what it says.
  template <typename Parse>
  auto spelling(const YAML::Node& node, const std::string& what, Parse parse) const {
    const std::string text = scalar(node, what);
    try {
      return parse(text);
    } catch (const Error& error) {
      fail(node, what + ": " + error.what());
    }
  }

  std::vector<NamePattern> patterns(const YAML::Node& node, const std::string& what) const {
    std::vector<NamePattern> result;
    if (!node.IsDefined()) return result;
    const auto add = [&](const YAML::Node& entry) {
      result.push_back(
          spelling(entry, what, [&](const std::string& text) { return NamePattern(text, what); }));
    };
    if (node.IsSequence()) {
      for (const auto& entry : node) add(entry);
    } else {
      add(node);
    }
    return result;
  }

  std::optional<SparsityPattern> pattern(const YAML::Node& node) const {
    if (!node.IsDefined()) return std::nullopt;
    return spelling(node, "pattern",
                    [](const std::string& text) { return SparsityPattern::parse(text); });
  }

  std::optional<NumberFormat> format(const YAML::Node& node, StepKind kind) const {
    if (!node.IsDefined()) return std::nullopt;
    const Role role = kind == StepKind::kActivations ? Role::kActivation : Role::kWeight;
    return spelling(node, "format",
                    [&](const std::string& text) { return NumberFormat::parse(text, role); });
  }

  StepOverride override_of(const YAML::Node& node, StepKind kind) const {
    require_keys(node, {"match", "pattern", "format", "method", "none"}, "override");
    if (!node["match"].IsDefined()) fail(node, "override: the key \"match\" is missing");
    StepOverride result{spelling(node["match"], "match", [](const std::string& text) {
      return NamePattern(text, "match");
    })};
    if (node["none"].IsDefined()) {
      if (scalar(node["none"], "none") != "true") fail(node["none"], "none: expected true");
      result.none = true;
    }
    check_fields(node, kind);
    result.pattern = pattern(node["pattern"]);
    result.format = format(node["format"], kind);
    if (node["method"].IsDefined()) result.method = method(node["method"], kind);
    if (result.none && (result.pattern || result.format || result.method)) {
      fail(node,
           "override: \"none\" stands alone; expected no pattern, format or method beside it");
    }
    if (!result.none && !result.pattern && !result.format && !result.method) {
      fail(node, "override: changes nothing; expected pattern, format, method or none: true");
    }
    return result;
  }

  std::string step_name_of(const YAML::Node& node) const {
    if (!node.IsMap()) fail(node, "step: expected a mapping");
    if (!node["step"].IsDefined()) {
      fail(node, std::string("step: the key \"step\" is missing; ") + kExpectedSteps);
    }
    return scalar(node["step"], "step");
  }

  static bool is_transform(const std::string& name) { return name == "rotate" || name == "smooth"; }

  TransformStep transform(const YAML::Node& node, const std::string& name) const {
    if (name == "rotate") {
      require_keys(node, {"step", "where"}, "rotate");
      if (!node["where"].IsDefined()) return {};
      return spelling(node["where"], "where", parse_rotation);
    }
    require_keys(node, {"step", "alpha"}, "smooth");
    TransformStep result{.kind = TransformStep::Kind::kSmooth};
    if (node["alpha"].IsDefined()) {
      const std::string text = scalar(node["alpha"], "alpha");
      if (!YAML::convert<double>::decode(node["alpha"], result.alpha) || !(result.alpha >= 0) ||
          result.alpha > 1) {
        fail(node["alpha"], "alpha: \"" + text + "\" is not a number from 0 to 1");
      }
    }
    return result;
  }

  RecipeStep step(const YAML::Node& node, const std::string& name) const {
    require_keys(node, {"step", "pattern", "format", "method", "overrides"}, "step");
    const auto* found = std::find_if(kSteps.begin(), kSteps.end(),
                                     [&](const auto& entry) { return entry.second == name; });
    if (found == kSteps.end()) {
      fail(node["step"], "step: unknown step \"" + name + "\"; " + kExpectedSteps);
    }
    RecipeStep result;
    result.kind = found->first;
    check_fields(node, result.kind);
    result.pattern = pattern(node["pattern"]);
    result.format = format(node["format"], result.kind);
    const bool wants_pattern =
        result.kind == StepKind::kSparsify || result.kind == StepKind::kJoint;
    const bool wants_format = result.kind != StepKind::kSparsify;
    if (wants_pattern && !result.pattern) fail(node, name + ": the key \"pattern\" is missing");
    if (wants_format && !result.format) fail(node, name + ": the key \"format\" is missing");
    result.method = node["method"].IsDefined() ? method(node["method"], result.kind)
                                               : default_method(result.kind);
    if (node["overrides"].IsDefined()) {
      if (!node["overrides"].IsSequence()) fail(node["overrides"], "overrides: expected a list");
      for (const auto& entry : node["overrides"]) {
        result.overrides.push_back(override_of(entry, result.kind));
      }
    }
    return result;
  }

  static std::string default_method(StepKind kind) {
    switch (kind) {
      case StepKind::kSparsify:
        return StepMethods{}.pruner;
      case StepKind::kQuantize:
        return StepMethods{}.quantizer;
      case StepKind::kJoint:
        return StepMethods{}.joint;
      case StepKind::kActivations:
        return "";
    }
    return "";
  }

 private:
  static constexpr const char* kExpectedSteps =
      "expected rotate, smooth, sparsify, quantize, joint or activations";

  std::string method(const YAML::Node& node, StepKind kind) const {
    if (kind == StepKind::kActivations) {
      return spelling(node, "method", ActivationMethod::parse).spelling();
    }
    std::string name = scalar(node, "method");
    if (name.empty()) fail(node, "method: empty; expected the name of a method");
    return name;
  }

  void check_fields(const YAML::Node& node, StepKind kind) const {
    const std::string name(step_name(kind));
    if (kind == StepKind::kSparsify && node["format"].IsDefined()) {
      fail(node["format"], name + ": takes a pattern, not a format");
    }
    if ((kind == StepKind::kQuantize || kind == StepKind::kActivations) &&
        node["pattern"].IsDefined()) {
      fail(node["pattern"], name + ": takes a format, not a pattern");
    }
  }

  std::string source_;
};

Recipe read(const YAML::Node& root, const Reader& reader) {
  reader.require_keys(root, {"version", "seed", "only", "skip", "include", "steps", "refit"},
                      "recipe");
  if (root["version"].IsDefined() && reader.number(root["version"], "version") != 1) {
    reader.fail(root["version"], "version: expected 1");
  }
  Recipe recipe;
  if (root["seed"].IsDefined()) recipe.seed = reader.number(root["seed"], "seed");
  if (root["refit"].IsDefined()) {
    recipe.refit_epochs = static_cast<int64_t>(reader.number(root["refit"], "refit"));
    if (recipe.refit_epochs > kMostRefitEpochs) {
      reader.fail(root["refit"],
                  "refit: expected at most " + std::to_string(kMostRefitEpochs) + " epochs");
    }
  }
  recipe.only = reader.patterns(root["only"], "only");
  recipe.skip = reader.patterns(root["skip"], "skip");
  recipe.include = reader.patterns(root["include"], "include");
  if (!root["steps"].IsDefined() || !root["steps"].IsSequence() || root["steps"].size() == 0) {
    reader.fail(root["steps"].IsDefined() ? root["steps"] : root,
                "steps: expected a list with at least one step");
  }
  for (const auto& node : root["steps"]) {
    const std::string name = reader.step_name_of(node);
    if (!Reader::is_transform(name)) {
      recipe.steps.push_back(reader.step(node, name));
      continue;
    }
    if (!recipe.steps.empty()) {
      reader.fail(node, name + ": changes the dense model; expected it before the other steps");
    }
    recipe.transforms.push_back(reader.transform(node, name));
    if (const auto sentence = refusal(recipe.transforms)) reader.fail(node, *sentence);
  }
  return recipe;
}

void emit_patterns(YAML::Emitter& out, const char* key, const std::vector<NamePattern>& patterns) {
  if (patterns.empty()) return;
  out << YAML::Key << key << YAML::Value << YAML::BeginSeq;
  for (const NamePattern& pattern : patterns) out << YAML::DoubleQuoted << pattern.text();
  out << YAML::EndSeq;
}

void emit_fields(YAML::Emitter& out, const std::optional<SparsityPattern>& pattern,
                 const std::optional<NumberFormat>& format, const std::string& method) {
  // Quoted: "2:4" would be a base-60 number to YAML 1.1 readers.
  if (pattern)
    out << YAML::Key << "pattern" << YAML::Value << YAML::DoubleQuoted << pattern->spelling();
  if (format)
    out << YAML::Key << "format" << YAML::Value << YAML::DoubleQuoted << format->spelling();
  if (!method.empty()) out << YAML::Key << "method" << YAML::Value << method;
}

}  // namespace

Recipe Recipe::parse_yaml(std::string_view text, const std::string& source) {
  if (text.size() > kLargestRecipe) {
    throw Error(source,
                "has " + std::to_string(text.size()) + " bytes; a recipe has at most 1 MiB");
  }
  // yaml-cpp reads other bytes as U+FFFD, and a name would match something else without a word.
  if (!is_valid_utf8(text)) throw Error(source, "is not UTF-8 text; expected a recipe");
  try {
    const YAML::Node root = YAML::Load(std::string(text));
    const Reader reader(source);
    if (!root.IsDefined() || root.IsNull()) reader.fail(root, "empty; expected a recipe");
    return read(root, reader);
  } catch (const YAML::Exception& error) {
    const std::string line = error.mark.is_null() ? "" : ":" + std::to_string(error.mark.line + 1);
    throw Error(source + line, "not YAML: " + error.msg);
  }
}

std::string Recipe::to_yaml() const {
  YAML::Emitter out;
  out << YAML::BeginMap;
  out << YAML::Key << "version" << YAML::Value << 1;
  out << YAML::Key << "seed" << YAML::Value << seed;
  emit_patterns(out, "only", only);
  emit_patterns(out, "skip", skip);
  emit_patterns(out, "include", include);
  out << YAML::Key << "steps" << YAML::Value << YAML::BeginSeq;
  for (const TransformStep& step : transforms) {
    const bool rotate = step.kind == TransformStep::Kind::kRotate;
    out << YAML::BeginMap << YAML::Key << "step" << YAML::Value << (rotate ? "rotate" : "smooth");
    if (rotate) {
      out << YAML::Key << "where" << YAML::Value
          << (step.rotate_down ? "residual+down" : "residual");
    } else {
      out << YAML::Key << "alpha" << YAML::Value << fmt::format("{}", step.alpha);
    }
    out << YAML::EndMap;
  }
  for (const RecipeStep& step : steps) {
    out << YAML::BeginMap;
    out << YAML::Key << "step" << YAML::Value << std::string(step_name(step.kind));
    emit_fields(out, step.pattern, step.format, step.method);
    if (!step.overrides.empty()) {
      out << YAML::Key << "overrides" << YAML::Value << YAML::BeginSeq;
      for (const StepOverride& entry : step.overrides) {
        out << YAML::BeginMap;
        out << YAML::Key << "match" << YAML::Value << YAML::DoubleQuoted << entry.match.text();
        if (entry.none) out << YAML::Key << "none" << YAML::Value << true;
        emit_fields(out, entry.pattern, entry.format, entry.method.value_or(""));
        out << YAML::EndMap;
      }
      out << YAML::EndSeq;
    }
    out << YAML::EndMap;
  }
  out << YAML::EndSeq;
  if (refit_epochs > 0) out << YAML::Key << "refit" << YAML::Value << refit_epochs;
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace scant
