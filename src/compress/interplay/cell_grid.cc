#include "compress/interplay/cell_grid.h"

#include <algorithm>

#include "core/error.h"
#include "formats/spelling.h"

namespace scant {
namespace {

bool is_order(std::string_view word) {
  return std::ranges::any_of(kOrders, [&](Order order) { return order_name(order) == word; });
}

void set_once(bool is_set, std::string_view word) {
  if (is_set)
    throw Error("cell", "names two things of one kind; the second is " + quoted_part(word));
}

void add_part(CellSpec& cell, std::string_view word) {
  if (word == "activations") {
    cell.activations = true;
    return;
  }
  if (is_order(word)) {
    set_once(cell.order.has_value(), word);
    cell.order = parse_order(word);
    return;
  }
  try {
    const SparsityPattern pattern = SparsityPattern::parse(word);
    set_once(cell.sparsity.has_value(), word);
    cell.sparsity = pattern;
    return;
  } catch (const Error&) {  // then it is a format
  }
  try {
    const NumberFormat format = NumberFormat::parse(word, Role::kWeight);
    set_once(cell.format.has_value(), word);
    cell.format = format;
  } catch (const Error&) {
    throw Error("cell", quoted_part(word) +
                            " is no sparsity pattern, number format or order; expected for "
                            "example \"2:4+int4\" or \"50%+mxfp4+quantize-first\"");
  }
}

void add_with_format(const StudyGrid& grid, bool activations, std::vector<CellSpec>& cells) {
  for (const NumberFormat& format : grid.formats) {
    cells.push_back({std::nullopt, format, std::nullopt, activations});
  }
  for (const SparsityPattern& pattern : grid.sparsity) {
    for (const NumberFormat& format : grid.formats) {
      for (const Order order : grid.orders) cells.push_back({pattern, format, order, activations});
    }
  }
}

}  // namespace

std::string cell_name(const std::string& sparsity, const std::string& format,
                      const std::optional<Order>& order, bool activations) {
  std::string text = sparsity;
  if (!format.empty()) text += (text.empty() ? "" : "+") + format;
  if (order) text += " " + std::string(order_name(*order));
  if (activations) text += " activations";
  return text.empty() ? "dense" : text;
}

std::string CellSpec::name() const {
  return cell_name(sparsity ? sparsity->spelling() : "", format ? format->spelling() : "", order,
                   activations);
}

StudyGrid default_grid() {
  StudyGrid grid;
  for (const char* pattern : {"50%", "2:4"}) {
    grid.sparsity.push_back(SparsityPattern::parse(pattern));
  }
  for (const char* format :
       {"int8", "int4", "mxfp8_e4m3", "mxfp6_e3m2", "mxfp4", "hbfp8", "hbfp6", "hbfp4"}) {
    grid.formats.push_back(NumberFormat::parse(format, Role::kWeight));
  }
  grid.orders.assign(std::begin(kOrders), std::end(kOrders));
  return grid;
}

std::vector<CellSpec> study_cells(const StudyGrid& grid) {
  std::vector<CellSpec> cells = {CellSpec{}};
  for (const SparsityPattern& pattern : grid.sparsity) {
    cells.push_back({pattern, std::nullopt, std::nullopt, false});
  }
  add_with_format(grid, false, cells);
  if (grid.activations) {
    for (const NumberFormat& format : grid.formats) activation_format(format);
    add_with_format(grid, true, cells);
  }
  return cells;
}

CellSpec parse_cell(std::string_view text) {
  CellSpec cell;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find_first_of("+ ", begin), text.size());
    if (end > begin) add_part(cell, text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (!cell.sparsity && !cell.format) {
    throw Error("cell", quoted_part(text) + " names neither a sparsity pattern nor a format");
  }
  const bool both = cell.sparsity && cell.format;
  if (both && !cell.order) cell.order = Order::kSparsifyFirst;
  if (!both && cell.order) throw Error("cell", "an order needs a sparsity pattern and a format");
  if (cell.activations && !cell.format) throw Error("cell", "activations need a number format");
  return cell;
}

Recipe recipe_of(const CellSpec& cell, uint64_t seed, const StepMethods& methods) {
  std::optional<NumberFormat> activations;
  if (cell.activations) activations = activation_format(*cell.format);
  Recipe recipe;
  recipe.seed = seed;
  recipe.steps = steps_for(cell.sparsity, cell.format, cell.order.value_or(Order::kSparsifyFirst),
                           activations, methods);
  return recipe;
}

NumberFormat activation_format(const NumberFormat& format) {
  try {
    return NumberFormat::parse(format.spelling(), Role::kActivation);
  } catch (const Error& error) {
    throw Error("--activations", error.what());
  }
}

}  // namespace scant
