#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "models/linear.h"

namespace scant {

/// "int8" or "fp32". Throws Error listing them.
PackedInputs parse_packed_inputs(const std::string& text);

/// `--inputs`, for commands that run packed models for speed.
void add_inputs_option(CLI::App& app, std::string& inputs);

}  // namespace scant
