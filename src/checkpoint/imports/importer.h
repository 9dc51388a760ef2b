#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/imports/imported_weight.h"

namespace scant {

/// A weight that an importer found in a folder.
struct FoundWeight {
  std::string name;  ///< "model.layers.0.mlp.up_proj.weight"
  int64_t outputs = 0, inputs = 0;
  std::string type;                ///< as it is shown: "int4:g128:scale=fp16"
  std::vector<std::string> parts;  ///< names of the tensors that it is made of
  std::shared_ptr<const ImportedWeight> weight;
};

struct FoundModel {
  std::vector<FoundWeight> weights;
  /// How inputs of linear layers are quantized: the key "activations" of scant.json
  /// (docs/formats/scant-json.md).
  nlohmann::json activations = nlohmann::json::object();
};

/// A way to store weights that scant reads: one file each in this folder, one line each in
/// all_importers.cc.
struct Importer {
  std::string_view method;     ///< quant_method of quantization_config
  std::string_view container;  ///< as `scant inspect` calls it
  /// `config` is the quantization_config, an object. Throws Error naming the key or tensor that is
  /// damaged or that scant does not read.
  FoundModel (*find)(const Checkpoint& folder, const nlohmann::json& config);
};

/// Every importer.
std::span<const Importer> all_importers();

/// The importer for a configuration; null if there is none (or nothing is quantized).
const Importer* importer_of(const nlohmann::json& config);

/// `folder` with its weights put together, as a dense checkpoint.
std::unique_ptr<Checkpoint> open_imported_folder(std::unique_ptr<Checkpoint> folder,
                                                 const Importer& importer);

}  // namespace scant
