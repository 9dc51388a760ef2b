// Spellings of number formats and sparsity patterns: whatever parses has a spelling that parses to
// the same again and can be applied to a small matrix; whatever does not gives one line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/error.h"
#include "core/threads.h"
#include "formats/pattern.h"
#include "formats/quantized.h"

namespace {

constexpr int64_t kRows = 3;
constexpr int64_t kCols = 9;

void require(bool condition) {
  if (!condition) std::abort();
}

void require_one_line(std::string_view message) {
  require(message.size() < 2000 && message.find('\n') == std::string_view::npos);
}

scant::Matrix small_matrix() {
  scant::Matrix values(kRows, kCols);
  for (int64_t i = 0; i < values.size(); ++i) {
    values.data()[i] = static_cast<float>((i * 7) % 11 - 5) * 0.37f;
  }
  return values;
}

void check_format(std::string_view text, scant::Role role) {
  try {
    const auto format = scant::NumberFormat::parse(text, role);
    require(scant::NumberFormat::parse(format.spelling(), role) == format);
    scant::Matrix values = small_matrix();
    scant::quantize_in_place(values.view(), format, {});
  } catch (const scant::Error& error) {
    require_one_line(error.what());
  }
}

void check_pattern(std::string_view text, scant::Context& context) {
  try {
    const auto pattern = scant::SparsityPattern::parse(text);
    require(scant::SparsityPattern::parse(pattern.spelling()) == pattern);
    const scant::Matrix scores = small_matrix();
    const scant::Mask mask = pattern.select({scores.view()}, context);
    require(pattern.allows(mask) && mask.kept() <= pattern.most_kept(kRows, kCols));
    const auto group = pattern.ranking_group(kRows, kCols);
    require(!group || (group->rows > 0 && group->cols > 0));
    require(!pattern.family().empty());
  } catch (const scant::Error& error) {
    require_one_line(error.what());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static scant::ThreadPool threads(1);
  static scant::Context context{threads};
  [[maybe_unused]] static const bool examples_hold = [] {
    for (const auto& example : scant::SparsityPattern::examples()) {
      check_pattern(example.spelling(), context);
    }
    return true;
  }();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_format(text, scant::Role::kWeight);
  check_format(text, scant::Role::kActivation);
  check_pattern(text, context);
  return 0;
}
