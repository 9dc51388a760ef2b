#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace scant {

struct CsvFile {
  std::string name;  ///< "cells.csv"
  std::string content;
};

/// The tables of an interplay.json (docs/guide/interplay-json.md): cells, tensors, layers, growth,
/// combinations, orders, and sensitivity if the study has one. Numbers are those of the JSON; what
/// is null there is empty here. Commas, quotes and line breaks are quoted as RFC 4180 says; lines
/// end with "\n". Throws Error naming `where` if `study` is not of
/// that schema.
std::vector<CsvFile> study_csv(const nlohmann::json& study, const std::string& where);

}  // namespace scant
