// The bar of filters, which acts on every chart.

function filter_bar(studies) {
  const union = (key) => [...new Set(studies.flatMap((study) => study[key]))];
  state.patterns = new Set(union("patterns"));
  state.formats = new Set(union("formats"));
  state.orders = new Set(union("order_names"));
  const activations = studies.some((study) => study.has_activations);
  const groups = [
    check_group("Pattern", union("patterns"), state.patterns, (name) => name),
    check_group("Format", union("formats"), state.formats, (name) => name),
    check_group("Order", union("order_names"), state.orders, order_label),
    activations ? activation_group() : null,
  ].filter((group) => group);
  choose_first(studies[0]);
  on_change(() => {
    for (const [one, many, key] of [["pattern", state.patterns, "patterns"], ["format", state.formats, "formats"]]) {
      if (!many.has(state[one])) state[one] = studies[0][key].find((x) => many.has(x)) || null;
    }
  });
  if (groups.length === 0) return;
  const details = el("details", {open: true}, el("summary", {}, "Filters: patterns, formats, orders"),
    el("div", {class: "bar"}, groups));
  const narrow = matchMedia("(max-width: 760px)");
  const fold = () => { details.open = !narrow.matches; };
  narrow.addEventListener("change", fold);
  fold();
  document.getElementById("filters").append(details);
}

// The combination that the charts begin with: the one with the largest excess in NLL, of those
// whose model is not destroyed altogether.
function choose_first(study) {
  let largest = -Infinity;
  for (const combination of study.combinations) {
    const excess = value_of(combination.excess_nll);
    const cell = study.cells[combination.cell];
    const ruined = value_of(cell.nll_difference) > 2;
    if (excess === null || excess <= largest || cell.activations || ruined) continue;
    largest = excess;
    state.pattern = cell.sparsity;
    state.format = cell.format;
  }
}

function check_group(title, names, chosen, label) {
  if (names.length < 2) return null;
  return el("fieldset", {}, el("legend", {}, title), names.map((name) => {
    const box = el("input", {type: "checkbox", checked: true, value: name, change: () => {
      if (box.checked) chosen.add(name);
      else chosen.delete(name);
      changed();
    }});
    const colour = ORDERS[name] ? `color:var(--${name})` : null;
    return el("label", {class: "chip", style: colour}, box, label(name));
  }));
}

function activation_group() {
  return el("fieldset", {}, el("legend", {}, "Quantized"),
    [[false, "weights"], [true, "weights and activations"]].map(([value, text]) =>
      el("label", {class: "chip"}, el("input", {type: "radio", name: "activations", checked: !value, change: () => {
        state.activations = value;
        changed();
      }}), text)));
}
