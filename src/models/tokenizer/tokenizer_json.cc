#include "models/tokenizer/tokenizer_json.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "checkpoint/json_text.h"
#include "core/error.h"
#include "models/tokenizer/json_part.h"
#include "models/tokenizer/utf8.h"

namespace scant {
namespace {

using nlohmann::json;

constexpr int kDeepestSequence = 16;
// Keeps tables that are indexed by id in proportion to the file.
constexpr int64_t kSpareIds = 65536;

[[noreturn]] void unsupported(const JsonPart& part, const std::string& what) {
  part.fail("is '" + what.substr(0, 100) + "', which is not supported");
}

/// Calls `read` for a part that is not a sequence, or for each in it.
template <typename Read>
void for_each_step(const JsonPart& part, const std::string& list_key, int depth, const Read& read) {
  const std::string type = part.text("type");
  if (type != "Sequence") return read(part, type);
  if (depth == kDeepestSequence) part.fail("is nested too deeply");
  const JsonPart list = part.at(list_key);
  for (size_t i = 0; i < list.array_size(); ++i) {
    for_each_step(list.element(i), list_key, depth + 1, read);
  }
}

PatternSpec read_pattern(const JsonPart& part) {
  if (const auto text = part.get("String")) return {text->text(), false};
  if (const auto expression = part.get("Regex")) return {expression->text(), true};
  part.fail("is neither a String nor a Regex");
}

ReplaceStep read_replace(const JsonPart& part) {
  return {read_pattern(part.at("pattern")), part.text("content")};
}

std::string read_character(const JsonPart& part) {
  std::string text = part.text();
  if (text.empty() || utf8_length(text[0]) != text.size()) part.fail("is not one character");
  return text;
}

PrependScheme read_scheme(const JsonPart& part) {
  PrependScheme scheme = PrependScheme::kAlways;
  if (const auto named = part.get("prepend_scheme")) {
    const std::string name = named->text();
    if (name == "first") {
      scheme = PrependScheme::kFirst;
    } else if (name == "never") {
      scheme = PrependScheme::kNever;
    } else if (name != "always") {
      unsupported(*named, name);
    }
  }
  if (!part.flag("add_prefix_space", true) && scheme != PrependScheme::kNever) {
    part.fail("has add_prefix_space false, but prepend_scheme is not never");
  }
  return scheme;
}

void read_normalizer(TokenizerSpec& spec, const JsonPart& part, const std::string& type) {
  auto& steps = spec.normalizers;
  if (type == "NFC") {
    steps.emplace_back(UnicodeForm::kNfc);
  } else if (type == "NFD") {
    steps.emplace_back(UnicodeForm::kNfd);
  } else if (type == "NFKC") {
    steps.emplace_back(UnicodeForm::kNfkc);
  } else if (type == "NFKD") {
    steps.emplace_back(UnicodeForm::kNfkd);
  } else if (type == "Lowercase") {
    steps.emplace_back(LowercaseStep{});
  } else if (type == "Prepend") {
    steps.emplace_back(PrependStep{part.text("prepend")});
  } else if (type == "Replace") {
    steps.emplace_back(read_replace(part));
  } else {
    unsupported(part.at("type"), type);
  }
}

SplitBehavior read_behavior(const JsonPart& part) {
  const std::string name = part.text();
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  unsupported(part, name);
}

void read_pre_tokenizer(TokenizerSpec& spec, const JsonPart& part, const std::string& type) {
  auto& steps = spec.pre_tokenizers;
  if (type == "ByteLevel") {
    steps.emplace_back(ByteLevelStep{part.flag("add_prefix_space"), part.flag("use_regex", true)});
  } else if (type == "Split") {
    steps.emplace_back(SplitStep{read_pattern(part.at("pattern")),
                                 read_behavior(part.at("behavior")), part.flag("invert")});
  } else if (type == "Digits") {
    steps.emplace_back(DigitsStep{part.flag("individual_digits")});
  } else if (type == "Metaspace") {
    steps.emplace_back(MetaspaceStep{read_character(part.at("replacement")), read_scheme(part),
                                     part.flag("split", true)});
  } else {
    unsupported(part.at("type"), type);
  }
}

void read_decoder(TokenizerSpec& spec, const JsonPart& part, const std::string& type) {
  auto& steps = spec.decoders;
  if (type == "ByteLevel") {
    steps.emplace_back(ByteLevelDecoder{});
  } else if (type == "Metaspace") {
    steps.emplace_back(MetaspaceDecoder{read_character(part.at("replacement")), read_scheme(part)});
  } else if (type == "ByteFallback") {
    steps.emplace_back(ByteFallbackDecoder{});
  } else if (type == "Fuse") {
    steps.emplace_back(FuseDecoder{});
  } else if (type == "Strip") {
    steps.emplace_back(StripDecoder{read_character(part.at("content")),
                                    part.at("start").small_integer(),
                                    part.at("stop").small_integer()});
  } else if (type == "Replace") {
    steps.emplace_back(read_replace(part));
  } else {
    unsupported(part.at("type"), type);
  }
}

void read_template(TokenizerSpec& spec, const JsonPart& part) {
  if (!spec.post_template.empty()) part.fail("is a second TemplateProcessing");
  const JsonPart single = part.at("single");
  const JsonPart special = part.at("special_tokens");
  for (size_t i = 0; i < single.array_size(); ++i) {
    const JsonPart piece = single.element(i);
    if (const auto sequence = piece.get("Sequence")) {
      if (sequence->text("id") != "A") sequence->fail("is not the sequence A");
      spec.post_template.push_back({true, "", {}});
      continue;
    }
    const std::string name = piece.at("SpecialToken").text("id");
    const JsonPart ids = special.at(name).at("ids");
    TemplatePiece made{false, name, {}};
    for (size_t k = 0; k < ids.array_size(); ++k) {
      const int32_t id = ids.element(k).small_integer();
      if (static_cast<size_t>(id) >= spec.bpe.tokens.size()) {
        ids.element(k).fail("is " + std::to_string(id) + ", which no token has");
      }
      made.ids.push_back(id);
    }
    spec.post_template.push_back(std::move(made));
  }
  if (spec.post_template.empty()) single.fail("is empty");
}

/// The vocabulary, and how many tokens it has.
size_t read_vocabulary(BpeSpec& bpe, const JsonPart& part) {
  const json& vocabulary = part.value();
  if (!vocabulary.is_object()) part.fail("is not an object");
  const auto limit = static_cast<int64_t>(2 * vocabulary.size()) + kSpareIds;
  for (const auto& [token, id] : vocabulary.items()) {
    const auto fail = [&, &spelling = token](const std::string& problem) {
      part.fail("gives '" + spelling.substr(0, 100) + "' " + problem);
    };
    if (!id.is_number_integer()) fail("an id that is not an integer");
    // A number beyond 2^63 turns negative here.
    const auto number = id.get<int64_t>();
    if (number < 0 || number >= limit) {
      fail("the id " + id.dump() + ", out of proportion to " + std::to_string(vocabulary.size()) +
           " tokens");
    }
    const auto index = static_cast<size_t>(number);
    if (index >= bpe.tokens.size()) bpe.tokens.resize(index + 1);
    if (!bpe.tokens[index].empty()) {
      fail("the id " + id.dump() + ", which '" + bpe.tokens[index].substr(0, 100) + "' has too");
    }
    bpe.tokens[index] = token;
  }
  return vocabulary.size();
}

void read_merges(BpeSpec& bpe, const JsonPart& part) {
  std::unordered_map<std::string_view, int32_t> ids;
  ids.reserve(bpe.tokens.size());
  for (size_t id = 0; id < bpe.tokens.size(); ++id) {
    if (!bpe.tokens[id].empty()) ids.emplace(bpe.tokens[id], static_cast<int32_t>(id));
  }
  const json& merges = part.value();
  const size_t count = part.array_size();
  bpe.merges.reserve(count);
  std::string left;
  std::string right;
  for (size_t i = 0; i < count; ++i) {
    const json& entry = merges[i];
    const auto find = [&](const std::string& token) {
      const auto found = ids.find(token);
      if (found == ids.end()) {
        part.element(i).fail("needs '" + token.substr(0, 100) +
                             "', which is not in the vocabulary");
      }
      return found->second;
    };
    if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
      left = entry[0].get_ref<const std::string&>();
      right = entry[1].get_ref<const std::string&>();
    } else if (entry.is_string()) {
      const auto& both = entry.get_ref<const std::string&>();
      if (both.starts_with("#version")) continue;
      const size_t space = both.find(' ');
      if (space == std::string::npos || both.find(' ', space + 1) != std::string::npos) {
        part.element(i).fail("is not two tokens with a space between them");
      }
      left = both.substr(0, space);
      right = both.substr(space + 1);
    } else {
      part.element(i).fail("is neither a string nor a pair of strings");
    }
    bpe.merges.push_back({find(left), find(right), find(left + right)});
  }
}

/// Reads the model and returns how many tokens its vocabulary has.
size_t read_model(BpeSpec& bpe, const JsonPart& part) {
  if (const auto type = part.get("type"); type && type->text() != "BPE") {
    unsupported(*type, type->text());
  }
  if (const auto dropout = part.get("dropout")) {
    const json& value = dropout->value();
    if (!value.is_number() || value.get<double>() != 0.0) {
      dropout->fail("makes ids random, which is not supported");
    }
  }
  for (const std::string affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto text = part.get(affix);
    if (text && !text->text().empty()) unsupported(*text, text->text());
  }
  if (const auto unknown = part.get("unk_token")) bpe.unknown = unknown->text();
  bpe.fuse_unknown = part.flag("fuse_unk", false);
  bpe.byte_fallback = part.flag("byte_fallback", false);
  bpe.ignore_merges = part.flag("ignore_merges", false);
  const size_t count = read_vocabulary(bpe, part.at("vocab"));
  read_merges(bpe, part.at("merges"));
  return count;
}

AddedToken read_added_token(const JsonPart& part) {
  AddedToken token;
  token.id = part.at("id").small_integer();
  token.content = part.text("content");
  token.single_word = part.flag("single_word");
  token.lstrip = part.flag("lstrip");
  token.rstrip = part.flag("rstrip");
  token.normalized = part.flag("normalized");
  token.special = part.flag("special");
  return token;
}

/// Added tokens that the vocabulary lacks get the ids behind it, in their order. A file that says
/// otherwise would be read differently by the reference, so it is refused.
void read_added_tokens(TokenizerSpec& spec, const JsonPart& list, size_t vocabulary_size) {
  auto& tokens = spec.bpe.tokens;
  std::unordered_map<std::string, int32_t> ids;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id].empty()) ids.emplace(tokens[id], static_cast<int32_t>(id));
  }
  std::unordered_set<int32_t> seen;
  std::vector<std::string> added_only;
  const auto base = static_cast<int32_t>(vocabulary_size);
  for (size_t i = 0; i < list.array_size(); ++i) {
    const JsonPart part = list.element(i);
    AddedToken token = read_added_token(part);
    if (token.content.empty()) continue;
    const auto known = ids.find(token.content);
    const int32_t expected =
        known != ids.end() ? known->second : base + static_cast<int32_t>(added_only.size());
    if (token.id != expected) {
      part.fail("has id " + std::to_string(token.id) + ", but '" + token.content.substr(0, 100) +
                "' can only have id " + std::to_string(expected));
    }
    if (known == ids.end()) {
      ids.emplace(token.content, token.id);
      added_only.push_back(token.content);
    }
    if (!seen.insert(token.id).second) part.fail("repeats '" + token.content.substr(0, 100) + "'");
    spec.added_tokens.push_back(std::move(token));
  }
  for (size_t i = 0; i < added_only.size(); ++i) {
    const size_t id = vocabulary_size + i;
    if (id >= tokens.size()) tokens.resize(id + 1);
    if (!tokens[id].empty()) {
      list.fail("gives '" + added_only[i].substr(0, 100) + "' an id of the vocabulary");
    }
  }
}

}  // namespace

