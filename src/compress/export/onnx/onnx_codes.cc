#include "compress/export/onnx/onnx_codes.h"

#include "compress/export/coded_folder.h"

namespace scant {
namespace {

/// Numbers of 4 or 8 bits one after the other, from the low half of a byte on.
class NumberRun {
 public:
  NumberRun(OnnxGraph& graph, OnnxType type) : graph_(graph), narrow_(onnx_type_bits(type) == 4) {}

  void put(int value) {
    const auto byte = static_cast<uint8_t>(value);
    if (!narrow_) {
      bytes_.push_back(std::byte{byte});
    } else if (half_) {
      bytes_.back() |= std::byte{static_cast<uint8_t>(byte << 4)};
      half_ = false;
    } else {
      bytes_.push_back(std::byte{static_cast<uint8_t>(byte & 0xf)});
      half_ = true;
    }
  }
  /// The next number starts a byte.
  void end_byte() { half_ = false; }
  /// Writes whole bytes.
  void flush() {
    const size_t whole = bytes_.size() - (half_ ? 1 : 0);
    graph_.append(std::span<const std::byte>(bytes_).first(whole));
    total_ += static_cast<int64_t>(whole);
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(whole));
  }
  /// All that is left; the bytes of everything.
  int64_t finish() {
    half_ = false;
    flush();
    return total_;
  }

 private:
  OnnxGraph& graph_;
  bool narrow_;
  bool half_ = false;  // the last byte has room
  std::vector<std::byte> bytes_;
  int64_t total_ = 0;
};

}  // namespace

OnnxScales onnx_scales(const PackedSpec& spec, const OnnxStorage& storage) {
  if (storage.kind == OnnxStorage::Kind::kBlocks) return OnnxScales::kBlocks;
  if (spec.format.granularity.kind == Granularity::Kind::kTensor) return OnnxScales::kOne;
  return scales_per_row(spec) == 1 ? OnnxScales::kRows : OnnxScales::kBlocks;
}

OnnxCodes::OnnxCodes(const PackedMatrix& matrix, const OnnxStorage& storage, bool table)
    : matrix_(matrix), storage_(storage), table_(table) {}

int64_t OnnxCodes::stored_per_row() const {
  if (storage_.kind == OnnxStorage::Kind::kDequantize) return scales_per_row(matrix_.spec());
  return (matrix_.cols() + storage_.block - 1) / storage_.block;
}

BlockScale OnnxCodes::stored_scale(int64_t row, int64_t index) const {
  const Granularity& granularity = matrix_.spec().format.granularity;
  if (granularity.kind != Granularity::Kind::kGroup) return matrix_.scale(row, 0);
  const int64_t width =
      storage_.kind == OnnxStorage::Kind::kBlocks ? storage_.block : granularity.size;
  return matrix_.scale(row, index * width / granularity.size);
}

Shape OnnxCodes::code_shape() const {
  if (storage_.kind == OnnxStorage::Kind::kDequantize) return {matrix_.rows(), matrix_.cols()};
  if (table_) return {matrix_.rows(), matrix_.cols() / 2};
  return {matrix_.rows(), stored_per_row(), storage_.block / 2};
}

Shape OnnxCodes::scale_shape() const {
  switch (onnx_scales(matrix_.spec(), storage_)) {
    case OnnxScales::kOne:
      return {};
    case OnnxScales::kRows:
      return {matrix_.rows()};
    case OnnxScales::kBlocks:
      break;
  }
  const bool product = storage_.kind == OnnxStorage::Kind::kBlocks && !table_;
  if (product) return {matrix_.rows() * stored_per_row()};
  return {matrix_.rows(), stored_per_row()};
}

int64_t OnnxCodes::write_codes(OnnxGraph& graph, const std::string& name) const {
  const bool blocks = storage_.kind == OnnxStorage::Kind::kBlocks;
  const int zero = blocks && !storage_.zero_points ? kOnnxBlockZero : 0;
  const int64_t width = blocks ? stored_per_row() * storage_.block : matrix_.cols();
  graph.begin_weight(name, storage_.type, code_shape());
  NumberRun run(graph, blocks ? OnnxType::kUint4 : storage_.type);
  std::vector<uint32_t> codes(static_cast<size_t>(matrix_.cols()));
  for (int64_t r = 0; r < matrix_.rows(); ++r) {
    read_codes(matrix_, r, codes);
    for (const uint32_t code : codes) run.put(storage_.stored[code] + zero);
    for (int64_t c = matrix_.cols(); c < width; ++c) run.put(zero);  // fills the last block
    run.flush();
  }
  const int64_t bytes = run.finish();
  graph.end_weight();
  return bytes;
}

int64_t OnnxCodes::write_scales(OnnxGraph& graph, const std::string& name) const {
  const ScaleStorage as = storage_.scale_type == OnnxType::kFloat16    ? ScaleStorage::kF16
                          : storage_.scale_type == OnnxType::kBfloat16 ? ScaleStorage::kBF16
                                                                       : ScaleStorage::kF32;
  const bool one = onnx_scales(matrix_.spec(), storage_) == OnnxScales::kOne;
  const int64_t rows = one ? 1 : matrix_.rows();
  const int64_t per_row = stored_per_row();
  graph.begin_weight(name, storage_.scale_type, scale_shape());
  int64_t total = 0;
  std::vector<std::byte> bytes(static_cast<size_t>(per_row * scale_storage_bits(as) / 8));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < per_row; ++i) write_scale(bytes, i, as, stored_scale(r, i).scale);
    graph.append(bytes);
    total += static_cast<int64_t>(bytes.size());
  }
  graph.end_weight();
  return total;
}

int64_t OnnxCodes::write_zero_points(OnnxGraph& graph, const std::string& name) const {
  const bool blocks = storage_.kind == OnnxStorage::Kind::kBlocks;
  const int64_t per_row = stored_per_row();
  Shape shape = scale_shape();
  if (blocks) {
    const int64_t bytes = (per_row + 1) / 2;
    shape = table_ ? Shape{matrix_.rows(), bytes} : Shape{matrix_.rows() * bytes};
  }
  const int64_t rows =
      onnx_scales(matrix_.spec(), storage_) == OnnxScales::kOne ? 1 : matrix_.rows();
  graph.begin_weight(name, storage_.type, shape);
  NumberRun run(graph, blocks ? OnnxType::kUint4 : storage_.type);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < per_row; ++i) run.put(stored_scale(r, i).zero_point);
    if (blocks) run.end_byte();
    run.flush();
  }
  const int64_t bytes = run.finish();
  graph.end_weight();
  return bytes;
}

}  // namespace scant
