#include "models/tokenizer/bpe.h"

#include <algorithm>

#include "core/error.h"
#include "models/tokenizer/utf8.h"

namespace scant {
namespace {

// Words up to this many bytes are encoded and remembered whole.
constexpr size_t kShortWord = 64;
constexpr size_t kRememberedWord = 256;
constexpr size_t kRememberedWords = 1 << 18;

constexpr uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

std::string byte_token(int byte) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">";
}

}  // namespace

size_t PairTable::slot_of(uint64_t key) const {
  const size_t mask = slots_.size() - 1;
  uint64_t hash = key * 0x9E3779B97F4A7C15ull;
  hash ^= hash >> 32;
  size_t slot = hash & mask;
  while (slots_[slot].key != kFree && slots_[slot].key != key) slot = (slot + 1) & mask;
  return slot;
}

void PairTable::put(int32_t left, int32_t right, Value value) {
  if (2 * (used_ + 1) > slots_.size()) {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.key != kFree) slots_[slot_of(slot.key)] = slot;
    }
  }
  const uint64_t key = pair_key(left, right);
  Slot& slot = slots_[slot_of(key)];
  if (slot.key == kFree) ++used_;
  slot = {key, value};
}

const PairTable::Value* PairTable::find(int32_t left, int32_t right) const {
  const Slot& slot = slots_[slot_of(pair_key(left, right))];
  return slot.key == kFree ? nullptr : &slot.value;
}

Bpe::Bpe(const BpeSpec& spec, std::string source) : spec_(spec), source_(std::move(source)) {
  ids_.reserve(spec.tokens.size());
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    if (!spec.tokens[id].empty()) ids_.emplace(spec.tokens[id], static_cast<int32_t>(id));
  }
  for (size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const Merge& merge = spec.merges[rank];
    merges_.put(merge.left, merge.right, {static_cast<uint32_t>(rank), merge.result});
    const std::string_view left = spec.tokens[static_cast<size_t>(merge.left)];
    const std::string_view right = spec.tokens[static_cast<size_t>(merge.right)];
    size_t last = left.size() - 1;
    while ((static_cast<unsigned char>(left[last]) & 0xC0) == 0x80) --last;
    const int32_t before = find(left.substr(last));
    const int32_t behind = find(right.substr(0, utf8_length(right[0])));
    if (before >= 0 && behind >= 0) neighbours_.put(before, behind, {});
  }
  for (int byte = 0; byte < 256; ++byte) byte_ids_.push_back(find(byte_token(byte)));
  if (spec.unknown) unknown_ = find(*spec.unknown);
}

int32_t Bpe::find(std::string_view spelling) const {
  const auto found = ids_.find(spelling);
  return found == ids_.end() ? -1 : found->second;
}

int32_t Bpe::unknown_id() const {
  if (unknown_ < 0) {
    throw Error(source_,
                "the text has a character that is not in the vocabulary, and neither is "
                "unk_token '" +
                    spec_.unknown->substr(0, 100) + "'");
  }
  return unknown_;
}

/// The first place behind `begin` that no merge can cross: between two characters of the
/// vocabulary that no merge brings together. What lies before it can be encoded alone.
size_t Bpe::part_end(std::string_view word, size_t begin) const {
  int32_t before = -1;
  for (size_t at = begin; at < word.size();) {
    const size_t length = utf8_length(word[at]);
    const int32_t id = find(word.substr(at, length));
    if (at > begin && before >= 0 && id >= 0 && neighbours_.find(before, id) == nullptr) return at;
    before = id;
    at += length;
  }
  return word.size();
}

void Bpe::encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& out) const {
  if (spec_.ignore_merges) {
    const int32_t id = find(word);
    if (id >= 0) {
      out.push_back(id);
      return;
    }
  }
  if (word.size() <= kShortWord) return encode_part(word, scratch, out);
  for (size_t begin = 0; begin < word.size();) {
    const size_t end = part_end(word, begin);
    encode_part(word.substr(begin, end - begin), scratch, out);
    begin = end;
  }
}

