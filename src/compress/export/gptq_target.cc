#include "compress/export/gptq_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "compress/export/coded_folder.h"
#include "core/dtype.h"
#include "core/error.h"

namespace scant {
namespace {

using Json = nlohmann::ordered_json;
using Bytes = std::vector<std::byte>;

enum class Version : uint8_t { kV1, kV2 };

std::string_view name_of(Version version) { return version == Version::kV1 ? "gptq" : "gptq_v2"; }

/// What quantization_config says of a weight.
struct Scheme {
  int bits = 4;
  int64_t group = -1;
  bool symmetric = true;
  auto operator<=>(const Scheme&) const = default;
};

Scheme scheme_of(const ExportedWeight& weight) {
  const NumberFormat& format = weight.entry.spec.format;
  const bool groups = format.granularity.kind == Granularity::Kind::kGroup;
  return {format.code_bits(), groups ? format.granularity.size : -1, !format.rules().zero_point};
}

/// The same format with an element and with scales that GPTQ has.
std::string nearest(const NumberFormat& format, int bits) {
  NumberFormat near = NumberFormat::parse(fmt::format("int{}", bits), Role::kWeight);
  const bool blocks = format.rules().scales == ElementRules::Scales::kBlocks;
  near.granularity =
      format.is_plain() || blocks ? Granularity{Granularity::Kind::kGroup, 32} : format.granularity;
  if (format.rules().zero_point) std::get<IntElement>(near.element).grid = IntElement::Grid::kAsym;
  near.scale_storage = ScaleStorage::kF16;
  return near.spelling();
}

void check_weight(const ExportedWeight& weight, std::string_view target) {
  const PackedSpec& spec = weight.entry.spec;
  const NumberFormat& format = spec.format;
  const auto refuse = [&](const std::string& problem, const std::string& near) {
    refuse_weight(weight, target, problem, near);
  };
  const int bits = format.code_bits();
  if (!std::holds_alternative<IntElement>(format.element) || (bits > 4 && bits != 8)) {
    refuse("is " + format.spelling(), nearest(format, bits <= 2 ? 2 : bits <= 4 ? 4 : 8));
  }
  if (format.scale_storage == ScaleStorage::kF32) {
    refuse(fmt::format("is {}, with scales of float32, where float16 is stored", format.spelling()),
           nearest(format, bits));
  }
  require_whole_groups(weight, target);
  if (spec.cols * bits % 32 != 0 || spec.rows * bits % 32 != 0) {
    refuse(fmt::format("has {} x {} codes of {} bits, which do not fill words of 32 bits along "
                       "both sides",
                       spec.rows, spec.cols, bits),
           bits == 8 ? "sides that are multiples of 4" : nearest(format, 8));
  }
  if (weight.inputs) {
    refuse(fmt::format("has inputs of {}", weight.inputs->spelling()),
           "--weights-only, or compressed-tensors with its inputs");
  }
}

class GptqLayout final : public CodedLayout {
 public:
  GptqLayout(const ExportJob& job, Version version) : job_(job), version_(version) {}

  std::vector<CodedPart> parts(const ExportedWeight& weight) const override {
    const PackedSpec& spec = weight.entry.spec;
    const int64_t bits = spec.format.code_bits();
    const int64_t groups = scales_per_row(spec);
    return {{weight.module + ".qweight", DType::kI32, {spec.cols * bits / 32, spec.rows}},
            {weight.module + ".qzeros", DType::kI32, {groups, spec.rows * bits / 32}},
            {weight.module + ".scales", DType::kF16, {groups, spec.rows}},
            {weight.module + ".g_idx", DType::kI32, {spec.cols}}};
  }

  std::vector<Bytes> bytes(const ExportedWeight& weight,
                           const PackedMatrix& matrix) const override {
    return {codes(matrix), zero_points(weight, matrix), scales(weight, matrix), groups(matrix)};
  }

