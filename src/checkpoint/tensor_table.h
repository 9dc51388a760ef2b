#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace scant {

/// A tensor's name as messages show it: in quotes, control characters and bytes that are not
/// UTF-8 escaped, cut after 200 bytes. So a message stays one printable line.
std::string quoted_name(std::string_view name);

/// Valid UTF-8 throughout (RFC 3629: no overlong forms, surrogates or values past U+10FFFF).
bool is_utf8(std::string_view text);

/// The tensors of one checkpoint in file order, each name once.
class TensorTable {
 public:
  /// Sets tensor.index. Throws Error("PATH: tensor "NAME"...") if the name is there already.
  void add(StoredTensor tensor, const std::string& path);
  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  const StoredTensor* find(std::string_view name) const;

 private:
  std::vector<StoredTensor> tensors_;
  std::unordered_map<std::string, size_t> index_;
};

/// Throws Error if the rows are not all in the tensor or `out_size` is not count x row_size.
void check_row_range(const std::string& path, const StoredTensor& tensor, int64_t begin,
                     int64_t count, size_t out_size);

}  // namespace scant
