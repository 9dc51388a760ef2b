// "How small, and how good?" and "Do the errors add up or compound?"

function point_style(name) {
  const colour = colour_of(name);
  const shape = TREATMENTS[name] ? TREATMENTS[name].shape : "circle";
  const line = shape === "crossRot" || shape === "star";
  const {radius = 5.5} = TREATMENTS[name] || {};
  return {order: radius, label: TREATMENTS[name] ? TREATMENTS[name].label : name, pointStyle: shape, borderColor: colour,
    backgroundColor: transparent(colour, 0.75), pointRadius: line ? 6 : radius, pointHoverRadius: 8, borderWidth: line ? 2.5 : 1,
    pointBorderWidth: line ? 2.5 : 1};
}

// Cells that no other cell beats both in size and in perplexity.
function pareto_front(cells) {
  const sorted = [...cells].sort((a, b) => a.bits_per_weight - b.bits_per_weight || a.perplexity[0] - b.perplexity[0]);
  let best = Infinity;
  return sorted.filter((cell) => cell.perplexity[0] < best && ((best = cell.perplexity[0]), true));
}

function sized(cell) {
  return shown(cell) && cell.perplexity && cell.bits_per_weight !== null;
}

function size_section(study) {
  const body = section("size", "How small, and how good?",
    "Each mark is one compressed model: further left is smaller, further down is better. No model beats those on the line " +
    "both in size and in perplexity.");
  chart_box(body, () => {
    const cells = study.cells.filter(sized);
    if (cells.length < 2) return "Nothing is left to show with these filters.";
    const front = pareto_front(cells);
    const point = (cell) => ({x: cell.bits_per_weight, y: cell.perplexity[0], cell, label: front.includes(cell) ? short_name(cell) : null});
    const sizes = cells.map((cell) => cell.bits_per_weight);
    const datasets = [...new Set(cells.map(treatment))].map((name) =>
      ({...point_style(name), data: cells.filter((cell) => treatment(cell) === name).map(point)}));
    datasets.push({label: "Best at its size", type: "line", data: front.map((cell) => ({x: cell.bits_per_weight, y: cell.perplexity[0]})),
      borderColor: transparent(colours.ink, 0.45), borderWidth: 1.5, pointRadius: 0, pointHitRadius: 0, stepped: "before", pointStyle: "line", order: 9});
    return {
      label: `Scatter chart of perplexity against bits per weight for ${cells.length} models. ` +
        `Best at their size: ${front.map((cell) => cell.name).join(", ")}.`,
      config: {type: "scatter", data: {datasets}, options: {
        scales: {
          x: axis("Bits per weight of the compressed layers", {type: axis_type(sizes, 2),
            min: Math.min(...sizes) / 1.2, max: Math.max(...sizes) * 1.2,
            afterBuildTicks: bit_ticks, ticks: {callback: plain, autoSkip: false}}),
          y: axis("Perplexity", {type: axis_type(cells.map((cell) => cell.perplexity[0]), 3)}),
        },
        plugins: {legend: {position: "bottom"}, labels: {show: true},
          tooltip: {filter: (item) => Boolean(item.raw.cell),
            callbacks: {label: (item) => cell_tip(item.raw.cell).split("\n")}}},
      }},
      table: table_of("Models by size", [
        {title: "Model", of: (c) => c.name},
        {title: "Bits per weight", of: (c) => c.bits_per_weight, format: (x) => fixed(x, 3)},
        {title: "Perplexity", of: (c) => c.perplexity, format: interval},
        {title: "Best at its size", of: (c) => (front.includes(c) ? "yes" : "")},
      ], [...cells].sort((a, b) => a.bits_per_weight - b.bits_per_weight)),
    };
  });
}

// On a logarithmic axis: the sizes that people know.
function bit_ticks(scale) {
  if (scale.type !== "logarithmic") return;
  scale.ticks = [0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 32].filter((x) => x >= scale.min && x <= scale.max).map((value) => ({value}));
}

function short_name(cell) {
  return cell.order ? cell.name.replace(cell.order, ORDERS[cell.order] ? ORDERS[cell.order].formula : cell.order)
    .replace(" activations", " (A)") : cell.name.replace(" activations", " (A)");
}

let threshold_scale = "nll";

