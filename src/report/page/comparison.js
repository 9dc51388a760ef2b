// The page that compares two studies, cell by cell of the same name.

function loss_of(cell) {
  return cell && cell.nll_difference ? cell.nll_difference[0] : null;
}

function matched_cells(a, b) {
  return a.cells.filter((cell) => b.by_name.has(cell.name)).map((cell) => ({name: cell.name, a: cell, b: b.by_name.get(cell.name)}));
}

function study_names(a, b) {
  if (a.model.name !== b.model.name) return [a.model.name, b.model.name];
  if (methods_of(a) !== methods_of(b)) return [`A (${methods_of(a)})`, `B (${methods_of(b)})`];
  return [`A (scant ${a.scant})`, `B (scant ${b.scant})`];
}

function comparison_header(a, b) {
  const [first, second] = study_names(a, b);
  const header = document.getElementById("top");
  const fact = (study, letter) => `${letter}: ${study.model.name}, ${study.model.architecture}, ${million(study.model.parameters)} parameters; ` +
    `${count(study.protocol.tokens)} tokens of ${study.protocol.text}; methods: ${methods_of(study)}; scant ${study.scant}.`;
  header.append(el("div", {class: "mast"}, el("span", {}, "Scant · two interplay studies"), theme_button()),
    el("h1", {}, "How does ", el("span", {class: "names"}, first), " differ from ", el("span", {class: "names"}, second), "?"),
    el("p", {class: "facts"}, fact(a, "A")), el("p", {class: "facts"}, fact(b, "B")));
  const unequal = ["text", "tokens", "window"].filter((key) => a.protocol[key] !== b.protocol[key]);
  if (unequal.length) {
    header.append(el("p", {class: "notice"}, `The protocols differ (${unequal.map((key) =>
      `${key}: ${a.protocol[key]} and ${b.protocol[key]}`).join("; ")}), so compare losses against each study's own dense model, not perplexities.`));
  }
  const matched = matched_cells(a, b);
  const verdicts = matched.map((row) => [a.combination_of.get(row.a), b.combination_of.get(row.b)]).filter(([x, y]) => x && y && x.verdict && y.verdict);
  const ppl = (study) => number(value_of(study.dense.perplexity));
  header.append(el("div", {class: "cards"},
    big_figure(`${ppl(a)} and ${ppl(b)}`, "perplexity of the dense models, A and B"),
    big_figure(count(matched.length), `cells in both; ${count(a.cells.length - matched.length)} only in A, ${count(b.cells.length - matched.length)} only in B`),
    big_figure(`${verdicts.filter(([x, y]) => x.verdict !== y.verdict).length} of ${verdicts.length}`, "verdicts differ")), words(false));
}

function comparison_scatter(a, b) {
  const body = section("against", "Do the same mixes cost the same?",
    "Each mark is one mix of pattern, format and order: its loss against the dense model in A to the right, in B upwards. " +
    "On the dashed line it costs both the same; above it, B suffers more.");
  chart_box(body, () => {
    const rows = matched_cells(a, b).filter((row) => shown(row.a) && loss_of(row.a) !== null && loss_of(row.b) !== null && row.a !== a.dense);
    if (!rows.length) return "No cell is in both studies with these filters.";
    const values = rows.flatMap((row) => [loss_of(row.a), loss_of(row.b)]);
    const least = Math.min(...values);
    const most = Math.max(...values);
    const type = least > 0 ? axis_type(values, 20) : "linear";
    const range = type === "linear" ? {min: Math.min(0, least * 1.1), suggestedMax: most * 1.05 || 1} : {min: least / 1.4, max: most * 1.4};
    const ends = (letter, estimate) => (has_interval(estimate) ? {[letter + "_low"]: estimate[1], [letter + "_high"]: estimate[2]} : {});
    const point = (row) => ({x: loss_of(row.a), y: loss_of(row.b), row, ...ends("x", row.a.nll_difference), ...ends("y", row.b.nll_difference)});
    const datasets = [...new Set(rows.map((row) => treatment(row.a)))].map((name) =>
      ({...point_style(name), data: rows.filter((row) => treatment(row.a) === name).map(point)}));
    return {
      label: `Scatter chart of the NLL loss of ${rows.length} cells in A and in B. B loses more in ${rows.filter((row) => loss_of(row.b) > loss_of(row.a)).length}.`,
      config: {type: "scatter", data: {datasets}, options: {
        scales: {x: axis("A: NLL − dense, nats per token", {type, ...range}), y: axis("B: NLL − dense, nats per token", {type, ...range})},
        plugins: {legend: {position: "bottom"}, intervals: {show: true}, diagonal: {show: true, above: "B suffers more", below: "A suffers more"},
          tooltip: {callbacks: {label: (item) => comparison_tip(item.raw.row)}}},
      }},
    };
  }, {table: false});
}

function comparison_tip({name, a, b}) {
  const loss = (cell) => interval(cell.nll_difference, (x) => signed(x, 4));
  return [name, "A: " + loss(a), "B: " + loss(b)];
}

function comparison_table(a, b) {
  const body = section("cells", "What changed, cell by cell?",
    "The same mix in both studies, with the difference B − A. Negative is better in B. Verdicts that differ are marked.");
  const place = el("div", {});
  body.append(place);
  const verdict = (study, cell) => (study.combination_of.get(cell) || {}).verdict || "";
  const unequal = (row) => verdict(a, row.a) !== verdict(b, row.b);
  const minus = (x, y) => (x === null || y === null || x === undefined || y === undefined ? null : y - x);
  on_change(() => {
    const rows = matched_cells(a, b).filter((row) => shown(row.a));
    place.replaceChildren(table_of("Cells of both studies", [
      {title: "Mix", of: (r) => r.name},
      {title: "Bits per weight, A", of: (r) => r.a.bits_per_weight, format: (x) => fixed(x, 3)},
      {title: "B", of: (r) => r.b.bits_per_weight, format: (x) => fixed(x, 3)},
      {title: "Perplexity, A", of: (r) => value_of(r.a.perplexity), format: number},
      {title: "B", of: (r) => value_of(r.b.perplexity), format: number},
      {title: "B − A", of: (r) => minus(value_of(r.a.perplexity), value_of(r.b.perplexity)), format: (x) => (x > 0 ? "+" : "") + number(x)},
      {title: "NLL − dense, A", of: (r) => loss_of(r.a), format: (x) => signed(x, 4)},
      {title: "B", of: (r) => loss_of(r.b), format: (x) => signed(x, 4)},
      {title: "B − A", of: (r) => minus(loss_of(r.a), loss_of(r.b)), format: (x) => signed(x, 4)},
      {title: "Verdict", left: true, of: (r) => (unequal(r) ? `${verdict(a, r.a) || "none"} → ${verdict(b, r.b) || "none"}` : verdict(a, r.a))},
    ], rows, {row_class: (row) => (unequal(row) ? "changed" : null)}));
  });
  const only = (study, other, letter) => {
    const names = study.cells.filter((cell) => !other.by_name.has(cell.name)).map((cell) => cell.name);
    return names.length ? el("details", {class: "data"}, el("summary", {}, `Only in ${letter}: ${names.length} cells`), el("p", {class: "note"}, names.join(", "))) : null;
  };
  body.append(...[only(a, b, "A"), only(b, a, "B")].filter((x) => x));
}
