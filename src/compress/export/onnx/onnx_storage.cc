#include "compress/export/onnx/onnx_storage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "compress/export/coded_folder.h"
#include "core/error.h"

namespace scant {
namespace {

using Kind = Granularity::Kind;

/// The lowest and highest value of the codes, if all values are integers.
std::optional<std::pair<int, int>> integer_range(const NumberFormat& format) {
  return std::visit(
      []<typename T>(const T& element) -> std::optional<std::pair<int, int>> {
        if constexpr (CodedElement<T>) {
          for (const uint8_t code : element.codes()) {
            const float value = element.code_value(code);
            if (value != std::floor(value)) return std::nullopt;
          }
          return std::pair{static_cast<int>(element.smallest()),
                           static_cast<int>(element.largest())};
        } else {
          return std::nullopt;
        }
      },
      format.element);
}

void store_integers(const NumberFormat& format, OnnxStorage& storage) {
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (CodedElement<T>) {
          for (const uint8_t code : element.codes()) {
            storage.stored[code] = static_cast<int16_t>(element.code_value(code));
          }
        }
      },
      format.element);
}

/// Block sizes of MatMulNBits whose every block lies inside one group of the format.
bool fits(const PackedSpec& spec, int64_t block, bool table) {
  if (table && (spec.cols % block != 0 || spec.cols % 2 != 0)) return false;
  const Granularity& granularity = spec.format.granularity;
  return granularity.kind != Kind::kGroup || granularity.size % block == 0;
}

/// The one of fewest bytes, codes and scales together; 0 if none fits.
int64_t best_block(const PackedSpec& spec, bool table) {
  int64_t best = 0, least = 0;
  for (int64_t block = 256; block >= 16; block /= 2) {
    if (!fits(spec, block, table)) continue;
    const int64_t blocks = (spec.cols + block - 1) / block;
    const int64_t bytes = blocks * (block / 2 + static_cast<int64_t>(sizeof(float)));
    if (best != 0 && bytes >= least) continue;
    best = block;
    least = bytes;
  }
  return best;
}

/// An integer format like this one.
std::string nearest_integer(const NumberFormat& format) {
  NumberFormat near = NumberFormat::parse(format.code_bits() <= 4 ? "int4" : "int8", Role::kWeight);
  if (format.rules().scales == ElementRules::Scales::kAny) {
    near.granularity = format.granularity;
  } else {
    near.granularity = {Kind::kGroup, 32};
  }
  near.scale_storage = format.scale_storage == ScaleStorage::kBF16  ? ScaleStorage::kBF16
                       : format.scale_storage == ScaleStorage::kF16 ? ScaleStorage::kF16
                                                                    : near.scale_storage;
  return near.spelling();
}

std::optional<OnnxType> float8_type(const NumberFormat& format) {
  if (!std::holds_alternative<FloatElement>(format.element)) return std::nullopt;
  if (format.element_name() == "fp8_e4m3") return OnnxType::kFloat8E4M3;
  if (format.element_name() == "fp8_e5m2") return OnnxType::kFloat8E5M2;
  return std::nullopt;
}

}  // namespace

OnnxStorage onnx_storage(const ExportedWeight& weight) {
  const PackedSpec& spec = weight.entry.spec;
  const NumberFormat& format = spec.format;
  OnnxStorage storage;
  storage.zero_points = format.rules().zero_point;
  storage.scale_type = format.scale_storage == ScaleStorage::kF16    ? OnnxType::kFloat16
                       : format.scale_storage == ScaleStorage::kBF16 ? OnnxType::kBfloat16
                                                                     : OnnxType::kFloat;
  if (const auto type = float8_type(format)) {
    if (!weight.linear) {
      refuse_weight(weight, "onnx",
                    fmt::format("is {} of a table, whose rows are not gathered as floats of 8 bits",
                                format.spelling()),
                    nearest_integer(format));
    }
    storage.type = *type;
    for (size_t code = 0; code < storage.stored.size(); ++code) {
      storage.stored[code] = static_cast<int16_t>(code);
    }
    return storage;
  }
  const auto range = integer_range(format);
  if (!range || format.rules().two_level || format.super_block() != nullptr) {
    refuse_weight(weight, "onnx",
                  fmt::format("is {}, for which there are no operators", format.spelling()),
                  nearest_integer(format));
  }
  if (spec.pattern && !format.rules().has_zero) {
    refuse_weight(weight, "onnx",
                  fmt::format("is pruned, but {} has no code for zero and no operator takes a mask",
                              format.element_name()),
                  "int2");
  }
  store_integers(format, storage);
  const bool nibbles =
      storage.zero_points ? range->second <= 15 : range->first >= -8 && range->second <= 7;
  storage.block = nibbles ? best_block(spec, !weight.linear) : 0;
  if (storage.block != 0) {
    storage.kind = OnnxStorage::Kind::kBlocks;
    storage.type = OnnxType::kUint8;
  } else if (nibbles && weight.linear) {
    storage.type = storage.zero_points ? OnnxType::kUint4 : OnnxType::kInt4;
  } else {
    storage.type = storage.zero_points ? OnnxType::kUint8 : OnnxType::kInt8;
  }
  return storage;
}

void check_onnx_inputs(const std::string& tensor, const NumberFormat& format,
                       const ActivationMethod& method, int64_t width) {
  const auto refuse = [&](const std::string& problem, const std::string& nearest) {
    throw Error("tensor " + tensor,
                fmt::format("has inputs of {}, {}; the nearest that onnx can hold: {}",
                            format.spelling(), problem, nearest));
  };
  const bool integers = std::holds_alternative<IntElement>(format.element);
  if (!integers && !float8_type(format)) {
    refuse("for which there are no operators",
           format.code_bits() > 4 ? "int8, fp8_e4m3 or fp8_e5m2" : "int4");
  }
  std::string plain = format.element_name();
  if (format.rules().zero_point) plain += ":asym";
  if (method.kind == ActivationMethod::Kind::kCrossQuant) {
    refuse("with a scale of its own for every column (crossquant)",
           "the same without --activation-scales crossquant");
  }
  const bool is_static = method.kind == ActivationMethod::Kind::kStatic;
  if (format.granularity.kind == Kind::kTensor && !is_static) {
    refuse("with one scale for whatever runs together, which changes with it",
           plain + ", whose scales are by token, or static scales");
  }
  if (format.granularity.kind == Kind::kGroup && width % format.granularity.size != 0) {
    refuse(fmt::format("but its {} inputs are no whole number of groups", width), plain);
  }
  if (format.stochastic || format.mse ||
      (!is_static && format.scale_storage != ScaleStorage::kF32)) {
    refuse("whose scales or codes take more than largest values and rounding to nearest", plain);
  }
}

}  // namespace scant
