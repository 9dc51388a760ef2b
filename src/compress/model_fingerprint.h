#pragma once

#include <string>

#include "models/model.h"

namespace scant {

/// Fingerprint of everything that decides what a model computes: configuration, activation formats,
/// and the bytes of its weight files.
std::string model_fingerprint(const Model& model);

}  // namespace scant
