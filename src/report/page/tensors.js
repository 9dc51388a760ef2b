// "What happens inside one tensor?" and "Do theory and measurement agree?"

let picture_index = 0;

function picture_section(study) {
  if (!study.pictures.length) return;
  const body = section("picture", "What happens inside one tensor?",
    "Grey: how many weights had each value before. Colour: the same weights after sparsity and quantization. " +
    "Where rounding makes unequal weights equal, quantize-first may prune the larger one: a swapped pair.");
  live_controls(body, () => {
    const open = study.pictures.map((picture, i) => [picture, i])
      .filter(([p]) => p.sparsity === state.pattern && p.format === state.format);
    if (!open.some(([, i]) => i === picture_index)) picture_index = open.length ? open[0][1] : -1;
    return [...combination_selects(study), open.length ? select("Tensor", open.map(([p, i]) => [String(i), study.layer_name(p.layer)]),
      String(picture_index), (value) => {
        picture_index = Number(value);
        changed();
      }) : null];
  });
  const pair = el("div", {class: "pair"});
  body.append(pair);
  const options = {short: true, summary: "The counts as a table"};
  chart_box(pair.appendChild(el("div", {})), () => histogram(study, "sparsify_first"), options);
  chart_box(pair.appendChild(el("div", {})), () => histogram(study, "quantize_first"), options);
  const pairs = el("div", {});
  body.append(pairs);
  on_change(() => pairs.replaceChildren(...swapped_pairs(study.pictures[picture_index])));
}

function histogram(study, key) {
  const order = key.replace("_", "-");
  const picture = study.pictures[picture_index];
  if (!picture) return "This study has no picture of this combination.";
  if (!state.orders.has(order)) return `${order_label(order)} is filtered out.`;
  const bins = picture.before.length;
  const width = (2 * picture.range) / bins;
  const at = (i) => -picture.range + (i + 0.5) * width;
  const points = (counts) => counts.map((y, i) => ({x: at(i), y: y || null}));
  const lines = picture.scale > 0 && picture.scale < picture.range ? [[picture.scale, "scale"], [-picture.scale, ""]] : null;
  const zeros = (counts) => counts[Math.floor(bins / 2)];
  return {
    label: `Histogram of ${study.layer_name(picture.layer)} before and after ${picture.sparsity} with ${picture.format}, ` +
      `${order}. At zero: ${count(zeros(picture.before))} weights before, ${count(zeros(picture[key]))} after.`,
    config: {type: "bar", data: {datasets: [
      {label: order_label(order), data: points(picture[key]), backgroundColor: colour_of(order), barPercentage: 0.8, categoryPercentage: 1, order: 1, grouped: false},
      {label: "Before", data: points(picture.before), backgroundColor: transparent(colours.dense, 0.35), barPercentage: 1, categoryPercentage: 1, order: 2, grouped: false},
    ]}, options: {
      interaction: {mode: "index", intersect: false},
      scales: {
        x: axis("Value of the weight", {type: "linear", min: -picture.range, max: picture.range, offset: false, grid: {display: false}}),
        y: axis("Weights (logarithmic)", {type: "logarithmic", min: 0.8}),
      },
      plugins: {legend: {position: "bottom"}, lines: {values: lines},
        tooltip: {callbacks: {title: (items) => `about ${number(items[0].raw.x)}`, label: (item) => `${item.dataset.label}: ${count(item.raw.y || 0)}`}}},
    }},
    table: table_of("Weights per bin", [
      {title: "Around", of: (i) => at(i), format: number},
      {title: "Before", of: (i) => picture.before[i], format: count},
      {title: order_label(order), of: (i) => picture[key][i], format: count},
    ], picture.before.map((_, i) => i)),
  };
}

function swapped_pairs(picture) {
  if (!picture) return [];
  const note = el("p", {class: "note"}, `${count(picture.swapped)} pairs are swapped in this tensor` +
    (picture.pairs.length ? `; the widest ${picture.pairs.length}:` : "."));
  if (!picture.pairs.length) return [note];
  return [note, table_of("Pairs whose order quantization lost", [
    {title: "Pruned by quantize-first (the larger)", of: (p) => p[0], format: number},
    {title: "Kept (the smaller)", of: (p) => p[1], format: number},
    {title: "Both became", of: (p) => p[2], format: (x) => (x ? "±" + number(x) : "0")},
  ], picture.pairs)];
}

const ROWS_AT_ONCE = 60;
let tensor_search = "";
let tensor_kind = "all";

