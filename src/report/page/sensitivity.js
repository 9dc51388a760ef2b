// "Which layers matter most?"

const LAYERS_AT_ONCE = 20;
let all_layers = false;
let sensitivity_key = "alone";

function sensitivity_section(study) {
  if (!study.sensitivity) return;
  const body = section("sensitivity", "Which layers matter most?",
    `Layers ranked for ${study.sensitivity.name}: the longer the bar, the more NLL this layer alone costs, or the more is won back ` +
    "by leaving it dense. A bar whose interval reaches zero is noise.");
  live_controls(body, () => [
    select("Rank by", [["alone", "loss when it alone is compressed"], ["exempt", "gain when it alone stays dense"]], sensitivity_key, (value) => {
      sensitivity_key = value;
      changed();
    }),
    study.sensitivity_rows.length > LAYERS_AT_ONCE ? el("button", {type: "button", "aria-pressed": String(all_layers), click: () => {
      all_layers = !all_layers;
      changed();
    }}, all_layers ? "Only the first " + LAYERS_AT_ONCE : `All ${study.sensitivity_rows.length} layers`) : null,
  ]);
  chart_box(body, () => sensitivity_chart(study));
}

function sensitivity_chart(study) {
  const ranked = study.sensitivity_rows.filter((row) => row[sensitivity_key])
    .sort((a, b) => b[sensitivity_key][0] - a[sensitivity_key][0]);
  if (!ranked.length) return "No layer has a figure.";
  const rows = all_layers ? ranked : ranked.slice(0, LAYERS_AT_ONCE);
  const colour = sensitivity_key === "alone" ? colours.compounding : colours.orthogonal;
  const of = (row) => row[sensitivity_key];
  const what = sensitivity_key === "alone" ? "NLL added by compressing this layer alone" : "NLL taken off by leaving this layer dense";
  return {
    height: 90 + 24 * rows.length,
    label: `Bar chart of ${rows.length} layers, ${what}. First: ` +
      rows.slice(0, 3).map((row) => `${study.layer_name(row.layer)} ${fixed(of(row)[0], 4)}`).join(", ") + ".",
    config: {type: "bar", data: {labels: rows.map((row) => study.layer_name(row.layer)), datasets: [
      {label: what, data: rows.map((row) => of(row)[0]), backgroundColor: transparent(colour, 0.75), borderColor: colour, barPercentage: 0.7},
    ]}, options: {
      indexAxis: "y",
      scales: {x: axis(what + ", nats per token", {beginAtZero: true}),
        y: axis("", {title: {display: false}, grid: {display: false},
          ticks: {autoSkip: false, callback(i) { return short_layer(this.getLabelForValue(i), this.chart.width); }}})},
      plugins: {legend: {display: false}, whiskers: {values: rows.map(of)},
        tooltip: {callbacks: {label: (item) => interval(of(rows[item.dataIndex]), (x) => signed(x, 4))}}},
    }},
    table: table_of("Sensitivity of layers", [
      {title: "Layer", of: (row) => study.layer_name(row.layer)},
      {title: "Loss alone", of: (row) => row.alone, format: (x) => interval(x, (v) => signed(v, 4))},
      {title: "Gain if exempt", of: (row) => row.exempt, format: (x) => interval(x, (v) => signed(v, 4))},
    ], ranked),
  };
}

// The end of a long name tells layers apart.
function short_layer(name, width) {
  const room = Math.max(14, Math.floor(width / 26));
  return name.length <= room ? name : "…" + name.slice(name.length - room + 1);
}

// 95% intervals of horizontal bars: options.plugins.whiskers.values is a list of estimates.
const whisker_marks = {
  id: "whiskers",
  afterDatasetsDraw(chart, _, options) {
    if (!options.values) return;
    const {ctx, scales: {x}} = chart;
    ctx.save();
    ctx.strokeStyle = colours.ink;
    ctx.lineWidth = 1.2;
    chart.getDatasetMeta(0).data.forEach((bar, i) => {
      if (!has_interval(options.values[i])) return;
      const [, low, high] = options.values[i];
      ctx.beginPath();
      ctx.moveTo(x.getPixelForValue(low), bar.y);
      ctx.lineTo(x.getPixelForValue(high), bar.y);
      ctx.stroke();
    });
    ctx.restore();
  },
};
