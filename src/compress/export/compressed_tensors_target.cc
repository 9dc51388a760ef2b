#include "compress/export/compressed_tensors_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include "compress/export/coded_folder.h"
#include "compress/export/compressed_tensors_scheme.h"
#include "formats/layouts/bit_runs.h"

namespace scant {
namespace {

using Json = nlohmann::ordered_json;
using Scheme = CompressedTensorsScheme;
using Bytes = std::vector<std::byte>;

template <typename T>
Bytes bytes_of_values(std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  return {bytes.begin(), bytes.end()};
}

int64_t words_of(int64_t bits) { return (bits + 31) / 32; }

/// Scales keep their type; those that only we store come as BF16, which holds them exactly.
ScaleStorage storage_of(const PackedSpec& spec) {
  const ScaleStorage storage = spec.format.scale_storage;
  if (spec.format.rules().storage) return storage;  // of NVFP4 and the microscaling formats
  const bool plain = storage == ScaleStorage::kF32 || storage == ScaleStorage::kF16;
  return plain ? storage : ScaleStorage::kBF16;
}

bool one_scale(const PackedSpec& spec) {
  return spec.format.granularity.kind == Granularity::Kind::kTensor;
}

class CompressedTensorsLayout final : public CodedLayout {
 public:
  explicit CompressedTensorsLayout(const ExportJob& job) : job_(job) {}

  std::vector<CodedPart> parts(const ExportedWeight& weight) const override {
    const PackedSpec& spec = weight.entry.spec;
    const Scheme scheme = compressed_tensors_scheme(weight);
    std::vector<CodedPart> parts;
    const auto add = [&](const char* name, DType dtype, Shape shape) {
      parts.push_back({weight.module + "." + name, dtype, std::move(shape)});
    };
    const int64_t bits = spec.cols * spec.format.code_bits();
    switch (scheme.layout) {
      case Scheme::Layout::kPacked:
        add("weight_packed", DType::kI32, {spec.rows, words_of(bits)});
        break;
      case Scheme::Layout::kString:
        add("weight_packed", DType::kU8, {spec.rows, bytes_of(bits)});
        break;
      case Scheme::Layout::kInt8:
        add("weight", DType::kI8, {spec.rows, spec.cols});
        break;
      case Scheme::Layout::kFloat8:
        add("weight", DType::kF8E4M3, {spec.rows, spec.cols});
        break;
    }
    const int64_t per_row = scales_per_row(spec);
    const Shape of_scales = one_scale(spec) ? Shape{1} : Shape{spec.rows, per_row};
    add("weight_scale", scale_dtype(storage_of(spec)), of_scales);
    if (spec.format.rules().two_level) add("weight_global_scale", DType::kF32, {1});
    if (spec.format.rules().zero_point) {
      if (packs_zero_points(scheme, spec)) {
        add("weight_zero_point", DType::kI32,
            {words_of(spec.rows * spec.format.code_bits()), per_row});
      } else {
        add("weight_zero_point", DType::kI8, of_scales);
      }
    }
    if (scheme.layout == Scheme::Layout::kPacked) add("weight_shape", DType::kI64, {2});
    if (weight.input_scale && weight.inputs->rules().two_level) {
      add("input_global_scale", DType::kF32, {1});
    } else if (weight.input_scale) {
      add("input_scale", DType::kF32, {1});
      if (weight.inputs->rules().zero_point) add("input_zero_point", DType::kI8, {1});
    }
    return parts;
  }

  std::vector<Bytes> bytes(const ExportedWeight& weight,
                           const PackedMatrix& matrix) const override {
    const PackedSpec& spec = weight.entry.spec;
    const Scheme scheme = compressed_tensors_scheme(weight);
    std::vector<Bytes> all = {codes(scheme, matrix), scales(matrix)};
    if (spec.format.rules().two_level) {
      const float global = 1.0f / matrix.tensor_scale();
      all.push_back(bytes_of_values(std::span(&global, 1)));
    }
    if (spec.format.rules().zero_point) all.push_back(zero_points(scheme, matrix));
    if (scheme.layout == Scheme::Layout::kPacked) {
      const std::array<int64_t, 2> shape = {spec.rows, spec.cols};
      all.push_back(bytes_of_values(std::span<const int64_t>(shape)));
    }
    if (weight.input_scale && weight.inputs->rules().two_level) {
      const float global = 1.0f / weight.input_scale->scale;
      all.push_back(bytes_of_values(std::span(&global, 1)));
    } else if (weight.input_scale) {
      all.push_back(bytes_of_values(std::span<const float>(&weight.input_scale->scale, 1)));
      if (weight.inputs->rules().zero_point) {
        const int half = 1 << (weight.inputs->code_bits() - 1);
        const auto zero = static_cast<int8_t>(weight.input_scale->zero_point - half);
        all.push_back(bytes_of_values(std::span(&zero, 1)));
      }
    }
    return all;
  }

