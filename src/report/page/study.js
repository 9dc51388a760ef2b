// A study as the page uses it: tables become arrays of objects, and what belongs together is indexed.

function rows_of(table) {
  if (!table) return [];
  return table.rows.map((row) => Object.fromEntries(table.columns.map((name, i) => [name, row[i]])));
}

class Study {
  constructor(json) {
    Object.assign(this, json);
    this.layer_rows = rows_of(json.layers);
    this.tensor_rows = rows_of(json.tensors);
    this.error_rows = rows_of(json.layer_errors).map((row) => {
      const {sparsity, format, order, activations} = json.cells[row.cell];
      return {...row, sparsity, format, order, activations};
    });
    this.sensitivity_rows = json.sensitivity ? rows_of(json.sensitivity.layers) : [];
    this.dense = this.cells[0];
    this.by_name = new Map(this.cells.map((cell) => [cell.name, cell]));
    this.combination_of = new Map(this.combinations.map((c) => [this.cells[c.cell], c]));
    const values = (key) => [...new Set(this.cells.map((cell) => cell[key]).filter((x) => x !== null))];
    this.patterns = values("sparsity");
    this.formats = values("format");
    this.order_names = Object.keys(ORDERS).filter((name) => values("order").includes(name))
      .concat(values("order").filter((name) => !ORDERS[name]));
    this.has_activations = this.cells.some((cell) => cell.activations);
  }

  // The combination's cells by order.
  combined(pattern, format, activations) {
    return this.cells.filter((cell) => cell.sparsity === pattern && cell.format === format &&
        cell.activations === activations);
  }

  alone(pattern, format, activations) {
    const found = this.cells.filter((cell) => cell.sparsity === pattern && cell.format === format);
    return found.find((cell) => cell.activations === activations) || found[0] || null;
  }

  // Orders that beat another one of their combination outside the paired interval, and lose to none.
  best_orders(pattern, format, activations) {
    const duels = this.orders.filter((row) => row.sparsity === pattern && row.format === format &&
        row.activations === activations && row.better);
    const losers = duels.map((row) => (row.better === row.order ? row.against : row.order));
    return new Set(duels.map((row) => row.better).filter((name) => !losers.includes(name)));
  }

  layer_name(index) {
    return this.layer_rows[index] ? this.layer_rows[index].name : "layer " + index;
  }
}

function read_study(id) {
  const text = document.getElementById(id).textContent.trim();
  return text ? new Study(JSON.parse(text)) : null;
}

// What the filters show. Sections redraw when it changes.
const state = {
  patterns: new Set(), formats: new Set(), orders: new Set(), activations: false,
  pattern: null, format: null,  // the combination that the charts of one combination show
};
const listeners = [];

function on_change(listener) {
  listeners.push(listener);
}

function changed() {
  for (const listener of listeners) listener();
}

function shown(cell) {
  return (cell.sparsity === null || state.patterns.has(cell.sparsity)) &&
      (cell.format === null || state.formats.has(cell.format)) &&
      (cell.order === null || state.orders.has(cell.order)) &&
      (cell.format === null || cell.activations === state.activations);
}
