// The parts that every section is made of.

function section(id, question, how) {
  const body = el("section", {id, "aria-labelledby": id + "-title"},
    el("h2", {id: id + "-title"}, question), el("p", {class: "how"}, how));
  document.getElementById("main").append(body);
  return body;
}

// A chart that is replaced when data, filters or colours change. `draw` returns {config, label, table}
// or a sentence that says why there is nothing to draw.
function chart_box(parent, draw, options = {}) {
  const box = el("div", {class: "canvas" + (options.short ? " short" : "")});
  const nothing = el("p", {class: "note"});
  const details = el("details", {class: "data"}, el("summary", {}, options.summary || "The figures of this chart as a table"));
  parent.append(box, nothing, options.table === false ? "" : details);
  let chart = null;
  on_change(() => {
    const drawn = draw();
    const empty = typeof drawn === "string";
    nothing.textContent = empty ? drawn : "";
    box.hidden = details.hidden = empty;
    box.style.display = empty ? "none" : "";
    if (chart) chart.destroy();
    chart = null;
    if (empty) return;
    const canvas = el("canvas", {role: "img", "aria-label": drawn.label}, drawn.label);
    box.replaceChildren(canvas);
    if (drawn.height) box.style.height = drawn.height + "px";
    chart = new Chart(canvas, drawn.config);
    canvas.chart = chart;
    if (drawn.table) details.replaceChildren(details.firstChild, drawn.table);
  });
}

// columns: [{title, of(row), left, format}]; the first is the row's header.
function table_of(caption, columns, rows, options = {}) {
  const show = (column, row) => {
    const value = column.of(row);
    return value instanceof Node ? value : column.format ? column.format(value) : String(value ?? NONE);
  };
  const table = el("table", {}, el("caption", {}, caption),
    el("thead", {}, el("tr", {}, columns.map((c, i) =>
      el("th", {scope: "col", class: i === 0 || c.left || c.wrap ? "left" : null}, c.title)))),
    el("tbody", {}, rows.map((row) => el("tr", {class: options.row_class ? options.row_class(row) : null}, columns.map((c, i) =>
      i === 0 ? el("th", {scope: "row"}, show(c, row))
        : el("td", {class: c.wrap ? "wrap" : c.left ? "left" : null}, show(c, row)))))));
  return scroll_box(caption, table, rows.length > 14);
}

function scroll_box(label, table, tall) {
  return el("div", {class: "scroll" + (tall ? " tall" : ""), role: "region", tabindex: "0",
    "aria-label": label}, table);
}

function select(label, options, chosen, change) {
  const list = el("select", {change: (event) => change(event.target.value)},
    options.map(([value, text]) => el("option", {value, selected: value === chosen}, text)));
  return el("label", {}, label, list);
}

// Selects that are filled again at every change, since filters decide what can be chosen.
function live_controls(parent, make) {
  const box = el("div", {class: "controls"});
  parent.append(box);
  on_change(() => {
    const focus = [...box.querySelectorAll("select, input")].indexOf(document.activeElement);
    box.replaceChildren(...make().filter((x) => x));
    if (focus >= 0) {
      const control = box.querySelectorAll("select, input")[focus];
      if (control) control.focus();
    }
  });
}

// The pattern and the format of the charts that show one combination, in every such section.
function combination_selects(study) {
  const pick = (key) => (value) => {
    state[key] = value;
    changed();
  };
  const pairs = (names) => names.map((name) => [name, name]);
  return [
    select("Pattern", pairs(study.patterns.filter((x) => state.patterns.has(x))), state.pattern, pick("pattern")),
    select("Format", pairs(study.formats.filter((x) => state.formats.has(x))), state.format, pick("format")),
  ];
}

function key_list(names) {
  return el("ul", {class: "keys"}, names.map((name) => el("li", {},
    el("span", {class: "swatch", style: `background:${colour_of(name)}`, "aria-hidden": "true"}),
    TREATMENTS[name] ? TREATMENTS[name].label : name)));
}

// Figures on hover and on focus for table cells with data-tip; arrow keys walk a table's cells.
function set_up_tips() {
  const tip = document.getElementById("tip");
  let current = null;
  const hide = () => {
    tip.hidden = true;
    current = null;
  };
  const show = (cell) => {
    current = cell;
    tip.textContent = cell.dataset.tip;
    tip.hidden = false;
    const at = cell.getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    const left = Math.min(innerWidth - size.width - 8, Math.max(8, at.left + at.width / 2 - size.width / 2));
    const top = at.top - size.height - 8 > 0 ? at.top - size.height - 8 : at.bottom + 8;
    tip.style.left = left + "px";
    tip.style.top = top + "px";
  };
  const cell_of = (event) => event.target.closest && event.target.closest("[data-tip]");
  document.addEventListener("mouseover", (event) => (cell_of(event) ? show(cell_of(event)) : hide()));
  document.addEventListener("focusin", (event) => (cell_of(event) ? show(cell_of(event)) : hide()));
  const follow = () => (current && current === document.activeElement ? show(current) : hide());
  document.addEventListener("scroll", follow, {capture: true, passive: true});
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const cell = cell_of(event);
    const step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
    if (!cell || !step) return;
    const next = neighbour(cell, ...step);
    if (!next) return;
    event.preventDefault();
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}

// The next cell with a figure in this direction, by place on the page (cells may span rows).
function neighbour(cell, down, right) {
  const here = cell.getBoundingClientRect();
  let best = null;
  let least = Infinity;
  for (const other of cell.closest("table").querySelectorAll("[data-tip]")) {
    const there = other.getBoundingClientRect();
    const dx = there.left - here.left;
    const dy = there.top - here.top;
    const along = down ? dy * down : dx * right;
    const across = down ? Math.abs(dx) : Math.max(0, there.top - here.top, here.top - there.bottom + 1);
    if (along > 1 && along + 3 * across < least) {
      least = along + 3 * across;
      best = other;
    }
  }
  return best;
}

function rove(table) {
  table.querySelectorAll("[data-tip]").forEach((cell, i) => { cell.tabIndex = i === 0 ? 0 : -1; });
  return table;
}
