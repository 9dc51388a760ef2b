#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "models/tokenizer/spec.h"

namespace scant {

/// A hash table from pairs of ids (not negative) to a rank and a result.
class PairTable {
 public:
  struct Value {
    uint32_t rank = 0;
    int32_t result = 0;
  };
  PairTable() : slots_(16) {}
  /// The value of an equal pair is replaced.
  void put(int32_t left, int32_t right, Value value);
  const Value* find(int32_t left, int32_t right) const;

 private:
  struct Slot {
    uint64_t key = kFree;
    Value value;
  };
  static constexpr uint64_t kFree = ~uint64_t{0};  // no pair has it
  size_t slot_of(uint64_t key) const;
  std::vector<Slot> slots_;
  size_t used_ = 0;
};

/// Byte pair encoding (Sennrich et al. 2016, as in the `tokenizers` library): the characters of a
/// word become tokens, then the adjacent pair with the lowest rank, and among equals the leftmost,
/// is merged until no pair is left. n characters take O(n log n).
class Bpe {
 public:
  /// Keeps a reference to `spec`. Throws Error naming `source`.
  Bpe(const BpeSpec& spec, std::string source);

  /// The working memory of one thread: words seen before and buffers.
  class Scratch {
   private:
    friend class Bpe;
    struct Hash {
      using is_transparent = void;
      size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    struct Range {
      size_t begin;
      size_t end;
    };
    struct Symbol {
      int32_t id;
      int32_t previous;
      int32_t next;
      bool live;
    };
    struct Candidate {
      uint64_t order;  ///< rank, then position
      int32_t result;
    };
    std::unordered_map<std::string, Range, Hash, std::equal_to<>> words_;
    std::vector<int32_t> ids_;  ///< of the words, one after the other
    std::vector<Symbol> symbols_;
    std::vector<Candidate> heap_;
  };

  /// Appends the ids of `word`, which is valid UTF-8.
  void encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& out) const;
  /// The id that a spelling has in the vocabulary, or -1.
  int32_t find(std::string_view spelling) const;

 private:
  void encode_part(std::string_view part, Scratch& scratch, std::vector<int32_t>& out) const;
  void start_symbols(std::string_view part, Scratch& scratch) const;
  void merge_symbols(Scratch& scratch) const;
  size_t part_end(std::string_view word, size_t begin) const;
  int32_t unknown_id() const;

  const BpeSpec& spec_;
  std::string source_;
  std::unordered_map<std::string_view, int32_t> ids_;
  PairTable merges_;
  PairTable neighbours_;  ///< characters that a merge joins: the left's last, the right's first
  std::vector<int32_t> byte_ids_;  ///< of <0x00> ... <0xFF>, -1 where missing
  int32_t unknown_ = -1;
};

}  // namespace scant
