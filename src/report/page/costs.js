// "Which mix costs what, and does the order matter?": the paper's table as a heat map.

let cost_metric = "perplexity";

function costs_section(study) {
  const body = section("costs", "Which mix costs what, and does the order matter?",
    "Each row is a number format. Read from left to right: the dense model, sparsity alone, the format alone, " +
    "then both together in each order; the stronger the colour, the more it loses against the dense model.");
  live_controls(body, () => [select("Show", Object.entries(METRICS).map(([key, m]) => [key, m.label]), cost_metric, (value) => {
    cost_metric = value;
    changed();
  })]);
  const tables = el("div", {});
  body.append(tables);
  on_change(() => {
    const worst = worst_loss(study);
    const patterns = study.patterns.filter((name) => state.patterns.has(name));
    tables.replaceChildren(...patterns.map((pattern) => cost_table(study, pattern, worst)).filter((x) => x));
    if (!tables.firstChild) tables.append(el("p", {class: "note"}, "Nothing is left to show: choose a pattern and a format above."));
    else {
      tables.append(ramp_legend("loss", "loses nothing", `loses ${plain(worst)} nats per token or more`),
        el("p", {class: "note"}, "● the better order: it beats another order outside the paired 95% interval and loses to none. " +
          "Hover over a figure for its interval, or focus it and walk with the arrow keys."));
    }
  });
}

// The end of the colour scale: the largest loss, within reason.
function worst_loss(study) {
  const losses = study.cells.map((cell) => value_of(cell.nll_difference)).filter((x) => x !== null);
  return Math.min(3, Math.max(0.1, ...losses));
}

function loss_place(loss, worst) {
  return Math.sqrt(Math.max(0, loss) / worst);
}

function cell_tip(cell) {
  if (cell.failure) return `${cell.name}\nNo result: ${cell.failure}`;
  return [cell.name, "Perplexity " + interval(cell.perplexity),
    "NLL − dense " + interval(cell.nll_difference, (x) => signed(x, 4)),
    "KL " + interval(cell.kl, (x) => fixed(x, 4)),
    `${fixed(cell.bits_per_weight, 3)} bits per weight, ${bytes(cell.bytes)}`,
    cell.top1_agreement === null ? "" : `Same first choice as dense: ${fixed(100 * cell.top1_agreement, 1)}%`]
    .filter((line) => line).join("\n");
}

function cost_cell(cell, worst, best) {
  if (!cell) return el("td", {}, NONE);
  if (cell.failure) return el("td", {class: "failed", "data-tip": cell_tip(cell), "data-cell": cell.name}, "failed");
  const metric = METRICS[cost_metric];
  return el("td", {"data-tip": cell_tip(cell), "data-cell": cell.name,
    style: ramp_style("loss", loss_place(value_of(cell.nll_difference) || 0, worst))},
  el("span", {class: best ? "best" : null}, metric.format(value_of(metric.of(cell)))),
  best ? el("span", {class: "hidden"}, ", the better order") : null);
}

function cost_table(study, pattern, worst) {
  const orders = study.order_names.filter((name) => state.orders.has(name));
  const rows = study.formats.filter((name) => state.formats.has(name)).map((format) => ({
    format, cells: study.combined(pattern, format, state.activations),
    sparsity: study.alone(pattern, null, state.activations), alone: study.alone(null, format, state.activations),
  })).filter((row) => row.cells.length);
  if (!rows.length) return null;
  const head = (title, small) => el("th", {scope: "col"}, title, small ? el("small", {}, small) : null);
  const merged = rows.every((row) => row.sparsity === rows[0].sparsity);
  const body = rows.map((row, i) => {
    const best = study.best_orders(pattern, row.format, state.activations);
    const whole = (cell) => {
      const td = cost_cell(cell, worst, false);
      if (rows.length > 1) td.rowSpan = rows.length;
      return td;
    };
    return el("tr", {}, el("th", {scope: "row"}, row.format),
      i === 0 ? whole(study.dense) : null,
      merged ? (i === 0 ? whole(row.sparsity) : null) : cost_cell(row.sparsity, worst, false),
      cost_cell(row.alone, worst, false),
      orders.map((name) => cost_cell(row.cells.find((cell) => cell.order === name), worst, best.has(name))),
      threshold_cell(study, row), verdict_cell(study, row, orders));
  });
  const what = state.activations ? "weights and activations quantized" : "weights quantized";
  const caption = `${pattern} sparsity: ${METRICS[cost_metric].label.toLowerCase().replace("nll", "NLL").replace("kl ", "KL ")}`;
  const table = el("table", {class: "heat"},
    el("caption", {}, caption, " ", el("small", {}, what)),
    el("thead", {}, el("tr", {}, el("th", {scope: "col", class: "left"}, "Format"), head("Dense"), head("Sparsity", "S alone"),
      head("Format", "Q alone"), orders.map((name) => head(order_label(name), ORDERS[name] ? ORDERS[name].formula : "")),
      head("Threshold", "if they added up"), el("th", {scope: "col", class: "left"}, "Verdict"))),
    el("tbody", {}, body));
  return scroll_box(caption, rove(table), false);
}

function threshold_cell(study, row) {
  const combination = row.cells.map((cell) => study.combination_of.get(cell)).find((c) => c && c.threshold_nll);
  const threshold = combination ? METRICS[cost_metric].threshold(combination) : null;
  if (!threshold) return el("td", {}, NONE);
  return el("td", {"data-tip": `If the two losses added up\n${interval(threshold)}`},
    METRICS[cost_metric].format(threshold[0]));
}

// One line per verdict, with its orders where they do not all have the same.
function verdict_cell(study, row, orders) {
  const found = orders.map((name) => row.cells.find((cell) => cell.order === name)).filter((cell) => cell)
    .map((cell) => [cell, study.combination_of.get(cell)]).filter(([, c]) => c && c.verdict);
  if (!found.length) return el("td", {class: "verdicts"}, NONE);
  const verdicts = [...new Set(found.map(([, c]) => c.verdict))];
  const of = (verdict) => found.filter(([, c]) => c.verdict === verdict)
    .map(([cell]) => (ORDERS[cell.order] ? ORDERS[cell.order].formula : cell.order)).join(", ");
  const lines = verdicts.map((verdict) => el("span", {class: "verdict " + verdict_class(verdict)}, verdict,
    verdicts.length > 1 ? el("small", {}, " · " + of(verdict)) : null));
  const tip = found.map(([cell, c]) => `${order_label(cell.order)}: ${c.verdict}\n  ${c.reason}` +
    (c.dominant && c.dominant !== "neither" ? `; ${c.dominant} costs more` : "") +
    (c.ratio_nll ? `\n  ${number(c.ratio_nll[0])} times the sum in NLL` : "")).join("\n");
  return el("td", {class: "verdicts", "data-tip": tip}, lines);
}
