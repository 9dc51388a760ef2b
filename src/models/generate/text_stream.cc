#include "models/generate/text_stream.h"

#include <algorithm>
#include <utility>

namespace scant {
namespace {

constexpr size_t kBefore = 6;  ///< tokens that decide how the next ones are spelled, and more
constexpr const char* kReplacement = "\xEF\xBF\xBD";
/// A character has at most four bytes: with more tokens than that waiting, the bytes are no text.
constexpr size_t kLongestWait = 5;

}  // namespace

TextStream::TextStream(const Tokenizer& tokenizer, std::span<const int32_t> prompt)
    : tokenizer_(tokenizer) {
  const auto last = prompt.last(std::min(kBefore, prompt.size()));
  tokens_.assign(last.begin(), last.end());
  done_ = tokens_.size();
}

std::string TextStream::take() {
  const std::span<const int32_t> all(tokens_);
  const std::string before = tokenizer_.decode(all.first(done_), true);
  const std::string text = tokenizer_.decode(all, true);
  std::string fresh = text.starts_with(before) ? text.substr(before.size())
                                               : tokenizer_.decode(all.subspan(done_), true);
  if (tokens_.size() > kBefore) tokens_.erase(tokens_.begin(), tokens_.end() - kBefore);
  done_ = tokens_.size();
  return fresh;
}

std::string TextStream::add(int32_t token) {
  tokens_.push_back(token);
  const std::string text = tokenizer_.decode(tokens_, true);
  if (text.ends_with(kReplacement) && tokens_.size() - done_ < kLongestWait) return "";
  return take();
}

std::string TextStream::finish() { return tokens_.size() == done_ ? "" : take(); }

std::string StopFinder::add(const std::string& text) {
  if (found_) return "";
  waiting_ += text;
  size_t end = waiting_.size();
  for (const std::string& stop : stops_) {
    const size_t at = waiting_.find(stop);
    found_ = found_ || at != std::string::npos;
    end = std::min(end, at);
  }
  if (!found_) {
    for (const std::string& stop : stops_) {
      for (size_t length = std::min(stop.size() - 1, waiting_.size()); length > 0; --length) {
        if (!waiting_.ends_with(std::string_view(stop).substr(0, length))) continue;
        end = std::min(end, waiting_.size() - length);
        break;
      }
    }
  }
  std::string ready = waiting_.substr(0, end);
  waiting_.erase(0, end);
  return ready;
}

std::string StopFinder::finish() { return found_ ? "" : std::exchange(waiting_, ""); }

}  // namespace scant
