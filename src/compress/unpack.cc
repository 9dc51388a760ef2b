#include "compress/unpack.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "checkpoint/folder_writer.h"
#include "checkpoint/packed_folder.h"
#include "compress/dense_folder.h"
#include "compress/tensor_output.h"
#include "core/error.h"
#include "models/linear_inputs.h"

namespace scant {
UnpackResult unpack_model(const Checkpoint& packed, const std::string& out, bool overwrite,
                          Context& context) {
  UnpackResult result;
  AtomicFolder folder(out, overwrite);
  FolderWriter writer(folder, plan_like(packed));
  const auto total = static_cast<int64_t>(packed.tensors().size());
  for (const StoredTensor& tensor : packed.tensors()) {
    if (context.cancelled()) throw Error(out, "stopped; nothing was written");
    const PackedEntry* entry = packed.packed_entry_of(tensor);
    if (entry == nullptr) {
      const DType dtype = copy_tensor(packed, tensor, writer);
      result.widened |= dtype == DType::kF32 && tensor.dtype != DType::kF32;
    } else {
      const Matrix values =
          stored_orientation(entry->transposed, unpacked_values(*packed.packed(tensor), context));
      const DType dtype = write_simulated(writer, tensor.name, values.values(), entry->dtype);
      result.widened |= dtype != entry->dtype;
      result.packed_bytes += tensor.bytes;
      ++result.tensors;
    }
    context.progress({"unpack", static_cast<int64_t>(tensor.index) + 1, total, "tensors"});
  }
  if (result.tensors == 0) {
    throw Error(packed.path(),
                "holds no packed tensors; expected a folder that scant compress "
                "--to packed wrote");
  }
  writer.close();
  result.written_bytes = static_cast<int64_t>(writer.total_bytes());
  write_companions(packed, folder, widened_dtype(result.widened), nullptr);
  for (const char* name : {"scant.json", kLinearInputsFile}) {
    std::error_code error;
    if (std::filesystem::is_regular_file(packed.path() + "/" + name, error)) {
      copy_file(packed.path(), name, folder);
    }
  }
  folder.commit();
  return result;
}

}  // namespace scant
