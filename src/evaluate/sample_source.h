#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/model.h"

namespace scant {

/// One input with the positions that count.
struct Sample {
  State state;
  int64_t first_scored = 1;  ///< predictions of tokens[first_scored ...] are averaged
};

/// Where inputs come from: text windows now, other modalities later.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual int64_t size() const = 0;
  virtual Sample sample(int64_t index) const = 0;
};

/// How a text is cut into windows.
struct WindowProtocol {
  int64_t window = 512;
  /// Without: windows do not overlap, the remainder is dropped, positions 1..w-1 of each count
  /// (the protocol of GPTQ and SparseGPT). With: windows start every `stride` tokens and only
  /// tokens that no earlier window scored count; the last window may be shorter (the strided
  /// protocol of the transformers documentation).
  std::optional<int64_t> stride;
  int64_t max_tokens = 0;  ///< keep the first N ids; 0 = all

  /// Throws Error naming the option that is out of range.
  void validate() const;
  /// "windows of 512, not overlapping, remainder dropped"
  std::string text() const;
};

/// Windows over the ids of one text.
class TextWindows : public SampleSource {
 public:
  /// Throws Error if not even one window fits; `source` is named.
  TextWindows(std::vector<int32_t> ids, const WindowProtocol& protocol, const std::string& source);
  int64_t size() const override { return static_cast<int64_t>(spans_.size()); }
  Sample sample(int64_t index) const override;
  /// Tokens of the first window, which is never the shortest.
  int64_t window() const { return spans_.front().end - spans_.front().begin; }
  /// Ids that are read by at least one window.
  int64_t tokens_used() const { return tokens_used_; }
  /// Positions that are scored.
  int64_t predictions() const { return predictions_; }

 private:
  struct Span {
    int64_t begin;
    int64_t end;
    int64_t first_scored;
  };
  std::vector<int32_t> ids_;
  std::vector<Span> spans_;
  int64_t tokens_used_ = 0;
  int64_t predictions_ = 0;
};

}  // namespace scant
