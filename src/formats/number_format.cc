#include "formats/number_format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.h"
#include "formats/spelling.h"

namespace scant {
namespace {

constexpr int64_t kLargestGroup = int64_t{1} << 30;
constexpr std::string_view kScalePrefix = "scale=";

std::string_view row_word(Role role) { return role == Role::kWeight ? "channel" : "token"; }

ElementRules rules_of(const Element& element) {
  return std::visit([](const auto& e) { return e.rules(); }, element);
}

// Whether granularity and options may follow the element.
bool takes_parts(const ElementRules& rules) {
  return rules.scales != ElementRules::Scales::kNone &&
         rules.scales != ElementRules::Scales::kFixed;
}

ScaleStorage default_storage(const ElementRules& rules, const Granularity& granularity) {
  if (rules.storage) return *rules.storage;
  return granularity.kind == Granularity::Kind::kGroup ? ScaleStorage::kBF16 : ScaleStorage::kF32;
}

// A scale of 0 (the block of zeros of an element without a zero) needs a storage that has 0.
bool can_store(ScaleStorage storage, const ElementRules& rules) {
  return storage != ScaleStorage::kE8M0 || rules.zero_scale != 0.0f;
}

// "scale=fp32|bf16|..." as far as the element can be stored with it.
std::string scale_words(const ElementRules& rules) {
  std::vector<std::string_view> names;
  for (const ScaleStorage storage : kScaleStorages) {
    if (can_store(storage, rules)) names.push_back(scale_storage_name(storage));
  }
  return fmt::format("{}{}", kScalePrefix, fmt::join(names, "|"));
}

std::vector<std::string_view> option_words(const Element& element) {
  return std::visit([]<typename T>(const T&) { return T::option_words(); }, element);
}

// Reads the parts after the element into a format.
class PartParser {
 public:
  PartParser(std::string_view spelling, Role role, const Element& element)
      : spelling_(spelling), role_(role), element_(element), rules_(rules_of(element)) {}

  NumberFormat parse(const std::vector<std::string_view>& parts) {
    if (rules_.weights_only && role_ != Role::kWeight) {
      refuse(fmt::format("{} is for weights only", element_name()));
    }
    for (size_t i = 1; i < parts.size(); ++i) {
      if (parts[i].empty()) refuse("empty part after a colon");
      for (size_t j = 1; j < i; ++j) {
        if (parts[j] == parts[i]) refuse(fmt::format("{} twice", quoted_part(parts[i])));
      }
      read(parts[i]);
    }
    rules_ = rules_of(element_);
    NumberFormat format;
    format.granularity = granularity_.value_or(rules_.granularity);
    format.scale_storage = storage_.value_or(default_storage(rules_, format.granularity));
    format.element = element_;
    format.role = role_;
    format.mse = mse_;
    format.stochastic = stochastic_;
    return format;
  }

 private:
  void read(std::string_view part) {
    const bool scaled = takes_parts(rules_);
    if (scaled && (read_granularity(part) || read_rounding(part) || read_storage(part) ||
                   read_element_option(part))) {
      return;
    }
    const std::vector<std::string> allowed = allowed_parts(element_, role_);
    refuse(fmt::format("{} does not apply to {} of {}; allowed after it: {}", quoted_part(part),
                       element_name(), role_ == Role::kWeight ? "weights" : "activations",
                       allowed.empty() ? "nothing" : fmt::format("{}", fmt::join(allowed, ", "))));
  }

  bool read_element_option(std::string_view part) {
    for (const std::string_view word : option_words(element_)) {
      if (word != part) continue;
      try {
        std::visit([word](auto& e) { e.set_option(word); }, element_);
      } catch (const Error& contradiction) {
        refuse(contradiction.what());
      }
      return true;
    }
    return false;
  }

  bool read_granularity(std::string_view part) {
    const bool any = rules_.scales == ElementRules::Scales::kAny;
    if (any && part == "tensor") {
      set_granularity(part, {Granularity::Kind::kTensor, 0});
      return true;
    }
    if (any && part == row_word(role_)) {
      set_granularity(part, {Granularity::Kind::kRow, 0});
      return true;
    }
    const std::string_view prefix = rules_.scales == ElementRules::Scales::kBlocks ? "block=" : "g";
    if (!part.starts_with(prefix)) return false;
    const auto size = parse_decimal(part.substr(prefix.size()), kLargestGroup);
    if (!size || *size == 0) {
      refuse(fmt::format("{} is no size; allowed: {}1 to {}{}", quoted_part(part), prefix, prefix,
                         kLargestGroup));
    }
    set_granularity(part, {Granularity::Kind::kGroup, *size});
    return true;
  }

  void set_granularity(std::string_view part, Granularity granularity) {
    if (granularity_) {
      refuse(
          fmt::format("{} contradicts an earlier granularity; allowed is one", quoted_part(part)));
    }
    granularity_ = granularity;
  }

  bool read_rounding(std::string_view part) {
    if (part != "mse" && part != "stoch") return false;
    (part == "mse" ? mse_ : stochastic_) = true;
    if (mse_ && stochastic_) {
      refuse(
          "\"mse\" contradicts \"stoch\": a scale that clips makes stochastic rounding biased; "
          "allowed is one");
    }
    return true;
  }

  bool read_storage(std::string_view part) {
    if (rules_.storage || !part.starts_with(kScalePrefix)) return false;
    const std::string_view name = part.substr(kScalePrefix.size());
    for (const ScaleStorage storage : kScaleStorages) {
      if (name != scale_storage_name(storage) || !can_store(storage, rules_)) continue;
      if (storage_) refuse(fmt::format("{} contradicts an earlier scale=", quoted_part(part)));
      storage_ = storage;
      return true;
    }
    refuse(fmt::format("{} is no way to store a scale of {}; allowed: {}", quoted_part(part),
                       element_name(), scale_words(rules_)));
  }

