#include "models/tokenizer/normalize.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "models/tokenizer/utf8.h"

namespace scant {
namespace {

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

std::vector<utf8proc_int32_t> decompose(std::string_view text, bool compatibility) {
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                                      (compatibility ? UTF8PROC_COMPAT : 0));
  std::vector<utf8proc_int32_t> out;
  out.reserve(text.size());
  std::array<utf8proc_int32_t, 32> parts{};  // the longest decomposition has 18 characters
  for (size_t at = 0; at < text.size();) {
    const auto character = static_cast<utf8proc_int32_t>(next_character(text, at));
    int boundary = 0;
    const utf8proc_ssize_t count = utf8proc_decompose_char(
        character, parts.data(), static_cast<utf8proc_ssize_t>(parts.size()), options, &boundary);
    if (count < 0 || count > static_cast<utf8proc_ssize_t>(parts.size())) {
      throw Error("Unicode normalization", "a character has no decomposition");
    }
    out.insert(out.end(), parts.begin(), parts.begin() + count);
  }
  return out;
}

/// Canonical ordering: runs of combining marks, stably by their class. (utf8proc's own ordering
/// needs quadratic time in the length of a run.)
void order_marks(std::vector<utf8proc_int32_t>& characters) {
  const auto mark_class = [](utf8proc_int32_t c) {
    return c < 0x300 ? 0 : static_cast<int>(utf8proc_get_property(c)->combining_class);
  };
  for (auto begin = characters.begin(); begin != characters.end();) {
    if (mark_class(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end = std::find_if(begin, characters.end(),
                                  [&](utf8proc_int32_t c) { return mark_class(c) == 0; });
    std::stable_sort(begin, end, [&](utf8proc_int32_t a, utf8proc_int32_t b) {
      return mark_class(a) < mark_class(b);
    });
    begin = end;
  }
}

}  // namespace

std::string to_unicode_form(std::string_view text, UnicodeForm form) {
  if (is_ascii(text)) return std::string(text);
  const bool compatibility = form == UnicodeForm::kNfkc || form == UnicodeForm::kNfkd;
  std::vector<utf8proc_int32_t> characters = decompose(text, compatibility);
  order_marks(characters);
  if (form == UnicodeForm::kNfc || form == UnicodeForm::kNfkc) {
    const utf8proc_ssize_t length = utf8proc_normalize_utf32(
        characters.data(), static_cast<utf8proc_ssize_t>(characters.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    if (length < 0) throw Error("Unicode normalization", utf8proc_errmsg(length));
    characters.resize(static_cast<size_t>(length));
  }
  std::string out;
  out.reserve(text.size());
  for (const utf8proc_int32_t c : characters) append_character(out, static_cast<char32_t>(c));
  return out;
}

std::string to_lower_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const char32_t character = next_character(text, at);
    if (character == 0x130) {  // the one character whose lower case is two
      append_character(out, U'i');
      append_character(out, 0x307);
    } else {
      append_character(
          out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(character))));
    }
  }
  return out;
}

Normalizer::Normalizer(const TokenizerSpec& spec) {
  for (const NormalizerSpec& step : spec.normalizers) {
    Step made{step, {}};
    if (const auto* replace = std::get_if<ReplaceStep>(&step)) {
      made.pattern.emplace_back(replace->pattern, spec.source);
    }
    steps_.push_back(std::move(made));
  }
}

NormalizedText Normalizer::apply(std::string_view text) const {
  NormalizedText out{std::string(text), true};
  for (const Step& step : steps_) {
    if (out.text.empty()) break;
    if (const auto* form = std::get_if<UnicodeForm>(&step.spec)) {
      out.text = to_unicode_form(out.text, *form);
    } else if (std::holds_alternative<LowercaseStep>(step.spec)) {
      out.text = to_lower_case(out.text);
    } else if (const auto* prepend = std::get_if<PrependStep>(&step.spec)) {
      out.text.insert(0, prepend->text);
    } else if (const auto* replace = std::get_if<ReplaceStep>(&step.spec)) {
      std::string replaced;
      replaced.reserve(out.text.size());
      PatternMatcher matcher(step.pattern.front());
      matcher.cut(out.text, [&](size_t begin, size_t end, bool is_match) {
        if (!is_match) {
          replaced.append(out.text, begin, end - begin);
        } else {
          replaced += replace->content;
          if (begin == 0 && end > 0 && replace->content.empty()) out.keeps_start = false;
        }
      });
      out.text = std::move(replaced);
    }
  }
  return out;
}

}  // namespace scant