  Json config() const override {
    const Scheme most = most_frequent();
    Json config = {{"quant_method", "gptq"},
                   {"bits", most.bits},
                   {"group_size", most.group},
                   {"sym", most.symmetric},
                   {"desc_act", has_column_order()},
                   {"static_groups", false},
                   {"true_sequential", true},
                   {"damp_percent", 0.01},
                   {"lm_head", has_head()},
                   {"pack_dtype", "int32"},
                   {"checkpoint_format", name_of(version_)}};
    // "+:" says what is different in a module, "-:" which modules stay plain.
    Json dynamic = Json::object();
    for (const ExportedWeight& weight : job_.weights) {
      const Scheme scheme = scheme_of(weight);
      if (weight.entry.spec.format.is_plain() || scheme == most) continue;
      dynamic["+:^" + escaped(weight.module) + "$"] = {
          {"bits", scheme.bits}, {"group_size", scheme.group}, {"sym", scheme.symmetric}};
    }
    std::set<std::string> linears;
    for (const LinearInfo& info : job_.model.linears()) linears.insert(info.name);
    for (const std::string& module : plain_modules(job_)) {
      if (linears.contains(module)) dynamic["-:^" + escaped(module) + "$"] = Json::object();
    }
    if (!dynamic.empty()) config["dynamic"] = std::move(dynamic);
    return config;
  }

 private:
  static std::string escaped(const std::string& module) {
    std::string text;
    for (const char c : module) text += c == '.' ? std::string("\\.") : std::string(1, c);
    return text;
  }

  Scheme most_frequent() const {
    std::map<Scheme, int> counts;
    for (const ExportedWeight& weight : job_.weights) {
      if (!weight.entry.spec.format.is_plain()) ++counts[scheme_of(weight)];
    }
    return std::ranges::max_element(counts, {}, [](const auto& one) { return one.second; })->first;
  }

  bool has_column_order() const {
    return std::ranges::any_of(
        job_.weights, [](const ExportedWeight& weight) { return weight.entry.spec.column_order; });
  }

  bool has_head() const {
    return std::ranges::any_of(job_.weights, [&](const ExportedWeight& weight) {
      return weight.module == job_.model.head().linear().name;
    });
  }

  static void put(std::vector<uint32_t>& words, int64_t stride, int64_t column, int64_t bit,
                  int width, uint32_t value) {
    const auto at = static_cast<size_t>(bit / 32 * stride + column);
    const int shift = static_cast<int>(bit % 32);
    words[at] |= value << shift;
    if (shift + width > 32) words[at + static_cast<size_t>(stride)] |= value >> (32 - shift);
  }

  static Bytes bytes_of_words(const std::vector<uint32_t>& words) {
    const auto bytes = std::as_bytes(std::span(words));
    return {bytes.begin(), bytes.end()};
  }

  static Bytes codes(const PackedMatrix& matrix) {
    const int bits = matrix.spec().format.code_bits();
    const bool symmetric = !matrix.spec().format.rules().zero_point;
    const uint32_t flip = symmetric ? 1u << (bits - 1) : 0;  // counted from the lowest
    std::vector<uint32_t> words(static_cast<size_t>(matrix.cols() * bits / 32 * matrix.rows()));
    std::vector<uint32_t> row(static_cast<size_t>(matrix.cols()));
    for (int64_t r = 0; r < matrix.rows(); ++r) {
      read_codes(matrix, r, row);
      for (size_t place = 0; place < row.size(); ++place) {
        put(words, matrix.rows(), r, column_at(matrix, place) * bits, bits, row[place] ^ flip);
      }
    }
    return bytes_of_words(words);
  }

