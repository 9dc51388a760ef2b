#include "report/study_csv.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace scant {
namespace {

using nlohmann::json;

std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string text = "\"";
  for (const char c : field) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + "\"";
}

std::string field(const json& value) {
  if (value.is_null()) return "";
  return quoted(value.is_string() ? value.get<std::string>() : value.dump());
}

/// A table that grows by fields.
class Csv {
 public:
  explicit Csv(const std::vector<std::string>& columns) {
    for (const std::string& column : columns) add(column);
    end();
  }
  void add(const json& value) {
    text_ += (fresh_ ? "" : ",") + field(value);
    fresh_ = false;
  }
  void end() {
    text_ += "\n";
    fresh_ = true;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  bool fresh_ = true;
};

/// Columns of a table: an estimate takes three.
std::vector<std::string> with_intervals(const std::vector<std::string>& plain,
                                        const std::vector<std::string>& estimates) {
  std::vector<std::string> columns = plain;
  for (const std::string& name : estimates) {
    columns.insert(columns.end(), {name, name + "_low", name + "_high"});
  }
  return columns;
}

void add_estimate(Csv& csv, const json& estimate) {
  for (size_t i = 0; i < 3; ++i) csv.add(estimate.is_null() ? json() : estimate.at(i));
}

/// Value of a column of a table's row, columns found by name.
class Table {
 public:
  explicit Table(const json& table) : rows_(table.at("rows")) {
    const json& columns = table.at("columns");
    for (size_t i = 0; i < columns.size(); ++i) index_[columns.at(i).get<std::string>()] = i;
  }
  size_t rows() const { return rows_.size(); }
  const json& at(size_t row, const std::string& column) const {
    const auto found = index_.find(column);
    if (found == index_.end()) throw Error("", "a table lacks the column " + column);
    return rows_.at(row).at(found->second);
  }

 private:
  const json& rows_;
  std::map<std::string, size_t> index_;
};

/// Objects with fields and estimates.
std::string objects_csv(const json& objects, const std::vector<std::string>& plain,
                        const std::vector<std::string>& estimates) {
  Csv csv(with_intervals(plain, estimates));
  for (const json& object : objects) {
    for (const std::string& name : plain) csv.add(object.at(name));
    for (const std::string& name : estimates) add_estimate(csv, object.at(name));
    csv.end();
  }
  return csv.text();
}

/// Replaces indexes of cells by their names.
json with_names(json objects, const json& cells, const std::vector<std::string>& keys) {
  for (json& object : objects) {
    for (const std::string& key : keys) {
      object[key] = cells.at(object.at(key).get<size_t>()).at("name");
    }
  }
  return objects;
}

/// A table with what its `cell` is made of as columns of their own.
json with_cell_parts(json table, const json& cells) {
  static constexpr const char* kParts[] = {"sparsity", "format", "order", "activations"};
  const json columns = table.at("columns");
  const auto at =
      static_cast<size_t>(std::find(columns.begin(), columns.end(), "cell") - columns.begin());
  for (const char* part : kParts) table["columns"].push_back(part);
  for (json& row : table["rows"]) {
    const json& cell = cells.at(row.at(at).get<size_t>());
    for (const char* part : kParts) row.push_back(cell.at(part));
  }
  return table;
}

/// A table whose `layer` becomes the layer's name, kind and block.
std::string layer_table_csv(const Table& table, const Table& layers,
                            const std::vector<std::string>& plain,
                            const std::vector<std::string>& estimates) {
  std::vector<std::string> names = {"layer", "kind", "block"};
  names.insert(names.end(), plain.begin(), plain.end());
  Csv csv(with_intervals(names, estimates));
  for (size_t row = 0; row < table.rows(); ++row) {
    const auto layer = table.at(row, "layer").get<size_t>();
    for (const char* name : {"name", "kind", "block"}) csv.add(layers.at(layer, name));
    for (const std::string& name : plain) csv.add(table.at(row, name));
    for (const std::string& name : estimates) add_estimate(csv, table.at(row, name));
    csv.end();
  }
  return csv.text();
}

/// One line per cell and stage.
std::string growth_csv(const json& cells, const json& stages) {
  Csv csv({"cell", "stage", "depth", "relative_error"});
  for (const json& cell : cells) {
    const json& growth = cell.at("growth");
    for (size_t i = 0; i < growth.size(); ++i) {
      csv.add(cell.at("name"));
      csv.add(stages.at(i));
      csv.add(i);
      csv.add(growth.at(i));
      csv.end();
    }
  }
  return csv.text();
}

std::vector<CsvFile> tables_of(const json& study) {
  const json& cells = study.at("cells");
  const Table layers(study.at("layers"));
  std::vector<CsvFile> files;
  files.push_back(
      {"cells.csv", objects_csv(cells,
                                {"name", "sparsity", "format", "order", "activations", "failure",
                                 "bits_per_weight", "bytes", "kl_p99", "top1_agreement"},
                                {"perplexity", "nll", "kl", "nll_difference"})});
  files.push_back({"tensors.csv",
                   layer_table_csv(Table(study.at("tensors")), layers,
                                   {"sparsity", "format", "weight", "sparsity_only", "format_only",
                                    "sparsify_first", "quantize_first", "joint", "excess",
                                    "exact_excess", "agrees", "collapsed", "swapped", "premise"},
                                   {})});
  const json layer_errors = with_cell_parts(study.at("layer_errors"), cells);
  files.push_back({"layers.csv", layer_table_csv(Table(layer_errors), layers,
                                                 {"sparsity", "format", "order", "activations",
                                                  "sparsity_only", "format_only", "combined",
                                                  "interaction", "share", "cosine", "cross"},
                                                 {})});
  files.push_back({"growth.csv", growth_csv(cells, study.at("stages"))});
  files.push_back(
      {"combinations.csv",
       objects_csv(
           with_names(study.at("combinations"), cells, {"cell", "sparsity_cell", "format_cell"}),
           {"cell", "sparsity_cell", "format_cell", "dominant", "verdict", "reason"},
           {"threshold_perplexity", "threshold_nll", "excess_perplexity", "excess_nll",
            "ratio_perplexity", "ratio_nll"})});
  files.push_back(
      {"orders.csv", objects_csv(with_names(study.at("orders"), cells, {"cell", "against_cell"}),
                                 {"cell", "against_cell", "sparsity", "format", "activations",
                                  "order", "against", "better"},
                                 {"perplexity_difference", "nll_difference"})});
  const json& sensitivity = study.at("sensitivity");
  if (!sensitivity.is_null()) {
    files.push_back({"sensitivity.csv", layer_table_csv(Table(sensitivity.at("layers")), layers, {},
                                                        {"alone", "exempt"})});
  }
  return files;
}

}  // namespace

std::vector<CsvFile> study_csv(const json& study, const std::string& where) {
  try {
    return tables_of(study);
  } catch (const json::exception& error) {
    throw Error(where, std::string("is not an interplay study: ") + error.what());
  } catch (const Error& error) {
    throw Error(where, std::string("is not an interplay study: ") + error.what());
  }
}

}  // namespace scant