  Json config() const override {
    const std::vector<std::pair<Scheme, std::vector<std::string>>> groups = schemes();
    Json group_list = Json::object();
    std::set<std::string> formats;
    for (size_t i = 0; i < groups.size(); ++i) {
      const auto& [scheme, modules] = groups[i];
      formats.insert(scheme.format);
      // With one scheme `ignore` says the rest; with several, every layer is named.
      group_list["group_" + std::to_string(i)] = {
          {"targets", groups.size() == 1 ? Json({"Linear"}) : Json(modules)},
          {"weights", scheme.weights},
          {"input_activations", scheme.inputs},
          {"output_activations", nullptr},
          {"format", scheme.format}};
    }
    return {{"quant_method", kCompressedTensors},
            {"format", formats.size() == 1 ? *formats.begin() : "mixed-precision"},
            {"quantization_status", "compressed"},
            {"global_compression_ratio", nullptr},
            {"kv_cache_scheme", nullptr},
            {"config_groups", std::move(group_list)},
            {"ignore", plain_modules(job_)}};
  }

 private:
  std::vector<std::pair<Scheme, std::vector<std::string>>> schemes() const {
    std::vector<std::pair<Scheme, std::vector<std::string>>> groups;
    for (const ExportedWeight& weight : job_.weights) {
      if (weight.entry.spec.format.is_plain()) continue;
      Scheme scheme = compressed_tensors_scheme(weight);
      auto group = std::ranges::find(groups, scheme, [](const auto& one) { return one.first; });
      if (group == groups.end()) {
        groups.push_back({std::move(scheme), {}});
        group = groups.end() - 1;
      }
      group->second.push_back(weight.module);
    }
    return groups;
  }

  static bool packs_zero_points(const Scheme& scheme, const PackedSpec& spec) {
    return scheme.layout == Scheme::Layout::kPacked && !one_scale(spec);
  }

  /// What is stored of a code: integers are counted from the lowest one (`unsigned_codes`) or are
  /// numbers of 8 bits; floats are their own bits.
  static uint32_t stored_code(const Scheme& scheme, const NumberFormat& format, uint32_t code) {
    const auto* element = std::get_if<IntElement>(&format.element);
    if (element == nullptr) return code;
    const uint32_t half = 1u << (element->bits - 1);
    const bool counted = element->grid == IntElement::Grid::kAsym;
    const uint32_t from_lowest = counted ? code : code ^ half;
    return scheme.layout == Scheme::Layout::kPacked ? from_lowest : (from_lowest - half) & 0xffu;
  }

  static Bytes codes(const Scheme& scheme, const PackedMatrix& matrix) {
    const NumberFormat& format = matrix.spec().format;
    const bool string =
        scheme.layout == Scheme::Layout::kPacked || scheme.layout == Scheme::Layout::kString;
    const int width = string ? format.code_bits() : 8;
    const int64_t row_bytes = scheme.layout == Scheme::Layout::kPacked
                                  ? 4 * words_of(matrix.cols() * width)
                                  : bytes_of(matrix.cols() * width);
    Bytes bytes(static_cast<size_t>(matrix.rows() * row_bytes));
    std::vector<uint32_t> row(static_cast<size_t>(matrix.cols()));
    for (int64_t r = 0; r < matrix.rows(); ++r) {
      read_codes(matrix, r, row);
      const auto out = std::span(bytes).subspan(static_cast<size_t>(r * row_bytes),
                                                static_cast<size_t>(row_bytes));
      for (size_t c = 0; c < row.size(); ++c) {
        put_bits(out, static_cast<int64_t>(c) * width, width, stored_code(scheme, format, row[c]));
      }
    }
    return bytes;
  }

  static Bytes scales(const PackedMatrix& matrix) {
    const PackedSpec& spec = matrix.spec();
    const ScaleStorage storage = storage_of(spec);
    const int64_t rows = one_scale(spec) ? 1 : spec.rows;
    const int64_t per_row = scales_per_row(spec);
    Bytes bytes(static_cast<size_t>(rows * per_row * bytes_of(scale_storage_bits(storage))));
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t b = 0; b < per_row; ++b) {
        float scale = matrix.stored_scale(r, b).scale;
        // A block without kept weights has none; E8M0 has no zero.
        if (scale == 0.0f && storage == ScaleStorage::kE8M0) scale = 1.0f;
        write_scale(bytes, r * per_row + b, storage, scale);
      }
    }
    return bytes;
  }