  Bytes zero_points(const ExportedWeight& weight, const PackedMatrix& matrix) const {
    const PackedSpec& spec = matrix.spec();
    const int bits = spec.format.code_bits();
    const int64_t per_group = spec.rows * bits / 32;
    std::vector<uint32_t> words(static_cast<size_t>(scales_per_row(spec) * per_group));
    for (int64_t g = 0; g < scales_per_row(spec); ++g) {
      std::vector<uint32_t> row(static_cast<size_t>(per_group));
      for (int64_t r = 0; r < spec.rows; ++r) {
        const BlockScale block = matrix.stored_scale(r, g);
        auto zero = static_cast<uint32_t>(block.zero_point);
        // A block without kept weights has no scale: any zero point will do.
        if (!spec.format.rules().zero_point || block.scale == 0.0f) zero = 1u << (bits - 1);
        if (version_ == Version::kV1) {
          if (zero == 0) {
            refuse_weight(weight, "gptq",
                          fmt::format("has the zero point 0 (output {}, group {}), of which "
                                      "version 1 stores one less",
                                      r, g),
                          "--to gptq_v2, or symmetric codes");
          }
          --zero;
        }
        put(row, 1, 0, r * bits, bits, zero);
      }
      std::ranges::copy(row, words.begin() + g * per_group);
    }
    return bytes_of_words(words);
  }

  static Bytes scales(const ExportedWeight& weight, const PackedMatrix& matrix) {
    const int64_t groups = scales_per_row(matrix.spec());
    Bytes bytes(static_cast<size_t>(2 * groups * matrix.rows()));
    for (int64_t r = 0; r < matrix.rows(); ++r) {
      for (int64_t g = 0; g < groups; ++g) {
        const float scale = matrix.stored_scale(r, g).scale;
        if (f16_to_f32(f32_to_f16(scale)) != scale) {
          refuse_weight(weight, "gptq",
                        fmt::format("has the scale {} (output {}, group {}), which float16 does "
                                    "not hold",
                                    scale, r, g),
                        nearest(matrix.spec().format, matrix.spec().format.code_bits()));
        }
        write_scale(bytes, g * matrix.rows() + r, ScaleStorage::kF16, scale);
      }
    }
    return bytes;
  }

  /// g_idx, which is by column as the codes are.
  static Bytes groups(const PackedMatrix& matrix) {
    const int64_t width = matrix.cols() / scales_per_row(matrix.spec());
    std::vector<uint32_t> indices(static_cast<size_t>(matrix.cols()));
    for (size_t place = 0; place < indices.size(); ++place) {
      indices[static_cast<size_t>(column_at(matrix, place))] =
          static_cast<uint32_t>(static_cast<int64_t>(place) / width);
    }
    return bytes_of_words(indices);
  }

  static int64_t column_at(const PackedMatrix& matrix, size_t place) {
    const auto order = matrix.column_order();
    return order.empty() ? static_cast<int64_t>(place) : order[place];
  }

  const ExportJob& job_;
  Version version_;
};

template <Version version>
void check(const ExportJob& job) {
  check_coded(job, name_of(version));
  for (const ExportedWeight& weight : job.weights) {
    if (!weight.entry.spec.format.is_plain()) check_weight(weight, name_of(version));
  }
}

template <Version version>
ExportResult write(const ExportJob& job, const std::string& out, Context& context) {
  ExportResult result = write_coded_folder(job, GptqLayout(job, version), out, context);
  const bool asymmetric = std::ranges::any_of(job.weights, [](const ExportedWeight& weight) {
    return weight.entry.spec.format.rules().zero_point;
  });
  if (version == Version::kV1 && asymmetric) {
    result.notes.emplace_back(
        "GPTQModel takes asymmetric codes of other tools in version 2 only: --to gptq_v2.");
  }
  return result;
}

std::span<const ExportRow> rows() {
  static constexpr std::array kRows = {
      ExportRow{"qweight, qzeros, g_idx", "int2, int3, int4, int8; :asym, :narrow",
                "tensor, channel, gN, act-order; fp16 (bf16 where exact)", "-"},
  };
  return kRows;
}

template <Version version>
ExportTarget target(std::string_view summary) {
  return {.name = name_of(version),
          .summary = summary,
          .models = "all that scant loads",
          .needs_codes = true,
          .rows = rows,
          .check = check<version>,
          .write = write<version>,
          .column_order = true};
}

}  // namespace

ExportTarget gptq_target() {
  return target<Version::kV1>(
      "GPTQ version 1, for vLLM, SGLang, GPTQModel and transformers; zero points from 1 on");
}
ExportTarget gptq_v2_target() {
  return target<Version::kV2>("GPTQ version 2, whose zero points are stored as they are");
}

}  // namespace scant
