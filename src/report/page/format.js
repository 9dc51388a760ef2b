// Elements and the spelling of figures.

// el("p", {class: "note"}, "text", child): attributes with a function are listeners; text is never HTML.
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key, value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const NONE = "–";
const MINUS = "\u2212";

function fixed(value, digits) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const text = Math.abs(value).toFixed(digits);
  return (value < 0 && Number(text) !== 0 ? MINUS : "") + text;
}

function signed(value, digits) {
  const text = fixed(value, digits);
  return value > 0 && Number(text) !== 0 ? "+" + text : text;
}

// Four significant digits or so, whatever the size: 22.63, 1204, 9.8e6, 0.00031.
function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-4)) {
    return value.toExponential(1).replace("-", MINUS).replace("e+", "e");
  }
  if (Number.isInteger(value)) return count(value);
  return fixed(value, size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 0.1 ? 3 : 5);
}

// The same without zeros at the end: for axes and in sentences.
function plain(value) {
  return number(value).replace(/(\.\d*?)0+(?=$|e)/, "$1").replace(/\.(?=$|e)/, "");
}

function count(value) {
  if (value === null || value === undefined) return NONE;
  return Math.round(value).toLocaleString("en").replace("-", MINUS);
}

function million(value) {
  if (value >= 1e9) return fixed(value / 1e9, 2) + " billion";
  return value >= 1e6 ? fixed(value / 1e6, 1) + " million" : count(value);
}

function bytes(value) {
  if (value === null || value === undefined) return NONE;
  for (const [size, unit] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
    if (value >= size) return fixed(value / size, 1) + " " + unit;
  }
  return value + " B";
}

function seconds(value) {
  if (value === null || value === undefined) return NONE;
  if (value < 60) return fixed(value, value < 10 ? 1 : 0) + " s";
  const minutes = Math.floor(value / 60);
  if (minutes < 60) return minutes + " min " + Math.round(value - 60 * minutes) + " s";
  return Math.floor(minutes / 60) + " h " + (minutes % 60) + " min";
}

// An estimate is [value, low, high] or null; its ends are null where there are too few windows.
const value_of = (estimate) => (estimate ? estimate[0] : null);
const has_interval = (estimate) => Boolean(estimate) && estimate[1] !== null && estimate[2] !== null;

function interval(estimate, format = number) {
  if (!estimate) return NONE;
  if (!has_interval(estimate)) return format(estimate[0]);
  return `${format(estimate[0])} (${format(estimate[1])} to ${format(estimate[2])})`;
}

const METRICS = {
  perplexity: {
    label: "Perplexity", of: (cell) => cell.perplexity, format: number,
    threshold: (combination) => combination.threshold_perplexity,
  },
  nll: {
    label: "NLL, nats per token", of: (cell) => cell.nll, format: (x) => fixed(x, 3),
    threshold: (combination) => combination.threshold_nll,
  },
  kl: {
    label: "KL to the dense model, nats per token", of: (cell) => cell.kl,
    format: (x) => fixed(x, 4), threshold: () => null,
  },
};

const ORDERS = {
  "sparsify-first": {label: "Sparsify first", formula: "S then Q", shape: "circle", radius: 6.5},
  "quantize-first": {label: "Quantize first", formula: "Q then S", shape: "triangle", radius: 6},
  joint: {label: "Joint", formula: "joint", shape: "rectRot", radius: 4, dash: [2, 4]},
};
const ALONE = {
  dense: {label: "Dense", shape: "star"},
  sparsity: {label: "Sparsity alone", shape: "rect"},
  format: {label: "Format alone", shape: "crossRot"},
};
const TREATMENTS = {...ALONE, ...ORDERS};

function order_label(order) {
  return ORDERS[order] ? ORDERS[order].label : order;
}

// "dense", "sparsity", "format" or the order: what decides a mark's colour and shape.
function treatment(cell) {
  if (cell.sparsity && cell.format) return cell.order;
  return cell.sparsity ? "sparsity" : cell.format ? "format" : "dense";
}

function verdict_class(verdict) {
  return verdict === "compounding" || verdict === "orthogonal" ? verdict : "depends";
}
