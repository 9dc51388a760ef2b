#pragma once

#include <string>
#include <vector>

namespace scant {

/// A table for a terminal: columns are as wide as their widest cell, numbers are right-aligned.
class TextTable {
 public:
  /// A header that begins with '<' is left-aligned, with '>' right-aligned (the mark is dropped).
  explicit TextTable(const std::vector<std::string>& headers);
  void add(std::vector<std::string> cells);
  /// A rule before the next row.
  void rule();
  /// `bold`: the header in bold (only on a terminal). `indent` spaces before every line.
  std::string text(bool bold, int indent = 0) const;

 private:
  struct Row {
    bool rule = false;
    std::vector<std::string> cells;
  };
  std::vector<std::string> headers_;
  std::vector<bool> right_;
  std::vector<Row> rows_;
};

/// "5.4 M", "31.99 M", "128"
std::string count_text(double count);
/// "10.3 MiB"
std::string bytes_text(double bytes);
/// "3 s", "2 min 05 s", "1 h 12 min"
std::string duration_text(double seconds);

}  // namespace scant