void Bpe::encode_part(std::string_view part, Scratch& scratch, std::vector<int32_t>& out) const {
  if (part.size() <= kRememberedWord) {
    const auto seen = scratch.words_.find(part);
    if (seen != scratch.words_.end()) {
      const auto ids = scratch.ids_.begin();
      out.insert(out.end(), ids + static_cast<ptrdiff_t>(seen->second.begin),
                 ids + static_cast<ptrdiff_t>(seen->second.end));
      return;
    }
  }
  start_symbols(part, scratch);
  merge_symbols(scratch);
  const size_t first = out.size();
  if (!scratch.symbols_.empty()) {
    for (int32_t at = 0; at >= 0; at = scratch.symbols_[static_cast<size_t>(at)].next) {
      out.push_back(scratch.symbols_[static_cast<size_t>(at)].id);
    }
  }
  if (part.size() <= kRememberedWord && scratch.words_.size() < kRememberedWords) {
    const size_t begin = scratch.ids_.size();
    scratch.ids_.insert(scratch.ids_.end(), out.begin() + static_cast<ptrdiff_t>(first), out.end());
    scratch.words_.emplace(std::string(part), Scratch::Range{begin, scratch.ids_.size()});
  }
}

void Bpe::start_symbols(std::string_view part, Scratch& scratch) const {
  auto& symbols = scratch.symbols_;
  symbols.clear();
  const auto add = [&](int32_t id) {
    const auto index = static_cast<int32_t>(symbols.size());
    symbols.push_back({id, index - 1, index + 1, true});
  };
  // An unknown character is held back: with fuse_unk the next one joins it. Byte tokens do not
  // release it, as in the reference.
  bool held = false;
  for (size_t at = 0; at < part.size();) {
    const size_t length = utf8_length(part[at]);
    const std::string_view character = part.substr(at, length);
    at += length;
    const int32_t id = find(character);
    if (id >= 0) {
      if (held) add(unknown_id());
      held = false;
      add(id);
      continue;
    }
    if (spec_.byte_fallback && std::all_of(character.begin(), character.end(), [&](char c) {
          return byte_ids_[static_cast<unsigned char>(c)] >= 0;
        })) {
      for (const char c : character) add(byte_ids_[static_cast<unsigned char>(c)]);
      continue;
    }
    if (!spec_.unknown) continue;  // dropped
    if (held && !spec_.fuse_unknown) add(unknown_id());
    held = true;
  }
  if (held) add(unknown_id());
  if (!symbols.empty()) symbols.back().next = -1;
}

void Bpe::merge_symbols(Scratch& scratch) const {
  auto& symbols = scratch.symbols_;
  auto& heap = scratch.heap_;
  heap.clear();
  const auto later = [](const Scratch::Candidate& a, const Scratch::Candidate& b) {
    return a.order > b.order;
  };
  const auto candidate = [&](int32_t at) -> const PairTable::Value* {
    const auto& left = symbols[static_cast<size_t>(at)];
    return left.next < 0 ? nullptr
                         : merges_.find(left.id, symbols[static_cast<size_t>(left.next)].id);
  };
  const auto order = [](uint32_t rank, int32_t at) {
    return static_cast<uint64_t>(rank) << 32 | static_cast<uint32_t>(at);
  };
  for (int32_t at = 0; at + 1 < static_cast<int32_t>(symbols.size()); ++at) {
    if (const auto* merge = candidate(at)) heap.push_back({order(merge->rank, at), merge->result});
  }
  std::make_heap(heap.begin(), heap.end(), later);
  const auto push = [&](int32_t at) {
    if (const auto* merge = candidate(at)) {
      heap.push_back({order(merge->rank, at), merge->result});
      std::push_heap(heap.begin(), heap.end(), later);
    }
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const Scratch::Candidate top = heap.back();
    heap.pop_back();
    const auto at = static_cast<int32_t>(top.order & 0xFFFFFFFF);
    auto& left = symbols[static_cast<size_t>(at)];
    if (!left.live) continue;
    // The pair may have changed since; what counts is that it still makes the same token.
    const auto* merge = candidate(at);
    if (merge == nullptr || merge->result != top.result) continue;
    auto& right = symbols[static_cast<size_t>(left.next)];
    left.id = top.result;
    left.next = right.next;
    right.live = false;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = at;
    if (left.previous >= 0) push(left.previous);
    push(at);
  }
}

}  // namespace scant
