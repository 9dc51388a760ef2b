#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "compress/export/export_target.h"

namespace scant {

/// --dtype and --weights-only.
void add_export_options(CLI::App& app, ExportOptions& options);

/// "dense, compressed-tensors, ...", for help and messages.
std::string export_target_names();

/// What each target can hold.
std::string export_table(bool bold);

/// Sentences about what was written.
std::string export_text(const std::string& out, const ExportTarget& target,
                        const ExportResult& result);

}  // namespace scant