function theory_section(study) {
  if (!study.tensor_rows.length) return;
  const body = section("theory", "Do theory and measurement agree?",
    "How much worse quantize-first is than sparsify-first can be computed exactly from the weights whose order rounding loses. " +
    "Here that sum stands beside what was measured on every tensor; where its premises fail, the theory does not apply.");
  const cards = el("div", {class: "cards"});
  const groups = el("div", {});
  body.append(cards, groups);
  on_change(() => {
    const rows = tensors_shown(study);
    const applies = rows.filter((row) => !row.premise);
    const sum = (key) => rows.reduce((total, row) => total + (row[key] || 0), 0);
    cards.replaceChildren(
      big_figure(`${count(applies.filter((row) => row.agrees).length)} of ${count(applies.length)}`, "agree to rounding"),
      big_figure(count(rows.length - applies.length), "where the theory does not apply"),
      big_figure(count(sum("collapsed")), "weights made equal to another by quantization"),
      big_figure(count(sum("swapped")), "pairs swapped by quantize-first"));
    groups.replaceChildren(theory_groups(rows));
  });
  const search = el("input", {type: "search", placeholder: "name of a layer", input: () => {
    tensor_search = search.value;
    list();
  }});
  const kinds = select("Show", [["all", "all tensors"], ["disagree", "those that disagree"],
    ["premise", "where it does not apply"], ["swapped", "with swapped pairs"]], tensor_kind, (value) => {
    tensor_kind = value;
    list();
  });
  const place = el("div", {});
  const list = () => place.replaceChildren(...theory_list(study));
  const details = el("details", {class: "data"}, el("summary", {}, "Every tensor"),
    el("div", {class: "controls"}, el("label", {}, "Search", search), kinds), place);
  body.append(details);
  on_change(list);
}

function tensors_shown(study) {
  return study.tensor_rows.filter((row) => state.patterns.has(row.sparsity) && state.formats.has(row.format));
}

// "pruning changed 12 scales" and "pruning changed 7 scales" are one reason.
function reason_of(row) {
  return row.premise.replace(/\d[\d,.]*/g, "…");
}

function theory_groups(rows) {
  const groups = new Map();
  for (const row of rows) {
    const key = row.sparsity + " " + row.format;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  const reasons = (group) => {
    const counts = new Map();
    for (const row of group.filter((r) => r.premise)) counts.set(reason_of(row), (counts.get(reason_of(row)) || 0) + 1);
    return [...counts].map(([reason, times]) => `${reason} (${times})`).join("; ");
  };
  const sum = (key) => (group) => group.reduce((total, row) => total + (row[key] || 0), 0);
  const measured = (group) => group.filter((row) => row.excess !== null);
  return table_of("By pattern and format", [
    {title: "Pattern and format", of: (g) => `${g[0].sparsity} with ${g[0].format}`},
    {title: "Tensors", of: (g) => g.length},
    {title: "Agree", of: (g) => g.filter((row) => !row.premise && row.agrees).length},
    {title: "Disagree", of: (g) => g.filter((row) => !row.premise && !row.agrees).length},
    {title: "Quantize-first worse in", of: (g) => measured(g).filter((row) => row.excess > 0).length},
    {title: "Collapsed weights", of: sum("collapsed"), format: count},
    {title: "Swapped pairs", of: sum("swapped"), format: count},
    ...(rows.some((row) => row.premise) ? [{title: "Does not apply", of: (g) => reasons(g) || NONE, wrap: true}] : []),
  ], [...groups.values()]);
}

function theory_list(study) {
  const tests = {all: () => true, disagree: (row) => !row.premise && !row.agrees, premise: (row) => Boolean(row.premise),
    swapped: (row) => row.swapped > 0};
  const rows = tensors_shown(study).filter(tests[tensor_kind])
    .filter((row) => study.layer_name(row.layer).includes(tensor_search.trim()));
  if (!rows.length) return [el("p", {class: "note"}, "No tensor is left to show.")];
  const table = table_of("Squared error of quantize-first minus that of sparsify-first", [
    {title: "Layer", of: (r) => study.layer_name(r.layer)},
    {title: "Pattern", of: (r) => r.sparsity, left: true},
    {title: "Format", of: (r) => r.format, left: true},
    {title: "Measured", of: (r) => r.excess, format: number},
    {title: "By theory", of: (r) => r.exact_excess, format: number},
    {title: "Agree", of: (r) => (r.premise ? "does not apply: " + r.premise : r.agrees ? "yes" : "no"), left: true},
    {title: "Collapsed", of: (r) => r.collapsed, format: count},
    {title: "Swapped", of: (r) => r.swapped, format: count},
  ], rows.slice(0, ROWS_AT_ONCE));
  const more = rows.length > ROWS_AT_ONCE
    ? el("p", {class: "note"}, `The first ${ROWS_AT_ONCE} of ${count(rows.length)}: search or filter for others.`) : null;
  return [table, more].filter((x) => x);
}