  static Bytes zero_points(const Scheme& scheme, const PackedMatrix& matrix) {
    const PackedSpec& spec = matrix.spec();
    const int width = spec.format.code_bits();
    const int64_t rows = one_scale(spec) ? 1 : spec.rows;
    const int64_t per_row = scales_per_row(spec);
    const bool packs = packs_zero_points(scheme, spec);
    Bytes bytes(static_cast<size_t>(packs ? 4 * words_of(rows * width) * per_row : rows * per_row));
    for (int64_t b = 0; b < per_row; ++b) {
      Bytes column(static_cast<size_t>(4 * words_of(rows * width)));
      for (int64_t r = 0; r < rows; ++r) {
        const auto zero = static_cast<uint32_t>(matrix.stored_scale(r, b).zero_point);
        put_bits(column, r * width, width, zero);
        if (!packs) {
          bytes[static_cast<size_t>(r * per_row + b)] =
              static_cast<std::byte>((zero - (1u << (width - 1))) & 0xffu);
        }
      }
      for (int64_t word = 0; packs && word < words_of(rows * width); ++word) {
        std::memcpy(bytes.data() + 4 * (word * per_row + b), column.data() + 4 * word, 4);
      }
    }
    return bytes;
  }

  const ExportJob& job_;
};

void check(const ExportJob& job) {
  check_coded(job, kCompressedTensors);
  for (const ExportedWeight& weight : job.weights) {
    if (weight.entry.spec.format.is_plain()) continue;
    if (weight.entry.transposed) {
      refuse_weight(weight, kCompressedTensors,
                    "is of a Conv1D (stored inputs x outputs), whose quantized form readers do not "
                    "make: they replace nn.Linear only",
                    "the same model --to gptq or gguf, or its values --to dense");
    }
    compressed_tensors_scheme(weight);
  }
}

ExportResult write(const ExportJob& job, const std::string& out, Context& context) {
  ExportResult result = write_coded_folder(job, CompressedTensorsLayout(job), out, context);
  const bool wide = std::ranges::any_of(job.weights, [](const ExportedWeight& weight) {
    const NumberFormat& format = weight.entry.spec.format;
    return !format.is_plain() && !weight.inputs && format.scale_storage == ScaleStorage::kF32;
  });
  const bool blocks = std::ranges::any_of(job.weights, [](const ExportedWeight& weight) {
    return weight.inputs && weight.inputs->rules().storage;
  });
  if (blocks) {
    result.notes.emplace_back(
        "Inputs are scaled by blocks: readers round these scales their own way, so that single "
        "inputs differ by a step from what scant eval computes.");
  }
  if (wide) {
    result.notes.emplace_back(
        "Scales are F32: readers that compute in BF16 or F16 round them; :scale=bf16 in the "
        "number format keeps what was measured.");
  }
  return result;
}

std::span<const ExportRow> rows() {
  static constexpr std::array kRows = {
      ExportRow{"pack-quantized", "int2 to int8, :asym, :narrow",
                "tensor, channel, gN; fp32, bf16, fp16", "fp8_e4m3"},
      ExportRow{"int-quantized", "int2 to int8, :asym, :narrow",
                "tensor, channel, gN; fp32, bf16, fp16", "int2 to int8, dynamic or static"},
      ExportRow{"float-quantized", "fp8_e4m3", "tensor, channel, gN; fp32, bf16, fp16",
                "fp8_e4m3, dynamic or static"},
      ExportRow{"nvfp4-pack-quantized", "nvfp4", "blocks of 16", "nvfp4, static"},
      ExportRow{"mxfp4-pack-quantized", "mxfp4", "blocks of 32", "mxfp4, mxfp6_e2m3, mxfp8_e4m3"},
      ExportRow{"mxfp6-pack-quantized", "mxfp6_e2m3", "blocks of 32", "the same"},
      ExportRow{"mxfp8-quantized", "mxfp8_e4m3", "blocks of 32", "the same"},
  };
  return kRows;
}

}  // namespace

ExportTarget compressed_tensors_target() {
  return {kCompressedTensors,
          "codes and scales as vLLM, SGLang and transformers load them",
          "all but gpt2 (Conv1D)",
          true,
          rows,
          check,
          write};
}

}  // namespace scant