  std::string element_name() const {
    return std::visit([](const auto& e) { return e.name(); }, element_);
  }

  [[noreturn]] void refuse(const std::string& problem) const {
    throw Error("format " + quoted_part(spelling_), problem);
  }

  std::string_view spelling_;
  Role role_;
  Element element_;
  ElementRules rules_;
  std::optional<Granularity> granularity_;
  std::optional<ScaleStorage> storage_;
  bool mse_ = false;
  bool stochastic_ = false;
};

}  // namespace

std::vector<std::string> allowed_parts(const Element& element, Role role) {
  const ElementRules rules = rules_of(element);
  std::vector<std::string> parts;
  if (!takes_parts(rules)) return parts;
  if (rules.scales == ElementRules::Scales::kAny) {
    parts = {":tensor", fmt::format(":{}", row_word(role))};
  }
  parts.push_back(rules.scales == ElementRules::Scales::kBlocks ? ":block=N" : ":gN");
  for (const std::string_view word : option_words(element)) {
    parts.push_back(fmt::format(":{}", word));
  }
  parts.insert(parts.end(), {":mse", ":stoch"});
  if (!rules.storage) parts.push_back(":" + scale_words(rules));
  return parts;
}

NumberFormat NumberFormat::parse(std::string_view spelling, Role role) {
  const std::vector<std::string_view> parts = split_spelling(spelling);
  std::optional<NumberFormat> format;
  std::vector<std::string_view> known;
  AllElements::for_each([&]<typename T>(std::type_identity<T>) {
    known.push_back(T::kSyntax);
    if (format) return;
    if (const auto member = T::parse(parts[0])) {
      format = PartParser(spelling, role, *member).parse(parts);
    }
  });
  if (!format) {
    throw Error("format " + quoted_part(spelling),
                fmt::format("unknown element {}; allowed: {}", quoted_part(parts[0]),
                            fmt::join(known, ", ")));
  }
  return *format;
}

std::string NumberFormat::spelling() const {
  std::string text = element_name();
  const ElementRules element_rules = rules();
  if (granularity != element_rules.granularity) text += ":" + granularity_name();
  const std::string_view option = std::visit([](const auto& e) { return e.option(); }, element);
  if (!option.empty()) text += fmt::format(":{}", option);
  if (mse) text += ":mse";
  if (stochastic) text += ":stoch";
  if (scale_storage != default_storage(element_rules, granularity)) {
    text += fmt::format(":{}{}", kScalePrefix, scale_storage_name(scale_storage));
  }
  return text;
}

std::string NumberFormat::granularity_name() const {
  switch (granularity.kind) {
    case Granularity::Kind::kNone:
      break;
    case Granularity::Kind::kTensor:
      return "tensor";
    case Granularity::Kind::kRow:
      return std::string(row_word(role));
    case Granularity::Kind::kGroup:
      return fmt::format("{}{}", rules().scales == ElementRules::Scales::kBlocks ? "block=" : "g",
                         granularity.size);
  }
  return "none";
}

std::string NumberFormat::element_name() const {
  return std::visit([](const auto& e) { return e.name(); }, element);
}

ElementRules NumberFormat::rules() const { return rules_of(element); }

bool NumberFormat::is_plain() const { return rules().scales == ElementRules::Scales::kNone; }

int NumberFormat::code_bits() const {
  return std::visit([](const auto& e) { return e.code_bits(); }, element);
}

int NumberFormat::scale_bits() const {
  if (const SuperBlock* shape = super_block()) {
    return static_cast<int>(super_block_record_bits(*shape));
  }
  return is_plain() ? 0 : scale_storage_bits(scale_storage);
}

int NumberFormat::zero_point_bits() const { return rules().zero_point ? code_bits() : 0; }

int64_t NumberFormat::block_count(int64_t rows, int64_t cols) const {
  switch (granularity.kind) {
    case Granularity::Kind::kNone:
      return 0;
    case Granularity::Kind::kTensor:
      return 1;
    case Granularity::Kind::kRow:
      return rows;
    case Granularity::Kind::kGroup:
      return rows * (cols / granularity.size + (cols % granularity.size != 0 ? 1 : 0));
  }
  return 0;
}

const SuperBlock* NumberFormat::super_block() const {
  return std::visit(
      []<typename T>(const T& e) -> const SuperBlock* {
        if constexpr (ElementScaledBySearch<T>) {
          return &e.super_block();
        } else {
          return nullptr;
        }
      },
      element);
}

int64_t NumberFormat::scale_count(int64_t rows, int64_t cols) const {
  const SuperBlock* shape = super_block();
  if (shape == nullptr) return block_count(rows, cols);
  return rows * (cols / shape->values + (cols % shape->values != 0 ? 1 : 0));
}

int64_t NumberFormat::blocks_per_scale() const {
  const SuperBlock* shape = super_block();
  return shape != nullptr ? shape->blocks() : 1;
}

int64_t NumberFormat::tensor_scale_count(int64_t rows) const {
  if (!rules().two_level) return 0;
  return role == Role::kWeight ? 1 : rows;
}

bool NumberFormat::max_scaled() const {
  const ElementPremises premises = std::visit([](const auto& e) { return e.premises(); }, element);
  return premises.scale_from_absmax && premises.magnitudes_ordered && premises.zero_to_zero &&
         !mse && !stochastic;
}

}  // namespace scant
