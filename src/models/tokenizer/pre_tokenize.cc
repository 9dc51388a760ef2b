#include "models/tokenizer/pre_tokenize.h"

#include <algorithm>

#include "models/tokenizer/utf8.h"

namespace scant {
namespace {

// GPT-2's, as published with its encoder.
constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct Part {
  size_t begin;
  size_t end;
  bool is_match;
};

/// Rebuilds the text piece by piece: `write` appends what becomes of a text piece.
template <typename Write>
void rewrite(PieceList& list, Write write) {
  std::string text;
  text.reserve(list.text.size() + list.text.size() / 8 + 16);
  for (Piece& piece : list.pieces) {
    const size_t begin = text.size();
    if (piece.id < 0) write(list.of(piece), piece.at_start, text);
    piece.begin = begin;
    piece.end = text.size();
  }
  list.text = std::move(text);
}

/// Cuts every text piece: `cut` lists its parts, `behavior` says what becomes of the matches.
template <typename Cut>
void split(PieceList& list, SplitBehavior behavior, bool invert, Cut cut) {
  std::vector<Piece> out;
  out.reserve(list.pieces.size());
  std::vector<Part> parts;
  const auto keep = [&](const Piece& piece, size_t begin, size_t end) {
    if (begin == end) return;
    out.push_back({piece.begin + begin, piece.begin + end, -1, piece.at_start && begin == 0});
  };
  for (const Piece& piece : list.pieces) {
    if (piece.id >= 0) {
      out.push_back(piece);
      continue;
    }
    if (piece.begin == piece.end) continue;
    parts.clear();
    cut(list.of(piece), [&](size_t begin, size_t end, bool is_match) {
      parts.push_back({begin, end, is_match != invert});
    });
    switch (behavior) {
      case SplitBehavior::kIsolated:
        for (const Part& part : parts) keep(piece, part.begin, part.end);
        break;
      case SplitBehavior::kRemoved:
        for (const Part& part : parts) {
          if (!part.is_match) keep(piece, part.begin, part.end);
        }
        break;
      case SplitBehavior::kContiguous:
        for (size_t i = 0; i < parts.size();) {
          size_t last = i;
          while (last + 1 < parts.size() && parts[last + 1].is_match == parts[i].is_match) ++last;
          keep(piece, parts[i].begin, parts[last].end);
          i = last + 1;
        }
        break;
      case SplitBehavior::kMergedWithPrevious:
        // A match joins what is before it, unless that is a match too.
        for (size_t i = 0; i < parts.size();) {
          const bool joined = !parts[i].is_match && i + 1 < parts.size() && parts[i + 1].is_match;
          keep(piece, parts[i].begin, parts[joined ? i + 1 : i].end);
          i += joined ? 2 : 1;
        }
        break;
      case SplitBehavior::kMergedWithNext:
        for (size_t i = 0; i < parts.size();) {
          const bool joined = parts[i].is_match && i + 1 < parts.size() && !parts[i + 1].is_match;
          keep(piece, parts[i].begin, parts[joined ? i + 1 : i].end);
          i += joined ? 2 : 1;
        }
        break;
    }
  }
  list.pieces = std::move(out);
}

void split(PieceList& list, SplitBehavior behavior, bool invert, const Pattern& pattern) {
  PatternMatcher matcher(pattern);
  split(list, behavior, invert,
        [&](std::string_view text, const auto& sink) { matcher.cut(text, sink); });
}

void apply_byte_level(PieceList& list, const ByteLevelStep& step,
                      const std::vector<Pattern>& pattern) {
  if (step.add_prefix_space) {
    rewrite(list, [](std::string_view text, bool, std::string& out) {
      if (!text.empty() && text.front() != ' ') out += ' ';
      out += text;
    });
  }
  if (step.use_regex) split(list, SplitBehavior::kIsolated, false, pattern.front());
  rewrite(list, [](std::string_view text, bool, std::string& out) {
    for (const char c : text) append_character(out, byte_stand_in(static_cast<unsigned char>(c)));
  });
}

void apply_digits(PieceList& list, const DigitsStep& step) {
  const auto cut = [](std::string_view text, const auto& sink) {
    size_t done = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t begin = at;
      if (!is_number(next_character(text, at))) continue;
      if (begin > done) sink(done, begin, false);
      sink(begin, at, true);
      done = at;
    }
    if (done < text.size()) sink(done, text.size(), false);
  };
  split(list, step.individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous, false, cut);
}

void apply_metaspace(PieceList& list, const MetaspaceStep& step) {
  rewrite(list, [&](std::string_view text, bool at_start, std::string& out) {
    const bool wanted =
        step.scheme == PrependScheme::kAlways || (step.scheme == PrependScheme::kFirst && at_start);
    if (wanted && !text.empty() && text.front() != ' ' && !text.starts_with(step.replacement)) {
      out += step.replacement;
    }
    for (const char c : text) {
      if (c == ' ') {
        out += step.replacement;
      } else {
        out += c;
      }
    }
  });
  if (!step.split) return;
  split(list, SplitBehavior::kMergedWithNext, false, [&](std::string_view text, const auto& sink) {
    size_t done = 0;
    for (size_t found = text.find(step.replacement); found != std::string_view::npos;
         found = text.find(step.replacement, done)) {
      if (found > done) sink(done, found, false);
      done = found + step.replacement.size();
      sink(found, done, true);
    }
    if (done < text.size()) sink(done, text.size(), false);
  });
}

}  // namespace

PreTokenizer::PreTokenizer(const TokenizerSpec& spec) {
  for (const PreTokenizerSpec& step : spec.pre_tokenizers) {
    Step made{step, {}};
    if (const auto* wanted = std::get_if<SplitStep>(&step)) {
      made.pattern.emplace_back(wanted->pattern, spec.source);
    }
    const auto* byte_level = std::get_if<ByteLevelStep>(&step);
    if (byte_level != nullptr && byte_level->use_regex) {
      made.pattern.emplace_back(PatternSpec{kGpt2Pattern, true}, spec.source);
    }
    steps_.push_back(std::move(made));
  }
}

void PreTokenizer::apply(PieceList& list) const {
  for (const Step& step : steps_) {
    if (const auto* byte_level = std::get_if<ByteLevelStep>(&step.spec)) {
      apply_byte_level(list, *byte_level, step.pattern);
    } else if (const auto* wanted = std::get_if<SplitStep>(&step.spec)) {
      split(list, wanted->behavior, wanted->invert, step.pattern.front());
    } else if (const auto* digits = std::get_if<DigitsStep>(&step.spec)) {
      apply_digits(list, *digits);
    } else if (const auto* metaspace = std::get_if<MetaspaceStep>(&step.spec)) {
      apply_metaspace(list, *metaspace);
    }
  }
}

}  // namespace scant
