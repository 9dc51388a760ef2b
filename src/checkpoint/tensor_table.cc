#include "checkpoint/tensor_table.h"

#include <fmt/format.h>

#include "core/error.h"

namespace scant {
namespace {

/// Length of the UTF-8 sequence at `text[at]`, 0 if it is not one (RFC 3629, section 4).
size_t sequence_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
  };
  const auto continues = [&](size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool second = continues(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf);
    return second && continues(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool second = continues(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf);
    return second && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = sequence_length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::string quoted_name(std::string_view name) {
  constexpr size_t kLongest = 200;
  std::string text = "\"";
  for (size_t at = 0; at < name.size();) {
    if (at >= kLongest) {
      text += "...";
      break;
    }
    const size_t length = sequence_length(name, at);
    const auto first = static_cast<unsigned char>(name[at]);
    if (length == 0 || first < 0x20 || first == 0x7f) {
      text += fmt::format("\\x{:02x}", first);
      ++at;
    } else {
      text += name.substr(at, length);
      at += length;
    }
  }
  return text + "\"";
}

void TensorTable::add(StoredTensor tensor, const std::string& path) {
  tensor.index = tensors_.size();
  const auto [known, added] = index_.emplace(tensor.name, tensor.index);
  if (!added) {
    const std::string& first = tensors_[known->second].file;
    throw Error(path, fmt::format("tensor {} is there twice{}", quoted_name(tensor.name),
                                  first == tensor.file
                                      ? std::string()
                                      : fmt::format(": in {} and in {}", first, tensor.file)));
  }
  tensors_.push_back(std::move(tensor));
}

const StoredTensor* TensorTable::find(std::string_view name) const {
  const auto known = index_.find(std::string(name));
  return known == index_.end() ? nullptr : &tensors_[known->second];
}

void check_row_range(const std::string& path, const StoredTensor& tensor, int64_t begin,
                     int64_t count, size_t out_size) {
  if (begin < 0 || count < 0 || begin > tensor.rows() || count > tensor.rows() - begin ||
      out_size != static_cast<size_t>(count) * static_cast<size_t>(tensor.row_size())) {
    throw Error(path, fmt::format("tensor {} of shape {} has no rows {} to {} for {} values",
                                  quoted_name(tensor.name), shape_text(tensor.shape), begin,
                                  begin + count, out_size));
  }
}

}  // namespace scant
