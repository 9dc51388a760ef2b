// Colours, light and dark, and what every chart has in common.

let colours = {};

function read_colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "panel", "ink", "soft", "line", "grid", "accent", "compounding", "orthogonal",
    "depends", ...Object.keys(TREATMENTS)];
  colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue("--" + name).trim()]));
  Chart.defaults.color = colours.soft;
  Chart.defaults.borderColor = colours.grid;
}

const colour_of = (name) => colours[name] || colours.soft;

function is_dark() {
  return document.documentElement.dataset.theme === "dark";
}

function set_theme(name) {
  document.documentElement.dataset.theme = name;
  read_colours();
}

function theme_button() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = el("button", {type: "button", id: "theme", click: () => choose(is_dark() ? "light" : "dark")});
  const choose = (name) => {
    set_theme(name);
    button.textContent = name === "dark" ? "Light page" : "Dark page";
    changed();
  };
  system.addEventListener("change", () => choose(system.matches ? "dark" : "light"));
  let before = null;
  addEventListener("beforeprint", () => {
    before = is_dark();
    choose("light");
    for (const chart of Object.values(Chart.instances)) chart.resize();
  });
  addEventListener("afterprint", () => {
    if (before) choose("dark");
    for (const chart of Object.values(Chart.instances)) chart.resize();
  });
  choose(system.matches ? "dark" : "light");
  return button;
}

// Ramps are lists of colours at equal steps of t in [0, 1].
const RAMPS = {
  light: {
    loss: ["#f3f5f0", "#fdeebb", "#fbc879", "#ee8f45", "#c9501f", "#8a2411", "#4a0f08"],
    diverging: ["#0b559f", "#5597cf", "#b4d2ea", "#f6f5f2", "#f9c795", "#e07f2c", "#9a4403"],
  },
  dark: {
    loss: ["#20262d", "#3b3325", "#63461f", "#99601f", "#cf8230", "#f2ae55", "#ffe3a3"],
    diverging: ["#8cc7ff", "#3f85c4", "#244e75", "#22272e", "#6d4317", "#c27020", "#ffb871"],
  },
};

function mix(ramp, t) {
  const list = RAMPS[is_dark() ? "dark" : "light"][ramp];
  const place = Math.min(1, Math.max(0, t)) * (list.length - 1);
  const low = Math.min(list.length - 2, Math.floor(place));
  const part = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
  return [0, 1, 2].map((i) =>
    Math.round(part(list[low], i) + (place - low) * (part(list[low + 1], i) - part(list[low], i))));
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// Background and the text colour of the two that contrasts more (always above 4.5 : 1).
function ramp_style(ramp, t) {
  const rgb = mix(ramp, t);
  const text = luminance(rgb) > 0.179 ? "#000" : "#fff";
  return `background:rgb(${rgb});color:${text}`;
}

function ramp_legend(ramp, left, right, note) {
  const steps = Array.from({length: 13}, (_, i) => `rgb(${mix(ramp, i / 12)})`);
  return el("div", {class: "ramp"}, el("span", {}, left),
    el("i", {style: `background:linear-gradient(90deg,${steps})`, "aria-hidden": "true"}),
    el("span", {}, right), note ? el("span", {}, note) : null);
}

function transparent(hex, alpha) {
  return hex + Math.round(255 * alpha).toString(16).padStart(2, "0");
}

function set_chart_defaults() {
  const family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.family = family;
  Chart.defaults.font.size = 12;
  Chart.defaults.animation = false;
  Chart.defaults.maintainAspectRatio = false;
  Chart.defaults.plugins.legend.labels.usePointStyle = true;
  Chart.defaults.plugins.legend.labels.boxHeight = 8;
  Chart.defaults.plugins.legend.labels.sort = (a, b) => a.datasetIndex - b.datasetIndex;
  Chart.defaults.plugins.tooltip.displayColors = false;
  Chart.defaults.plugins.tooltip.padding = 10;
}

// Powers of ten, and 2 and 5 times them while they are few.
function log_tick(tick) {
  const lead = tick / 10 ** Math.floor(Math.log10(tick) + 1e-9);
  return [1, 2, 5].some((x) => Math.abs(lead - x) < 1e-6) ? plain(tick) : "";
}

function axis(title, options = {}) {
  const log = options.type === "logarithmic";
  return {
    ...options,
    title: {display: true, text: title, color: colours.soft},
    grid: {color: colours.grid, drawBorder: false},
    ticks: {color: colours.soft, maxRotation: 0, ...(log ? {callback: log_tick} : {callback: plain}),
      ...options.ticks},
  };
}

// A logarithmic axis where the values span more than this factor.
function axis_type(values, factor = 4) {
  const good = values.filter((x) => Number.isFinite(x));
  return good.length > 0 && Math.min(...good) > 0 && Math.max(...good) > factor * Math.min(...good)
    ? "logarithmic" : "linear";
}
