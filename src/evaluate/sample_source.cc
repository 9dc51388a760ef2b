#include "evaluate/sample_source.h"

#include <algorithm>

#include "core/error.h"

namespace scant {

void WindowProtocol::validate() const {
  if (window < 2) throw Error("--window", "expected at least 2 tokens");
  if (stride && (*stride < 1 || *stride > window)) {
    throw Error("--stride",
                "expected a number from 1 to the window (" + std::to_string(window) + ")");
  }
  if (max_tokens < 0) throw Error("--max-tokens", "expected a positive number");
}

std::string WindowProtocol::text() const {
  std::string text = "windows of " + std::to_string(window);
  if (stride) {
    text += ", one every " + std::to_string(*stride) + " tokens, each token scored once";
  } else {
    text += ", not overlapping, remainder dropped, positions 1.." + std::to_string(window - 1);
  }
  if (max_tokens != 0) text += ", first " + std::to_string(max_tokens) + " tokens";
  return text;
}

TextWindows::TextWindows(std::vector<int32_t> ids, const WindowProtocol& protocol,
                         const std::string& source)
    : ids_(std::move(ids)) {
  protocol.validate();
  auto count = static_cast<int64_t>(ids_.size());
  if (protocol.max_tokens != 0) count = std::min(count, protocol.max_tokens);
  const int64_t window = protocol.window;
  if (!protocol.stride) {
    for (int64_t begin = 0; begin + window <= count; begin += window) {
      spans_.push_back({begin, begin + window, 1});
    }
  } else if (count >= 2) {
    int64_t scored_to = 1;  // the first token has nothing before it
    for (int64_t begin = 0; scored_to < count; begin += *protocol.stride) {
      const int64_t end = std::min(begin + window, count);
      spans_.push_back({begin, end, std::max<int64_t>(scored_to - begin, 1)});
      scored_to = end;
    }
  }
  if (spans_.empty()) {
    throw Error(source, "has " + std::to_string(count) + " tokens, fewer than one window of " +
                            std::to_string(window) + "; use a longer text or a smaller --window");
  }
  tokens_used_ = spans_.back().end;
  for (const Span& span : spans_) predictions_ += span.end - span.begin - span.first_scored;
}

Sample TextWindows::sample(int64_t index) const {
  const Span& span = spans_[static_cast<size_t>(index)];
  Sample sample;
  sample.state.tokens.assign(ids_.begin() + span.begin, ids_.begin() + span.end);
  sample.first_scored = span.first_scored;
  return sample;
}

}  // namespace scant
