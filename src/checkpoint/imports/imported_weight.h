#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/packed_folder.h"

namespace scant {

/// A tensor of a folder as an importer uses it. The bytes belong to the folder's file map.
struct ImportedPart {
  std::string name;
  std::span<const std::byte> bytes;
  DType dtype = DType::kF32;
  Shape shape;
};

/// A weight that another tool stored, outputs x inputs, put together where it is read.
class ImportedWeight {
 public:
  virtual ~ImportedWeight() = default;
  /// Values of rows [begin, begin + out.rows). Thread-safe.
  virtual void read_rows(int64_t begin, MatrixView out) const = 0;
  /// The same as codes and scales; null where scant has no such number format (blocks of several
  /// rows, groups of other sizes than the format's).
  virtual const PackedEntry* entry() const { return nullptr; }
  virtual std::shared_ptr<const PackedMatrix> packed() const { return nullptr; }
};

/// Codes in a layout of another tool and scales of a number format of scant. Subclasses say where
/// they stand.
class ImportedCodes : public ImportedWeight {
 public:
  /// `group_of`: of each column the group whose scale it has (act-order); empty: groups follow each
  /// other as the format says. Groups that have the format's size become a column order; others
  /// have values only.
  explicit ImportedCodes(PackedEntry entry, std::vector<int32_t> group_of = {});

  void read_rows(int64_t begin, MatrixView out) const override;
  const PackedEntry* entry() const override {
    return group_of_.size() == order_.size() ? &entry_ : nullptr;
  }
  /// Made when it is asked for and kept while somebody holds it. Throws Error saying which code or
  /// scale is out of range.
  std::shared_ptr<const PackedMatrix> packed() const override;

 protected:
  const PackedSpec& spec() const { return entry_.spec; }
  /// The element's code of every weight of a row.
  virtual void read_codes(int64_t row, std::span<uint32_t> codes) const = 0;
  /// The scale as stored, and the zero point, of group `group` of a row.
  virtual BlockScale scale(int64_t row, int64_t group) const = 0;
  /// What every scale is multiplied by (NVFP4).
  virtual float tensor_scale() const { return 1.0f; }

 private:
  int64_t groups_in_row() const;

  PackedEntry entry_;
  std::vector<int32_t> group_of_;
  std::vector<int32_t> order_;  ///< columns by their groups; empty also where these do not fit
  mutable std::mutex mutex_;
  mutable std::weak_ptr<const PackedMatrix> packed_;
};

/// Numbers of `width` bits that follow each other from the low bit of 32-bit words upwards, in
/// words that are `stride` words apart. With `whole`, a word's last bits stay empty rather than
/// hold a part of a number.
struct WordString {
  const std::byte* words = nullptr;  ///< the first word
  int64_t stride = 1;
  int width = 4;
  bool whole = false;

  uint32_t operator[](int64_t index) const;
  /// Words that hold `count` of them.
  static int64_t length(int64_t count, int width, bool whole);
};

/// A format of weights with this element; throws Error naming `where` for an unknown spelling.
NumberFormat imported_format(const std::string& spelling, const Granularity& granularity,
                             std::optional<ScaleStorage> storage);
/// How scales of this type are stored; throws Error naming the tensor for other types.
ScaleStorage scale_storage_of(const ImportedPart& scales);
/// What a dense checkpoint of this configuration has: dtype or torch_dtype, else F32.
DType configured_dtype(const Checkpoint& folder);

/// "FOLDER/FILE: tensor "NAME"", for messages.
std::string where_is(const Checkpoint& folder, const StoredTensor& tensor);
/// The tensor's bytes. Throws Error if it is missing or of another type or rank than expected.
ImportedPart imported_part(const Checkpoint& folder, const std::string& name,
                           std::initializer_list<DType> dtypes, size_t rank);
/// Throws Error naming the tensor unless it has this shape.
void require_shape(const Checkpoint& folder, const ImportedPart& part, const Shape& shape);

}  // namespace scant
