#include "models/tokenizer/decode.h"

#include <algorithm>

#include "models/tokenizer/utf8.h"

namespace scant {
namespace {

using Tokens = std::vector<std::string>;

std::string joined(const Tokens& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

Tokens byte_level(const Tokens& tokens) {
  std::string bytes;
  std::string meant;
  for (const std::string& token : tokens) {
    meant.clear();
    bool all = true;
    for (size_t at = 0; at < token.size() && all;) {
      const auto byte = stand_in_byte(next_character(token, at));
      all = byte.has_value();
      if (all) meant += static_cast<char>(*byte);
    }
    // A token with any other character, such as an added one, stands for itself.
    bytes += all ? meant : token;
  }
  return {replace_invalid_utf8(bytes)};
}

void metaspace(Tokens& tokens, const MetaspaceDecoder& step) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string space = i == 0 && step.scheme != PrependScheme::kNever ? "" : " ";
    std::string out;
    size_t done = 0;
    for (size_t found = tokens[i].find(step.replacement); found != std::string::npos;
         found = tokens[i].find(step.replacement, done)) {
      out.append(tokens[i], done, found - done);
      out += space;
      done = found + step.replacement.size();
    }
    out.append(tokens[i], done);
    tokens[i] = std::move(out);
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// The byte that a token like <0x0A> spells, or -1.
int spelled_byte(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return -1;
  const int high = hex_digit(token[3]);
  const int low = hex_digit(token[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/// A run of byte tokens is text if it is valid UTF-8 as a whole; otherwise each is a U+FFFD.
Tokens byte_fallback(const Tokens& tokens) {
  Tokens out;
  std::string run;
  const auto flush = [&] {
    if (is_valid_utf8(run)) {
      if (!run.empty()) out.push_back(run);
    } else {
      out.insert(out.end(), run.size(), "\xEF\xBF\xBD");
    }
    run.clear();
  };
  for (const std::string& token : tokens) {
    const int byte = spelled_byte(token);
    if (byte >= 0) {
      run += static_cast<char>(byte);
      continue;
    }
    flush();
    out.push_back(token);
  }
  flush();
  return out;
}

void strip(Tokens& tokens, const StripDecoder& step) {
  for (std::string& token : tokens) {
    size_t begin = 0;
    for (int64_t i = 0;
         i < step.start && token.compare(begin, step.content.size(), step.content) == 0; ++i) {
      begin += step.content.size();
    }
    size_t end = token.size();
    for (int64_t i = 0;
         i < step.stop && end - begin >= step.content.size() &&
         token.compare(end - step.content.size(), step.content.size(), step.content) == 0;
         ++i) {
      end -= step.content.size();
    }
    token = token.substr(begin, end - begin);
  }
}

void replace(Tokens& tokens, const ReplaceStep& step, const Pattern& pattern) {
  PatternMatcher matcher(pattern);
  for (std::string& token : tokens) {
    if (token.empty()) continue;
    std::string out;
    matcher.cut(token, [&](size_t begin, size_t end, bool is_match) {
      if (is_match) {
        out += step.content;
      } else {
        out.append(token, begin, end - begin);
      }
    });
    token = std::move(out);
  }
}

}  // namespace

Decoder::Decoder(const TokenizerSpec& spec) : any_(spec.has_decoder) {
  for (const DecoderSpec& step : spec.decoders) {
    Step made{step, {}};
    if (const auto* wanted = std::get_if<ReplaceStep>(&step)) {
      made.pattern.emplace_back(wanted->pattern, spec.source);
    }
    steps_.push_back(std::move(made));
  }
}

std::string Decoder::apply(Tokens tokens) const {
  if (!any_) {
    std::string text;
    for (size_t i = 0; i < tokens.size(); ++i) text += (i > 0 ? " " : "") + tokens[i];
    return text;
  }
  for (const Step& step : steps_) {
    if (std::holds_alternative<ByteLevelDecoder>(step.spec)) {
      tokens = byte_level(tokens);
    } else if (const auto* space = std::get_if<MetaspaceDecoder>(&step.spec)) {
      metaspace(tokens, *space);
    } else if (std::holds_alternative<ByteFallbackDecoder>(step.spec)) {
      tokens = byte_fallback(tokens);
    } else if (std::holds_alternative<FuseDecoder>(step.spec)) {
      tokens = {joined(tokens)};
    } else if (const auto* stripping = std::get_if<StripDecoder>(&step.spec)) {
      strip(tokens, *stripping);
    } else if (const auto* replacing = std::get_if<ReplaceStep>(&step.spec)) {
      replace(tokens, *replacing, step.pattern.front());
    }
  }
  return joined(tokens);
}

}  // namespace scant
