#pragma once

#include <string>
#include <string_view>

namespace scant {

/// True for "*.jsonl": a file of one JSON object per line.
bool is_jsonl(std::string_view path);

/// The text of a calibration file: of a .jsonl file the strings that stand in `field` of each line,
/// in order, with a blank line between them; of any other the whole file. Lines of nothing but
/// blanks are skipped. Throws Error naming file and line.
std::string read_calibration_text(const std::string& path, const std::string& field);

}  // namespace scant
