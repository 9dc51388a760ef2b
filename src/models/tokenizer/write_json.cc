#include <nlohmann/json.hpp>

#include "models/tokenizer/tokenizer_json.h"

namespace scant {
namespace {

using json = nlohmann::ordered_json;

template <typename... Writers>
struct Overload : Writers... {
  using Writers::operator()...;
};
template <typename... Writers>
Overload(Writers...) -> Overload<Writers...>;

json pattern(const PatternSpec& spec) { return {{spec.is_regex ? "Regex" : "String", spec.text}}; }

json replace(const ReplaceStep& step) {
  return {{"type", "Replace"}, {"pattern", pattern(step.pattern)}, {"content", step.content}};
}

const char* form_name(UnicodeForm form) {
  switch (form) {
    case UnicodeForm::kNfc:
      return "NFC";
    case UnicodeForm::kNfd:
      return "NFD";
    case UnicodeForm::kNfkc:
      return "NFKC";
    case UnicodeForm::kNfkd:
      return "NFKD";
  }
  return "";
}

const char* behavior_name(SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::kRemoved:
      return "Removed";
    case SplitBehavior::kIsolated:
      return "Isolated";
    case SplitBehavior::kMergedWithPrevious:
      return "MergedWithPrevious";
    case SplitBehavior::kMergedWithNext:
      return "MergedWithNext";
    case SplitBehavior::kContiguous:
      return "Contiguous";
  }
  return "";
}

const char* scheme_name(PrependScheme scheme) {
  switch (scheme) {
    case PrependScheme::kAlways:
      return "always";
    case PrependScheme::kFirst:
      return "first";
    case PrependScheme::kNever:
      return "never";
  }
  return "";
}

json byte_level(bool add_prefix_space, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

json metaspace(const std::string& replacement, PrependScheme scheme, bool split) {
  return {{"type", "Metaspace"},
          {"replacement", replacement},
          {"prepend_scheme", scheme_name(scheme)},
          {"split", split}};
}

/// Null, one part, or a sequence.
template <typename Spec, typename Write>
json chain(const std::vector<Spec>& steps, const char* list_key, const Write& write) {
  if (steps.empty()) return nullptr;
  json parts = json::array();
  for (const Spec& step : steps) parts.push_back(std::visit(write, step));
  if (parts.size() == 1) return parts[0];
  return {{"type", "Sequence"}, {list_key, parts}};
}

json added_tokens(const TokenizerSpec& spec) {
  json list = json::array();
  for (const AddedToken& token : spec.added_tokens) {
    list.push_back({{"id", token.id},
                    {"content", token.content},
                    {"single_word", token.single_word},
                    {"lstrip", token.lstrip},
                    {"rstrip", token.rstrip},
                    {"normalized", token.normalized},
                    {"special", token.special}});
  }
  return list;
}

json post_processor(const TokenizerSpec& spec) {
  if (spec.post_template.empty()) return nullptr;
  json single = json::array();
  json pair = json::array();
  json special = json::object();
  const auto text = [](const char* id, int type) -> json {
    return {{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  for (const TemplatePiece& piece : spec.post_template) {
    if (piece.is_text) {
      single.push_back(text("A", 0));
      pair.push_back(text("A", 0));
      continue;
    }
    const json token = {{"SpecialToken", {{"id", piece.name}, {"type_id", 0}}}};
    single.push_back(token);
    pair.push_back(token);
    json tokens = json::array();
    for (const int32_t id : piece.ids) {
      tokens.push_back(spec.bpe.tokens[static_cast<size_t>(id)]);
    }
    special[piece.name] = {{"id", piece.name}, {"ids", piece.ids}, {"tokens", tokens}};
  }
  pair.push_back(text("B", 1));
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", special}};
}

std::string quoted(const std::string& text) { return json(text).dump(); }

/// Vocabulary and merges are written directly: an ordered object of so many keys would take
/// quadratic time.
std::string model(const BpeSpec& bpe) {
  json head = {{"type", "BPE"},
               {"dropout", nullptr},
               {"unk_token", bpe.unknown ? json(*bpe.unknown) : json(nullptr)},
               {"continuing_subword_prefix", nullptr},
               {"end_of_word_suffix", nullptr},
               {"fuse_unk", bpe.fuse_unknown},
               {"byte_fallback", bpe.byte_fallback},
               {"ignore_merges", bpe.ignore_merges}};
  std::string out = head.dump();
  out.pop_back();
  out += ",\n\"vocab\":{";
  const char* separator = "\n";
  for (size_t id = 0; id < bpe.tokens.size(); ++id) {
    if (bpe.tokens[id].empty()) continue;
    out += separator + quoted(bpe.tokens[id]) + ":" + std::to_string(id);
    separator = ",\n";
  }
  out += "},\n\"merges\":[";
  separator = "\n";
  for (const Merge& merge : bpe.merges) {
    out += separator;
    out += "[" + quoted(bpe.tokens[static_cast<size_t>(merge.left)]) + "," +
           quoted(bpe.tokens[static_cast<size_t>(merge.right)]) + "]";
    separator = ",\n";
  }
  return out + "]}";
}

}  // namespace

std::string write_tokenizer_json(const TokenizerSpec& spec) {
  json head;
  head["version"] = "1.0";
  head["truncation"] = nullptr;
  head["padding"] = nullptr;
  head["added_tokens"] = added_tokens(spec);
  head["normalizer"] = chain(spec.normalizers, "normalizers",
                             Overload{[](UnicodeForm form) -> json {
                                        return {{"type", form_name(form)}};
                                      },
                                      [](const LowercaseStep&) -> json {
                                        return {{"type", "Lowercase"}};
                                      },
                                      [](const PrependStep& step) -> json {
                                        return {{"type", "Prepend"}, {"prepend", step.text}};
                                      },
                                      [](const ReplaceStep& step) { return replace(step); }});
  head["pre_tokenizer"] =
      chain(spec.pre_tokenizers, "pretokenizers",
            Overload{[](const ByteLevelStep& step) {
                       return byte_level(step.add_prefix_space, step.use_regex);
                     },
                     [](const SplitStep& step) -> json {
                       return {{"type", "Split"},
                               {"pattern", pattern(step.pattern)},
                               {"behavior", behavior_name(step.behavior)},
                               {"invert", step.invert}};
                     },
                     [](const DigitsStep& step) -> json {
                       return {{"type", "Digits"}, {"individual_digits", step.individual}};
                     },
                     [](const MetaspaceStep& step) {
                       return metaspace(step.replacement, step.scheme, step.split);
                     }});
  head["post_processor"] = post_processor(spec);
  head["decoder"] = chain(spec.decoders, "decoders",
                          Overload{[](const ByteLevelDecoder&) { return byte_level(true, true); },
                                   [](const MetaspaceDecoder& step) {
                                     return metaspace(step.replacement, step.scheme, true);
                                   },
                                   [](const ByteFallbackDecoder&) -> json {
                                     return {{"type", "ByteFallback"}};
                                   },
                                   [](const FuseDecoder&) -> json {
                                     return {{"type", "Fuse"}};
                                   },
                                   [](const StripDecoder& step) -> json {
                                     return {{"type", "Strip"},
                                             {"content", step.content},
                                             {"start", step.start},
                                             {"stop", step.stop}};
                                   },
                                   [](const ReplaceStep& step) { return replace(step); }});
  std::string out = head.dump(1);
  out.resize(out.size() - 2);  // "\n}"
  return out + ",\n \"model\": " + model(spec.bpe) + "\n}\n";
}

}  // namespace scant