const SCALES = {
  perplexity: {label: "Perplexity", unit: "loss of perplexity"},
  nll: {label: "NLL", unit: "loss in nats per token"},
};

function threshold_section(study) {
  const body = section("threshold", "Do the errors add up or compound?",
    "To the right, what sparsity and the format lose when each is alone, added up; upwards, what the combination really loses. " +
    "On the dashed line the errors add up, above it they compound. Full marks are called compounding, empty ones are not; the bars are 95% intervals.");
  live_controls(body, () => [select("Scale", Object.entries(SCALES).map(([key, s]) => [key, s.label]), threshold_scale, (value) => {
    threshold_scale = value;
    changed();
  })]);
  chart_box(body, () => threshold_chart(study));
}

// Losses against the dense model: the estimate of the metric minus the dense value. The interval of
// the vertical place is that of the excess, which is paired.
function threshold_point(study, combination) {
  const key = threshold_scale;
  const cell = study.cells[combination.cell];
  const threshold = combination["threshold_" + key];
  const excess = combination["excess_" + key];
  const base = value_of(study.dense[key]);
  if (!shown(cell) || !threshold || !excess || !cell[key] || base === null) return null;
  return {x: threshold[0] - base, y: cell[key][0] - base, cell, combination,
    ...(has_interval(excess) ? {y_low: threshold[0] + excess[1] - base, y_high: threshold[0] + excess[2] - base} : {})};
}

function threshold_chart(study) {
  const points = study.combinations.map((c) => threshold_point(study, c)).filter((p) => p);
  if (!points.length) return "No combination is left to show with these filters.";
  const least = Math.min(...points.flatMap((p) => [p.x, p.y]));
  const type = least > 0 ? axis_type(points.flatMap((p) => [p.x, p.y]), 20) : "linear";
  const values = points.flatMap((p) => [p.x, p.y]);
  const most = Math.max(...values);
  const range = type === "linear" ? {min: Math.min(0, least * 1.1), suggestedMax: most * 1.05 || 1} : {min: least / 1.4, max: most * 1.4};
  const datasets = study.order_names.map((name) => {
    const data = points.filter((p) => p.cell.order === name);
    const style = point_style(name);
    return {...style, data, backgroundColor: data.map((p) => (p.combination.verdict === "compounding" ? style.backgroundColor : colours.panel)),
      pointBorderWidth: 1.8};
  }).filter((set) => set.data.length);
  const unit = SCALES[threshold_scale].unit;
  const above = points.filter((p) => p.combination.verdict === "compounding").length;
  return {
    label: `Scatter chart of ${points.length} combinations: the sum of both losses against the measured loss (${unit}). ` +
      `${above} of them compound.`,
    config: {type: "scatter", data: {datasets}, options: {
      scales: {x: axis(`S alone + Q alone: ${unit}`, {type, ...range}), y: axis(`Together: ${unit}`, {type, ...range})},
      plugins: {legend: {position: "bottom"}, intervals: {show: true},
        diagonal: {show: true, above: "compound", below: "less than the sum"},
        tooltip: {callbacks: {label: (item) => threshold_tip(item.raw)}}},
    }},
    table: table_of("Threshold and measured", [
      {title: "Combination", of: (p) => p.cell.name},
      {title: "Threshold", of: (p) => p.combination["threshold_" + threshold_scale], format: interval},
      {title: "Measured", of: (p) => p.cell[threshold_scale], format: interval},
      {title: "Measured − threshold", of: (p) => p.combination["excess_" + threshold_scale], format: interval},
      {title: "Measured loss / sum", of: (p) => p.combination["ratio_" + threshold_scale], format: interval},
      {title: "Costs more", of: (p) => p.combination.dominant, left: true},
      {title: "Verdict", of: (p) => p.combination.verdict, left: true},
      {title: "Why", of: (p) => p.combination.reason, left: true},
    ], points),
  };
}

function threshold_tip({cell, combination}) {
  const key = threshold_scale;
  return [cell.name, `${SCALES[key].label} ${interval(cell[key])}`,
    `threshold ${interval(combination["threshold_" + key])}`,
    `difference ${interval(combination["excess_" + key], (x) => (x > 0 ? "+" : "") + number(x))}`,
    `${combination.verdict}: ${combination.reason}`];
}