TokenizerSpec read_tokenizer_json(std::string_view text, const std::string& source) {
  const json document = parse_json_object(text, source);
  const JsonPart root(document, "", source);
  TokenizerSpec spec;
  spec.source = source;
  if (const auto version = root.get("version"); version && version->text() != "1.0") {
    unsupported(*version, version->text());
  }
  const size_t vocabulary_size = read_model(spec.bpe, root.at("model"));
  if (const auto list = root.get("added_tokens")) {
    read_added_tokens(spec, *list, vocabulary_size);
  }
  if (const auto part = root.get("normalizer")) {
    for_each_step(*part, "normalizers", 0, [&](const JsonPart& step, const std::string& type) {
      read_normalizer(spec, step, type);
    });
  }
  if (const auto part = root.get("pre_tokenizer")) {
    for_each_step(*part, "pretokenizers", 0, [&](const JsonPart& step, const std::string& type) {
      read_pre_tokenizer(spec, step, type);
    });
  }
  if (const auto part = root.get("decoder")) {
    spec.has_decoder = true;
    for_each_step(*part, "decoders", 0, [&](const JsonPart& step, const std::string& type) {
      read_decoder(spec, step, type);
    });
  }
  if (const auto part = root.get("post_processor")) {
    for_each_step(*part, "processors", 0, [&](const JsonPart& step, const std::string& type) {
      if (type == "TemplateProcessing") {
        read_template(spec, step);
      } else if (type != "ByteLevel") {  // which changes offsets only
        unsupported(step.at("type"), type);
      }
    });
  }
  return spec;
}

}  // namespace scant
