#include "report/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace scant {
namespace {

/// Columns on a terminal: code points, which is right for the signs that we print.
size_t width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string scaled(double value, double base, const std::array<const char*, 5>& units) {
  size_t unit = 0;
  while (std::abs(value) >= base && unit + 1 < units.size()) {
    value /= base;
    ++unit;
  }
  if (unit == 0) return fmt::format("{:.0f}{}", value, units[0]);
  return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : value < 100 ? 1 : 0, units[unit]);
}

}  // namespace

TextTable::TextTable(const std::vector<std::string>& headers) {
  for (const std::string& header : headers) {
    right_.push_back(!header.empty() && header.front() == '>');
    const bool marked = !header.empty() && (header.front() == '<' || header.front() == '>');
    headers_.push_back(marked ? header.substr(1) : header);
  }
}

void TextTable::add(std::vector<std::string> cells) {
  cells.resize(headers_.size());
  rows_.push_back({false, std::move(cells)});
}

void TextTable::rule() { rows_.push_back({true, {}}); }

std::string TextTable::text(bool bold, int indent) const {
  std::vector<size_t> widths;
  for (const std::string& header : headers_) widths.push_back(width(header));
  for (const Row& row : rows_) {
    for (size_t i = 0; i < row.cells.size(); ++i)
      widths[i] = std::max(widths[i], width(row.cells[i]));
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string result(static_cast<size_t>(indent), ' ');
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::string padding(widths[i] - width(cells[i]), ' ');
      if (i != 0) result += "  ";
      result += right_[i] ? padding + cells[i] : cells[i] + padding;
    }
    result.erase(result.find_last_not_of(' ') + 1);
    return result;
  };
  std::string result = line(headers_);
  if (bold) result = "\033[1m" + result + "\033[0m";
  result += "\n";
  size_t total = 2 * (widths.empty() ? 0 : widths.size() - 1);
  for (const size_t w : widths) total += w;
  for (const Row& row : rows_) {
    if (row.rule) {
      result += std::string(static_cast<size_t>(indent), ' ');
      for (size_t i = 0; i < total; ++i) result += "─";
      result += "\n";
    } else {
      result += line(row.cells) + "\n";
    }
  }
  return result;
}

std::string count_text(double count) { return scaled(count, 1000, {"", "k", "M", "G", "T"}); }

std::string bytes_text(double bytes) {
  return scaled(bytes, 1024, {" B", "KiB", "MiB", "GiB", "TiB"});
}

std::string duration_text(double seconds) {
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  const auto total = static_cast<int64_t>(std::llround(seconds));
  if (total < 60) return fmt::format("{} s", total);
  if (total < 3600) return fmt::format("{} min {:02} s", total / 60, total % 60);
  return fmt::format("{} h {:02} min", total / 3600, total % 3600 / 60);
}

}  // namespace scant
