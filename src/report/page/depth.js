// "Where in depth does the error grow?" and "Which layers interact most?"

function growth_section(study) {
  const body = section("growth", "Where in depth does the error grow?",
    "Each line follows one model through its blocks: how far its hidden state has moved from the dense model's, " +
    "as a fraction of its size. A line that bends upwards compounds there.");
  live_controls(body, () => combination_selects(study));
  chart_box(body, () => {
    const cells = study.cells.filter((cell) => shown(cell) && cell.growth.length && cell !== study.dense &&
        (cell.sparsity === null || cell.sparsity === state.pattern) && (cell.format === null || cell.format === state.format));
    if (!cells.length) return "There is no growth to show for this combination.";
    const datasets = cells.map((cell) => ({...point_style(treatment(cell)), label: TREATMENTS[treatment(cell)].label, cell,
      data: cell.growth, borderWidth: 2.2, pointRadius: 3.5, backgroundColor: colour_of(treatment(cell)),
      borderDash: cell.order ? ORDERS[cell.order]?.dash || [] : [5, 3], tension: 0.15}));
    const last = (cell) => cell.growth[cell.growth.length - 1];
    return {
      label: `Line chart of the relative error of the hidden state after ${study.stages.length} stages for ${state.pattern} and ${state.format}. ` +
        "At the end: " + cells.map((cell) => `${cell.name} ${fixed(last(cell), 3)}`).join(", ") + ".",
      config: {type: "line", data: {labels: study.stages, datasets}, options: {
        interaction: {mode: "index", intersect: false},
        scales: {x: axis("After", {ticks: {callback(i) { return this.getLabelForValue(i); }, autoSkip: true, maxRotation: 60}}),
          y: axis("Relative error", {beginAtZero: true})},
        plugins: {legend: {position: "bottom"},
          tooltip: {itemSort: (a, b) => b.raw - a.raw, callbacks: {label: (item) => `${item.dataset.cell.name}: ${fixed(item.raw, 4)}`}}},
      }},
      table: table_of("Relative error of the hidden state", [
        {title: "After", of: (i) => study.stages[i]},
        ...cells.map((cell) => ({title: cell.name, of: (i) => cell.growth[i], format: (x) => fixed(x, 4)})),
      ], study.stages.map((_, i) => i)),
    };
  });
}

const LAYER_MEASURES = {
  share: {label: "Share: do the errors reinforce or cancel?", name: "share", digits: 2, diverging: true, ends: ["cancel", "reinforce"]},
  cosine: {label: "Cosine between the two errors", name: "cosine", digits: 2, diverging: true, ends: ["opposed", "aligned"]},
  cross: {label: "Cross term", name: "cross term", digits: 3, diverging: true, ends: ["cancels", "adds"]},
  interaction: {label: "Size of the interaction", name: "interaction", digits: 2, diverging: false},
  combined: {label: "Error of the output, both together", name: "error", digits: 2, diverging: false},
};
let layer_measure = "share";
let layer_order = null;

function layers_section(study) {
  if (!study.error_rows.length) return;
  const body = section("layers", "Which layers interact most?",
    "Each square is one layer; depth runs to the right. Orange: the two errors reinforce each other in the layer's output. " +
    "Blue: they cancel in part. Pale: they are as good as independent.");
  const orders = [...new Set(study.error_rows.map((row) => row.order))];
  layer_order = orders[0];
  live_controls(body, () => {
    const open = orders.filter((name) => state.orders.has(name));
    if (!open.includes(layer_order)) layer_order = open[0] || null;
    return [...combination_selects(study),
      select("Order", open.map((name) => [name, order_label(name)]), layer_order, (value) => {
        layer_order = value;
        changed();
      }),
      select("Show", Object.entries(LAYER_MEASURES).map(([key, m]) => [key, m.label]), layer_measure, (value) => {
        layer_measure = value;
        changed();
      })];
  });
  const place = el("div", {});
  body.append(place);
  on_change(() => place.replaceChildren(...layer_map(study)));
}

// One row per kind; per name without its block number if a block has several layers of a kind.
function layer_rows_of(study, rows) {
  const info = (row) => study.layer_rows[row.layer];
  const places = new Set(rows.map((row) => info(row).kind + " " + info(row).block));
  const key = (row) => (places.size === rows.length ? info(row).kind
    : info(row).name.replace(`.${info(row).block}.`, ".…."));
  const kinds = new Map();
  for (const row of rows) {
    if (!kinds.has(key(row))) kinds.set(key(row), new Map());
    kinds.get(key(row)).set(info(row).block, row);
  }
  return kinds;
}

function layer_map(study) {
  const measure = LAYER_MEASURES[layer_measure];
  const of = (row) => row[layer_measure];
  const rows = study.error_rows.filter((row) => row.sparsity === state.pattern && row.format === state.format &&
      row.order === layer_order && row.activations === state.activations && of(row) !== null);
  if (!rows.length) return [el("p", {class: "note"}, "There are no layer errors for this combination.")];
  const kinds = layer_rows_of(study, rows);
  const blocks = [...new Set(rows.map((row) => study.layer_rows[row.layer].block))].sort((a, b) => a - b);
  const most = Math.max(...rows.map((row) => Math.abs(of(row))), 1e-9);
  const place = (value) => (measure.diverging ? 0.5 + value / most / 2 : value / most);
  const ramp = measure.diverging ? "diverging" : "loss";
  const show = (value) => signed(value, measure.digits).replace(/^([+\u2212]?)0\./, "$1.");
  const cell = (row, kind, block) => (row ? el("td", {"data-tip": layer_tip(study, row), style: ramp_style(ramp, place(of(row)))},
    measure.diverging ? show(of(row)) : fixed(of(row), measure.digits)) : el("td", {}, NONE));
  const caption = `${measure.label} · ${state.pattern} with ${state.format}, ${order_label(layer_order).toLowerCase()}`;
  const table = el("table", {class: "heat layers"}, el("caption", {}, caption),
    el("thead", {}, el("tr", {}, el("th", {scope: "col", class: "left"}, "Layer"),
      blocks.map((block) => el("th", {scope: "col", style: "text-align:center"}, el("span", {class: "hidden"}, "block "), String(block))))),
    el("tbody", {}, [...kinds].map(([kind, by_block]) => el("tr", {}, el("th", {scope: "row"}, kind),
      blocks.map((block) => cell(by_block.get(block), kind, block))))));
  const extremes = [...rows].sort((a, b) => Math.abs(of(b)) - Math.abs(of(a))).slice(0, 3)
    .map((row) => `${study.layer_name(row.layer)} (${measure.diverging ? signed(of(row), 3) : fixed(of(row), 3)})`);
  return [scroll_box(caption, rove(table), false),
    measure.diverging ? ramp_legend(ramp, `${fixed(-most, 2)} ${measure.ends[0]}`, `+${fixed(most, 2)} ${measure.ends[1]}`)
      : ramp_legend(ramp, "0", fixed(most, 3)),
    el("p", {class: "note"}, "Largest: " + extremes.join(", ") + ".")];
}

function layer_tip(study, row) {
  return [study.layer_name(row.layer), `share ${signed(row.share, 3)}, cosine ${signed(row.cosine, 3)}`,
    `error of the output: S ${fixed(row.sparsity_only, 4)}, Q ${fixed(row.format_only, 4)}, together ${fixed(row.combined, 4)}`,
    `interaction ${fixed(row.interaction, 4)}, cross term ${signed(row.cross, 4)}`].join("\n");
}
